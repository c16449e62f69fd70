package crm

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/cfgparse/hacfg"
	"pveha/crm/rules"
	"pveha/crm/usage"
	"pveha/internal/ha"
)

const trio = "resource-affinity: trio\n\tresources vm:101,vm:102,vm:103\n\taffinity positive\n"

// The first six cases are those of the Perl stack's own test.
func TestBundlesOfServicesThatStayTogether(t *testing.T) {
	for name, test := range map[string]struct {
		rules    string
		services map[ha.SID]*ha.ServiceStatus
		want     map[ha.SID][]ha.SID
	}{
		"of one each without rules": {
			services: map[ha.SID]*ha.ServiceStatus{"vm:101": started("node1"), "vm:102": started("node1")},
			want:     map[ha.SID][]ha.SID{"vm:101": {"vm:101"}, "vm:102": {"vm:102"}},
		},
		"by their first member": {
			rules:    "resource-affinity: pair\n\tresources vm:101,vm:102\n\taffinity positive\n",
			services: map[ha.SID]*ha.ServiceStatus{"vm:101": started("node1"), "vm:102": started("node1")},
			want:     map[ha.SID][]ha.SID{"vm:101": {"vm:101", "vm:102"}},
		},
		"without a first member that is stopped": {
			rules: trio,
			services: map[ha.SID]*ha.ServiceStatus{
				"vm:101": {State: ha.Stopped, Node: "node1"}, "vm:102": started("node1"), "vm:103": started("node1"),
			},
			want: map[ha.SID][]ha.SID{"vm:102": {"vm:102", "vm:103"}},
		},
		"without a member that is stopped": {
			rules: trio,
			services: map[ha.SID]*ha.ServiceStatus{
				"vm:101": started("node1"), "vm:102": {State: ha.Stopped, Node: "node1"}, "vm:103": started("node1"),
			},
			want: map[ha.SID][]ha.SID{"vm:101": {"vm:101", "vm:103"}},
		},
		"not while a member moves": {
			rules: trio,
			services: map[ha.SID]*ha.ServiceStatus{
				"vm:101": started("node1"), "vm:102": moving("node2", "node1"),
				"vm:103": {State: ha.Relocate, Node: "node3", Target: "node1"},
			},
			want: map[ha.SID][]ha.SID{},
		},
		"not before all are on one node": {
			rules:    trio,
			services: map[ha.SID]*ha.ServiceStatus{"vm:101": started("node1"), "vm:102": started("node2"), "vm:103": started("node3")},
			want:     map[ha.SID][]ha.SID{},
		},
		"without members that are not managed": {
			rules:    trio,
			services: map[ha.SID]*ha.ServiceStatus{"vm:101": started("node1"), "vm:103": started("node1")},
			want:     map[ha.SID][]ha.SID{"vm:101": {"vm:101", "vm:103"}},
		},
		"a stopped member may be elsewhere": {
			rules:    trio,
			services: map[ha.SID]*ha.ServiceStatus{"vm:101": started("node1"), "vm:102": {State: ha.Stopped, Node: "node3"}},
			want:     map[ha.SID][]ha.SID{"vm:101": {"vm:101"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := &Manager{services: test.services, rules: compile(t, test.rules, "node1", "node2", "node3")}
			require.Equal(t, test.want, m.bundles())
		})
	}
}

func TestCandidatesForBalancing(t *testing.T) {
	text := strings.Join([]string{
		"node-affinity: some\n\tresources vm:1,vm:2\n\tnodes node1,node2\n",
		"node-affinity: one\n\tresources vm:3\n\tnodes node1\n\tstrict 1\n",
		"resource-affinity: pair\n\tresources vm:1,vm:2\n\taffinity positive\n",
		"resource-affinity: apart\n\tresources vm:4,vm:5\n\taffinity negative\n",
	}, "\n")
	r, problems := hacfg.ParseRules("rules.cfg", []byte(text))
	require.Empty(t, problems)
	all := []string{"node1", "node2", "node3"}
	m := &Manager{
		rules: rules.Compile(r, all),
		usage: usage.NewBasic(all),
		services: map[ha.SID]*ha.ServiceStatus{
			"vm:1": started("node1"), "vm:2": started("node1"), "vm:3": started("node1"),
			"vm:4": started("node1"), "vm:5": started("node2"), "vm:6": {State: ha.Stopped, Node: "node1"},
		},
	}
	require.Equal(t, []usage.Candidate{
		{Leader: "vm:1", Resources: []ha.SID{"vm:1", "vm:2"}, Nodes: []string{"node2"}},
		// vm:3 has nowhere to go.
		{Leader: "vm:4", Resources: []ha.SID{"vm:4"}, Nodes: []string{"node3"}},
		{Leader: "vm:5", Resources: []ha.SID{"vm:5"}, Nodes: []string{"node3"}},
	}, m.candidates())
}

// uneven is a cluster whose first node carries everything: four guests that
// use an eighth of it each. Its imbalance is 1.41.
func uneven(t *testing.T, kind string) (*fake, *Manager) {
	t.Helper()
	services := map[ha.SID]*ha.ServiceStatus{}
	for i := range 4 {
		services[ha.SID(fmt.Sprintf("%s:%d", kind, i+1))] = &ha.ServiceStatus{State: ha.Started, Node: "node1", UID: "o", Running: true}
	}
	f, m := managing(t, services)
	for sid := range services {
		f.figures[sid] = usage.ServiceStats{CPU: 1, MaxCPU: 1, Mem: 4 << 30, MaxMem: 4 << 30}
	}
	f.sizes["node1"] = usage.NodeStats{CPU: 4, MaxCPU: 8, Mem: 16 << 30, MaxMem: 32 << 30}
	f.scheduling.Mode = SchedulerDynamic
	f.scheduling.AutoRebalance.Enabled = true
	return f, m
}

func TestBalancingHoldsOnForSomeRounds(t *testing.T) {
	f, m := uneven(t, "vm")
	require.Equal(t, []string{"info: switching scheduler mode from 'basic' to 'dynamic'"}, f.rounds(t, m, 2))
	require.Equal(t, []string{
		"info: auto rebalance - migrate vm:1 to node2 (expected change for imbalance from 1.41 to 0.94)",
		"info: got crm command: migrate vm:1 node2",
		"info: migrate service 'vm:1' to node 'node2'",
		"info: service 'vm:1': state changed from 'started' to 'migrate'  (node = node1, target = node2)",
	}, f.rounds(t, m, 1))
	require.Empty(t, f.rounds(t, m, 5), "not while something moves")
	require.Zero(t, m.imbalancedRounds)
}

func TestBalancingCountsRoundsInARow(t *testing.T) {
	f, m := uneven(t, "vm")
	f.rounds(t, m, 2)
	busy := f.sizes["node1"]
	f.sizes["node1"] = f.sizes["node2"]
	f.rounds(t, m, 1)
	f.sizes["node1"] = busy
	require.Empty(t, f.rounds(t, m, 2))
	require.NotEmpty(t, f.rounds(t, m, 1))
}

func TestBalancing(t *testing.T) {
	const (
		toNode2   = "info: auto rebalance - migrate vm:1 to node2 (expected change for imbalance from 1.41 to 0.94)"
		container = "info: auto rebalance - relocate ct:1 to node2 (expected change for imbalance from 1.41 to 0.94)"
	)
	for name, test := range map[string]struct {
		kind   string
		change func(f *fake)
		want   string // "": nothing is moved
	}{
		"by brute force":                    {change: func(*fake) {}, want: toNode2},
		"by TOPSIS":                         {change: func(f *fake) { f.scheduling.AutoRebalance.Method = usage.TOPSIS }, want: toNode2},
		"by a method not known":             {change: func(f *fake) { f.scheduling.AutoRebalance.Method = "levitate" }},
		"by what is configured":             {change: func(f *fake) { f.scheduling.Mode = SchedulerStatic }, want: toNode2},
		"not by number":                     {change: func(f *fake) { f.scheduling.Mode = SchedulerBasic }},
		"not by a mode not known":           {change: func(f *fake) { f.scheduling.Mode = "levitate" }},
		"of containers":                     {kind: "ct", change: func(*fake) {}, want: container},
		"only where it is enabled":          {change: func(f *fake) { f.scheduling.AutoRebalance.Enabled = false }},
		"only above the threshold":          {change: func(f *fake) { f.scheduling.AutoRebalance.Threshold = 1.42 }},
		"at a margin it reaches":            {change: func(f *fake) { f.scheduling.AutoRebalance.Margin = 0.33 }, want: toNode2},
		"not at a margin it does not reach": {change: func(f *fake) { f.scheduling.AutoRebalance.Margin = 0.34 }},
		"nothing may move": {change: func(f *fake) {
			f.rules = "node-affinity: pin\n\tresources vm:1,vm:2,vm:3,vm:4\n\tnodes node1\n\tstrict 1\n"
		}},
		"not while a service has a command": {change: func(f *fake) { f.commands = "migrate vm:4 node3" }},
		"not while disarming":               {change: func(f *fake) { f.commands = "disarm-ha freeze" }},
	} {
		t.Run(name, func(t *testing.T) {
			kind := test.kind
			if kind == "" {
				kind = "vm"
			}
			f, m := uneven(t, kind)
			f.scheduling.AutoRebalance.Hold = 1
			test.change(f)
			found := ""
			for _, line := range f.rounds(t, m, 1) {
				if strings.Contains(line, "auto rebalance") {
					found = line
				}
			}
			require.Equal(t, test.want, found)
		})
	}
}

// The imbalance has to be above the threshold, the improvement as large as the
// margin.
func TestBalancingAtItsLimits(t *testing.T) {
	f, m := uneven(t, "vm")
	opts := &f.scheduling.AutoRebalance
	opts.Hold, opts.Threshold = 1, 10
	f.rounds(t, m, 1)
	imbalance := m.usage.Imbalance()
	found, ok, err := m.usage.BestMigration(opts.Method, m.candidates())
	require.NoError(t, err)
	require.True(t, ok)
	gain := (imbalance - found.Imbalance) / imbalance

	opts.Threshold, opts.Margin = imbalance, gain
	require.Empty(t, f.rounds(t, m, 1))
	opts.Threshold, opts.Margin = math.Nextafter(imbalance, 0), math.Nextafter(gain, 1)
	require.Empty(t, f.rounds(t, m, 1))
	opts.Margin = gain
	require.NotEmpty(t, f.rounds(t, m, 1))
}

// A service without figures is no candidate that can be scored, and spoils the
// choice among the others.
func TestBalancingTellsWhatIsMissing(t *testing.T) {
	f, m := uneven(t, "vm")
	delete(f.figures, "vm:1")
	f.scheduling.AutoRebalance.Hold = 1
	log := f.rounds(t, m, 1)
	require.Equal(t, []string{
		"info: switching scheduler mode from 'basic' to 'dynamic'",
		"warning: unable to add service 'vm:1' - did not get dynamic service usage information for 'vm:1'",
		"warning: unable to score best balancing migration - leader 'vm:1' is not present in the cluster usage",
	}, log)
}

func TestBalancingMovesABundleAsAWhole(t *testing.T) {
	f, m := uneven(t, "vm")
	f.rules = "resource-affinity: pair\n\tresources vm:1,vm:3\n\taffinity positive\n"
	f.scheduling.AutoRebalance.Hold = 1
	log := f.rounds(t, m, 1)
	require.Equal(t, []string{
		"info: auto rebalance - migrate vm:1 to node2 (expected change for imbalance from 1.41 to 0.71)",
		"info: got crm command: migrate vm:1 node2",
		"info: crm command 'migrate vm:1 node2' - migrate service 'vm:3' to node 'node2' (service 'vm:3' in positive affinity with service 'vm:1')",
	}, log[1:4])
	require.Equal(t, ha.Migrate, f.manager.ServiceStatus["vm:3"].State)
}
