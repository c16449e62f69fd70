package usage

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
)

// The nodes of these tests are in use as these figures say, and of equal or of
// different size.
var (
	equalNodes = map[string]NodeStats{
		"node1": {CPU: 1.7, MaxCPU: 16, Mem: 12334 << 20, MaxMem: 64 * gib},
		"node2": {CPU: 15.184, MaxCPU: 16, Mem: 529 << 20, MaxMem: 64 * gib},
		"node3": {CPU: 5.2, MaxCPU: 16, Mem: 9381 << 20, MaxMem: 64 * gib},
	}
	unequalNodes = map[string]NodeStats{
		"node1": {CPU: 1.7, MaxCPU: 16, Mem: 12334 << 20, MaxMem: 128 * gib},
		"node2": {CPU: 15.184, MaxCPU: 32, Mem: 529 << 20, MaxMem: 96 * gib},
		"node3": {CPU: 5.2, MaxCPU: 24, Mem: 9381 << 20, MaxMem: 64 * gib},
	}
)

func dynamicUsage(t *testing.T, nodes map[string]NodeStats, services map[ha.SID]Service) *Weighted {
	t.Helper()
	var names []string
	for name := range nodes {
		names = append(names, name)
	}
	w, err := NewDynamic(names, nodes, services)
	require.NoError(t, err)
	return w
}

// ranked returns the nodes in the order in which the CRM would choose them.
func ranked(t *testing.T, u Usage, sid ha.SID) []string {
	t.Helper()
	scores, err := u.Scores(sid)
	require.NoError(t, err)
	require.Len(t, scores, len(u.Nodes()))
	order := slices.Clone(u.Nodes())
	slices.SortStableFunc(order, func(a, b string) int {
		return cmp.Compare(scores[slices.Index(u.Nodes(), a)], scores[slices.Index(u.Nodes(), b)])
	})
	return order
}

func TestScores(t *testing.T) {
	memory := stats(0, 1, 0, 12*gib)
	cpu := stats(0, 12, 0, 0)
	unlimited := stats(0, 0, 0, 0)
	both := stats(0, 12, 0, 12*gib)
	for _, c := range []struct {
		name    string
		nodes   map[string]NodeStats
		service *ServiceStats
		want    []string
	}{
		{"equal nodes, much memory", equalNodes, memory, []string{"node2", "node3", "node1"}},
		{"equal nodes, much CPU", equalNodes, cpu, []string{"node1", "node3", "node2"}},
		{"equal nodes, all CPU", equalNodes, unlimited, []string{"node1", "node3", "node2"}},
		{"equal nodes, memory and CPU", equalNodes, both, []string{"node2", "node3", "node1"}},
		{"unequal nodes, much memory", unequalNodes, memory, []string{"node2", "node1", "node3"}},
		{"unequal nodes, much CPU", unequalNodes, cpu, []string{"node3", "node2", "node1"}},
		{"unequal nodes, all CPU", unequalNodes, unlimited, []string{"node1", "node3", "node2"}},
		{"unequal nodes, memory and CPU", unequalNodes, both, []string{"node2", "node1", "node3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := dynamicUsage(t, c.nodes, map[ha.SID]Service{"vm:1": {Stats: c.service}})
			require.Equal(t, c.want, ranked(t, u, "vm:1"))
		})
	}
}

// staticCluster returns nodes of the given cores and bytes, named A, B, and so
// on, with one service ID after the other ready to be placed.
func staticCluster(t *testing.T, service *ServiceStats, sizes ...NodeStats) *Weighted {
	t.Helper()
	nodes := map[string]NodeStats{}
	var names []string
	for i, size := range sizes {
		name := string(rune('A' + i))
		names = append(names, name)
		nodes[name] = size
	}
	services := map[ha.SID]Service{}
	for i := range 30 {
		services[ha.SID(fmt.Sprintf("vm:%d", i))] = Service{Stats: service}
	}
	w, err := NewStatic(names, nodes, services)
	require.NoError(t, err)
	return w
}

