package lrm_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
	"pveha/lrm"
)

// seldom is an LRM that writes an unchanged status every 25 seconds.
func (w *world) seldom() *lrm.LRM {
	return lrm.New(w, &w.guests, lrm.Config{StatusRefresh: 25})
}

// writes lets the LRM run and returns when it wrote its status.
func (w *world) writes(l *lrm.LRM, seconds ha.Epoch) (at []ha.Epoch) {
	w.t.Helper()
	w.take()
	for end := w.now + seconds; w.now < end; {
		before := w.now
		w.round(l)
		if len(w.only("write")) > 0 {
			at = append(at, before)
		}
	}
	return at
}

// The Perl LRM writes 17,280 times a day.
func TestAnIdleNodeSeldomWritesItsStatus(t *testing.T) {
	for _, wake := range []ha.Epoch{0, 1, 3} {
		w := newWorld(t)
		w.wake = wake
		l := w.seldom()
		at := w.writes(l, 24*3600)
		require.LessOrEqual(t, len(at), 24*3600/25+1)
		for i := 1; i < len(at); i++ {
			require.LessOrEqual(t, at[i]-at[i-1], ha.Epoch(30), "or people take it for dead")
		}
	}
}

// Without services an event brings the first one, and rounds may be rare. With
// one that waits for its lock they may not.
func TestAnIdleNodeLooksSeldom(t *testing.T) {
	w := newWorld(t)
	l := lrm.New(w, &w.guests, lrm.Config{StatusRefresh: 25, IdleRound: 10})
	w.round(l)
	for range 100 {
		before := w.now
		w.round(l)
		require.Equal(t, ha.Epoch(10), w.now-before)
	}
	at := w.writes(l, 3600)
	require.LessOrEqual(t, len(at), 3600/20)
	for i := 1; i < len(at); i++ {
		require.LessOrEqual(t, at[i]-at[i-1], ha.Epoch(25))
	}
	w.assign("vm:100", ha.Started, "a")
	w.lockTaken = false
	before := w.now
	w.round(l)
	require.Equal(t, ha.LRMWaitForAgentLock, l.State())
	require.LessOrEqual(t, w.now-before, ha.Epoch(10), "the tries for the lock, and five seconds")
}

// A round of an active LRM takes ten seconds: the next one would be too late.
func TestAnActiveNodeWritesItsStatusBeforeItLooksDead(t *testing.T) {
	w := newWorld(t)
	w.watched, w.workers = true, 1
	w.assign("vm:100", ha.Started, "a").Running = true
	w.guests.running["vm:100"] = true
	l := w.seldom()
	at := w.writes(l, 3600)
	require.Equal(t, ha.LRMActive, l.State())
	require.Greater(t, len(at), 3600/25-1)
	for i := 2; i < len(at); i++ {
		require.Equal(t, ha.Epoch(20), at[i]-at[i-1])
	}
}

func TestAChangeIsWrittenAtOnce(t *testing.T) {
	for name, change := range map[string]func(*world){
		"of the mode":    func(w *world) { w.maintenance(true) },
		"of the state":   func(w *world) { w.assign("vm:100", ha.Started, "a") },
		"of the results": func(w *world) { w.assign("vm:101", ha.RequestStop, "b") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if name == "of the results" {
				w.assign("vm:100", ha.Started, "a")
			}
			l := w.seldom()
			w.round(l)
			w.wake = 1
			require.Empty(t, w.writes(l, 4))
			change(w)
			now := w.now
			require.Equal(t, []ha.Epoch{now}, w.writes(l, 1))
		})
	}
}

// A status that could not be written is written as soon as that works.
func TestAStatusThatFailedIsWrittenInTheNextRound(t *testing.T) {
	w := newWorld(t)
	l := w.seldom()
	w.round(l)
	w.maintenance(true)
	w.writeErr = errBroken
	w.round(l)
	w.round(l)
	require.Len(t, w.only("err"), 2, "it is tried in every round")
	w.writeErr = nil
	w.round(l)
	require.Equal(t, ha.ModeMaintenance, w.written.Mode)
	w.take()
	w.round(l)
	require.Empty(t, w.only("write"))
}

// After a step of the wall clock an old time stamp would look like a dead LRM,
// and one of the future like a clock that is off.
func TestAStepOfTheWallClockIsFollowedByAWrite(t *testing.T) {
	for _, step := range []ha.Epoch{60, -60, 1e6, -1e6} {
		w := newWorld(t)
		l := w.seldom()
		w.round(l)
		w.take()
		w.wallStep = step
		w.round(l)
		require.Len(t, w.only("write"), 1)
		require.Equal(t, w.now+step-5, w.written.Timestamp)
		w.round(l)
		require.Empty(t, w.only("write"))
	}
}

// A step of the wall clock must not end the waits of an LRM, nor stretch them.
func TestAStepOfTheWallClockChangesNoDelay(t *testing.T) {
	for _, step := range []ha.Epoch{3600, -3600} {
		w := newWorld(t)
		l := w.active()
		w.drop("vm:100")
		begin := w.now
		for l.State() == ha.LRMActive {
			w.wallStep = step - w.wallStep
			w.round(l)
		}
		require.InDelta(t, 610, int64(w.now-begin), 10)

		w = newWorld(t)
		l = w.active()
		w.lockTaken = false
		w.round(l)
		w.request(l, restart)
		lost := w.now - 5
		w.wallStep = step
		for w.now < lost+80 {
			w.round(l)
		}
		for alive := true; alive; {
			alive, _ = l.Iterate()
		}
		require.InDelta(t, 90, int64(w.now-lost), 15)
	}
}
