package crm

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
)

func TestServicesOfALostNodeAreRecoveredOnceItsLockIsHad(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{
		"ct:2": {State: ha.RequestStop, Node: "node3", UID: "b"}, "vm:1": {State: ha.Started, Node: "node3", UID: "a", Running: true},
		"vm:3": {State: ha.Stopped, Node: "node3"}, "vm:4": {State: ha.Stopped, Node: "node3"}, "vm:5": {State: ha.Freeze, Node: "node3"},
	})
	f.want("ct:2", ha.RequestStopped)
	f.want("vm:3", ha.RequestStopped)
	f.want("vm:4", ha.RequestDisabled)
	f.setMode("node3", ha.ModeShutdown) // keeps the frozen one frozen
	f.members["node3"] = false
	require.Equal(t, []string{"info: node 'node3': state changed from 'online' => 'unknown'"}, f.rounds(t, m, 6), "for 50 seconds")
	require.Equal(t, []string{
		"info: service 'ct:2': state changed from 'request_stop' to 'fence'",
		"info: service 'vm:1': state changed from 'started' to 'fence'",
		"info: service 'vm:3': state changed from 'stopped' to 'fence'",
		"info: node 'node3': state changed from 'unknown' => 'fence'",
	}, f.rounds(t, m, 1))
	require.Empty(t, f.rounds(t, m, 5), "without the lock nothing happens")

	f.agentLock = func(node string) bool { return node == "node3" }
	f.guestLocks["vm:1"] = "snapshot-delete"
	f.taken()
	require.NoError(t, m.Round())
	require.Equal(t, []string{
		"agent lock of node3: yes",
		"info: fencing: acknowledged - got agent lock for node 'node3'",
		"info: node 'node3': state changed from 'fence' => 'unknown'",
		"notify: SUCCEED: fencing: acknowledged - got agent lock for node 'node3'",
		"info: service 'ct:2': state changed from 'fence' to 'recovery'",
		"info: service 'vm:1': state changed from 'fence' to 'recovery'",
		"info: service 'vm:3': state changed from 'fence' to 'recovery'",
		"info: recover service 'ct:2' from fenced node 'node3' to node 'node1'",
		"steal ct:2 from node3 to node1",
		"info: service 'ct:2': state changed from 'recovery' to 'request_stop'  (node = node1)",
		"info: recover service 'vm:1' from fenced node 'node3' to node 'node2'",
		"remove lock snapshot-delete of vm:1 on node3",
		"warning: removed leftover lock 'snapshot-delete' from recovered service 'vm:1' to allow its start.",
		"steal vm:1 from node3 to node2",
		"info: service 'vm:1': state changed from 'recovery' to 'started'  (node = node2)",
		"info: recover service 'vm:3' from fenced node 'node3' to node 'node1'",
		"steal vm:3 from node3 to node1",
		"info: service 'vm:3': state changed from 'recovery' to 'request_stop'  (node = node1)",
		"write manager status",
	}, f.taken())
	require.Equal(t, ha.Stopped, f.manager.ServiceStatus["vm:4"].State, "disabled ones stay")
	require.Equal(t, ha.Freeze, f.manager.ServiceStatus["vm:5"].State, "frozen ones stay")
}

func TestLocksThatARestartCannotRemoveAreKept(t *testing.T) {
	for _, lock := range []string{"backup", "mounted", "migrate", "clone", "rollback", "snapshot", "snapshot-delete", "suspending", "suspended"} {
		require.Contains(t, removableLocks, lock)
	}
	require.Len(t, removableLocks, 9)
	require.NotContains(t, removableLocks, "create", "the disk of such a guest is not complete")
}

func TestLockOfANodeIsAskedForOnceForAllItsServices(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{
		"vm:1": {State: ha.Fence, Node: "node2"}, "vm:2": {State: ha.Fence, Node: "node3"}, "vm:3": {State: ha.Fence, Node: "node2"},
	})
	f.members["node2"], f.members["node3"] = false, false
	require.NoError(t, m.Round())
	require.Equal(t, []string{
		"notify: FENCE: Try to fence node 'node2'", "agent lock of node2: no",
		"notify: FENCE: Try to fence node 'node3'", "agent lock of node3: no", "write manager status",
	}, f.effects())
}

// A node whose lock is had by chance is no reason to recover the services of
// another.
func TestFencingOfOneNodeDoesNotFreeTheServicesOfAnother(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{"vm:1": {State: ha.Fence, Node: "node2"}, "vm:2": {State: ha.Fence, Node: "node3"}})
	f.members["node2"], f.members["node3"] = false, false
	f.agentLock = func(node string) bool { return node == "node3" }
	f.rounds(t, m, 1)
	require.Equal(t, ha.Fence, f.manager.ServiceStatus["vm:1"].State)
	require.Equal(t, ha.Started, f.manager.ServiceStatus["vm:2"].State)
}

