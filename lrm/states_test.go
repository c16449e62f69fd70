package lrm_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
	"pveha/lrm"
)

func TestWaitsWhileNothingNeedsIt(t *testing.T) {
	w := newWorld(t)
	l := w.lrm()
	require.Equal(t, []string{"info: status change startup => wait_for_agent_lock"}, w.take())
	w.round(l)
	require.Equal(t, []string{
		"write wait_for_agent_lock active", // once per process, before anything else
		"write wait_for_agent_lock active",
		"sleep until 1005",
	}, w.take())
	w.round(l)
	require.Equal(t, []string{"write wait_for_agent_lock active", "sleep until 1010"}, w.take())
}

func TestBecomesActiveForAnActiveService(t *testing.T) {
	w := newWorld(t)
	l := w.lrm()
	w.assign("vm:100", ha.Started, "a")
	w.take()
	w.round(l)
	require.Equal(t, []string{
		"write wait_for_agent_lock active",
		"lock", "watchdog open",
		"info: status change wait_for_agent_lock => active",
		"info: starting service vm:100", "agent start vm:100", "info: service status vm:100 started",
		"write active active",
		"sleep until 1010",
	}, w.take())
	require.Equal(t, ha.ModeActive, l.Mode())
}

func TestWaitsWhile(t *testing.T) {
	for name, change := range map[string]func(*world){
		"services are stopped":           func(w *world) { w.manager.ServiceStatus["vm:100"].State = ha.Stopped },
		"services are frozen":            func(w *world) { w.manager.ServiceStatus["vm:100"].State = ha.Freeze },
		"services have failed":           func(w *world) { w.manager.ServiceStatus["vm:100"].State = ha.Error },
		"services have no node yet":      func(w *world) { w.manager.ServiceStatus["vm:100"].State = ha.RequestStart },
		"services are elsewhere":         func(w *world) { w.drop("vm:100") },
		"the stack is disarmed":          func(w *world) { w.disarm(true) },
		"the node is to be fenced":       func(w *world) { w.manager.NodeStatus[here] = ha.NodeFence },
		"a service is to be fenced":      func(w *world) { w.manager.ServiceStatus["vm:100"].State = ha.Fence },
		"there is no quorum":             func(w *world) { w.quorate = false },
		"another holds the lock":         func(w *world) { w.lockTaken = false },
		"the manager status is unread":   func(w *world) { w.readErr = errBroken; w.manager.ServiceStatus = nil },
		"there is no watchdog":           func(w *world) { w.openErr = errBroken },
		"the status cannot be written":   func(w *world) { w.writeErr = errBroken },
		"no manager was ever at work":    func(w *world) { w.manager = ha.ManagerStatus{} },
		"the only service was taken off": func(w *world) { delete(w.manager.ServiceStatus, "vm:100") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.assign("vm:100", ha.Started, "a")
			change(w)
			l := w.lrm()
			w.round(l)
			w.round(l)
			require.Equal(t, ha.LRMWaitForAgentLock, l.State())
			require.Empty(t, w.only("agent", "watchdog"))
		})
	}
}

func TestWaitsWhileQuorumIsLost(t *testing.T) {
	w := newWorld(t)
	l := w.lrm()
	w.round(l)
	w.assign("vm:100", ha.Started, "a")
	w.quorate = false
	w.round(l)
	require.Equal(t, ha.LRMWaitForAgentLock, l.State())
	require.Empty(t, w.only("lock"), "it is not even tried")
}

// A service that moves here keeps the LRM busy before it arrives.
func TestBecomesActiveForAServiceOnItsWay(t *testing.T) {
	w := newWorld(t)
	w.manager.ServiceStatus["vm:100"] = &ha.ServiceStatus{State: ha.Migrate, Node: elsewhere, Target: here, UID: "a"}
	l := w.lrm()
	w.round(l)
	require.Equal(t, ha.LRMActive, l.State())
	require.Empty(t, w.only("agent"), "the other node carries it out")
}

func TestTriesForTheLockSixTimesASecondApart(t *testing.T) {
	w := newWorld(t)
	l := w.active()
	w.lockTaken = false
	w.round(l)
	require.Equal(t, []string{
		"lock refused", "sleep 1", "lock refused", "sleep 1", "lock refused", "sleep 1",
		"lock refused", "sleep 1", "lock refused", "sleep 1", "lock refused",
		"info: status change active => lost_agent_lock",
		"sleep until 1020", // the tries took five seconds
	}, w.take())
}

func TestTriesForTheLockNoLongerThanFiveSeconds(t *testing.T) {
	w := newWorld(t)
	l := w.active()
	w.lockTaken, w.lockTime = false, 2
	w.round(l)
	// After the second try five seconds have passed, which is not longer.
	require.Equal(t, []string{
		"lock refused", "sleep 1", "lock refused", "sleep 1", "lock refused",
		"info: status change active => lost_agent_lock",
		"sleep until 1023",
	}, w.take())
}

