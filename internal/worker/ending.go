package worker

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"pveha/internal/ha"
	"pveha/internal/process"
	"pveha/lrm"
)

const (
	// beginLook is how often a child is looked at that has been started and has
	// not yet said which process it is. That takes it milliseconds.
	beginLook = 20 * time.Millisecond
	// maxCrash is how much is logged of what a child said before it crashed, in
	// bytes.
	maxCrash = 4096
)

func (o *order) describe() string {
	return fmt.Sprintf("%s of '%s'", o.record.Order.State, o.record.Order.SID)
}

// adopt takes over the records in the folder.
func (p *Pool) adopt() error {
	found, err := numbers(p.cfg.Dir)
	if err != nil {
		return err
	}
	for _, number := range found {
		p.next = max(p.next, number+1)
		r, err := readRecord(recordFile(p.cfg.Dir, number))
		if err != nil {
			p.log("", "removing what is no order of a worker: %v", err)
			if err := forget(p.cfg.Dir, number); err != nil {
				return err
			}
			continue
		}
		p.adoptOne(&order{number: number, record: r})
	}
	for _, o := range p.sorted() {
		if err := p.takeOver(o); err != nil {
			return err
		}
	}
	return nil
}

// adoptOne keeps an order if it is the newest of its guest. An older one has
// ended, or the newer had not been started, and what is wanted has changed.
func (p *Pool) adoptOne(o *order) {
	other := p.orders[o.record.Order.SID]
	switch {
	case other == nil:
		p.orders[o.record.Order.SID] = o
	case other.number < o.number:
		p.drop(other)
		p.orders[o.record.Order.SID] = o
	default:
		p.drop(o)
	}
}

// drop forgets an order that nobody waits for. Its record may stay if it cannot
// be removed: it is old.
func (p *Pool) drop(o *order) {
	if err := forget(p.cfg.Dir, o.number); err != nil {
		p.log(o.record.Order.SID, "%v", err)
	}
	if p.orders[o.record.Order.SID] == o {
		delete(p.orders, o.record.Order.SID)
	}
}

// takeOver finds out what has become of an order.
func (p *Pool) takeOver(o *order) error {
	running, err := acted(p.cfg.Dir, o.record.Order.SID)
	if err != nil {
		return err
	}
	if running {
		o.running = true
		p.loops.Go(func() { p.follow(o) })
		return nil
	}
	// It may have ended since the record was read: a child writes its result
	// before it lets go of the guest.
	if o.record, err = readRecord(recordFile(p.cfg.Dir, o.number)); err != nil {
		return err
	}
	if o.record.Result == nil && o.record.PID == 0 {
		p.drop(o) // the daemon died before the child was there
		return nil
	}
	o.outcome = p.outcome(o, nil)
	return nil
}

// follow waits until the child of an adopted order has ended.
func (p *Pool) follow(o *order) {
	for {
		// In this order: a child writes its result before it ends.
		running, err := acted(p.cfg.Dir, o.record.Order.SID)
		if err == nil && !running {
			p.finish(o, nil)
			return
		}
		if !p.await(o) {
			return
		}
	}
}

// await waits until something may have become of the child of an adopted
// order, or returns false when the pool is closed.
func (p *Pool) await(o *order) bool {
	r, err := readRecord(recordFile(p.cfg.Dir, o.number))
	if err == nil && r.PID != 0 {
		if child := hold(r); child != nil && p.know(o, child) {
			return child.Wait() == nil
		}
	}
	select {
	case <-p.closing:
		return false
	case <-time.After(beginLook):
		return true
	}
}

// hold takes hold of the child of an order, nil when it has ended.
func hold(r record) *process.Handle {
	child, err := process.Open(r.PID)
	if err != nil {
		return nil
	}
	state, err := process.Table{}.State(r.PID)
	if err != nil || !state.Alive || state.Start != r.Start {
		_ = child.Close() // nothing was written to it
		return nil
	}
	return child
}

// know notes the child of an adopted order, so that Close ends the waiting.
func (p *Pool) know(o *order, child *process.Handle) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || o.child != nil {
		_ = child.Close() // nothing was written to it
		return false
	}
	o.child = child
	return true
}

// finish takes note that the child of an order has ended. waited is what its
// parent was told, nil for a child of another.
func (p *Pool) finish(o *order, waited error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r, err := readRecord(recordFile(p.cfg.Dir, o.number)); err == nil {
		o.record = r
	} else if !errors.Is(err, fs.ErrNotExist) {
		p.log(o.record.Order.SID, "%v", err)
	}
	o.outcome = p.outcome(o, waited)
	o.running = false
	if o.child != nil {
		_ = o.child.Close() // nothing was written to it
		o.child = nil
	}
	p.notify()
}

// outcome says how an order ended: as its child has written, or else as the
// child did.
func (p *Pool) outcome(o *order, waited error) lrm.Outcome {
	if r := o.record.Result; r != nil {
		return lrm.Outcome{Code: r.Code}
	}
	p.logCrash(o)
	var exit *exec.ExitError
	if errors.As(waited, &exit) {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return lrm.Outcome{Code: ha.ExitNotRun, Signal: int(status.Signal())}
		}
	}
	err := fmt.Errorf("worker for %s ended without a result", o.describe())
	if waited != nil {
		err = fmt.Errorf("%w: %w", err, waited)
	}
	p.log(o.record.Order.SID, "%v", err)
	return lrm.Outcome{Code: ha.ExitNotRun, Err: err}
}

// logCrash logs the last of what a child has said.
func (p *Pool) logCrash(o *order) {
	f, err := os.Open(sibling(recordFile(p.cfg.Dir, o.number), crashExt))
	if err != nil {
		return // it said nothing
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > maxCrash {
		_, err = f.Seek(-maxCrash, io.SeekEnd)
		if err != nil {
			return
		}
	}
	text, err := io.ReadAll(io.LimitReader(f, maxCrash))
	if err != nil {
		p.log(o.record.Order.SID, "%v", err)
	}
	for line := range strings.Lines(string(text)) {
		p.log(o.record.Order.SID, "worker for %s: %s", o.describe(), strings.TrimSuffix(line, "\n"))
	}
}

func (p *Pool) log(sid ha.SID, format string, args ...any) {
	p.cfg.Log(ha.Entry{Level: ha.LevelErr, SID: sid, Text: fmt.Sprintf(format, args...)})
}