func TestOneServiceAfterTheOther(t *testing.T) {
	for _, c := range []struct {
		name    string
		sizes   []NodeStats
		service *ServiceStats
		loaded  bool     // every node has a service with half its cores
		want    []string // repeated
	}{
		{
			name:    "a node twice as large gets twice as many",
			sizes:   []NodeStats{{MaxCPU: 10, MaxMem: 100e9}, {MaxCPU: 20, MaxMem: 200e9}},
			service: stats(0, 4, 0, 20e9),
			want:    []string{"B A", "B A", "A B"},
		},
		{
			name:    "hardly any memory, so CPU decides",
			sizes:   []NodeStats{{MaxCPU: 8, MaxMem: 10e9}, {MaxCPU: 4, MaxMem: 9e9}, {MaxCPU: 4, MaxMem: 8e9}},
			service: stats(0, 3, 0, 16e6),
			want:    []string{"A B C", "A B C", "B C A", "C A B"},
		},
		{
			name:    "also with load before",
			sizes:   []NodeStats{{MaxCPU: 8, MaxMem: 10e9}, {MaxCPU: 4, MaxMem: 9e9}, {MaxCPU: 4, MaxMem: 8e9}},
			service: stats(0, 3, 0, 16e6),
			loaded:  true,
			want:    []string{"A B C", "A B C", "B C A", "C A B"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := staticCluster(t, c.service, c.sizes...)
			if c.loaded {
				for i, node := range u.Nodes() {
					sid := ha.SID("ct:" + node)
					u.stats[sid] = Service{Stats: stats(0, c.sizes[i].MaxCPU/2, 0, 1e9)}
					require.NoError(t, u.Add(sid, Placement{Current: node}))
				}
			}
			for i := range 15 {
				sid := ha.SID(fmt.Sprintf("vm:%d", i))
				order := ranked(t, u, sid)
				require.Equal(t, c.want[i%len(c.want)], strings.Join(order, " "), "service %d", i)
				require.NoError(t, u.Add(sid, Placement{Current: order[0]}))
			}
		})
	}
}

func TestScoresFollowRemoval(t *testing.T) {
	u := staticCluster(t, stats(0, 4, 0, 20e9),
		NodeStats{MaxCPU: 10, MaxMem: 100e9}, NodeStats{MaxCPU: 20, MaxMem: 200e9}, NodeStats{MaxCPU: 30, MaxMem: 300e9})
	require.NoError(t, u.Add("vm:1", Placement{Current: "A"}))
	require.NoError(t, u.Add("vm:2", Placement{Current: "A"}))
	require.NoError(t, u.Add("vm:3", Placement{Current: "B", Target: "C"}))
	require.NoError(t, u.Add("vm:4", Placement{Current: "B"}))
	require.Equal(t, []string{"C", "B", "A"}, ranked(t, u, "vm:9"))

	u.Remove("vm:4")
	u.Remove("vm:3")
	require.NoError(t, u.Add("vm:3", Placement{Current: "C"}))
	require.Equal(t, []string{"B", "C", "A"}, ranked(t, u, "vm:9"))
}

func TestScoresOfOverfullNodes(t *testing.T) {
	u := staticCluster(t, stats(0, 1, 0, 512<<20),
		NodeStats{MaxCPU: 4, MaxMem: 4102062080}, NodeStats{MaxCPU: 4, MaxMem: 4102062080},
		NodeStats{MaxCPU: 4, MaxMem: 4102053888}, NodeStats{MaxCPU: 4, MaxMem: 4102053888})
	for i, node := range []string{"A", "A", "A", "B", "A"} {
		require.NoError(t, u.Add(ha.SID(fmt.Sprintf("vm:%d", i)), Placement{Current: node}))
	}
	require.Equal(t, []string{"C", "D", "B", "A"}, ranked(t, u, "vm:9"))
}

func TestScoresAtTheEdges(t *testing.T) {
	service := stats(1, 1, gib, gib)
	scores := func(sizes ...NodeStats) []float64 {
		s, err := staticCluster(t, service, sizes...).Scores("vm:1")
		require.NoError(t, err)
		return s
	}
	size := NodeStats{MaxCPU: 4, MaxMem: 4 * gib}
	require.Empty(t, scores(), "no nodes")
	require.Equal(t, []float64{0}, scores(size), "one node")
	require.Equal(t, []float64{0, 0, 0}, scores(size, size, size), "nodes alike")

	u := staticCluster(t, stats(0, 1, 0, gib), size, size, size)
	require.NoError(t, u.Add("vm:1", Placement{Current: "B"}))
	s, err := u.Scores("vm:2")
	require.NoError(t, err)
	require.Equal(t, s[0], s[2], "equally loaded nodes tie exactly")
	require.Less(t, s[0], s[1])
}
