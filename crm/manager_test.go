package crm

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
)

// Rules that cannot be kept are dropped with a message whenever the rules are
// compiled, which shows when that is.
func TestRulesAreCompiledWhenSomethingTheyDependOnChanges(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{"vm:1": started("node1")})
	m.groupRounds = 100 // not in this test
	f.rules = "resource-affinity: alone\n\tresources vm:1\n\taffinity positive\n"
	dropped := []string{
		"info: Drop rule 'alone', because rule is ineffective as there are less than two resources.",
	}
	require.Equal(t, dropped, f.rounds(t, m, 1), "at the start")
	require.Empty(t, f.rounds(t, m, 3))

	f.rules += "\n# a comment\n"
	require.Equal(t, dropped, f.rounds(t, m, 1), "other rules")
	f.groups = "group: new\n\tnodes node1\n"
	require.Equal(t, dropped, f.rounds(t, m, 1), "other groups")
	f.want("vm:1", ha.RequestStarted)
	require.Equal(t, dropped, f.rounds(t, m, 1), "other services")
	f.addNode("node4")
	require.Equal(t, append([]string{"info: node 'node4': state changed from 'unknown' => 'online'"}, dropped...),
		f.rounds(t, m, 1), "another node")
}

// A round takes in the nodes before anything else. When it fails after that,
// the next one still has to compile the rules for them; the Perl stack does
// not.
func TestRulesKnowTheNodesOfAFailedRound(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{"vm:1": started("node1")})
	f.rules = preferNode1
	f.rounds(t, m, 1)
	f.addNode("node4")
	f.fault = f.failing("Services")
	require.ErrorIs(t, m.Round(), errDown)
	f.fault = nil
	f.rounds(t, m, 1)
	require.Equal(t, map[string]int{"node1": 0, "node2": -1, "node3": -1, "node4": -1}, m.rules.NodePriorities()["vm:1"])
}

func TestNodeStateThatIsNotKnownEndsTheRound(t *testing.T) {
	f, _ := managing(t, nil)
	f.manager.NodeStatus["node2"] = "levitating"
	require.EqualError(t, f.master(t).Round(), "detected unknown node state 'levitating' of node 'node2'")
}

func TestEverythingOfAServiceButWhatIsNamedIsForgottenWhenItsStateChanges(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{"vm:1": {
		State: ha.RequestStop, Node: "node1", UID: "o", Timeout: "9", Running: true, Target: "node9",
		Cmd: []string{"migrate", "node2"}, FailedNodes: []string{"node3"}, MaintenanceNode: "node2",
		Extra: map[string]json.RawMessage{"more": json.RawMessage("1")},
	}})
	f.want("vm:1", ha.RequestStopped)
	f.report("node1", "o", ha.ExitSuccess)
	f.rounds(t, m, 1)
	require.Equal(t, &ha.ServiceStatus{
		State: ha.Stopped, Node: "node1", UID: "stopped-1", FailedNodes: []string{"node3"}, MaintenanceNode: "node2",
	}, f.manager.ServiceStatus["vm:1"])
}

// A service can go through many states in one round.
func TestRoundGoesOnUntilNothingChanges(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{"vm:1": {State: ha.Stopped, Node: "node3"}})
	f.members["node3"] = false
	f.agentLock = func(string) bool { return true }
	f.want("vm:1", ha.RequestStopped)
	f.rounds(t, m, 6)
	f.want("vm:1", ha.RequestStarted)
	require.Equal(t, []string{
		"info: service 'vm:1': state changed from 'stopped' to 'fence'",
		"info: node 'node3': state changed from 'unknown' => 'fence'",
		"info: fencing: acknowledged - got agent lock for node 'node3'",
		"info: node 'node3': state changed from 'fence' => 'unknown'",
		"info: service 'vm:1': state changed from 'fence' to 'recovery'",
		"info: recover service 'vm:1' from fenced node 'node3' to node 'node1'",
		"info: service 'vm:1': state changed from 'recovery' to 'started'  (node = node1)",
	}, f.rounds(t, m, 1))
}

// What the environment returns is shared and stays as it is.
func TestConfigurationIsNotChangedInPlace(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{"vm:1": {State: ha.Recovery, Node: "node3"}})
	f.members["node3"] = false
	f.groups = "group: one\n\tnodes node1\n\tnofailback 1\n"
	cfg := f.services["vm:1"]
	cfg.Group = "one"
	f.configure("vm:1", cfg)
	f.rounds(t, m, 1)
	cfg.Node = "node1" // taken over
	require.Equal(t, cfg, f.services["vm:1"])
	require.True(t, cfg.Failback)
}

func TestNoConfigurationIsNoService(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{"vm:1": started("node1")})
	f.services = nil
	require.Equal(t, []string{"info: removing stale service 'vm:1' (no config)"}, f.rounds(t, m, 1))
}