func TestNodeInStateFenceWithoutServicesIsFencedAllTheSame(t *testing.T) {
	f, _ := managing(t, nil)
	f.manager.NodeStatus["node3"] = ha.NodeFence
	m := f.master(t)
	f.guest("vm:1", "node1", ha.RequestStarted)
	f.members["node3"] = false
	require.Contains(t, f.rounds(t, m, 1), "notice: node 'node3' in fence state but no services to-fence! admin interference?!")
	require.Equal(t, ha.NodeFence, f.manager.NodeStatus["node3"])
	f.agentLock = func(string) bool { return true }
	f.rounds(t, m, 1)
	require.Equal(t, ha.NodeUnknown, f.manager.NodeStatus["node3"])
}

func TestRecoveryWaitsForANode(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{"vm:1": {State: ha.Recovery, Node: "node3", FailedNodes: []string{"node1"}}})
	f.rules = "node-affinity: home\n\tresources vm:1\n\tnodes node3\n\tstrict 1\n"
	f.members["node3"] = false
	const failed = "err: recovering service 'vm:1' from fenced node 'node3' failed, no recovery node found"
	require.Equal(t, []string{"info: node 'node3': state changed from 'online' => 'unknown'", failed, failed}, f.rounds(t, m, 2))

	f.members["node3"] = true
	require.Equal(t, []string{
		"info: node 'node3': state changed from 'unknown' => 'online'",
		"info: recover service 'vm:1' to previous failed and fenced node 'node3' again",
		"info: service 'vm:1': state changed from 'recovery' to 'started'  (node = node3)",
	}, f.rounds(t, m, 1))
}

func TestServiceThatNobodyCanRecoverIsFreedByDisablingIt(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{"vm:1": {State: ha.Recovery, Node: "node3", FailedNodes: []string{"node1"}}})
	f.rules = "node-affinity: home\n\tresources vm:1\n\tnodes node3\n\tstrict 1\n"
	f.members["node3"] = false
	f.want("vm:1", ha.RequestDisabled)
	require.Equal(t, []string{
		"info: node 'node3': state changed from 'online' => 'unknown'",
		"err: recovering service 'vm:1' from fenced node 'node3' failed, no recovery node found",
		"info: service 'vm:1': state changed from 'recovery' to 'stopped'",
	}, f.rounds(t, m, 1))
	require.Nil(t, f.manager.ServiceStatus["vm:1"].FailedNodes)
	require.Equal(t, "node3", f.services["vm:1"].Node, "the guest stays")
}

// In the Perl stack a guest that cannot be moved ends every round, so that no
// service of the cluster is managed any more.
func TestGuestThatCannotBeTakenOverDoesNotHoldUpTheOthers(t *testing.T) {
	for _, call := range []string{"Steal", "RemoveLocks"} {
		t.Run(call, func(t *testing.T) {
			f, m := managing(t, map[ha.SID]*ha.ServiceStatus{
				"vm:1": {State: ha.Recovery, Node: "node3"}, "vm:2": {State: ha.Recovery, Node: "node3"}, "vm:3": {State: ha.RequestStart, Node: "node1"},
			})
			f.members["node3"] = false
			first := true
			f.fault = func(_ int, name string) (error, error) {
				if name == call && first {
					first = false
					return errDown, nil
				}
				return nil, nil
			}
			log := f.rounds(t, m, 1)
			require.True(t, slices.ContainsFunc(log, func(line string) bool {
				return strings.HasPrefix(line, "err: recovering service 'vm:1' from fenced node 'node3' failed: ")
			}), log)
			require.Equal(t, ha.Started, f.manager.ServiceStatus["vm:2"].State)
			require.Equal(t, ha.Started, f.manager.ServiceStatus["vm:3"].State)
			// Another pass of the same round has recovered the first one, too.
			require.Equal(t, ha.Started, f.manager.ServiceStatus["vm:1"].State)
		})
	}
}

func TestGuestThatCanNeverBeTakenOverIsTriedInEveryRound(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{"vm:1": {State: ha.Recovery, Node: "node3"}})
	f.members["node3"] = false
	f.fault = f.failing("Steal")
	f.rounds(t, m, 1)
	require.Equal(t, []string{
		"info: recover service 'vm:1' from fenced node 'node3' to node 'node1'",
		"err: recovering service 'vm:1' from fenced node 'node3' failed: connection refused",
	}, f.rounds(t, m, 1))
	require.Equal(t, ha.Recovery, f.manager.ServiceStatus["vm:1"].State)
}

// The guest left its node just before that died, and nobody could report it.
// The Perl stack tries to take it from where it is not, for ever.
func TestGuestThatIsElsewhereAlreadyIsNotTakenOver(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{"vm:1": {State: ha.Migrate, Node: "node3", Target: "node2"}})
	f.guest("vm:1", "node2", ha.RequestStarted)
	f.members["node3"] = false
	f.agentLock = func(string) bool { return true }
	log := f.rounds(t, m, 7)
	require.Equal(t, []string{
		"info: service 'vm:1': state changed from 'fence' to 'recovery'",
		"info: fixup service 'vm:1' location (node3 => node2)",
		"info: service 'vm:1': state changed from 'recovery' to 'started'  (node = node2)",
	}, log[len(log)-3:])
	require.Equal(t, "node2", f.services["vm:1"].Node)
}

