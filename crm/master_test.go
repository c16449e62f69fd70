package crm

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
)

// The watchdog goes first: from then on this node does not touch the manager's
// state, and the next one may have the lock.
func TestResignClosesTheWatchdogAndThenReleasesTheLock(t *testing.T) {
	f := newFake("node1")
	c := crmIn(t, f, ha.CRMMaster)
	f.taken()
	c.RequestShutdown()
	c.RequestShutdown()
	alive, err := c.Iterate()
	require.NoError(t, err)
	require.False(t, alive)
	require.Equal(t, []string{
		"info: server received shutdown request",
		"manager lock: yes", "update watchdog",
		"close watchdog", "info: voluntary release CRM lock", "release manager lock: yes",
	}, f.taken())
}

func TestResignGoesOnWhenAPartOfItFails(t *testing.T) {
	f := newFake("node1")
	c := crmIn(t, f, ha.CRMMaster)
	f.fault = f.failing("watchdog.Close", "ReleaseManagerLock")
	f.taken()
	c.RequestShutdown()
	alive, err := c.Iterate()
	require.NoError(t, err)
	require.False(t, alive)
	require.Equal(t, []string{
		"err: watchdog close failed - connection refused",
		"info: voluntary release CRM lock", "release manager lock: no",
		"notice: CRM lock release failed, let the lock timeout",
	}, f.taken()[3:])
}

// The daemon of the Perl stack ends when the watchdog cannot be opened. Ours
// goes on, but it must not keep the lock from a node that can work.
func TestMasterWithoutAWatchdogLeavesTheLockToOthers(t *testing.T) {
	f := newFake("node1")
	f.guest("vm:1", "node1", ha.RequestStarted)
	f.fault = f.failing("OpenWatchdog")
	c := New(f, f.config())
	f.taken()
	mustIterate(t, c)
	require.Equal(t, []string{
		"manager lock: yes", "err: giving up the manager lock - connection refused",
		"release manager lock: yes", "sleep 5", "info: status change wait_for_quorum => slave",
	}, f.taken())

	f.fault = nil
	mustIterate(t, c)
	require.Equal(t, ha.CRMMaster, c.State())
}

// A client that the multiplexer does not know any more is opened anew. The Perl
// stack goes on without protection.
func TestWatchdogThatCannotBeUpdatedIsOpenedAnew(t *testing.T) {
	f := newFake("node1")
	c := crmIn(t, f, ha.CRMMaster)
	f.fault = f.failing("watchdog.Update", "watchdog.Close")
	f.taken()
	require.True(t, c.takeLock())
	require.Equal(t, []string{
		"manager lock: yes",
		"err: watchdog update failed - connection refused", "err: watchdog close failed - connection refused",
		"open watchdog",
	}, f.taken())

	f.fault = f.failing("watchdog.Update", "OpenWatchdog")
	f.guest("vm:1", "node1", ha.RequestStarted)
	mustIterate(t, c)
	require.Equal(t, ha.CRMWaitForQuorum, c.State())
	require.Equal(t, []string{
		"manager lock: yes",
		"err: watchdog update failed - connection refused", "close watchdog",
		"err: giving up the manager lock - connection refused", "release manager lock: yes", "sleep 5",
		"info: status change master => lost_manager_lock", "info: status change lost_manager_lock => wait_for_quorum",
	}, f.taken())
}

func TestTakingOverIsTriedAgainInTheNextRound(t *testing.T) {
	f := newFake("node1")
	f.guest("vm:1", "node1", ha.RequestStarted)
	f.scheduling.Mode = SchedulerStatic
	f.fault = f.failing("Scheduling")
	c := New(f, f.config())
	mustIterate(t, c)
	require.Equal(t, ha.CRMMaster, c.State())
	require.Contains(t, f.taken(), "err: got unexpected error - connection refused")
	require.Nil(t, f.manager, "nothing was written")

	f.fault = nil
	mustIterate(t, c)
	require.Equal(t, "info: using scheduler mode 'static'", f.logged()[0])
	require.Equal(t, ha.Started, f.manager.ServiceStatus["vm:1"].State)
}

