package lrm_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
	"pveha/lrm"
)

// inMaintenance returns an LRM in maintenance whose service vm:100 is still to
// be moved.
func (w *world) inMaintenance() *lrm.LRM {
	w.t.Helper()
	l := w.active()
	w.maintenance(true)
	w.round(l)
	require.Equal(w.t, ha.LRMMaintenance, l.State())
	w.take()
	return l
}

func TestMaintenanceMovesTheServicesAndThenGivesBackTheLock(t *testing.T) {
	w := newWorld(t)
	l := w.active()
	w.maintenance(true)
	w.round(l)
	require.Equal(t, []string{
		"lock", "watchdog update", "info: status change active => maintenance",
		"write maintenance maintenance", "sleep until 1015",
	}, w.take())

	w.assign("vm:100", ha.Migrate, "b").Target = elsewhere
	w.round(l)
	require.Equal(t, []string{
		"lock", "watchdog update", "agent migrate vm:100 node2", "write maintenance maintenance", "sleep until 1020",
	}, w.take())

	w.drop("vm:100")
	w.round(l)
	require.Equal(t, []string{
		"watchdog close", "release lock", "write maintenance maintenance", "sleep until 1025",
	}, w.take())
	w.round(l)
	require.Equal(t, []string{"release lock", "write maintenance maintenance", "sleep until 1030"}, w.take())
}

func TestMaintenanceOfANodeThatOnlyWaits(t *testing.T) {
	w := newWorld(t)
	w.maintenance(true)
	l := w.lrm()
	w.round(l)
	require.Equal(t, ha.LRMWaitForAgentLock, l.State())
	require.Equal(t, ha.ModeMaintenance, w.written.Mode)

	w.assign("vm:100", ha.Started, "a")
	w.round(l)
	require.Equal(t, ha.LRMActive, l.State(), "the master still has to move what is here")
	w.round(l)
	require.Equal(t, ha.LRMMaintenance, l.State())
}

func TestMaintenanceKeepsTheLockForAService(t *testing.T) {
	w := newWorld(t)
	l := w.inMaintenance()
	w.lockTaken = false
	w.round(l)
	require.Equal(t, ha.LRMLostAgentLock, l.State())
	require.Empty(t, w.only("watchdog"))
	w.lockTaken = true
	w.round(l)
	require.Equal(t, ha.LRMActive, l.State())
	w.round(l)
	require.Equal(t, ha.LRMMaintenance, l.State())
}

func TestMaintenanceKeepsTheLockForAWorker(t *testing.T) {
	w := newWorld(t)
	w.workers = 4
	l := w.inMaintenance()
	w.assign("vm:100", ha.Migrate, "b").Target = elsewhere
	w.round(l)
	w.drop("vm:100") // by another's hand
	w.take()
	for range 3 {
		w.round(l)
		require.Equal(t, []string{"lock", "watchdog update"}, w.only("lock", "watchdog", "release"))
	}
	w.end("vm:100", ha.ExitSuccess)
	w.round(l)
	require.Equal(t, []string{"watchdog close", "release lock"}, w.only("lock", "watchdog", "release"))
}

func TestMaintenanceLosesTheLockWithAWorker(t *testing.T) {
	w := newWorld(t)
	w.workers = 4
	l := w.inMaintenance()
	w.assign("vm:100", ha.Migrate, "b").Target = elsewhere
	w.round(l)
	w.drop("vm:100")
	w.lockTaken = false
	w.round(l)
	require.Equal(t, ha.LRMLostAgentLock, l.State())
}

func TestMaintenanceTakesTheLockBackForWhatComes(t *testing.T) {
	w := newWorld(t)
	l := w.inMaintenance()
	w.drop("vm:100")
	w.round(l)
	w.assign("vm:101", ha.Started, "b")
	w.take()
	w.round(l)
	require.Equal(t, []string{"lock", "watchdog open", "agent start vm:101"}, w.only("lock", "watchdog", "agent"))
}

// The master's orders are read twice in a round, and between the two the lock
// may have been given back. The Perl stack would start the service.
func TestMaintenanceDoesNotTouchWhatCameWhileItHadNoLock(t *testing.T) {
	w := newWorld(t)
	l := w.inMaintenance()
	w.drop("vm:100")
	w.round(l)
	w.take()
	reads := 0
	w.onRead = func() {
		if reads++; reads == 2 {
			w.assign("vm:101", ha.Started, "b")
		}
	}
	w.round(l)
	require.Empty(t, w.only("agent", "watchdog"))
	w.round(l)
	require.Equal(t, []string{"watchdog open", "agent start vm:101"}, w.only("agent", "watchdog"))
}

func TestMaintenanceKeepsStoppedServicesStopped(t *testing.T) {
	w := newWorld(t)
	l := w.inMaintenance()
	w.drop("vm:100")
	w.assign("vm:101", ha.Stopped, "b")
	w.round(l)
	w.guests.running["vm:101"] = true
	w.round(l)
	require.Equal(t, []string{"agent shutdown vm:101 "}, w.only("agent"))
}

func TestTheEndOfMaintenance(t *testing.T) {
	w := newWorld(t)
	l := w.inMaintenance()
	w.drop("vm:100")
	w.round(l)
	w.maintenance(false)
	w.take()
	w.round(l)
	require.Equal(t, []string{
		"lock", "watchdog open", "info: status change maintenance => active", "write active active", "sleep until 1030",
	}, w.take())
}

