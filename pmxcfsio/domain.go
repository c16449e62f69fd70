package pmxcfsio

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// Limits of a domain lock, as the Perl stack has them: how long to try for it,
// and how long the work under it may take.
const (
	DomainWait = 10 * time.Second
	DomainHold = 60 * time.Second
)

// releaseGrace is how long the release of a domain lock may take once the
// caller's time is over.
const releaseGrace = 2 * time.Second

// Domain runs body under the lock domain-NAME, which every writer of the
// configuration takes, on whatever node. waiting, if not nil, gets a message
// about once a second while the lock is held elsewhere. After [DomainHold] the
// context of body ends; body must end with it.
//
// An error of the locking itself reads as that of the Perl stack ("cfs-lock
// 'domain-ha' error: got lock request timeout"); an error of body is returned
// as it is.
func (f *FS) Domain(ctx context.Context, name string, waiting func(msg string), body func(ctx context.Context) error) error {
	d := domain{fs: f, id: "domain-" + name, waiting: waiting}
	if err := checkLock(d.path()); err != nil {
		return err
	}
	since, err := d.take(ctx)
	if err != nil {
		return d.failure(ctx, err)
	}
	defer d.release(ctx, since)
	return d.hold(ctx, body)
}

// domain is one use of a domain lock.
type domain struct {
	fs      *FS
	id      string
	waiting func(string)
}

func (d domain) path() string { return lockFolder + "/" + d.id }

// take tries for the lock, ever more often as the time runs out, and returns
// from when on it is held, on the clock of Boot.
func (d domain) take(ctx context.Context) (time.Duration, error) {
	clock := d.fs.clock
	for slept := time.Duration(0); ; {
		left := max(DomainWait-slept.Truncate(time.Second), time.Second)
		since := clock.Boot()
		err := d.try(ctx, left)
		if err == nil {
			return since, nil
		}
		if lasting(err) {
			return 0, err
		}
		pause := min(left, DomainWait) / 10
		next := (slept + pause).Truncate(time.Second)
		if next >= DomainWait {
			return 0, err
		}
		if d.waiting != nil && next > slept.Truncate(time.Second) {
			d.waiting(fmt.Sprintf("trying to acquire cfs lock '%s' ...", d.id))
		}
		d.drop(ctx)
		began := clock.Boot()
		if err := clock.Sleep(ctx, pause); err != nil {
			return 0, timeout(err)
		}
		slept += max(pause, clock.Boot()-began)
	}
}

// lasting reports whether trying again helps nothing.
func lasting(err error) bool {
	return isKind(err, ErrNotMounted, ErrStaleMount, ErrTimeout)
}

// try makes the folder once.
func (d domain) try(ctx context.Context, limit time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	m, began := d.fs.mount, d.fs.clock.Boot()
	return m.do(limited, func() error {
		return m.guarded(func() error { return m.makeLock(d.path()) })
	}, func(err error) {
		// It came too late, and nobody knows of it but us.
		if err == nil && d.fs.clock.Boot()-began < LockLifetime/2 {
			_ = m.Rmdir(d.path())
		}
	})
}

// drop asks for a lock to be dropped that nobody refreshed for its lifetime.
// The answer is always a refusal.
func (d domain) drop(ctx context.Context) {
	m := d.fs.mount
	_ = m.do(ctx, func() error {
		return m.guarded(func() error { return m.Utime(d.path(), 0) })
	}, nil)
}

// release gives the lock back. When the caller's time is over it still tries,
// but not for long. A lock that is not removed expires, and one that may have
// expired is left alone: it may be somebody else's by now.
func (d domain) release(ctx context.Context, since time.Duration) {
	m := d.fs.mount
	limit := m.write
	if ctx.Err() != nil {
		limit = releaseGrace
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	_ = m.do(limited, func() error {
		if d.fs.clock.Boot()-since >= LockLifetime {
			return ErrTimeout
		}
		return m.guarded(func() error { return m.Rmdir(d.path()) })
	}, nil)
}

// hold runs body until it ends or its time is over.
func (d domain) hold(ctx context.Context, body func(context.Context) error) error {
	over := &Error{
		Op: "lock", Name: d.path(), Kind: ErrTimeout,
		text: fmt.Sprintf("'%s'-locked command timed out - aborting", d.id),
	}
	limited, cancel := context.WithTimeoutCause(ctx, d.fs.hold, over)
	defer cancel()
	err := body(limited)
	if err != nil && errors.Is(context.Cause(limited), over) {
		return over
	}
	return err
}

// failure gives an error of taking the lock the text of the Perl stack.
func (d domain) failure(ctx context.Context, err error) error {
	why := "got lock request timeout"
	wrapped := d.fs.refusal(ctx, "lock", d.path(), err)
	var e *Error
	if !errors.As(wrapped, &e) {
		return wrapped
	}
	quorate, unknown := d.fs.Quorate(ctx)
	switch {
	case unknown != nil || !quorate:
		why = "no quorum!"
		if unknown == nil {
			e.Kind = ErrNoQuorum
		}
	case errors.Is(e.Err, syscall.EEXIST):
		e.Kind = ErrHeld
	}
	e.text = fmt.Sprintf("cfs-lock '%s' error: %s", d.id, why)
	return e
}