func TestRoundThatFailsIsLoggedAndTheNextGoesOn(t *testing.T) {
	f := newFake("node1")
	f.guest("vm:1", "node1", ha.RequestStarted)
	c := New(f, f.config())
	f.fault = f.failing("WriteManagerStatus")
	mustIterate(t, c)
	trace := f.taken()
	require.Equal(t, []string{"err: got unexpected error - connection refused", "sleep until +10"}, trace[len(trace)-2:])

	f.fault = nil
	mustIterate(t, c)
	require.Equal(t, ha.Started, f.manager.ServiceStatus["vm:1"].State)
}

// Whoever lost the lock takes over what was written meanwhile, not what it
// remembers.
func TestMasterThatLostTheLockForgetsWhatItKnew(t *testing.T) {
	f := newFake("node1", "node2")
	f.guest("vm:1", "node1", ha.RequestStarted)
	c := New(f, f.config())
	mustIterate(t, c)
	f.managerLock = func() bool { return false }
	f.taken()
	mustIterate(t, c)
	require.Equal(t, ha.CRMWaitForQuorum, c.State())
	require.Contains(t, f.taken(), "close watchdog")

	f.manager = &ha.ManagerStatus{
		MasterNode: "node2", NodeStatus: f.manager.NodeStatus,
		ServiceStatus: map[ha.SID]*ha.ServiceStatus{"vm:1": {State: ha.Error, Node: "node1", UID: "other"}},
	}
	f.managerLock = func() bool { return true }
	mustIterate(t, c)
	require.Equal(t, ha.CRMMaster, c.State())
	require.Equal(t, &ha.ServiceStatus{State: ha.Error, Node: "node1", UID: "other"}, f.manager.ServiceStatus["vm:1"])
	require.Equal(t, "node1", f.manager.MasterNode)
}

func TestStatusOfTheLastMasterIsNotChangedInPlace(t *testing.T) {
	f := newFake("node1")
	f.guest("vm:1", "node1", ha.RequestStopped)
	f.manager = &ha.ManagerStatus{
		NodeStatus:    map[string]ha.NodeState{"node1": ha.NodeOnline},
		NodeRequest:   map[string]ha.NodeRequest{"node1": {}},
		ServiceStatus: map[ha.SID]*ha.ServiceStatus{"vm:1": started("node1")},
		Disarm:        &ha.Disarm{Mode: ha.DisarmFreeze, State: ha.Disarming},
	}
	shared, before := f.manager, f.manager.Clone()
	f.commands = "enable-node-maintenance node1\narm-ha\n"
	mustIterate(t, New(f, f.config()))
	require.NotSame(t, shared, f.manager)
	require.Equal(t, before, shared)
}

