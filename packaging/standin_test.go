//go:build deb

package packaging

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"pveha/compat/e2e/bed"
	"pveha/crm"
	"pveha/internal/daemon"
	"pveha/internal/ha"
	"pveha/internal/pveenv"
	"pveha/internal/worker"
	"pveha/lrm"
	"pveha/lrm/agent"
	"pveha/pmxcfsio"
	"pveha/pmxcfsio/ipcc"
)

// The daemons of the stand-in of the Perl package are scripts, which come with
// it, around these programs: they decide as the Perl daemons do, at their pace,
// and know nothing of systemd.
const (
	standInDir    = "usr/lib/perl-standin/"
	standInCRM    = "perl-crm"
	standInLRM    = "perl-lrm"
	standInWorker = "worker"
	standInRunDir = "/run/perl-lrm"
)

// linkStandIns gives the running test binary the names of the programs.
func linkStandIns(l *bed.Layer) error {
	var problems []error
	for _, name := range []string{standInCRM, standInLRM, "watchdog-mux", "guest-action"} {
		problems = append(problems, l.Link("/usr/lib/standin", standInDir+name))
	}
	return errors.Join(problems...)
}

// runStandIn runs the program that the binary was started as, if it is one.
func runStandIn() {
	var open func(ctx context.Context, log func(ha.Entry)) (standInLoop, error)
	switch filepath.Base(os.Args[0]) {
	case standInCRM:
		open = openPerlCRM
	case standInLRM:
		open = openPerlLRM
	default:
		return
	}
	log := func(e ha.Entry) { fmt.Fprintln(os.Stderr, e.Level, e.Text) }
	if len(os.Args) == 3 && os.Args[1] == standInWorker {
		os.Exit(worker.Child(os.Args[2], func(job worker.Job) lrm.Outcome { return carryOut(job, log) }, log))
	}
	os.Exit(live(open, log))
}

// standInLoop is a daemon with what wakes it.
type standInLoop struct {
	iterate func() (bool, error)
	stop    func()
	waker   *pveenv.Waker
}

// live runs rounds until SIGTERM has made the daemon end.
func live(open func(context.Context, func(ha.Entry)) (standInLoop, error), log func(ha.Entry)) int {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	loop, err := open(ctx, log)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var asked sync.Once
	ask := make(chan struct{})
	go func() {
		<-signals
		asked.Do(func() { close(ask) })
		for range 100 { // a round may begin between the signal and the wake
			loop.waker.Wake()
			time.Sleep(100 * time.Millisecond)
		}
	}()
	for {
		select {
		case <-ask:
			loop.stop()
		default:
		}
		alive, err := loop.iterate()
		if err != nil {
			log(ha.Entry{Level: ha.LevelErr, Text: err.Error()})
			time.Sleep(time.Second)
		}
		if !alive {
			return 0
		}
	}
}

// surroundings is the environment of both daemons.
func surroundings(log func(ha.Entry)) (pveenv.Config, *pmxcfsio.FS, error) {
	node, err := daemon.NodeName()
	if err != nil {
		return pveenv.Config{}, nil, err
	}
	fs, err := pmxcfsio.New(pmxcfsio.Config{IPC: ipcc.New(ipcc.Config{})})
	return pveenv.Config{
		Node: node, Files: fs, Log: log, Waker: pveenv.NewWaker(), Links: pveenv.LinkConfig{Off: true},
		StateDir: "/run/perl-standin",
	}, fs, err
}

func openPerlCRM(_ context.Context, log func(ha.Entry)) (standInLoop, error) {
	cfg, _, err := surroundings(log)
	if err != nil {
		return standInLoop{}, err
	}
	env, err := pveenv.NewCRM(pveenv.CRMConfig{Config: cfg})
	if err != nil {
		return standInLoop{}, err
	}
	d := crm.New(env, crm.Config{})
	return standInLoop{d.Iterate, d.RequestShutdown, cfg.Waker}, nil
}

func agents(cfg pveenv.Config, fs *pmxcfsio.FS) agent.Config {
	return agent.Config{
		Node: cfg.Node, Files: fs, Log: cfg.Log,
		Action: []string{"/" + standInDir + "guest-action"}, LockDir: worker.LockDir(standInRunDir),
	}
}

func openPerlLRM(_ context.Context, log func(ha.Entry)) (standInLoop, error) {
	cfg, fs, err := surroundings(log)
	if err != nil {
		return standInLoop{}, err
	}
	pool, err := worker.Open(worker.Config{Dir: standInRunDir, Command: []string{"/" + standInDir + standInLRM, standInWorker}, Log: log})
	if err != nil {
		return standInLoop{}, err
	}
	env, err := pveenv.NewLRM(pveenv.LRMConfig{Config: cfg, Workers: pveenv.PoolWorkers{Pool: pool}})
	if err != nil {
		return standInLoop{}, err
	}
	d := lrm.New(env, agent.New(agents(cfg, fs)), lrm.Config{Adopted: pool.Adopted()})
	return standInLoop{d.Iterate, d.RequestShutdown, cfg.Waker}, nil
}

func carryOut(job worker.Job, log func(ha.Entry)) lrm.Outcome {
	cfg, fs, err := surroundings(log)
	if err != nil {
		return lrm.Outcome{Code: ha.ExitNotRun, Err: err}
	}
	return lrm.Execute(place{cfg}, agent.New(agents(cfg, fs)), job.Order, job.Service, job.Configured)
}

// place is what an order needs to know.
type place struct{ cfg pveenv.Config }

func (p place) Log(e ha.Entry)   { p.cfg.Log(e) }
func (p place) NodeName() string { return p.cfg.Node }
