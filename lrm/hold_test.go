package lrm_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
	"pveha/lrm"
)

// frozen is a node with a service that was frozen while it ran.
func frozen(t *testing.T) (*world, *lrm.LRM) {
	w := newWorld(t)
	w.assign("vm:100", ha.Freeze, "a")
	w.guests.running["vm:100"] = true
	return w, lrm.New(w, &w.guests, lrm.Config{HoldFrozen: true})
}

// The master thaws when it reads of an active LRM, and from then on takes a free
// lock for the proof that the node is dead.
func TestFrozenServicesAreGuardedBeforeTheMasterMayThawThem(t *testing.T) {
	w, l := frozen(t)
	w.take()
	w.round(l)
	require.Equal(t, []string{"lock", "watchdog open", "write active active"}, w.only("lock", "watchdog", "write"))

	w.assign("vm:100", ha.Started, "b")
	w.round(l)
	require.Equal(t, ha.LRMActive, l.State())
}

func TestALRMWithoutItsLockDoesNotLetFrozenServicesBeThawed(t *testing.T) {
	w, l := frozen(t)
	w.lockTaken = false
	for range 10 {
		w.round(l)
	}
	require.Empty(t, w.only("write", "watchdog"))
	w.lockTaken = true
	w.round(l)
	require.Equal(t, []string{"watchdog open", "write active active"}, w.only("write", "watchdog"))
}

func TestALRMThatCannotReadWhatIsFrozenWaits(t *testing.T) {
	w, l := frozen(t)
	w.readErr = errBroken
	w.round(l)
	require.Empty(t, w.only("write"))
	w.readErr = nil
	w.round(l)
	require.Equal(t, []string{"watchdog open", "write active active"}, w.only("write", "watchdog"))
}

func TestAnArmedNodeHoldsItsLockBeforeItIsActive(t *testing.T) {
	w, l := frozen(t)
	w.disarm(true)
	w.round(l)
	require.Empty(t, w.only("lock", "watchdog"))
	w.disarm(false)
	w.round(l)
	require.Equal(t, []string{"lock", "watchdog open", "write active active"}, w.only("lock", "watchdog", "write"))
}

// Frozen services need no lock while the LRM restarts again.
func TestFrozenServicesDoNotHoldUpARestart(t *testing.T) {
	w, l := frozen(t)
	w.round(l)
	w.take()
	l.RequestShutdown()
	w.lastRound(l)
	require.Equal(t, []string{"lock", "watchdog update", "watchdog close"}, w.only("lock", "watchdog"))
	require.Equal(t, ha.ModeRestart, w.written.Mode)
}

// The master has to know of the disarming before the lock is free: who cannot
// tell it keeps the lock.
func TestANodeThatCannotTellThatItIsDisarmedKeepsItsLock(t *testing.T) {
	w := newWorld(t)
	l := w.active()
	w.assign("vm:100", ha.Freeze, "b")
	w.disarm(true)
	w.writeErr = errBroken
	for range 3 {
		w.round(l)
		require.Equal(t, ha.LRMActive, l.State())
	}
	require.NotContains(t, w.take(), "release lock")
	w.writeErr = nil
	w.round(l)
	require.Equal(t, ha.LRMWaitForAgentLock, l.State())
}