func TestRoundTripOfADisarm(t *testing.T) {
	f := newFake("node1", "node2")
	f.guest("vm:1", "node1", ha.RequestStarted)
	c := New(f, f.config())
	mustIterate(t, c)
	f.taken()

	round := func(command string) string {
		t.Helper()
		if command != "" {
			f.commands = command + "\n"
		}
		mustIterate(t, c)
		did := slices.DeleteFunc(f.taken(), func(line string) bool {
			return strings.HasPrefix(line, "sleep") || strings.HasPrefix(line, "info: got crm command")
		})
		return fmt.Sprint(strings.Join(did, "; "))
	}
	require.Equal(t, "manager lock: yes; update watchdog; info: disarm: freezing service 'vm:1' (was 'started'); "+
		"write manager status", round("disarm-ha freeze"), "the LRMs still work")
	for _, node := range []string{"node1", "node2"} {
		f.lrms[node] = &ha.LRMStatus{State: ha.LRMWaitForAgentLock, Mode: ha.ModeDisarm}
	}
	require.Equal(t, "manager lock: yes; update watchdog; info: all LRMs disarmed, HA stack is now fully disarmed; "+
		"write manager status; info: HA stack fully disarmed, releasing CRM watchdog; close watchdog", round(""))
	require.Equal(t, "manager lock: yes; write manager status", round(""), "the lock is kept, for arm-ha")

	f.lrms["node2"] = &ha.LRMStatus{State: ha.LRMActive, Mode: ha.ModeActive}
	require.Equal(t, "manager lock: yes; write manager status", round(""), "a node that comes back changes nothing")

	require.Equal(t, "manager lock: yes; write manager status; info: re-arming HA stack", round("arm-ha"))
	for _, node := range []string{"node1", "node2"} {
		f.lrms[node] = &ha.LRMStatus{State: ha.LRMActive, Mode: ha.ModeActive}
	}
	require.Equal(t, "manager lock: yes; open watchdog; info: service 'vm:1': state changed from 'freeze' to 'started'; "+
		"write manager status", round(""))
}

// A master that takes over a disarmed stack must not open a watchdog.
func TestTakingOverADisarmedStack(t *testing.T) {
	for name, test := range map[string]struct {
		disarm *ha.Disarm
		broken bool
		want   []string
	}{
		"armed":     {want: []string{"manager lock: yes", "open watchdog"}},
		"disarming": {disarm: &ha.Disarm{Mode: ha.DisarmIgnore, State: ha.Disarming}, want: []string{"manager lock: yes", "open watchdog"}},
		"disarmed": {
			disarm: &ha.Disarm{Mode: ha.DisarmIgnore, State: ha.Disarmed},
			want:   []string{"manager lock: yes", "info: taking over as disarmed master, skipping watchdog"},
		},
		"not known": {
			disarm: &ha.Disarm{Mode: ha.DisarmIgnore, State: ha.Disarmed}, broken: true,
			want: []string{"manager lock: yes", "open watchdog"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake("node1")
			f.manager = &ha.ManagerStatus{Disarm: test.disarm}
			if test.broken {
				f.fault = f.failing("ReadManagerStatus")
			}
			c := New(f, f.config())
			f.taken()
			require.True(t, c.takeLock())
			require.Equal(t, test.want, f.taken())
		})
	}
}

// A node that was master of a disarmed stack takes over an armed one: it works
// for one round without a watchdog, as in the Perl stack.
func TestTakingOverAfterHavingBeenDisarmed(t *testing.T) {
	f := newFake("node1")
	f.guest("vm:1", "node1", ha.RequestStopped)
	c := New(f, f.config())
	c.disarmed = true
	f.taken()
	mustIterate(t, c)
	require.Contains(t, f.taken(), "info: re-arming HA stack")
	mustIterate(t, c)
	require.Equal(t, []string{"manager lock: yes", "open watchdog"}, f.taken()[:2])
}

func TestFailedWatchdogCloseDoesNotKeepTheStackArmed(t *testing.T) {
	f := newFake("node1")
	f.manager = &ha.ManagerStatus{Disarm: &ha.Disarm{Mode: ha.DisarmFreeze, State: ha.Disarming}}
	f.lrms["node1"] = &ha.LRMStatus{Mode: ha.ModeDisarm}
	f.fault = f.failing("watchdog.Close")
	c := New(f, f.config())
	mustIterate(t, c)
	require.Equal(t, ha.Disarming, f.manager.Disarm.State, "it does not know the nodes yet")
	mustIterate(t, c)
	require.Contains(t, f.taken(), "err: watchdog close failed - connection refused")
	require.Equal(t, ha.Disarmed, f.manager.Disarm.State)
	mustIterate(t, c)
	require.Equal(t, []string{"manager lock: yes", "write manager status", "sleep until +10"}, f.taken())
}