func TestTheEndOfMaintenanceWithoutTheLock(t *testing.T) {
	w := newWorld(t)
	l := w.inMaintenance()
	w.drop("vm:100")
	w.round(l)
	w.maintenance(false)
	w.lockTaken = false
	w.round(l)
	require.Equal(t, ha.LRMLostAgentLock, l.State())
}

func TestTheEndOfMaintenanceWaitsForTheServicesOnTheirWay(t *testing.T) {
	w := newWorld(t)
	l := w.inMaintenance()
	w.maintenance(false)
	w.round(l)
	require.Equal(t, ha.LRMMaintenance, l.State(), "as long as a service is active here")
	require.Equal(t, ha.ModeActive, w.written.Mode)
}

// The Perl stack's LRM ends here, although nobody asked it to, and leaves the
// guests without their protector until the watchdog fires.
func TestMaintenanceOutlivesAnOutageOfTheFileSystem(t *testing.T) {
	w := newWorld(t)
	l := w.inMaintenance()
	w.readErr = errBroken
	w.round(l)
	require.Equal(t, []string{
		"err: updating service status from manager failed: cfs connection refused",
		"lock", "watchdog update",
		"err: updating service status from manager failed: cfs connection refused",
		"sleep until 1020",
	}, w.take())
	w.readErr = nil
	w.round(l)
	require.Equal(t, ha.LRMMaintenance, l.State())
}

func TestMaintenanceWithoutTheConfigurationKeepsTheWatchdog(t *testing.T) {
	w := newWorld(t)
	l := w.inMaintenance()
	w.confErr = errBroken
	require.ErrorIs(t, w.failedRound(l), errBroken, "with a service")
	require.Equal(t, []string{"lock", "watchdog update"}, w.take())

	w.drop("vm:100")
	require.ErrorIs(t, w.failedRound(l), errBroken, "without, when nobody can tell whether workers run")
	require.Equal(t, []string{"lock", "watchdog update"}, w.take())

	w.confErr = nil
	w.round(l)
	w.confErr = errBroken
	w.take()
	require.ErrorIs(t, w.failedRound(l), errBroken)
	require.Empty(t, w.take(), "what was given back is not taken for that")
}

func TestMaintenanceThatLosesTheConfigurationWithinARound(t *testing.T) {
	w := newWorld(t)
	l := w.inMaintenance()
	reads := 0
	w.onRead = func() {
		if reads++; reads == 2 {
			w.drop("vm:100")
			w.confErr = errBroken
		}
	}
	require.ErrorIs(t, w.failedRound(l), errBroken)
	require.Equal(t, []string{"lock", "watchdog update"}, w.take())
}

func TestMaintenanceWithAWatchdogThatWillNotClose(t *testing.T) {
	w := newWorld(t)
	l := w.inMaintenance()
	w.drop("vm:100")
	w.closeErr = errBroken
	require.ErrorIs(t, w.failedRound(l), errBroken)
	w.take()
	w.round(l)
	require.Equal(t, []string{"release lock"}, w.only("watchdog", "release"))
}

func TestADaemonInMaintenanceEndsWhenTheNodeIsEmpty(t *testing.T) {
	for _, e := range []ending{restart, poweroff, reboot} {
		w := newWorld(t)
		w.policy = ha.PolicyMigrate
		l := w.inMaintenance()
		w.request(l, e)
		w.round(l)
		w.round(l)
		require.True(t, w.guests.running["vm:100"])
		w.assign("vm:100", ha.Migrate, "b").Target = elsewhere
		w.round(l)
		w.drop("vm:100")
		w.take()
		w.lastRound(l)
		require.Equal(t, []string{"watchdog close", "release lock", "write maintenance maintenance"}, w.take())
	}
}

// The policy migrate is a maintenance that nobody requested.
func TestAShutdownByMigration(t *testing.T) {
	w := newWorld(t)
	w.policy = ha.PolicyMigrate
	l := w.active()
	w.request(l, poweroff)
	w.round(l)
	require.Equal(t, ha.LRMMaintenance, l.State(), "the manager status does not have to say so")
	w.drop("vm:100")
	w.lastRound(l)
}

// In the Perl stack an LRM in maintenance mode that gets the lock when it has
// been asked to end closes the watchdog and ends at once, and leaves the
// guests that it was to hand over.
func TestADaemonInMaintenanceModeHandsOverBeforeItEnds(t *testing.T) {
	for name, before := range map[string]func(*world) *lrm.LRM{
		"the lock was lost": func(w *world) *lrm.LRM {
			l := w.inMaintenance()
			w.lockTaken = false
			w.round(l)
			return l
		},
		"the lock was never held": func(w *world) *lrm.LRM {
			w.assign("vm:100", ha.Started, "a")
			w.guests.running["vm:100"] = true
			w.lockTaken = false
			l := w.lrm()
			w.round(l)
			return l
		},
	} {
		for _, e := range []ending{restart, poweroff} {
			t.Run(name+", "+string(e), func(t *testing.T) {
				w := newWorld(t)
				w.policy = ha.PolicyMigrate
				l := before(w)
				w.maintenance(true)
				w.round(l)
				w.request(l, e)
				w.lockTaken = true
				w.round(l)
				require.Equal(t, ha.LRMActive, l.State())
				w.round(l)
				require.Equal(t, ha.LRMMaintenance, l.State())
				require.Empty(t, w.only("watchdog close", "release"))
				require.True(t, w.guests.running["vm:100"])
				w.drop("vm:100")
				w.lastRound(l)
			})
		}
	}
}
