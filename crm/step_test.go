package crm

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
)

// managing is a cluster of three nodes, and a master on node1 that has managed
// the given services for a while. Those that are not configured yet are, to be
// started.
func managing(t testing.TB, services map[ha.SID]*ha.ServiceStatus) (*fake, *Manager) {
	t.Helper()
	f := newFake("node1", "node2", "node3")
	f.manager = &ha.ManagerStatus{
		MasterNode:    "node1",
		NodeStatus:    map[string]ha.NodeState{"node1": ha.NodeOnline, "node2": ha.NodeOnline, "node3": ha.NodeOnline},
		ServiceStatus: services,
	}
	for sid, s := range services {
		f.guest(sid, s.Node, ha.RequestStarted)
	}
	m := f.master(t)
	return f, m
}

// want changes the requested state of a service.
func (f *fake) want(sid ha.SID, state ha.RequestState) {
	cfg := f.services[sid]
	cfg.State = state
	f.configure(sid, cfg)
}

// report lets the LRM of a node report how an order ended.
func (f *fake) report(node, uid string, code ha.ExitCode) {
	old := f.lrms[node]
	f.lrms[node] = &ha.LRMStatus{State: old.State, Mode: old.Mode, Results: map[string]ha.Result{uid: {ExitCode: code}}}
}

func (f *fake) setMode(node string, mode ha.LRMMode) {
	f.lrms[node] = &ha.LRMStatus{State: ha.LRMActive, Mode: mode}
}

// rounds runs rounds of the manager and returns what was logged.
func (f *fake) rounds(t testing.TB, m *Manager, n int) []string {
	t.Helper()
	f.taken()
	for range n {
		require.NoError(t, m.Round())
		f.now += masterRoundTime
	}
	return f.logged()
}

func TestNewServicesAreTakenIn(t *testing.T) {
	f, m := managing(t, nil)
	f.guest("vm:1", "node1", ha.RequestStarted)
	f.guest("vm:2", "node2", ha.RequestStopped)
	f.guest("vm:3", "node3", ha.RequestDisabled)
	f.guest("vm:4", "node1", ha.RequestIgnored)
	require.Equal(t, []string{
		"info: adding new service 'vm:1' on node 'node1'",
		"info: adding new service 'vm:2' on node 'node2'",
		"info: adding new service 'vm:3' on node 'node3'",
		"info: service 'vm:1': state changed from 'request_start' to 'started'  (node = node1)",
	}, f.rounds(t, m, 1))
	require.Equal(t, map[ha.SID]*ha.ServiceStatus{
		"vm:1": {State: ha.Started, Node: "node1", UID: "started-4"},
		"vm:2": {State: ha.RequestStop, Node: "node2", UID: "request_stop-2"}, // it may be running
		"vm:3": {State: ha.RequestStop, Node: "node3", UID: "request_stop-3"},
	}, f.manager.ServiceStatus)
}

func TestServicesThatAreNotManagedAnyMoreAreForgotten(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{"vm:1": started("node1"), "vm:2": started("node1"), "vm:3": started("node1")})
	delete(f.services, "vm:1")
	f.want("vm:2", ha.RequestIgnored)
	require.Equal(t, []string{
		"info: removing stale service 'vm:2' (ignored state requested)",
		"info: removing stale service 'vm:1' (no config)",
	}, f.rounds(t, m, 1))
	require.Equal(t, map[ha.SID]*ha.ServiceStatus{"vm:3": {State: ha.Started, Node: "node1"}}, f.manager.ServiceStatus)
}

// The Perl stack ends every round at such a service, so that it manages none
// any more.
func TestStateOfANewerStackIsLeftAlone(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{
		"vm:1": {State: "levitate", Node: "node1", UID: "u", Target: "node2"},
		"vm:2": {State: ha.RequestStart, Node: "node1"},
	})
	require.Equal(t, []string{
		"err: unknown service state 'levitate'",
		"info: service 'vm:2': state changed from 'request_start' to 'started'  (node = node1)",
		"err: unknown service state 'levitate'",
	}, f.rounds(t, m, 1))
	f.commands = "disarm-ha freeze"
	f.rounds(t, m, 1)
	require.Equal(t, &ha.ServiceStatus{State: "levitate", Node: "node1", UID: "u", Target: "node2"}, f.manager.ServiceStatus["vm:1"])
	require.Equal(t, ha.Freeze, f.manager.ServiceStatus["vm:2"].State)
}

func TestRequestedStateThatIsNotKnownIsLogged(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{"vm:1": started("node1"), "vm:2": {State: ha.Stopped, Node: "node1"}})
	f.want("vm:1", "levitating")
	f.want("vm:2", ha.RequestEnabled) // readers of the configuration replace it
	require.Equal(t, []string{
		"err: service 'vm:1' - unknown state 'levitating' in service configuration",
		"err: service 'vm:2' - unknown state 'enabled' in service configuration",
	}, f.rounds(t, m, 1))
}

