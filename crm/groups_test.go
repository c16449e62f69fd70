package crm

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
)

const (
	startGroups = "notice: start ha group migration..."
	rulesDone   = "notice: ha groups migration: migration to rules config successful"
	configDone  = "notice: ha groups migration: migration to resources config successful"
	groupsDone  = "notice: ha groups migration: group config deletion successful"
	groupsOK    = "notice: ha groups migration successful"
)

func groupsFailed(why string) []string {
	return []string{
		"err: abort ha groups migration: " + why,
		"err: ha groups migration failed",
		"notice: retry ha groups migration in 6 rounds (~ 60 seconds)",
	}
}

// nodeOK is what is said of a node that may read rules.
func nodeOK(node string) []string {
	return []string{
		"notice: ha groups migration: node '" + node + "' is in state 'online'",
		"notice: ha groups migration: lrm '" + node + "' is in state 'active' and mode 'active'",
		"notice: ha groups migration: node '" + node + "' has version '9.0.0'",
	}
}

// grouped is a cluster of two nodes with groups: vm:1 is in one that does not
// fail back, vm:2 in one that does, vm:3 in one that is not defined, and vm:4
// in none.
func grouped(t *testing.T) (*fake, *Manager) {
	t.Helper()
	f := newFake("node1", "node2")
	f.manager = &ha.ManagerStatus{NodeStatus: map[string]ha.NodeState{"node1": ha.NodeOnline, "node2": ha.NodeOnline}}
	for sid, group := range map[ha.SID]string{"vm:1": "first", "vm:2": "second", "vm:3": "third", "vm:4": ""} {
		f.configure(sid, ha.ServiceConfig{Node: "node1", State: ha.RequestStarted, Group: group, Failback: true})
	}
	f.groups = "group: first\n\tnodes node1:2,node2\n\tnofailback 1\n\tcomment Home\n\n" +
		"group: second\n\tnodes node1\n\trestricted 1\n\n"
	m := f.master(t)
	return f, m
}

const groupsAsRules = "node-affinity: ha-group-first\n\tcomment Home\n\tnodes node1:2,node2\n\tresources vm:1\n\n" +
	"node-affinity: ha-group-second\n\tcomment Generated from HA group 'second'.\n\tnodes node1\n\tresources vm:2\n\tstrict 1\n\n"

func concat(parts ...any) (all []string) {
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			all = append(all, p)
		case []string:
			all = append(all, p...)
		}
	}
	return all
}

func TestGroupsBecomeRulesInTheThirdRound(t *testing.T) {
	f, m := grouped(t)
	require.NotContains(t, f.rounds(t, m, 2), startGroups, "the nodes have to settle")
	require.Empty(t, f.rules)
	f.taken()
	require.NoError(t, m.Round())
	require.Equal(t, concat(startGroups, nodeOK("node1"), nodeOK("node2"),
		"write rules", rulesDone,
		"configure vm:1: state started, failback false, group ''",
		"configure vm:2: state started, failback true, group ''",
		"configure vm:3: state started, failback true, group ''",
		configDone, "delete groups", groupsDone, groupsOK, "write manager status",
	), f.taken())
	require.Equal(t, groupsAsRules, f.rules)
	require.Empty(t, f.groups)
	require.Empty(t, f.rounds(t, m, 20), "that is all")
}

// As long as there are groups, services are placed as if they were rules.
func TestGroupsCountUntilThen(t *testing.T) {
	f, m := grouped(t)
	f.version["node2"] = ""
	for sid, node := range map[ha.SID]string{"vm:1": "node2", "vm:2": "node2"} {
		cfg := f.services[sid]
		cfg.Node = node
		f.configure(sid, cfg)
	}
	log := f.rounds(t, m, 1)
	require.NotContains(t, log, "info: migrate service 'vm:1' to node 'node1' (running)", "no failback")
	require.Contains(t, log, "info: migrate service 'vm:2' to node 'node1' (running)")
	require.Equal(t, "first", f.services["vm:1"].Group)
}

