package pmxcfsio

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// bounded calls a mount so that the caller goes on when the mount hangs. A
// hanging call keeps its goroutine and its turn until the kernel lets go of it,
// so at most so many hang as there are turns.
type bounded struct {
	Mount
	turns       chan struct{}
	read, write time.Duration // limits of one call
	inline      bool          // calls are made by the caller itself
}

func newBounded(cfg Config) *bounded {
	return &bounded{
		Mount: cfg.Mount, turns: make(chan struct{}, cfg.MaxHanging),
		read: cfg.ReadTimeout, write: cfg.WriteTimeout,
	}
}

// The stages of a call: whoever is first decides whether it is made at all, and
// whether the caller still gets the result.
const (
	waiting int32 = iota
	underWay
	answered
	abandoned
)

type result[T any] struct {
	value T
	err   error
}

// bound runs do for at most the limit, and otherwise returns ErrTimeout. Then
// late, if there is one, gets the result once it comes.
func bound[T any](ctx context.Context, b *bounded, limit time.Duration, do func() (T, error), late func(T, error)) (T, error) {
	var none T
	if b.inline {
		return do()
	}
	if err := ctx.Err(); err != nil {
		return none, timeout(err)
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case b.turns <- struct{}{}:
	case <-timer.C:
		return none, timeout(nil)
	case <-ctx.Done():
		return none, timeout(ctx.Err())
	}

	var state atomic.Int32
	done := make(chan result[T], 1)
	go func() {
		defer func() { <-b.turns }()
		if !state.CompareAndSwap(waiting, underWay) {
			return // the process stood still before this began: nobody wants it now
		}
		value, err := do()
		if state.CompareAndSwap(underWay, answered) {
			done <- result[T]{value, err}
		} else if late != nil {
			late(value, err)
		}
	}()
	var err *timeoutError
	select {
	case r := <-done:
		return r.value, r.err
	case <-timer.C:
		err = timeout(nil)
	case <-ctx.Done():
		err = timeout(ctx.Err())
	}
	if state.CompareAndSwap(waiting, abandoned) {
		return none, err
	}
	if state.CompareAndSwap(underWay, abandoned) {
		err.begun = true
		return none, err
	}
	r := <-done
	return r.value, r.err
}

// timeout is ErrTimeout, with the reason when the caller's time ended first.
func timeout(why error) *timeoutError { return &timeoutError{why: why} }

type timeoutError struct {
	why   error
	begun bool // the call is under way still; else it was not made and will not be
}

// stillRuns reports whether a call was given up that is under way still.
func stillRuns(err error) bool {
	var t *timeoutError
	return errors.As(err, &t) && t.begun
}

// neverBegan reports whether a call was given up before it was made.
func neverBegan(err error) bool {
	var t *timeoutError
	return errors.As(err, &t) && !t.begun
}

func (e *timeoutError) Error() string { return ErrTimeout.Error() }

func (e *timeoutError) Unwrap() []error {
	if e.why == nil {
		return []error{ErrTimeout}
	}
	return []error{ErrTimeout, e.why}
}

// do runs a call that changes something.
func (b *bounded) do(ctx context.Context, do func() error, late func(error)) error {
	var after func(struct{}, error)
	if late != nil {
		after = func(_ struct{}, err error) { late(err) }
	}
	_, err := bound(ctx, b, b.write, func() (struct{}, error) { return struct{}{}, do() }, after)
	return err
}

// Hanging returns how many calls of the mount are under way. Without a caller
// that waits they hang.
func (f *FS) Hanging() int { return len(f.mount.turns) }