func TestMasterThatIsNotAMemberDoesNothing(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{"vm:1": {State: ha.RequestStart, Node: "node1"}})
	f.members["node1"] = false
	require.NoError(t, m.Round())
	require.Equal(t, []string{"info: node 'node1': state changed from 'online' => 'unknown'", "info: master seems offline"}, f.taken())

	f.members["node1"] = true
	require.NoError(t, m.Round())
	require.Contains(t, f.taken(), "write manager status")
}

func TestMasterInMaintenanceGoesOn(t *testing.T) {
	f, m := managing(t, nil)
	f.setMode("node1", ha.ModeMaintenance)
	require.Equal(t, []string{"info: node 'node1': state changed from 'online' => 'maintenance'"}, f.rounds(t, m, 1))
	require.Equal(t, ha.NodeMaintenance, f.manager.NodeStatus["node1"])
}

func TestLRMThatRestartsKeepsItsServicesFrozen(t *testing.T) {
	services := map[ha.SID]*ha.ServiceStatus{}
	for _, state := range ha.ServiceStates {
		services[ha.SID("vm:"+string(state))] = &ha.ServiceStatus{State: state, Node: "node2", Target: "node1"}
	}
	f, m := managing(t, services)
	f.want("vm:request_stop", ha.RequestStopped)
	f.want("vm:stopped", ha.RequestStopped)
	f.setMode("node2", ha.ModeRestart)
	f.rounds(t, m, 1)
	got := map[ha.SID]ha.ServiceState{}
	for sid, s := range f.manager.ServiceStatus {
		got[sid] = s.State
	}
	require.Equal(t, map[ha.SID]ha.ServiceState{
		"vm:started":               ha.Freeze,
		"vm:stopped":               ha.Freeze,
		"vm:request_stop":          ha.Freeze,
		"vm:request_start":         ha.Freeze, // by way of started
		"vm:freeze":                ha.Freeze,
		"vm:recovery":              ha.Started, // on another node
		"vm:migrate":               ha.Migrate,
		"vm:relocate":              ha.Relocate,
		"vm:request_start_balance": ha.RequestStartBalance,
		"vm:fence":                 ha.Fence,
		"vm:error":                 ha.Error,
	}, got)

	f.setMode("node2", ha.ModeActive)
	f.rounds(t, m, 1)
	require.Equal(t, ha.Started, f.manager.ServiceStatus["vm:started"].State)
	require.Equal(t, ha.RequestStop, f.manager.ServiceStatus["vm:stopped"].State, "it may have been started meanwhile")
}

func TestLRMWithoutAModeIsActive(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{"vm:1": {State: ha.Freeze, Node: "node2"}})
	delete(f.lrms, "node2")
	f.rounds(t, m, 1)
	require.Equal(t, ha.Started, f.manager.ServiceStatus["vm:1"].State)
}

func TestReportCountsForItsOrderOnly(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{
		"vm:1": {State: ha.Started, Node: "node1", UID: "mine"},
		"vm:2": {State: ha.RequestStop, Node: "node1"}, // written without an order
	})
	f.report("node1", "other", ha.ExitError)
	f.report("node2", "", ha.ExitSuccess)
	require.Empty(t, f.rounds(t, m, 1))
	require.Equal(t, &ha.ServiceStatus{State: ha.Started, Node: "node1", UID: "mine"}, f.manager.ServiceStatus["vm:1"])
	require.Equal(t, ha.RequestStop, f.manager.ServiceStatus["vm:2"].State)
}

func TestOfTwoReportsOnOneOrderTheFirstNodeCounts(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{"vm:1": {State: ha.RequestStop, Node: "node2", UID: "mine"}})
	f.want("vm:1", ha.RequestStopped)
	f.report("node3", "mine", ha.ExitError)
	f.report("node1", "mine", ha.ExitSuccess)
	f.rounds(t, m, 1)
	require.Equal(t, ha.Stopped, f.manager.ServiceStatus["vm:1"].State)
}

func TestStartThatSucceededIsOrderedAgain(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{"vm:1": {State: ha.Started, Node: "node1", UID: "mine"}})
	f.report("node1", "mine", ha.ExitSuccess)
	require.Empty(t, f.rounds(t, m, 1))
	require.Equal(t, &ha.ServiceStatus{State: ha.Started, Node: "node1", UID: "started-1", Running: true}, f.manager.ServiceStatus["vm:1"])
	f.rounds(t, m, 1)
	require.Equal(t, "started-1", f.manager.ServiceStatus["vm:1"].UID, "as long as that is not reported on")
}

