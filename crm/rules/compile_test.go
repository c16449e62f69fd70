package rules

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
)

func TestNodeAffinity(t *testing.T) {
	tests := map[string]struct {
		rule               string
		online             string
		allowed, preferred string
	}{
		"no rule":                         {"", "node1 node2 node3", "node1 node2 node3", "node1 node2 node3"},
		"preferred nodes":                 {"node2,node3", "node1 node2 node3", "node1 node2 node3", "node2 node3"},
		"preferred nodes, some offline":   {"node2,node3", "node1 node3", "node1 node3", "node3"},
		"preferred nodes, all offline":    {"node2,node3", "node1", "node1", "node1"},
		"every node preferred":            {"node1,node2,node3", "node1 node2 node3", "node1 node2 node3", "node1 node2 node3"},
		"strict":                          {"node2,node3 strict", "node1 node2 node3", "node2 node3", "node2 node3"},
		"strict, all offline":             {"node2,node3 strict", "node1", "", ""},
		"strict, nothing online":          {"node2,node3 strict", "", "", ""},
		"priorities":                      {"node1:1,node2:5,node3:5", "node1 node2 node3", "node1 node2 node3", "node2 node3"},
		"priorities, highest offline":     {"node1:1,node2:5", "node1 node3", "node1 node3", "node1"},
		"strict with priorities":          {"node1,node2:5 strict", "node1 node2 node3", "node1 node2", "node2"},
		"node that is not in the cluster": {"node9,node1", "node1 node2", "node1 node2", "node1"},
		"node that joined since":          {"node1", "node1 node2 node4", "node1 node2", "node1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var rules []string
			if test.rule != "" {
				rules = []string{"node a vm:1 " + test.rule}
			}
			c := compile(t, threeNodes, rules...)
			online := strings.Fields(test.online)
			allowed, preferred := c.NodeAffinity("vm:1", online)
			require.Equal(t, test.allowed, strings.Join(allowed, " "))
			require.Equal(t, test.preferred, strings.Join(preferred, " "))
			require.Equal(t, test.online, strings.Join(online, " "), "online must stay as it is")
		})
	}
}

func TestNodeAffinityWithoutRuleIsTheArgument(t *testing.T) {
	online := []string{"node1", "node2"}
	allowed, preferred := compile(t, threeNodes).NodeAffinity("vm:1", online)
	require.Same(t, &online[0], &allowed[0])
	require.Same(t, &online[0], &preferred[0])
}

func TestTogetherAndSeparate(t *testing.T) {
	nodes := []string{"node1", "node2", "node3", "node4"}
	c := compile(t, nodes,
		"positive p vm:1,vm:2,ct:3",
		"negative n vm:1,vm:5,vm:6", "negative o vm:5,vm:6,vm:7",
		"positive q vm:8,vm:9 disable", "negative r vm:8,vm:9 disable=0")
	tests := []struct{ sid, together, separate string }{
		{"vm:1", "ct:3,vm:2", "vm:5,vm:6"},
		{"vm:2", "ct:3,vm:1", "vm:5,vm:6"},
		{"ct:3", "vm:1,vm:2", "vm:5,vm:6"},
		{"vm:5", "", "ct:3,vm:1,vm:2,vm:6,vm:7"},
		{"vm:6", "", "ct:3,vm:1,vm:2,vm:5,vm:7"},
		{"vm:7", "", "vm:5,vm:6"},
		{"vm:8", "", ""},
		{"vm:99", "", ""},
	}
	for _, test := range tests {
		t.Run(test.sid, func(t *testing.T) {
			require.Equal(t, test.together, join(c.Together(ha.SID(test.sid))))
			require.Equal(t, test.separate, join(c.Separate(ha.SID(test.sid))))
		})
	}
	require.NotContains(t, c.Positive(), ha.SID("vm:5"))
	require.NotContains(t, c.Negative(), ha.SID("vm:8"))
}

// The list of a service in a rule above maxListed is made on request; nothing
// else may differ.
func TestLargeRule(t *testing.T) {
	for _, size := range []int{maxListed, maxListed + 1} {
		sids := make([]string, size)
		for i := range sids {
			sids[i] = fmt.Sprintf("vm:%05d", i)
		}
		c := compile(t, threeNodes, "positive p "+strings.Join(sids, ","))
		require.Equal(t, strings.Join(sids[1:], ","), join(c.Together("vm:00000")))
		require.Equal(t, strings.Join(sids[:size-1], ","), join(c.Together(ha.SID(sids[size-1]))))
		require.Len(t, c.Positive()["vm:00007"], size-1)

		asked := 0
		c.ResourceAffinity("vm:00007", func(sid ha.SID) (string, string) {
			require.NotEqual(t, ha.SID("vm:00007"), sid)
			asked++
			return "node1", ""
		})
		require.Equal(t, size-1, asked)
	}
}

// Bundles can overlap, so a service of a large rule can be in another one.
func TestServiceOfLargeAndOtherRule(t *testing.T) {
	sids := make([]string, maxListed+1)
	for i := range sids {
		sids[i] = fmt.Sprintf("vm:%05d", i)
	}
	c := Compile(config(t, "positive p "+strings.Join(sids, ","), "positive q vm:00003,vm:99999"), threeNodes)
	require.Len(t, c.Together("vm:00003"), maxListed+1)
	require.Contains(t, c.Together("vm:00003"), ha.SID("vm:99999"))
	require.NotContains(t, c.Together("vm:00004"), ha.SID("vm:99999"))
}

func TestNodePriorities(t *testing.T) {
	c := compile(t, threeNodes, "node a vm:1,vm:2 node1:5,node9", "node b vm:3 node2 strict")
	require.Equal(t, map[ha.SID]map[string]int{
		"vm:1": {"node1": 5, "node2": -1, "node3": -1, "node9": 0},
		"vm:2": {"node1": 5, "node2": -1, "node3": -1, "node9": 0},
		"vm:3": {"node2": 0},
	}, c.NodePriorities())
}

// Two node affinity rules can share a service after all when bundles of
// positive rules overlap; then the last by ID counts.
func TestServiceInTwoNodeAffinityRules(t *testing.T) {
	c := Compile(config(t, "node b vm:1 node2 strict", "node a vm:1 node1 strict"), threeNodes)
	require.Equal(t, map[string]int{"node2": 0}, c.NodePriorities()["vm:1"])
}