func TestGroupsThatChangeCountAtOnce(t *testing.T) {
	f, m := grouped(t)
	f.version["node2"] = ""
	f.rounds(t, m, 1)
	f.groups = "group: second\n\tnodes node2\n\n"
	require.Contains(t, f.rounds(t, m, 1), "info: migrate service 'vm:2' to node 'node2' (running)")
}

func TestGroupsAreKeptWhereANodeCannotReadRules(t *testing.T) {
	online := "notice: ha groups migration: node 'node2' is in state 'online'"
	for name, test := range map[string]struct {
		change func(f *fake, m *Manager)
		said   []string // of the nodes
		why    string
	}{
		"no quorum": {func(f *fake, _ *Manager) { f.quorate = false }, nil, "cluster is not quorate"},
		"a node that is offline": {
			func(f *fake, _ *Manager) { f.members["node2"] = false },
			concat(nodeOK("node1"), "notice: ha groups migration: node 'node2' is in state 'unknown'"), "node 'node2' is not online",
		},
		"a node in maintenance": {
			func(f *fake, _ *Manager) { f.setMode("node2", ha.ModeMaintenance) },
			concat(nodeOK("node1"), "notice: ha groups migration: node 'node2' is in state 'maintenance'"), "node 'node2' is not online",
		},
		"an LRM that cannot be read": {
			func(f *fake, _ *Manager) {
				reads := 0
				f.fault = func(_ int, name string) (error, error) {
					if name == "ReadLRMStatus" {
						reads++
					}
					if name == "ReadLRMStatus" && reads == 3 { // the first two are for the states of the nodes
						return errDown, nil
					}
					return nil, nil
				}
			},
			concat("notice: ha groups migration: node 'node1' is in state 'online'"), "connection refused",
		},
		"an LRM without a status": {
			func(f *fake, _ *Manager) { delete(f.lrms, "node2") },
			concat(nodeOK("node1"), online), "could not retrieve state for lrm 'node2'",
		},
		"an LRM without a mode": {
			func(f *fake, _ *Manager) { f.setMode("node2", "") },
			concat(nodeOK("node1"), online), "could not retrieve state for lrm 'node2'",
		},
		"an LRM that lost its lock": {
			func(f *fake, _ *Manager) { f.lrms["node2"].State = ha.LRMLostAgentLock },
			concat(nodeOK("node1"), online, "notice: ha groups migration: lrm 'node2' is in state 'lost_agent_lock' and mode 'active'"),
			"lrm 'node2' is not in state 'active' or 'idle'",
		},
		"an LRM that should have its lock": {
			func(f *fake, m *Manager) {
				f.lrms["node2"].State = ha.LRMWaitForAgentLock
				m.services["vm:4"].Node = "node2"
			},
			concat(nodeOK("node1"), online, "notice: ha groups migration: lrm 'node2' is in state 'wait_for_agent_lock' and mode 'active'"),
			"lrm 'node2' is not in state 'active' or 'idle'",
		},
		"an LRM that restarts": {
			func(f *fake, _ *Manager) { f.setMode("node2", ha.ModeRestart) },
			concat(nodeOK("node1"), online, "notice: ha groups migration: lrm 'node2' is in state 'active' and mode 'restart'"),
			"lrm 'node2' is not in mode 'active'",
		},
		"a version that is not known": {
			func(f *fake, _ *Manager) { delete(f.version, "node2") },
			concat(nodeOK("node1"), nodeOK("node2")[:2]), "could not retrieve version from node 'node2'",
		},
		"a version that cannot be read": {
			func(f *fake, _ *Manager) { f.fault = f.failing("NodeVersion") }, nodeOK("node1")[:2], "connection refused",
		},
		"a version that is too old": {
			func(f *fake, _ *Manager) { f.version["node2"] = "9.0.0~15" },
			concat(nodeOK("node1"), nodeOK("node2")[:2], "notice: ha groups migration: node 'node2' has version '9.0.0~15'"),
			"node 'node2' needs at least pve-manager version '9.0.0~16'",
		},
		"rules that cannot be written": {
			func(f *fake, _ *Manager) { f.fault = f.failing("WriteRules") },
			concat(nodeOK("node1"), nodeOK("node2")), "connection refused",
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, m := grouped(t)
			f.rounds(t, m, 2)
			test.change(f, m)
			groups := f.groups
			log := f.rounds(t, m, 1)
			log = log[slices.Index(log, startGroups):]
			want := concat(startGroups, test.said, groupsFailed(test.why))
			require.Equal(t, want, log[:len(want)])
			require.Equal(t, groups, f.groups)
			require.Empty(t, f.rules)
		})
	}
}

