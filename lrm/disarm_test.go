package lrm_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
)

func TestADisarmedNodeRests(t *testing.T) {
	w := newWorld(t)
	l := w.active()
	w.disarm(true)
	w.manager.ServiceStatus["vm:100"].State = ha.Freeze
	w.round(l)
	require.Equal(t, []string{
		"lock", "watchdog update",
		"write active disarm",
		"info: HA disarm requested, releasing agent lock and watchdog",
		"release lock", "watchdog close",
		"info: status change active => wait_for_agent_lock",
		"write wait_for_agent_lock disarm", "sleep until 1015",
	}, w.take())
	w.round(l)
	require.Equal(t, []string{"write wait_for_agent_lock disarm", "sleep until 1020"}, w.take())

	w.disarm(false)
	w.manager.ServiceStatus["vm:100"].State = ha.Started
	w.round(l)
	require.Equal(t, ha.LRMActive, l.State())
	require.Equal(t, []string{"watchdog open"}, w.only("watchdog"))
}

// With the mode ignore the services stay as they are, and the master is not to
// recover them: nothing needs a watchdog.
func TestADisarmedNodeRestsWithServicesThatAreActive(t *testing.T) {
	w := newWorld(t)
	l := w.active()
	w.disarm(true)
	w.manager.Disarm.Mode = ha.DisarmIgnore
	w.round(l)
	require.Equal(t, ha.LRMWaitForAgentLock, l.State())
	require.Contains(t, w.take(), "watchdog close")
}

func TestADisarmedNodeWaitsForItsWorkers(t *testing.T) {
	w := newWorld(t)
	w.workers = 1
	l := w.active()
	w.assign("vm:101", ha.Started, "b")
	w.assign("vm:102", ha.Started, "c")
	w.round(l)
	w.disarm(true)
	w.round(l)
	require.Equal(t, ha.LRMActive, l.State())
	w.end("vm:101", ha.ExitSuccess)
	w.round(l)
	require.Equal(t, ha.LRMActive, l.State(), "what waits is carried out")
	w.end("vm:102", ha.ExitSuccess)
	w.round(l)
	require.Equal(t, ha.LRMWaitForAgentLock, l.State())
}

func TestADisarmedNodeWithoutTheConfigurationKeepsTheWatchdog(t *testing.T) {
	w := newWorld(t)
	l := w.active()
	w.disarm(true)
	w.confErr = errBroken
	require.ErrorIs(t, w.failedRound(l), errBroken)
	require.Equal(t, []string{"lock", "watchdog update"}, w.take())
	require.Equal(t, ha.LRMActive, l.State())
}

func TestADisarmedNodeThatMustBeFencedDoesNotRest(t *testing.T) {
	w := newWorld(t)
	l := w.active()
	w.disarm(true)
	w.manager.NodeStatus[here] = ha.NodeFence
	w.round(l)
	require.Equal(t, ha.LRMLostAgentLock, l.State())
	require.Empty(t, w.only("watchdog"))
}

func TestADisarmedNodeWithALostLockGetsItBackFirst(t *testing.T) {
	w := newWorld(t)
	l := w.active()
	w.lockTaken = false
	w.round(l)
	w.disarm(true)
	w.round(l)
	require.Equal(t, ha.LRMLostAgentLock, l.State())
	require.Empty(t, w.only("watchdog"))
	w.lockTaken = true
	w.round(l)
	w.round(l)
	require.Equal(t, ha.LRMWaitForAgentLock, l.State())
}

func TestADisarmedNodeInMaintenance(t *testing.T) {
	w := newWorld(t)
	l := w.inMaintenance()
	w.disarm(true)
	w.maintenance(false)
	w.round(l)
	require.Equal(t, ha.LRMMaintenance, l.State(), "a service is active here")

	w.manager.ServiceStatus["vm:100"].State = ha.Freeze
	w.take()
	w.round(l)
	require.Equal(t, []string{
		"info: HA disarm requested during maintenance, releasing agent lock and watchdog",
		"release lock", "watchdog close",
		"info: status change maintenance => wait_for_agent_lock",
		"write wait_for_agent_lock disarm", "sleep until 1025",
	}, w.take())
}

func TestADaemonEndsWhileDisarmed(t *testing.T) {
	w := newWorld(t)
	l := w.active()
	w.disarm(true)
	w.manager.ServiceStatus["vm:100"].State = ha.Freeze
	w.round(l)
	w.request(l, restart)
	w.lastRound(l)
	require.True(t, w.guests.running["vm:100"])
}
