package pveenv

import (
	"context"
	"sync"
	"time"

	"pveha/internal/budget"
	"pveha/internal/ha"
	"pveha/pmxcfsio"
)

// minRound is the least time from the beginning of one round to that of the
// next when an event wakes the daemon: what comes in between is looked at
// together. With two daemons in a row it is still well below a second from a
// command to what it does.
const minRound = 250 * time.Millisecond

// A cluster that never comes to rest keeps nobody's core busy: only some rounds
// follow each other so soon, and in the long run they are so many times as far
// apart as the last one took, but never more than so much. What the master
// decides in one round keeps the LRMs busy for many, while every guest that an
// LRM has started makes room for the next.
const (
	roundBurst  = 4
	masterShare = 200
	localShare  = 10
	maxRound    = time.Second
)

// Waker ends the wait of a daemon between two rounds. It may be used by many
// goroutines.
type Waker struct {
	mu      sync.Mutex
	pending bool
	cut     context.CancelFunc // of the wait that is under way
}

// NewWaker returns a waker of nobody yet.
func NewWaker() *Waker { return &Waker{} }

// Wake lets the daemon's next round begin soon. It stays in force until that
// round begins.
func (w *Waker) Wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending = true
	if w.cut != nil {
		w.cut()
	}
}

// begin is the beginning of a round, which looks at everything.
func (w *Waker) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending = false
}

// sleep waits, and returns true when it was or is woken.
func (w *Waker) sleep(ctx context.Context, clock pmxcfsio.Clock, d time.Duration) bool {
	ctx, cut := context.WithCancel(ctx)
	defer cut()
	w.mu.Lock()
	if w.pending {
		w.mu.Unlock()
		return true
	}
	w.cut = cut
	w.mu.Unlock()

	_ = clock.Sleep(ctx, d) // an end before the time shows in pending

	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = nil
	return w.pending
}

// timekeeper is the daemons' Clock.
type timekeeper struct {
	ctx   context.Context
	clock pmxcfsio.Clock
	waker *Waker
	share int           // one of masterShare and localShare
	extra budget.Budget // of rounds that were brought by something
	round time.Duration // when this round began, by Boot
}

// begin is the beginning of a round.
func (t *timekeeper) begin() {
	t.waker.begin()
	t.round = t.clock.Boot()
}

// Now is the wall clock.
func (t *timekeeper) Now() ha.Epoch { return ha.Epoch(t.clock.Now().Unix()) }

// Monotonic is the time since the machine was started.
func (t *timekeeper) Monotonic() ha.Epoch { return ha.Epoch(t.clock.Boot() / time.Second) }

// Sleep waits for the whole time, unless the environment is closed.
func (t *timekeeper) Sleep(seconds int64) {
	_ = t.clock.Sleep(t.ctx, time.Duration(seconds)*time.Second)
}

// SleepUntil waits until Monotonic is end, or until something has happened.
func (t *timekeeper) SleepUntil(end ha.Epoch) (woken bool) {
	left := func() time.Duration { return time.Duration(end)*time.Second - t.clock.Boot() }
	took := t.clock.Boot() - t.round
	d := left()
	if d <= 0 || !t.waker.sleep(t.ctx, t.clock, d) {
		return false
	}
	now, gap := t.clock.Boot(), min(max(minRound, time.Duration(t.share)*took), maxRound)
	rest := max(t.round+minRound-now, t.extra.Wait(now, gap))
	if rest = min(rest, left()); rest > 0 {
		_ = t.clock.Sleep(t.ctx, rest)
	}
	t.extra.Spend(t.clock.Boot(), gap)
	return true
}
