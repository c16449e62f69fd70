package worker

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"

	"pveha/internal/ha"
	"pveha/internal/process"
	"pveha/lrm"
)

// ErrBusy is that an action on the guest still runs.
var ErrBusy = errors.New("another action on the guest still runs")

// Config is what a pool works with.
type Config struct {
	Dir     string         // folder of the state, /run/pve-ha-lrm
	Command []string       // of a child, to which the name of its record is added
	Log     func(ha.Entry) // what is wrong with a child, or with what is in the folder
}

// Job is an order with what its child has to know besides.
type Job struct {
	Order      lrm.Order
	Service    ha.ServiceConfig
	Configured bool // whether the service has a configuration
}

// Pool runs jobs in children. It may be used by many goroutines.
type Pool struct {
	cfg     Config
	changed chan struct{}
	closing chan struct{}
	loops   sync.WaitGroup

	mu     sync.Mutex
	closed bool
	next   int               // lowest number that may be free
	orders map[ha.SID]*order // the newest of each guest, until its result is told
	told   []int             // numbers of the orders whose results are
}

// order is one order that runs, or has ended and whose result is not told.
type order struct {
	number  int
	record  record
	running bool
	claimed bool // by Start or Adopted: the daemon waits for its result
	outcome lrm.Outcome
	child   *process.Handle // of a running one, once it is known
}

// Open opens the folder, makes it if it is not there, and takes over what an
// earlier daemon has left in it: children that still run, and results that it
// did not pass on.
func Open(cfg Config) (*Pool, error) {
	if len(cfg.Command) == 0 {
		return nil, errors.New("no command for workers")
	}
	if cfg.Log == nil {
		cfg.Log = func(ha.Entry) {}
	}
	for _, dir := range []string{cfg.Dir, ordersDir(cfg.Dir), LockDir(cfg.Dir)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("folder of the workers: %w", err)
		}
	}
	p := &Pool{
		cfg: cfg, changed: make(chan struct{}, 1), closing: make(chan struct{}),
		next: 1, orders: map[ha.SID]*order{},
	}
	if err := p.adopt(); err != nil {
		return nil, errors.Join(fmt.Errorf("folder of the workers: %w", err), p.Close())
	}
	return p, nil
}

// Adopted returns the orders that an earlier daemon has started and whose
// results are still to come, or are there and were not passed on, oldest first
// and at most one of a guest. Each comes out of Finished one day. A daemon asks
// for them once, when it starts.
func (p *Pool) Adopted() []lrm.Order {
	p.mu.Lock()
	defer p.mu.Unlock()
	var adopted []lrm.Order
	for _, o := range p.sorted() {
		if !o.claimed {
			p.claim(o)
			adopted = append(adopted, o.record.Order)
		}
	}
	return adopted
}

// Start starts a child for a job. While one runs for the same guest it fails
// with [ErrBusy]; if that one was left by an earlier daemon and carries out the
// same order, Start succeeds and its result is the result.
func (p *Pool) Start(j Job) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errors.New("closed")
	}
	if o := p.orders[j.Order.SID]; o != nil {
		switch {
		case !o.claimed && o.record.Order == j.Order:
			p.claim(o)
			return nil
		case o.running || o.claimed:
			return fmt.Errorf("%w: %s", ErrBusy, o.describe())
		}
		p.drop(o) // nobody asks for it any more
	}
	lock, err := lockGuest(p.cfg.Dir, j.Order.SID)
	if err != nil {
		return err
	}
	// The child has the lock from here on, or nobody.
	defer lock.Close()
	o := &order{record: record{Job: j}, running: true, claimed: true}
	o.number, err = o.record.create(p.cfg.Dir, p.next)
	if err != nil {
		return err
	}
	p.next = o.number + 1
	if err := p.spawn(o, lock); err != nil {
		return errors.Join(err, forget(p.cfg.Dir, o.number))
	}
	p.orders[j.Order.SID] = o
	return nil
}

// spawn starts the child of an order, in a session of its own, and waits for
// its end in the background. The lock of p is held.
func (p *Pool) spawn(o *order, lock *os.File) error {
	file := recordFile(p.cfg.Dir, o.number)
	out, err := os.OpenFile(sibling(file, crashExt), os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	args := slices.Concat(p.cfg.Command[1:], []string{file})
	cmd := exec.Command(p.cfg.Command[0], args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", out, out
	cmd.Env = slices.DeleteFunc(os.Environ(), meantForDaemon)
	cmd.ExtraFiles = []*os.File{lock}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := process.Start(cmd); err != nil {
		return err
	}
	// The child is not waited for by anybody else, so that the number is its.
	o.child, err = process.Open(cmd.Process.Pid)
	child := o.child
	p.loops.Go(func() {
		if err == nil && child.Wait() != nil {
			return // closed
		}
		p.finish(o, cmd.Wait())
	})
	return nil
}

// meantForDaemon finds variables by which the service manager talks with the
// daemon alone.
func meantForDaemon(variable string) bool {
	return strings.HasPrefix(variable, "NOTIFY_SOCKET=") || strings.HasPrefix(variable, "WATCHDOG_") ||
		strings.HasPrefix(variable, "LISTEN_")
}

// Finished returns the orders that ended since the last call, oldest first.
// Their results stay in the folder until Acknowledge.
func (p *Pool) Finished() []lrm.Finished {
	p.mu.Lock()
	defer p.mu.Unlock()
	var finished []lrm.Finished
	for _, o := range p.sorted() {
		if o.running || !o.claimed {
			continue
		}
		finished = append(finished, lrm.Finished{SID: o.record.Order.SID, Result: o.outcome})
		p.told = append(p.told, o.number)
		delete(p.orders, o.record.Order.SID)
	}
	return finished
}

// Acknowledge forgets the results that Finished has returned: the daemon has
// written them where they are safe.
func (p *Pool) Acknowledge() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	p.told = slices.DeleteFunc(p.told, func(number int) bool {
		err := forget(p.cfg.Dir, number)
		errs = append(errs, err)
		return err == nil
	})
	return errors.Join(errs...)
}

// Running is how many children run.
func (p *Pool) Running() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, o := range p.orders {
		if o.running {
			n++
		}
	}
	return n
}

// Changed is readable when a child has ended since the last call of Finished.
func (p *Pool) Changed() <-chan struct{} { return p.changed }

// Close stops watching the children. They go on.
func (p *Pool) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	close(p.closing)
	for _, o := range p.orders {
		if o.child != nil {
			_ = o.child.Close() // nothing was written to it
		}
	}
	p.mu.Unlock()
	p.loops.Wait()
	return nil
}

// sorted returns the orders, oldest first. The lock is held.
func (p *Pool) sorted() []*order {
	var sorted []*order
	for _, o := range p.orders {
		sorted = append(sorted, o)
	}
	slices.SortFunc(sorted, func(a, b *order) int { return cmp.Compare(a.number, b.number) })
	return sorted
}

// claim notes that the daemon waits for a result. The lock is held.
func (p *Pool) claim(o *order) {
	o.claimed = true
	if !o.running {
		p.notify()
	}
}

func (p *Pool) notify() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}