func TestTakesTheLockAtALaterTry(t *testing.T) {
	w := newWorld(t)
	l := w.active()
	w.lockTaken = false
	tries := 0
	w.onLock = func() {
		tries++
		w.lockTaken = tries == 3
	}
	w.round(l)
	require.Equal(t, []string{"lock refused", "lock refused", "lock", "watchdog update"}, w.only("lock", "watchdog"))
	require.Equal(t, ha.LRMActive, l.State())
}

func TestOpensTheWatchdogOnceAndUpdatesItEveryRound(t *testing.T) {
	w := newWorld(t)
	w.assign("vm:100", ha.Started, "a")
	l := w.lrm()
	for range 4 {
		w.round(l)
	}
	require.Equal(t, []string{"watchdog open", "watchdog update", "watchdog update", "watchdog update"}, w.only("watchdog"))
}

func TestDoesNotUpdateTheWatchdogWithoutTheLock(t *testing.T) {
	w := newWorld(t)
	l := w.active()
	w.lockTaken = false
	for range 5 {
		w.round(l)
		require.Equal(t, ha.LRMLostAgentLock, l.State())
	}
	require.Empty(t, w.only("watchdog", "agent", "write"), "it waits for the lock or the reset, and does nothing else")

	w.lockTaken = true
	w.round(l)
	require.Equal(t, ha.LRMActive, l.State())
	require.Equal(t, []string{"watchdog update"}, w.only("watchdog"), "the same watchdog as before")
}

func TestALockWithoutAWatchdogIsNone(t *testing.T) {
	w := newWorld(t)
	w.assign("vm:100", ha.Started, "a")
	w.openErr = errBroken
	l := w.lrm()
	w.take()
	w.round(l)
	require.Equal(t, []string{
		"write wait_for_agent_lock active",
		"lock", "err: cfs connection refused",
		"write wait_for_agent_lock active", "sleep until 1005",
	}, w.take())

	w.openErr = nil
	w.round(l)
	require.Equal(t, ha.LRMActive, l.State())
}

// Without a watchdog an LRM that only waits must still be able to end, or the
// node could not shut down.
func TestEndsWithoutAWatchdog(t *testing.T) {
	w := newWorld(t)
	w.assign("vm:100", ha.Started, "a")
	w.openErr = errBroken
	l := w.lrm()
	w.round(l)
	l.RequestShutdown()
	w.lastRound(l)
}

// As in the Perl stack, a failed update is told and no more: the node will be
// reset, and what it was ordered goes on until then.
func TestGoesOnWhenTheWatchdogFails(t *testing.T) {
	w := newWorld(t)
	l := w.active()
	w.updateErr = errBroken
	w.assign("vm:101", ha.Started, "b")
	w.round(l)
	require.Equal(t, []string{
		"lock", "err: watchdog update failed - cfs connection refused",
		"info: starting service vm:101", "agent start vm:101", "info: service status vm:101 started",
		"write active active", "sleep until 1020",
	}, w.take())

	w.shutdown = true
	l.RequestShutdown()
	w.lastRound(l)
	require.Empty(t, w.guests.running)
}

func TestLosesTheLockWhenItIsToBeFenced(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*world)
		state  ha.LRMState
		want   string
	}{
		"the node, active": {
			func(w *world) { w.manager.NodeStatus[here] = ha.NodeFence },
			ha.LRMActive, "err: node needs to be fenced - releasing agent_lock",
		},
		"a service, active": {
			func(w *world) { w.manager.ServiceStatus["vm:100"].State = ha.Fence },
			ha.LRMActive, "err: node needs to be fenced - releasing agent_lock",
		},
		"the node, in maintenance": {
			func(w *world) { w.manager.NodeStatus[here] = ha.NodeFence },
			ha.LRMMaintenance, "err: node needs to be fenced during maintenance mode - releasing agent_lock",
		},
		"a service, in maintenance": {
			func(w *world) { w.manager.ServiceStatus["vm:100"].State = ha.Fence },
			ha.LRMMaintenance, "err: node needs to be fenced during maintenance mode - releasing agent_lock",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			l := w.active()
			w.maintenance(test.state == ha.LRMMaintenance)
			w.round(l)
			require.Equal(t, test.state, l.State())
			w.take()

			test.change(w)
			for i := range 3 {
				begin := w.now
				w.round(l)
				require.Equal(t, ha.LRMLostAgentLock, l.State())
				require.Equal(t, begin+5, w.now)
				if i == 0 {
					require.Equal(t, []string{
						test.want,
						"info: status change " + string(test.state) + " => lost_agent_lock", fmt.Sprintf("sleep until %d", w.now),
					}, w.take())
				}
			}
			require.Empty(t, slices.DeleteFunc(w.take(), func(l string) bool { return strings.HasPrefix(l, "sleep until") }),
				"it neither refreshes the lock nor updates or closes the watchdog, whatever the log says")
		})
	}
}

