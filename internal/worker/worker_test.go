package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
	"pveha/internal/process"
	"pveha/lrm"
)

// The test program is also the child, and a daemon that can be killed.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "worker" {
		os.Exit(Child(os.Args[2], play, func(e ha.Entry) { fmt.Println("logged:", e.Level, e.Text) }))
	}
	if len(os.Args) > 3 && os.Args[1] == "lifelong" {
		os.Exit(lifelong(os.Args[2], os.Args[3]))
	}
	if len(os.Args) > 2 && os.Args[1] == "daemon" {
		os.Exit(daemon(os.Args[2]))
	}
	os.Exit(m.Run())
}

// daemon opens a pool, starts the job on its standard input, and says so.
func daemon(dir string) int {
	var j Job
	p, err := Open(config(dir, nil))
	if err == nil {
		err = json.NewDecoder(os.Stdin).Decode(&j)
	}
	if err == nil {
		err = p.Start(j)
	}
	fmt.Println(err)
	select {}
}

// play does what the job's group says, which no job in a test needs for
// anything else.
func play(j Job) lrm.Outcome {
	what, place, _ := strings.Cut(j.Service.Group, " ")
	switch what {
	case "succeed":
	case "code":
		return lrm.Outcome{Code: ha.ExitError}
	case "fail":
		return lrm.Outcome{Code: ha.ExitNotRun, Err: errors.New("it did not go well")}
	case "wait": // until somebody writes to the pipe
		file, err := os.Open(place)
		if err == nil {
			_, err = io.ReadAll(file)
		}
		return lrm.Outcome{Err: err}
	case "alone": // and says so in a journal
		return lrm.Outcome{Err: alone(j, place)}
	case "panic":
		panic("at the disco")
	case "leave": // a process that outlives the child
		cmd := exec.Command("sleep", "1000")
		if err := cmd.Start(); err != nil {
			return lrm.Outcome{Err: err}
		}
		return lrm.Outcome{Err: os.WriteFile(place, []byte(fmt.Sprint(cmd.Process.Pid)), 0o600)}
	case "session":
		sid, _, _ := syscall.RawSyscall(syscall.SYS_GETSID, 0, 0, 0)
		return lrm.Outcome{Err: os.WriteFile(place, []byte(fmt.Sprint(os.Getpid(), " ", sid, " ", os.Getenv("NOTIFY_SOCKET"))), 0o600)}
	}
	return lrm.Outcome{}
}

func config(dir string, log func(ha.Entry)) Config {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return Config{Dir: dir, Command: []string{self, "worker"}, Log: log}
}

// journal collects log lines.
type journal struct{ lines chan string }

func newJournal() journal { return journal{make(chan string, 100)} }

func (j journal) log(e ha.Entry) { j.lines <- e.Text }

func (j journal) all() []string {
	var lines []string
	for len(j.lines) > 0 {
		lines = append(lines, <-j.lines)
	}
	return lines
}

func open(t *testing.T, dir string) (*Pool, journal) {
	t.Helper()
	log := newJournal()
	p, err := Open(config(dir, log.log))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p, log
}

func job(sid ha.SID, uid, play string) Job {
	return Job{
		Order:      lrm.Order{SID: sid, UID: uid, State: ha.Started},
		Service:    ha.ServiceConfig{Node: "node1", State: ha.RequestStarted, Group: play},
		Configured: true,
	}
}

// finished waits until an order has ended.
func finished(t *testing.T, p *Pool) []lrm.Finished {
	t.Helper()
	for {
		select {
		case <-p.Changed():
		case <-time.After(20 * time.Second):
			require.Fail(t, "no worker ends")
		}
		if f := p.Finished(); len(f) > 0 {
			return f
		}
	}
}

func gate(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "gate")
	require.NoError(t, syscall.Mkfifo(name, 0o600))
	return name
}

func pass(t *testing.T, gate string) {
	t.Helper()
	w, err := os.OpenFile(gate, os.O_WRONLY, 0)
	require.NoError(t, err)
	require.NoError(t, w.Close())
}

