package rules

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
)

// placement of vm:1, which stays with vm:2 to vm:5 and avoids vm:6 to vm:8.
// Where says for each service "SID=CURRENT" or "SID=CURRENT>TARGET".
func placement(t *testing.T, where string) Placement {
	t.Helper()
	places := make(map[ha.SID]string)
	for _, entry := range strings.Fields(where) {
		sid, place, _ := strings.Cut(entry, "=")
		places[ha.SID(sid)] = place
	}
	nodes := []string{"node1", "node2", "node3", "node4", "node5"}
	c := compile(t, nodes, "positive p vm:1,vm:2,vm:3,vm:4,vm:5", "negative n vm:1,vm:6,vm:7,vm:8")
	return c.ResourceAffinity("vm:1", func(sid ha.SID) (current, target string) {
		current, target, _ = strings.Cut(places[sid], ">")
		return current, target
	})
}

func TestPlacement(t *testing.T) {
	tests := map[string]struct {
		where    string
		nodes    string
		allowed  string // of node1 to node4
		apart    string
		together string // after KeepApart
	}{
		"nothing runs":                    {"", "node1 node2", "node1 node2 node3 node4", "node1 node2", "node1 node2"},
		"go where the others are":         {"vm:2=node2", "node1 node2", "node1 node2 node3 node4", "node1 node2", "node2"},
		"the most count":                  {"vm:2=node3 vm:3=node2 vm:4=node2", "node1 node2 node3", "node1 node2 node3 node4", "node1 node2 node3", "node2"},
		"equals go by name":               {"vm:2=node3 vm:3=node3 vm:4=node2 vm:5=node2", "node1 node2 node3", "node1 node2 node3 node4", "node1 node2 node3", "node2"},
		"the most are not on these nodes": {"vm:2=node4 vm:3=node4 vm:4=node2", "node1 node2", "node1 node2 node3 node4", "node1 node2", "node2"},
		"none is on these nodes":          {"vm:2=node4", "node1 node2", "node1 node2 node3 node4", "node1 node2", "node1 node2"},
		"follow a service that moves":     {"vm:2=node1>node2 vm:3=node1>node2", "node1 node2", "node1 node2 node3 node4", "node1 node2", "node2"},
		"target without current node":     {"vm:2=>node2", "node1 node2", "node1 node2 node3 node4", "node1 node2", "node2"},
		"keep away":                       {"vm:6=node1 vm:7=node3", "node1 node2 node3", "node2 node4", "node2", "node2"},
		"keep away from both ends":        {"vm:6=node1>node2", "node1 node2 node3", "node3 node4", "node3", "node3"},
		"nowhere left":                    {"vm:6=node1>node2", "node1 node2", "node3 node4", "", ""},
		"blocked, but the others are there": {
			"vm:2=node1 vm:6=node1 vm:7=node2", "node1 node2 node3", "node1 node3 node4", "node3", "node3",
		},
		"unrelated services do not matter": {"vm:9=node2", "node1 node2", "node1 node2 node3 node4", "node1 node2", "node1 node2"},
		"no nodes":                         {"vm:2=node1 vm:6=node2", "", "node1 node3 node4", "", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := placement(t, test.where)
			var allowed []string
			for _, node := range []string{"node1", "node2", "node3", "node4"} {
				if p.Allows(node) {
					allowed = append(allowed, node)
				}
			}
			require.Equal(t, test.allowed, strings.Join(allowed, " "))

			nodes := strings.Fields(test.nodes)
			apart := p.KeepApart(nodes)
			require.Equal(t, test.apart, strings.Join(apart, " "))
			require.Equal(t, test.together, strings.Join(p.KeepTogether(apart), " "))
			require.Equal(t, test.nodes, strings.Join(nodes, " "), "the argument must stay as it is")
		})
	}
}

// What a caller appends to a result must not land in its own list of nodes.
func TestKeepTogetherLeavesNoRoom(t *testing.T) {
	nodes := []string{"node1", "node2", "node3"}
	kept := placement(t, "vm:2=node2").KeepTogether(nodes)
	require.Equal(t, []string{"node2", "x"}, append(kept, "x"))
	require.Equal(t, []string{"node1", "node2", "node3"}, nodes)
}

func TestZeroPlacementAsksForNothing(t *testing.T) {
	nodes := []string{"node1", "node2"}
	var p Placement
	require.True(t, p.Allows("node1"))
	require.Same(t, &nodes[0], &p.KeepApart(nodes)[0])
	require.Same(t, &nodes[0], &p.KeepTogether(nodes)[0])
	require.Len(t, p.KeepTogether(nodes), 2)
}

// Most services have no rules, and a round asks for every service.
func TestServicesWithoutRulesCostNoMemory(t *testing.T) {
	c := compile(t, threeNodes, "positive p vm:2,vm:3", "negative n vm:2,vm:4", "node a vm:2 node1")
	place := func(ha.SID) (string, string) { return "node1", "" }
	require.Zero(t, testing.AllocsPerRun(100, func() {
		_, preferred := c.NodeAffinity("vm:1", threeNodes)
		p := c.ResourceAffinity("vm:1", place)
		if p.Allows("node1") {
			p.KeepTogether(p.KeepApart(preferred))
		}
	}))
	require.Zero(t, testing.AllocsPerRun(100, func() {
		c.Together("vm:2")
		c.Separate("vm:2")
	}))
}