// A start that fails goes from node to node, as often as the configuration
// says, and then stays where it was last.
func TestRelocationPolicy(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{"ct:1": {State: ha.Started, Node: "node1", UID: "o1", Running: true}})
	cfg := f.services["ct:1"]
	cfg.MaxRelocate = 2
	f.configure("ct:1", cfg)

	f.report("node1", "o1", ha.ExitError)
	require.Equal(t, []string{
		"warning: starting service ct:1 on node 'node1' failed, relocating service.",
		"info: relocate service 'ct:1' to node 'node2'",
		"info: service 'ct:1': state changed from 'started' to 'relocate'  (node = node1, target = node2)",
	}, f.rounds(t, m, 1))
	arrive := func(node string) {
		t.Helper()
		s := m.services["ct:1"]
		f.report(s.Node, s.UID, ha.ExitSuccess)
		f.rounds(t, m, 1)
		require.Equal(t, ha.Started, s.State)
		require.Equal(t, node, s.Node)
	}
	arrive("node2")
	f.report("node2", m.services["ct:1"].UID, ha.ExitWrongNode)
	require.Contains(t, f.rounds(t, m, 1), "info: relocate service 'ct:1' to node 'node3'")
	arrive("node3")
	f.report("node3", m.services["ct:1"].UID, ha.ExitError)
	require.Equal(t, []string{
		"err: recovery policy for service ct:1 failed, entering error state. Failed nodes: node1, node2, node3",
		"info: service 'ct:1': state changed from 'started' to 'error'",
	}, f.rounds(t, m, 1))
	require.Equal(t, []string{"node1", "node2", "node3"}, f.manager.ServiceStatus["ct:1"].FailedNodes)

	f.want("ct:1", ha.RequestDisabled)
	f.rounds(t, m, 1)
	require.Equal(t, ha.Stopped, f.manager.ServiceStatus["ct:1"].State)
	require.Nil(t, f.manager.ServiceStatus["ct:1"].FailedNodes, "a person looked at it")
}

func TestRelocationThatSucceedsForgetsTheFailures(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{
		"vm:1": {State: ha.Started, Node: "node3", UID: "o", FailedNodes: []string{"node1", "node2"}},
	})
	f.report("node3", "o", ha.ExitSuccess)
	require.Equal(t, []string{
		"info: relocation policy successful for 'vm:1' on node 'node3', failed nodes: node1, node2",
	}, f.rounds(t, m, 1))
	require.Nil(t, f.manager.ServiceStatus["vm:1"].FailedNodes)
}

func TestStartIsTriedAgainWhereItIsWhenAllNodesWereTried(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{
		"vm:1": {State: ha.Started, Node: "node3", UID: "o", FailedNodes: []string{"node1", "node2"}},
	})
	cfg := f.services["vm:1"]
	cfg.MaxRelocate = 5
	f.configure("vm:1", cfg)
	f.report("node3", "o", ha.ExitError)
	require.Equal(t, []string{
		"warning: starting service vm:1 on node 'node3' failed, relocating service.",
		"warning: Start Error Recovery: Tried all available nodes for service 'vm:1'," +
			" retry start on current node. Tried nodes: node1, node2, node3",
	}, f.rounds(t, m, 1))
	require.Equal(t, "started-1", f.manager.ServiceStatus["vm:1"].UID)
}

// A node that was fenced during a migration leaves the guest on either side.
func TestStoppedServiceIsFoundWhereItsGuestIs(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{"vm:1": {State: ha.Stopped, Node: "node1", UID: "o"}})
	f.guest("vm:1", "node2", ha.RequestStopped)
	require.Equal(t, []string{"info: fixup service 'vm:1' location (node1 => node2)"}, f.rounds(t, m, 1))
	require.Equal(t, &ha.ServiceStatus{State: ha.Stopped, Node: "node2", UID: "o"}, f.manager.ServiceStatus["vm:1"])
}

func TestServiceLeavesANodeInMaintenanceAndComesBack(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{"vm:1": {State: ha.Started, Node: "node1", UID: "o"}})
	f.setMode("node1", ha.ModeMaintenance)
	require.Equal(t, []string{
		"info: node 'node1': state changed from 'online' => 'maintenance'",
		"info: migrate service 'vm:1' to node 'node2' (running)",
		"info: service 'vm:1': state changed from 'started' to 'migrate'  (node = node1, target = node2)",
	}, f.rounds(t, m, 1))
	f.report("node1", m.services["vm:1"].UID, ha.ExitSuccess)
	f.lrms["node1"].Mode = ha.ModeMaintenance
	f.rounds(t, m, 1)
	require.Equal(t, "node1", f.manager.ServiceStatus["vm:1"].MaintenanceNode)

	f.setMode("node1", ha.ModeActive)
	require.Equal(t, []string{
		"info: node 'node1': state changed from 'maintenance' => 'online'",
		"info: moving service 'vm:1' back to 'node1', node came back from maintenance.",
		"info: migrate service 'vm:1' to node 'node1' (running)",
		"info: service 'vm:1': state changed from 'started' to 'migrate'  (node = node2, target = node1)",
	}, f.rounds(t, m, 1))
	require.Empty(t, f.manager.ServiceStatus["vm:1"].MaintenanceNode)
}