// begun waits until the child of a guest says which process it is.
func begun(t *testing.T, dir string, number int) record {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		r, err := readRecord(recordFile(dir, number))
		require.NoError(t, err)
		if r.PID != 0 {
			return r
		}
		require.True(t, time.Now().Before(end), "the child does not begin")
	}
}

// records are the numbers of the orders in a folder.
func records(t *testing.T, dir string) []int {
	t.Helper()
	found, err := numbers(dir)
	require.NoError(t, err)
	return found
}

func TestResults(t *testing.T) {
	for name, c := range map[string]struct {
		play string
		want lrm.Outcome
		log  []string // a part of each line
	}{
		"success":      {play: "succeed", want: lrm.Outcome{Code: ha.ExitSuccess}},
		"an exit code": {play: "code", want: lrm.Outcome{Code: ha.ExitError}},
		"an error":     {play: "fail", want: lrm.Outcome{Code: ExitDied}},
		"a panic": {
			play: "panic", want: lrm.Outcome{Code: ha.ExitNotRun, Err: errors.New("worker for started of 'vm:100' ended without a result: exit status 2")},
			log: []string{"worker for started of 'vm:100': panic: at the disco"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			p, log := open(t, dir)
			require.NoError(t, p.Start(job("vm:100", "u1", c.play)))
			got := finished(t, p)
			require.Len(t, got, 1)
			require.Equal(t, ha.SID("vm:100"), got[0].SID)
			require.Equal(t, c.want.Code, got[0].Result.Code)
			require.Zero(t, got[0].Result.Signal)
			lines := log.all()
			if c.want.Err == nil {
				require.NoError(t, got[0].Result.Err)
				require.Empty(t, lines)
			} else {
				require.EqualError(t, got[0].Result.Err, c.want.Err.Error())
				require.Equal(t, c.want.Err.Error(), lines[len(lines)-1])
			}
			for i, part := range c.log {
				require.Contains(t, lines[i], part)
			}
			require.Empty(t, p.Finished())
			require.NoError(t, p.Acknowledge())
			left, err := os.ReadDir(ordersDir(dir))
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

func TestKilledWorkerIsReportedWithItsSignal(t *testing.T) {
	dir := t.TempDir()
	p, _ := open(t, dir)
	require.NoError(t, p.Start(job("vm:100", "u1", "wait "+gate(t))))
	require.Equal(t, 1, p.Running())
	require.NoError(t, syscall.Kill(begun(t, dir, 1).PID, syscall.SIGKILL))
	require.Equal(t, []lrm.Finished{{SID: "vm:100", Result: lrm.Outcome{Code: ha.ExitNotRun, Signal: 9}}}, finished(t, p))
	require.Zero(t, p.Running())
}

func TestWorkerIsLeftAloneBySignalsForTheDaemon(t *testing.T) {
	dir, gate := t.TempDir(), gate(t)
	p, _ := open(t, dir)
	require.NoError(t, p.Start(job("vm:100", "u1", "wait "+gate)))
	w, err := os.OpenFile(gate, os.O_WRONLY, 0) // it has begun to wait
	require.NoError(t, err)
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT} {
		require.NoError(t, syscall.Kill(begun(t, dir, 1).PID, s))
	}
	require.NoError(t, w.Close())
	require.Equal(t, []lrm.Finished{{SID: "vm:100"}}, finished(t, p))
}

func TestWorkerHasItsOwnSession(t *testing.T) {
	dir, place := t.TempDir(), filepath.Join(t.TempDir(), "place")
	t.Setenv("NOTIFY_SOCKET", "/run/systemd/notify")
	p, _ := open(t, dir)
	require.NoError(t, p.Start(job("vm:100", "u1", "session "+place)))
	finished(t, p)
	data, err := os.ReadFile(place)
	require.NoError(t, err)
	pid := begun(t, dir, 1).PID
	require.Equal(t, fmt.Sprint(pid, " ", pid, " "), string(data))
}

func TestOneActionPerGuest(t *testing.T) {
	dir, gate := t.TempDir(), gate(t)
	p, _ := open(t, dir)
	require.NoError(t, p.Start(job("vm:100", "u1", "wait "+gate)))
	require.NoError(t, p.Start(job("vm:101", "u2", "succeed")), "another guest")
	err := p.Start(job("vm:100", "u3", "succeed"))
	require.ErrorIs(t, err, ErrBusy)
	require.ErrorContains(t, err, "started of 'vm:100'")
	require.ErrorIs(t, p.Start(job("vm:100", "u1", "succeed")), ErrBusy, "not even the same")

	// Neither can another daemon that knows nothing of this one.
	confused, _ := open(t, t.TempDir())
	confused.cfg.Dir = dir
	require.ErrorIs(t, confused.Start(job("vm:100", "u4", "succeed")), ErrBusy)

	require.Equal(t, ha.SID("vm:101"), finished(t, p)[0].SID)
	pass(t, gate)
	require.Equal(t, ha.SID("vm:100"), finished(t, p)[0].SID)
	require.NoError(t, p.Start(job("vm:100", "u3", "succeed")))
	require.Equal(t, ha.SID("vm:100"), finished(t, p)[0].SID)
}

func TestChildRefusesWhatIsNotItsOrder(t *testing.T) {
	dir := t.TempDir()
	p, _ := open(t, dir)
	require.NoError(t, p.Start(job("vm:100", "u1", "succeed")))
	finished(t, p)
	self, err := os.Executable()
	require.NoError(t, err)
	run := func(files ...*os.File) string {
		cmd := exec.Command(self, "worker", recordFile(dir, 1))
		cmd.ExtraFiles = files
		out, err := cmd.CombinedOutput()
		require.Error(t, err)
		return string(out)
	}
	require.Contains(t, run(), "vm:100", "whatever its descriptor 3 is")
	other, err := lockGuest(dir, "vm:101")
	require.NoError(t, err)
	defer other.Close()
	require.Contains(t, run(other), "was not given "+lockFile(dir, "vm:100"))
	own, err := lockGuest(dir, "vm:100")
	require.NoError(t, err)
	defer own.Close()
	require.Contains(t, run(own), "has taken this order")
	again, err := os.Open(own.Name())
	require.NoError(t, err)
	defer again.Close()
	require.Contains(t, run(again), ErrBusy.Error())
}

// What a child starts does not keep others from the guest once it has ended.
func TestLockEndsWithTheChild(t *testing.T) {
	dir, place := t.TempDir(), filepath.Join(t.TempDir(), "pid")
	p, _ := open(t, dir)
	require.NoError(t, p.Start(job("vm:100", "u1", "leave "+place)))
	require.Equal(t, []lrm.Finished{{SID: "vm:100"}}, finished(t, p))
	data, err := os.ReadFile(place)
	require.NoError(t, err)
	var pid int
	_, err = fmt.Sscan(string(data), &pid)
	require.NoError(t, err)
	state, err := process.Table{}.State(pid)
	require.NoError(t, err)
	require.True(t, state.Alive)
	require.NoError(t, p.Start(job("vm:100", "u2", "succeed")))
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	finished(t, p)
}

func TestCommandThatCannotBeStarted(t *testing.T) {
	dir := t.TempDir()
	p, _ := open(t, dir)
	p.cfg.Command = []string{"/nonexistent/pve-ha-lrm"}
	require.ErrorIs(t, p.Start(job("vm:100", "u1", "succeed")), os.ErrNotExist)
	require.Empty(t, records(t, dir))
	require.Zero(t, p.Running())
	p.cfg = config(dir, p.cfg.Log)
	require.NoError(t, p.Start(job("vm:100", "u1", "succeed")), "and the guest is free")
	finished(t, p)
	_, err := Open(Config{Dir: dir})
	require.EqualError(t, err, "no command for workers")
}