func TestBecomesActiveAgainWithoutAFenceRequest(t *testing.T) {
	w := newWorld(t)
	l := w.active()
	w.manager.NodeStatus[here] = ha.NodeFence
	w.round(l)
	w.manager.NodeStatus[here] = ha.NodeUnknown
	w.quorate = false
	w.round(l)
	require.Equal(t, ha.LRMLostAgentLock, l.State(), "no quorum")
	w.quorate = true
	w.round(l)
	require.Equal(t, ha.LRMActive, l.State())
}

func TestStaysActiveForSixtyRoundsWithoutAService(t *testing.T) {
	w := newWorld(t)
	l := w.active()
	w.drop("vm:100")
	for range 60 {
		w.round(l)
		require.Equal(t, ha.LRMActive, l.State())
	}
	w.take()
	w.round(l)
	require.Equal(t, []string{
		"lock", "watchdog update",
		"info: node had no service configured for 60 rounds, going idle.",
		"release lock", "watchdog close",
		"info: status change active => wait_for_agent_lock",
		"write wait_for_agent_lock active", "sleep until 1615",
	}, w.take())

	w.assign("vm:100", ha.Started, "c")
	for range 61 {
		w.round(l)
		require.Equal(t, ha.LRMActive, l.State(), "and begins to count anew")
		w.drop("vm:100")
	}
}

func TestCountsTheRoundsWithoutAServiceAnew(t *testing.T) {
	for name, interrupt := range map[string]func(*world, func()){
		"after a round with a service": func(w *world, round func()) {
			w.assign("vm:100", ha.Stopped, "b") // in whatever state
			round()
			w.drop("vm:100")
		},
		"after a round with a worker": func(w *world, round func()) {
			// The service comes after the first look of its round, and has gone
			// before that of the next.
			w.workers = 1
			reads := 0
			w.onRead = func() {
				if reads++; reads == 2 {
					w.assign("vm:100", ha.Migrate, "b").Target = elsewhere
				}
			}
			w.onStart = func(lrm.Order) { w.drop("vm:100") }
			round()
			round()
			require.Equal(w.t, []string{"worker vm:100 migrate b"}, w.only("worker"))
			w.end("vm:100", ha.ExitSuccess)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			l := w.active()
			w.drop("vm:100")
			for range 50 {
				w.round(l)
			}
			interrupt(w, func() { w.round(l) })
			for range 60 {
				w.round(l)
				require.Equal(t, ha.LRMActive, l.State())
			}
			w.round(l)
			require.Equal(t, ha.LRMWaitForAgentLock, l.State())
		})
	}
}

func TestSkipsARoundWhileTheClusterFileSystemIsInconsistent(t *testing.T) {
	w := newWorld(t)
	l := w.active()
	w.refresh = false
	w.assign("vm:101", ha.Started, "b")
	w.round(l)
	require.Equal(t, []string{
		"lock", "watchdog update",
		"notice: temporary inconsistent cluster state (cfs restart?), skip round",
		"write active active", "sleep until 1020",
	}, w.take())
}

func TestDoesNothingActiveWithoutItsOrders(t *testing.T) {
	w := newWorld(t)
	l := w.active()
	w.readErr = errBroken
	w.assign("vm:101", ha.Started, "b")
	w.round(l)
	require.Equal(t, []string{
		"err: updating service status from manager failed: cfs connection refused",
		"lock", "watchdog update",
		"err: updating service status from manager failed: cfs connection refused",
		"write active active", "sleep until 1020",
	}, w.take())
}

func TestARoundThatCannotGoOnKeepsTheWatchdog(t *testing.T) {
	w := newWorld(t)
	l := w.active()
	w.confErr = errBroken
	w.round(l)
	require.Equal(t, []string{
		"lock", "watchdog update",
		"err: got unexpected error - cfs connection refused",
		"write active active", "sleep until 1020",
	}, w.take(), "with services")

	w.confErr, w.workersErr = nil, errBroken
	w.round(l)
	require.Equal(t, []string{"err: got unexpected error - cfs connection refused"}, w.only("err"))

	w.drop("vm:100")
	require.ErrorIs(t, w.failedRound(l), errBroken, "without services")
	require.Equal(t, []string{"lock", "watchdog update"}, w.take())
	require.Equal(t, ha.LRMActive, l.State())
}

func TestAWatchdogThatWillNotCloseIsOpenedAgain(t *testing.T) {
	w := newWorld(t)
	l := w.active()
	w.drop("vm:100")
	for range 60 {
		w.round(l)
	}
	w.closeErr = errBroken
	w.take()
	require.ErrorIs(t, w.failedRound(l), errBroken)
	require.Equal(t, ha.LRMActive, l.State())
	w.closeErr = nil
	w.round(l)
	require.Equal(t, []string{"watchdog update", "watchdog close", "watchdog open"}, w.only("watchdog"))
}