// A node in maintenance may be away for a while. One that dies is fenced, but
// until its lock is had a service may still leave by its own order: the next
// pass of the round marks it again.
func TestNodeThatDiesInMaintenanceIsFenced(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{
		"vm:1": {State: ha.Started, Node: "node3"}, "vm:2": {State: ha.Started, Node: "node3", UID: "o"},
		"vm:3": {State: ha.Started, Node: "node3"}, "vm:4": {State: ha.Stopped, Node: "node3"},
	})
	f.rules = "node-affinity: home\n\tresources vm:1,vm:2,vm:3\n\tnodes node3\n\tstrict 1\n"
	f.want("vm:4", ha.RequestStopped)
	f.setMode("node3", ha.ModeMaintenance)
	f.rounds(t, m, 1)
	require.Equal(t, "node3", f.manager.ServiceStatus["vm:1"].MaintenanceNode)
	f.members["node3"] = false
	require.Empty(t, f.rounds(t, m, 5), "it may boot")

	f.rules = "" // now they could go elsewhere
	f.want("vm:3", ha.RequestStopped)
	cfg := f.services["vm:2"]
	cfg.MaxRelocate = 0
	f.configure("vm:2", cfg)
	f.lrms["node3"] = &ha.LRMStatus{Mode: ha.ModeMaintenance, Results: map[string]ha.Result{"o": {ExitCode: ha.ExitError}}}
	f.taken()
	require.NoError(t, m.Round())
	f.now += 10
	require.Equal(t, []string{
		"info: service 'vm:1': state changed from 'started' to 'fence'",
		"info: migrate service 'vm:1' to node 'node1' (running)",
		"info: service 'vm:1': state changed from 'fence' to 'migrate'  (node = node3, target = node1)",
		"info: service 'vm:2': state changed from 'started' to 'fence'",
		"err: recovery policy for service vm:2 failed, entering error state. Failed nodes: node3",
		"info: service 'vm:2': state changed from 'fence' to 'error'",
		"info: service 'vm:3': state changed from 'started' to 'fence'",
		"info: service 'vm:3': state changed from 'fence' to 'request_stop'",
		"info: service 'vm:1': state changed from 'migrate' to 'fence'",
		"info: service 'vm:3': state changed from 'request_stop' to 'fence'",
		"info: node 'node3': state changed from 'maintenance' => 'fence'",
		"info: service 'vm:4': state changed from 'stopped' to 'fence'", // alone it would have waited
	}, f.logged())

	f.agentLock = func(string) bool { return true }
	f.rounds(t, m, 1)
	require.Equal(t, "node1", f.manager.ServiceStatus["vm:1"].Node)
	require.Equal(t, ha.Error, f.manager.ServiceStatus["vm:2"].State)
}

func TestNotificationTellsWhatWasWrittenLast(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{"vm:1": {State: ha.Fence, Node: "node3"}})
	f.members["node3"] = false
	f.fault = f.failing("ReadManagerStatus")
	log := f.rounds(t, m, 1)
	require.Contains(t, log,
		"warning: notification about fencing node 'node3' lacks the state of the cluster - connection refused")
	require.Equal(t, ha.NodeFence, f.manager.NodeStatus["node3"])
}

// Nothing resets a node that was disarmed: a free lock does not prove it dead,
// and what runs there may not be started elsewhere. (The Perl stack does, and
// Config.DisarmedLockProves copies it.)
func TestLockOfADisarmedNodeProvesNothing(t *testing.T) {
	for _, asPerl := range []bool{false, true} {
		f, m := managing(t, map[ha.SID]*ha.ServiceStatus{
			"vm:1": {State: ha.Started, Node: "node3", UID: "a", Running: true},
			"vm:2": {State: ha.Migrate, Node: "node3", Target: "node1", UID: "b"},
			"vm:3": {State: ha.RequestStop, Node: "node3", UID: "c"},
		})
		m.cfg.DisarmedLockProves = asPerl
		f.agentLock = func(string) bool { return true }
		f.setMode("node3", ha.ModeDisarm)
		f.members["node3"] = false
		f.rounds(t, m, 20)
		if asPerl {
			require.NotEqual(t, "node3", f.manager.ServiceStatus["vm:2"].Node)
			continue
		}
		for _, s := range f.manager.ServiceStatus {
			require.Equal(t, "node3", s.Node)
		}
		require.Equal(t, ha.NodeUnknown, f.manager.NodeStatus["node3"])

		f.taken()
		f.members["node3"] = true
		f.setMode("node3", ha.ModeActive)
		require.Equal(t, []string{"info: node 'node3': state changed from 'unknown' => 'online'"}, f.rounds(t, m, 2))
	}
}

func TestLostDisarmedNodeIsToldOnce(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{"vm:1": started("node3"), "vm:2": started("node3")})
	f.setMode("node3", ha.ModeDisarm)
	f.members["node3"] = false
	require.Equal(t, []string{
		"info: node 'node3': state changed from 'online' => 'unknown'",
		"warning: node 'node3' is lost, but was disarmed: its services may still run, and are not recovered until it is back",
	}, f.rounds(t, m, 20))
}