func TestGroupsAreKeptWithoutNodes(t *testing.T) {
	f := newFake("node1")
	m := f.master(t)
	require.EqualError(t, m.canReplaceGroups(), "node list is empty")
	require.EqualError(t, m.nodeReadsRules(""), "node with empty name")
	require.Empty(t, f.logged())
}

func TestLRMThatIsIdleReadsRules(t *testing.T) {
	f, m := grouped(t)
	f.lrms["node2"].State = ha.LRMWaitForAgentLock
	require.Contains(t, f.rounds(t, m, 3), groupsOK)
}

func TestGroupsAreTriedEverySixRounds(t *testing.T) {
	f, m := grouped(t)
	f.version["node1"] = "8.4.1"
	var tried []int
	for n := 1; n <= 20; n++ {
		for _, line := range f.rounds(t, m, 1) {
			if line == startGroups {
				tried = append(tried, n)
			}
		}
	}
	require.Equal(t, []int{3, 9, 15}, tried)
	f.version["node1"] = "9.0.0~16"
	require.Contains(t, f.rounds(t, m, 1), groupsOK)
}

// Each of the three writes can fail, before or after its effect: another try
// comes to the same, and in between services are placed as before.
func TestGroupsThatWereReplacedByHalf(t *testing.T) {
	for _, call := range []string{"WriteRules", "UpdateServices", "DeleteGroups"} {
		for name, after := range map[string]bool{"before": false, "after": true} {
			t.Run(call+" "+name+" its effect", func(t *testing.T) {
				f, m := grouped(t)
				f.rounds(t, m, 2)
				f.fault = func(_ int, name string) (error, error) {
					switch {
					case name != call:
						return nil, nil
					case after:
						return nil, errDown
					default:
						return errDown, nil
					}
				}
				log := f.rounds(t, m, 1)
				require.Subset(t, log, groupsFailed("connection refused"))
				require.NotContains(t, log, groupsOK)
				f.fault = nil
				for range 5 {
					require.Empty(t, f.rounds(t, m, 1))
					priorities := m.rules.NodePriorities()
					require.Equal(t, map[string]int{"node1": 2, "node2": 0}, priorities["vm:1"])
					require.Equal(t, map[string]int{"node1": 0}, priorities["vm:2"])
				}
				if after && call == "DeleteGroups" { // that was all
					require.Empty(t, f.rounds(t, m, 1))
				} else {
					require.Contains(t, f.rounds(t, m, 1), groupsOK)
				}
				require.Equal(t, groupsAsRules, f.rules)
				require.Empty(t, f.groups)
				require.False(t, f.services["vm:1"].Failback)
				require.True(t, f.services["vm:2"].Failback)
				for _, cfg := range f.services {
					require.Empty(t, cfg.Group)
				}
			})
		}
	}
}

// A section that is broken cannot become a rule, but it makes the file one that
// is to be replaced.
func TestGroupsThatAreBrokenAreDropped(t *testing.T) {
	f, m := grouped(t)
	f.groups = "group: first\n\tnodes !\n\n"
	require.Contains(t, f.rounds(t, m, 3), groupsOK)
	require.Empty(t, f.groups)
	require.Empty(t, f.rules)
}
