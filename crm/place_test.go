package crm

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/cfgparse/hacfg"
	"pveha/crm/rules"
	"pveha/crm/usage"
	"pveha/internal/ha"
)

// compile turns the text of a rules.cfg into what placement works with.
func compile(t testing.TB, text string, nodes ...string) *rules.Compiled {
	t.Helper()
	r, problems := hacfg.ParseRules("rules.cfg", []byte(text))
	require.Empty(t, problems)
	require.Empty(t, rules.Transform(r, nodes), "the rules of a test have no conflicts")
	return rules.Compile(r, nodes)
}

// A service that prefers node1 follows the nodes that come and go. The steps
// are those of the Perl stack's own test of its placement.
func TestPlacementFollowsTheNodesThatComeAndGo(t *testing.T) {
	const sid = "vm:111"
	s := &ha.ServiceStatus{State: ha.Started, Node: "node1"}
	p := placement{
		rules: compile(t, "node-affinity: prefer_node1\n\tresources vm:111\n\tnodes node1\n",
			"node1", "node2", "node3"),
		services: map[ha.SID]*ha.ServiceStatus{sid: s},
	}
	for i, step := range []struct {
		online []string
		pref   preference
		want   string
	}{
		{[]string{"node1", "node2", "node3"}, stay, "node1"},
		{[]string{"node1", "node2", "node3"}, another, "node1"},
		{[]string{"node2", "node3"}, stay, "node2"},
		{[]string{"node2", "node3"}, another, "node3"},
		{[]string{"node2", "node3"}, another, "node2"},
		{[]string{"node3"}, stay, "node3"},
		{[]string{"node3"}, another, "node3"},
		{[]string{"node1", "node3"}, stay, "node1"},
		{[]string{"node1", "node2", "node3"}, stay, "node1"},
		{[]string{"node1", "node2", "node3"}, another, "node1"},
	} {
		p.usage = usage.NewBasic(step.online)
		s.Node = p.choose(sid, ha.ServiceConfig{Failback: true}, step.pref)
		require.Equalf(t, step.want, s.Node, "step %d", i+1)
	}
}

const (
	preferNode1  = "node-affinity: nodes\n\tresources vm:1\n\tnodes node1\n\n"
	onlyNode1    = "node-affinity: nodes\n\tresources vm:1\n\tnodes node1\n\tstrict 1\n\n"
	onlyNode12   = "node-affinity: nodes\n\tresources vm:1\n\tnodes node1,node2\n\tstrict 1\n\n"
	oneThenTwo   = "node-affinity: nodes\n\tresources vm:1\n\tnodes node1:2,node2:1\n\tstrict 1\n\n"
	withVM2      = "resource-affinity: together\n\tresources vm:1,vm:2,vm:3,vm:4\n\taffinity positive\n\n"
	apartFromVM2 = "resource-affinity: apart\n\tresources vm:1,vm:2\n\taffinity negative\n\n"
)

// started, moving and failed make the status of a service.
func started(node string) *ha.ServiceStatus { return &ha.ServiceStatus{State: ha.Started, Node: node} }

func moving(from, to string) *ha.ServiceStatus {
	return &ha.ServiceStatus{State: ha.Migrate, Node: from, Target: to}
}

func failed(on ...string) *ha.ServiceStatus {
	return &ha.ServiceStatus{State: ha.Started, Node: on[len(on)-1], FailedNodes: on}
}

func fromMaintenance(node, home string) *ha.ServiceStatus {
	return &ha.ServiceStatus{State: ha.Started, Node: node, MaintenanceNode: home}
}

