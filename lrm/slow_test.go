package lrm_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
	"pveha/lrm"
)

const resetBy = clientTimeout + deviceTimeout

// silence follows the lock and the watchdog of a node.
type silence struct {
	locked, fed, worst ha.Epoch
	unsafe             []string
}

// follow takes in what the LRM does. It has to be asked before anything that
// lets time pass.
func (w *world) follow() *silence {
	s := &silence{locked: w.now, fed: w.now}
	w.onLock = func() {
		if w.lockTaken {
			s.locked = w.now
		}
	}
	w.onUpdate = func() {
		s.worst = max(s.worst, w.now-s.fed)
		s.fed = w.now
		if w.now+resetBy > s.locked+lockLifetime {
			s.unsafe = append(s.unsafe, fmt.Sprintf("at %d the watchdog is fed for a lock of %d", w.now, s.locked))
		}
	}
	return s
}

// A thousand guests to start, one after the other, each in its time.
func TestASlowRoundThatGetsOnKeepsItsWatchdog(t *testing.T) {
	for name, prepare := range map[string]func(*world){
		"in workers":       func(w *world) { w.workers, w.startTime = 1000, 1 },
		"within the round": func(w *world) { w.guests.startTime = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			l := w.active()
			prepare(w)
			for i := range 1000 {
				w.assign(ha.SID(fmt.Sprintf("vm:%d", 1000+i)), ha.Started, fmt.Sprint(i))
			}
			s := w.follow()
			begin := w.now
			w.round(l)
			require.Greater(t, w.now-begin, ha.Epoch(999))
			require.Less(t, s.worst, ha.Epoch(20))
			require.Empty(t, s.unsafe)
			require.Equal(t, ha.LRMActive, l.State())
		})
	}
}

func TestARoundThatHangsDoesNotFeedTheWatchdog(t *testing.T) {
	w := newWorld(t)
	l := w.active()
	w.guests.startTime = 300
	w.assign("vm:101", ha.Started, "b")
	s := w.follow()
	w.round(l)
	w.round(l)
	require.GreaterOrEqual(t, s.worst, ha.Epoch(300))
	require.Empty(t, s.unsafe)
}

// The watchdog is never fed for a lock that could not be refreshed: the master
// may have it by the time, as the proof that the node is dead.
func TestASlowRoundThatLosesItsLockDoesNotFeedTheWatchdog(t *testing.T) {
	w := newWorld(t)
	l := w.active()
	w.guests.startTime = 15
	for i := range 10 {
		w.assign(ha.SID(fmt.Sprintf("vm:%d", 1000+i)), ha.Started, fmt.Sprint(i))
	}
	s := w.follow()
	tries := 0
	follow := w.onLock
	w.onLock = func() {
		w.lockTaken = tries == 0
		tries++
		follow()
	}
	begin := w.now
	w.round(l)
	require.Equal(t, begin, s.fed)
	require.Greater(t, tries, 5)
	w.round(l)
	require.Equal(t, ha.LRMLostAgentLock, l.State())
	require.Equal(t, begin, s.fed)
}

// A multiplexer that was restarted does not know its clients any more. While
// nothing here needs protection, that is no reason to be reset.
func TestALostWatchdogIsOpenedAnewWhileNothingNeedsIt(t *testing.T) {
	w := newWorld(t)
	l := w.active()
	w.drop("vm:100")
	w.updateErr, w.closeErr = errBroken, errBroken
	w.round(l)
	require.Equal(t, []string{
		"lock", "err: watchdog update failed - cfs connection refused", "watchdog close",
		"err: cfs connection refused", "watchdog open",
	}, w.only("lock", "err", "watchdog"))
	require.Equal(t, ha.LRMActive, l.State())

	w.openErr = errBroken
	w.round(l)
	require.Equal(t, ha.LRMLostAgentLock, l.State(), "it is gone for longer")
	for range 50 {
		w.round(l)
	}
	w.openErr, w.updateErr = nil, nil
	w.round(l)
	require.Equal(t, ha.LRMActive, l.State(), "and comes back")
}

// The lock lives on from when it was refreshed, however long the answer takes,
// or the process to go on after it: the watchdog is fed for a fresh lock only.
func TestALongRefreshIsFollowedByAnother(t *testing.T) {
	for name, slow := range map[string]func(w *world, l *lrm.LRM, s *silence){
		"as the round begins": func(w *world, l *lrm.LRM, _ *silence) { w.round(l) },
		"in a long round": func(w *world, l *lrm.LRM, _ *silence) {
			w.guests.startTime = 12
			w.assign("vm:101", ha.Started, "b")
			w.assign("vm:102", ha.Started, "c")
			w.round(l)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			l := w.active()
			s := w.follow()
			follow, tries := w.onLock, 0
			w.onLock = func() {
				tries++
				follow()
				w.lockTime = 0
				if tries <= 2 {
					w.lockTime = 55
				}
			}
			slow(w, l, s)
			require.Empty(t, s.unsafe)
			require.Greater(t, tries, 2)
			require.Equal(t, ha.LRMActive, l.State())
		})
	}
}

// With every answer that late nobody can keep the watchdog alive.
func TestRefreshesThatAreAlwaysLateLoseTheLock(t *testing.T) {
	w := newWorld(t)
	l := w.active()
	s := w.follow()
	w.lockTime = 55
	w.round(l)
	require.Empty(t, s.unsafe)
	require.Equal(t, ha.LRMLostAgentLock, l.State())
}