func TestServiceThatCannotLeaveStaysDuringMaintenance(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{"vm:1": {State: ha.Started, Node: "node1", UID: "o"}})
	f.rules = onlyNode1
	f.setMode("node1", ha.ModeMaintenance)
	f.rounds(t, m, 1)
	require.Equal(t, "node1", f.manager.ServiceStatus["vm:1"].MaintenanceNode)
	f.setMode("node1", ha.ModeActive)
	require.Equal(t, []string{
		"info: node 'node1': state changed from 'maintenance' => 'online'",
		"info: service 'vm:1': clearing stale maintenance node 'node1' setting (is current node)",
	}, f.rounds(t, m, 1))
}

func TestServiceSentElsewhereDoesNotComeBackFromMaintenance(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{
		"vm:1": {State: ha.Started, Node: "node2", UID: "o", MaintenanceNode: "node1"},
	})
	f.members["node1"] = true
	f.setMode("node1", ha.ModeMaintenance)
	f.rounds(t, m, 1) // node1 is in maintenance
	f.report("node2", "o", ha.ExitError)
	require.Equal(t, []string{
		"warning: starting service vm:1 on node 'node2' failed, relocating service.",
		"info: dropping maintenance fallback node 'node1' for 'vm:1'",
		"info: migrate service 'vm:1' to node 'node3' (running)",
		"info: service 'vm:1': state changed from 'started' to 'migrate'  (node = node2, target = node3)",
	}, f.rounds(t, m, 1))
}

func TestRebalanceOnStart(t *testing.T) {
	for name, test := range map[string]struct {
		node  string
		rules string
		want  []string
	}{
		"to a better node": {
			node: "node2",
			want: []string{
				"info: service vm:1: re-balance selected new node node1 for startup",
				"info: service 'vm:1': state changed from 'request_start' to 'request_start_balance'  (node = node2, target = node1)",
			},
		},
		"where it is": {
			node: "node1",
			want: []string{
				"info: service vm:1: re-balance selected current node node1 for startup",
				"info: service 'vm:1': state changed from 'request_start' to 'started'  (node = node1)",
			},
		},
		// As in the Perl stack. The LRM refuses the order, and the service is
		// started where it is.
		"no node is allowed": {
			node: "node1", rules: "node-affinity: away\n\tresources vm:1\n\tnodes node9\n\tstrict 1\n",
			want: []string{
				"info: service vm:1: re-balance selected new node  for startup",
				"info: service 'vm:1': state changed from 'request_start' to 'request_start_balance'  (node = node1, target = )",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, m := managing(t, map[ha.SID]*ha.ServiceStatus{"vm:1": {State: ha.RequestStart, Node: test.node}})
			f.scheduling.RebalanceOnStart = true
			f.rules = test.rules
			require.Equal(t, test.want, f.rounds(t, m, 1))
		})
	}
}

func TestEveryChangeIsToldToWhoAsked(t *testing.T) {
	f, _ := managing(t, nil)
	f.guest("vm:1", "node1", ha.RequestStarted)
	var told []string
	cfg := f.config()
	cfg.OnChange = func(sid ha.SID, from, to ha.ServiceState) {
		told = append(told, string(sid)+" "+string(from)+">"+string(to))
	}
	m, err := newManager(f, cfg)
	require.NoError(t, err)
	f.rounds(t, m, 2)
	require.Equal(t, []string{"vm:1 >request_start", "vm:1 request_start>started"}, told)
}

// An LRM that came back says that it is active before it has its lock. If it is
// cut off in between, the guests run on without a watchdog.
func TestServicesOfANodeThatWasCutOffBeforeItsLRMHadItsLockStayFrozen(t *testing.T) {
	for name, c := range map[string]struct {
		online bool
		state  ha.LRMState
		want   ha.ServiceState
	}{
		"online, without the lock": {true, ha.LRMWaitForAgentLock, ha.Started},
		"away, without the lock":   {false, ha.LRMWaitForAgentLock, ha.Freeze},
		"away, with the lock":      {false, ha.LRMActive, ha.Started},
	} {
		t.Run(name, func(t *testing.T) {
			f, m := managing(t, map[ha.SID]*ha.ServiceStatus{"vm:1": {State: ha.Freeze, Node: "node2"}})
			f.members["node2"] = c.online
			f.lrms["node2"].State = c.state
			f.rounds(t, m, 2)
			require.Equal(t, c.want, f.manager.ServiceStatus["vm:1"].State)
		})
	}
}