func TestPlacement(t *testing.T) {
	all := []string{"node1", "node2", "node3"}
	type others = map[ha.SID]*ha.ServiceStatus
	for name, test := range map[string]struct {
		rules      string
		online     []string // nil: all three
		service    *ha.ServiceStatus
		others     others
		noFailback bool
		pref       preference
		want       string // "": nowhere
	}{
		"stays although other nodes are emptier": {
			service: started("node1"), others: others{"vm:8": started("node1"), "vm:9": started("node1")}, want: "node1",
		},
		"leaves for a node with a better score only when asked to": {
			service: started("node1"), others: others{"vm:8": started("node1"), "vm:9": started("node2")}, pref: best, want: "node3",
		},
		"equals are taken by name, the current node has no bonus": {
			service: &ha.ServiceStatus{State: ha.RequestStart, Node: "node3"}, pref: best, want: "node1",
		},
		"its own load counts against the current node": {
			service: started("node1"), pref: best, want: "node2",
		},
		"a service that moves counts on both its nodes": {
			service: started("node3"), others: others{"vm:8": moving("node1", "node2")}, pref: best, want: "node1",
		},
		"nowhere without a node online": {online: []string{}, service: started("node1")},

		"a strict rule keeps it off the others, to the last": {
			rules: onlyNode1, online: []string{"node2", "node3"}, service: started("node1"),
		},
		"a rule that is not strict lets others do meanwhile": {
			rules: preferNode1, online: []string{"node2", "node3"}, service: started("node1"), pref: best, want: "node2",
		},
		"the highest priority that is online counts": {
			rules: oneThenTwo, online: []string{"node2", "node3"}, service: started("node1"), pref: best, want: "node2",
		},

		"goes back to the preferred node": {rules: oneThenTwo, service: started("node2"), want: "node1"},
		"without failback it stays on any allowed node": {
			rules: oneThenTwo, service: started("node2"), noFailback: true, want: "node2",
		},
		"without failback it still leaves a node that is not allowed": {
			rules: oneThenTwo, service: started("node3"), noFailback: true, want: "node1",
		},
		"without failback it still leaves a service to be kept apart from": {
			rules: apartFromVM2, service: started("node1"), others: others{"vm:2": started("node1")}, noFailback: true, want: "node2",
		},
		"without failback it does not follow the services it belongs to": {
			rules: withVM2, service: started("node1"), others: others{"vm:2": started("node2"), "vm:3": started("node2")}, noFailback: true, want: "node1",
		},
		"without failback it stays beside one it belongs to, whoever else is there": {
			rules:   "resource-affinity: pair\n\tresources vm:1,vm:3\n\taffinity positive\n\n" + apartFromVM2,
			service: started("node1"), others: others{"vm:2": started("node1"), "vm:3": started("node1")}, noFailback: true, want: "node1",
		},
		"failback does not matter when the best node is asked for": {
			rules: oneThenTwo, service: started("node2"), noFailback: true, pref: best, want: "node1",
		},
		"failback does not matter after a failed start": {
			service: failed("node1"), noFailback: true, pref: another, want: "node2",
		},

		"goes home after maintenance, whatever the scores": {
			service: fromMaintenance("node1", "node3"), others: others{"vm:8": started("node3"), "vm:9": started("node3")}, want: "node3",
		},
		"goes home when the best node is asked for, too": {
			service: fromMaintenance("node1", "node3"), others: others{"vm:8": started("node3")}, pref: best, want: "node3",
		},
		"does not go home while its node is in maintenance": {
			online: []string{"node1", "node2"}, service: fromMaintenance("node1", "node3"), want: "node1",
		},
		"does not go home where a rule does not want it": {
			rules: onlyNode12, service: fromMaintenance("node2", "node3"), want: "node2",
		},
		"does not go home where it failed": {
			service: &ha.ServiceStatus{State: ha.Started, Node: "node2", MaintenanceNode: "node1", FailedNodes: []string{"node1", "node2"}},
			pref:    another, want: "node3",
		},
		"without failback it does not go home": {
			service: fromMaintenance("node1", "node3"), noFailback: true, want: "node1",
		},

		"another is the best on which it has not failed": {
			service: failed("node1"), others: others{"vm:8": started("node2")}, pref: another, want: "node3",
		},
		"another is found with the node before last tried twice": {
			service: failed("node1", "node1", "node2"), pref: another, want: "node3",
		},
		"another is nowhere when all were tried": {
			service: failed("node3", "node1", "node2"), pref: another,
		},
		"another of a strict rule is nowhere when its nodes were tried": {
			rules: onlyNode1, service: failed("node1"), pref: another,
		},

		"stays with those it belongs to": {
			rules: withVM2, service: started("node1"), others: others{"vm:2": started("node1"), "vm:3": started("node2")}, want: "node1",
		},
		"goes where most of those it belongs to are": {
			rules: withVM2, service: started("node1"),
			others: others{"vm:2": started("node1"), "vm:3": started("node3"), "vm:4": started("node3")}, want: "node3",
		},
		"goes to the first by name where equally many are": {
			rules: withVM2, service: started("node2"), others: others{"vm:2": started("node3"), "vm:3": started("node1")}, want: "node1",
		},
		"goes where those it belongs to are going, not where they come from": {
			rules: withVM2, service: started("node1"), others: others{"vm:2": moving("node1", "node3")}, want: "node3",
		},
		"those it belongs to do not matter where it may not be": {
			rules: onlyNode1 + withVM2, service: started("node1"), others: others{"vm:2": started("node3")}, want: "node1",
		},
		"those it belongs to do not matter while stopped": {
			rules: withVM2, service: started("node1"), others: others{"vm:2": {State: ha.Stopped, Node: "node3"}}, want: "node1",
		},
		"those it belongs to do not matter on a node that is not online": {
			rules: withVM2, online: []string{"node1", "node2"}, service: started("node1"), others: others{"vm:2": started("node3")}, want: "node1",
		},
		"one that is not managed has no place": {
			rules: withVM2, service: started("node3"), want: "node3",
		},

		"leaves the node of a service to be kept apart from": {
			rules: apartFromVM2, service: started("node1"), others: others{"vm:2": started("node1")}, want: "node2",
		},
		"keeps off the target of a service to be kept apart from as well": {
			rules: apartFromVM2, service: started("node2"), others: others{"vm:2": moving("node1", "node2")}, want: "node3",
		},
		"nowhere when every node has a service to be kept apart from": {
			rules: apartFromVM2, online: []string{"node1"}, service: started("node1"), others: others{"vm:2": started("node1")},
		},
		"does not go home to a service to be kept apart from": {
			rules: apartFromVM2, service: fromMaintenance("node1", "node3"), others: others{"vm:2": started("node3")}, want: "node1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			online := test.online
			if online == nil {
				online = all
			}
			p := placement{
				rules:    compile(t, test.rules, all...),
				usage:    usage.NewBasic(online),
				services: map[ha.SID]*ha.ServiceStatus{"vm:1": test.service},
				warn:     func(_ ha.SID, err error) { t.Error(err) },
			}
			for sid, s := range test.others {
				p.services[sid] = s
			}
			for sid, s := range p.services {
				require.NoError(t, p.usage.Add(sid, usage.PlacementOf(s, p.usage.Contains)))
			}
			got := p.choose("vm:1", ha.ServiceConfig{Failback: !test.noFailback}, test.pref)
			require.Equal(t, test.want, got)
		})
	}
}

