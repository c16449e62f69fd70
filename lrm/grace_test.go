package lrm_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
	"pveha/lrm"
)

const lockGrace = 20

// outage is an active node that loses the cluster file system for a while.
func outage(t *testing.T, grace, after, seconds ha.Epoch, lose func(w *world, lost bool)) (s *silence, l *lrm.LRM, w *world) {
	t.Helper()
	w = newWorld(t)
	w.assign("vm:100", ha.Started, "uid100")
	w.guests.running["vm:100"] = true
	l = lrm.New(w, &w.guests, lrm.Config{LockGrace: grace})
	w.round(l)
	s = w.follow()
	begin := w.now + after
	w.onSleep = func() {
		lost := w.now >= begin && w.now < begin+seconds
		lose(w, lost)
		if client := w.now - s.fed; client > s.worst {
			s.worst = client
		}
	}
	for w.now < begin+seconds+30 {
		w.round(l)
	}
	return s, l, w
}

// The file system daemon may be away for a minute, whenever in a round that
// begins: the node is not reset for it, and goes on.
func TestAMinuteWithoutTheFileSystemCostsNoNode(t *testing.T) {
	for name, lose := range map[string]func(w *world, lost bool){
		"the lock cannot be refreshed": func(w *world, lost bool) { w.lockTaken = !lost },
		"nothing can be read": func(w *world, lost bool) {
			w.lockTaken, w.quorate, w.refresh, w.readErr, w.confErr, w.writeErr = !lost, !lost, !lost, nil, nil, nil
			if lost {
				w.readErr, w.confErr, w.writeErr = errBroken, errBroken, errBroken
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			for after := ha.Epoch(100); after < 110; after++ {
				s, l, w := outage(t, lockGrace, after, 60, lose)
				require.Less(t, s.worst, ha.Epoch(clientTimeout))
				require.Empty(t, s.unsafe)
				require.Equal(t, ha.LRMActive, l.State())
				require.True(t, w.guests.running["vm:100"])
			}
			s, _, _ := outage(t, 0, 109, 60, lose)
			require.GreaterOrEqual(t, s.worst, ha.Epoch(clientTimeout), "which it would be without")
		})
	}
}

// For longer, the node must be dead before another can have its lock.
func TestAWatchdogIsSparedForAShortTimeOnly(t *testing.T) {
	s, l, _ := outage(t, lockGrace, 100, 300, func(w *world, lost bool) { w.lockTaken, w.quorate = !lost, !lost })
	require.Empty(t, s.unsafe)
	require.Greater(t, s.worst, ha.Epoch(250))
	require.Equal(t, ha.LRMActive, l.State())
}

func TestANodeThatIsToBeFencedIsNotSpared(t *testing.T) {
	w := newWorld(t)
	w.assign("vm:100", ha.Started, "a")
	w.guests.running["vm:100"] = true
	l := lrm.New(w, &w.guests, lrm.Config{LockGrace: lockGrace})
	w.round(l)
	w.manager.NodeStatus[here] = ha.NodeFence
	w.take()
	for range 3 {
		w.round(l)
	}
	require.Empty(t, w.only("watchdog"))
	w.quorate = false
	w.round(l)
	require.Empty(t, w.only("watchdog"))
}