// After a failed start the nodes are tried round and round: behind the current
// one in the order of their scores, although that one is taken out when it is
// among the tried nodes.
func TestAnotherNodeIsTheNextBehindTheCurrent(t *testing.T) {
	s := &ha.ServiceStatus{State: ha.Started, Node: "node2"} // not marked as failed there
	p := placement{
		rules:    compile(t, "", "node1", "node2", "node3"),
		usage:    usage.NewBasic([]string{"node1", "node2", "node3"}),
		services: map[ha.SID]*ha.ServiceStatus{"vm:1": s},
	}
	var visited []string
	for range 4 {
		s.Node = p.choose("vm:1", ha.ServiceConfig{Failback: true}, another)
		visited = append(visited, s.Node)
	}
	require.Equal(t, []string{"node3", "node1", "node2", "node3"}, visited)
}

// Without figures for the service no node can be scored: the log says so and
// the first node by name does.
func TestPlacementWithoutScoresGoesByName(t *testing.T) {
	sizes := map[string]usage.NodeStats{"node1": {MaxCPU: 8, MaxMem: 1 << 30}, "node2": {MaxCPU: 8, MaxMem: 1 << 30}}
	u, err := usage.NewStatic([]string{"node1", "node2"}, sizes, nil)
	require.NoError(t, err)
	var warnings []string
	p := placement{
		rules:    compile(t, "", "node1", "node2"),
		usage:    u,
		services: map[ha.SID]*ha.ServiceStatus{"vm:1": started("node2")},
		warn:     func(sid ha.SID, err error) { warnings = append(warnings, string(sid)+": "+err.Error()) },
	}
	require.Equal(t, "node1", p.choose("vm:1", ha.ServiceConfig{}, best))
	require.Equal(t, []string{"vm:1: unable to score nodes according to static usage for service 'vm:1' - " +
		"did not get static service usage information for 'vm:1'"}, warnings)

	warnings = nil
	require.Equal(t, "node2", p.choose("vm:1", ha.ServiceConfig{}, stay))
	require.Empty(t, warnings, "who stays needs no score")
}
