package usage

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
)

func TestImbalance(t *testing.T) {
	for _, c := range []struct {
		name   string
		shares []float64
		want   float64
	}{
		{"no nodes", nil, 0},
		{"one node", []float64{0.7}, 0},
		{"idle nodes", []float64{0, 0, 0}, 0},
		{"all alike", []float64{0.25, 0.25, 0.25}, 0},
		{"all on one of two", []float64{0.5, 0}, 1},
		{"all on one of three", []float64{0, 0, 0.5}, math.Sqrt2},
		{"all on one of five", []float64{0, 0.5, 0, 0, 0}, 2},
		{"one and three", []float64{0.25, 0.75}, 0.5},
	} {
		t.Run(c.name, func(t *testing.T) {
			var nodes []shares
			for _, s := range c.shares {
				nodes = append(nodes, shares{cpu: s, mem: s})
			}
			require.InDelta(t, c.want, imbalance(nodes), 1e-15)
		})
	}
}

func TestImbalanceOfNodes(t *testing.T) {
	// Both figures are known for the imbalance divided by its upper bound.
	upperBound := math.Sqrt(3 - 1)
	const epsilon = 0x1p-52
	require.InDelta(t, 0.3460548572604576, dynamicUsage(t, equalNodes, nil).Imbalance()/upperBound, epsilon)
	require.InDelta(t, 0.23352917788066363, dynamicUsage(t, unequalNodes, nil).Imbalance()/upperBound, epsilon)
	require.Zero(t, dynamicUsage(t, nil, nil).Imbalance())
}

func TestImbalanceOfOneService(t *testing.T) {
	// As in the log of a cluster of three nodes with everything on one:
	// "expected change for imbalance from 1.41 to 0.71".
	services := map[ha.SID]Service{
		"vm:1": {Stats: stats(1, 2, 4*gib, 8*gib)},
		"vm:2": {Stats: stats(1, 2, 4*gib, 8*gib)},
	}
	nodes := map[string]NodeStats{
		"node1": {CPU: 2, MaxCPU: 4, Mem: 8 * gib, MaxMem: 16 * gib},
		"node2": {MaxCPU: 4, MaxMem: 16 * gib},
		"node3": {MaxCPU: 4, MaxMem: 16 * gib},
	}
	u := dynamicUsage(t, nodes, services)
	require.NoError(t, u.Add("vm:1", Placement{Current: "node1", Running: true}))
	require.NoError(t, u.Add("vm:2", Placement{Current: "node1", Running: true}))
	require.Equal(t, "1.41", fmt.Sprintf("%.2f", u.Imbalance()))
	for _, method := range []Method{BruteForce, TOPSIS} {
		best, found, err := u.BestMigration(method, []Candidate{
			{Leader: "vm:1", Resources: []ha.SID{"vm:1"}, Nodes: []string{"node2", "node3"}},
			{Leader: "vm:2", Resources: []ha.SID{"vm:2"}, Nodes: []string{"node2", "node3"}},
		})
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, Migration{SID: "vm:1", Source: "node1", Target: "node2"}, best.Migration, "ties go by name")
		require.Equal(t, "0.71", fmt.Sprintf("%.2f", best.Imbalance))
	}
}

func TestExpectedImbalanceIsCut(t *testing.T) {
	require.Equal(t, 0.723174948891693, expected(0.7231749488916931))
	require.Equal(t, 0.723174948891693, expected(0.723174948891693))
	require.NotEqual(t, 0.723174948891693, expected(0.723174948891693+1e-15))
	require.Zero(t, expected(9.9e-16))
}

func TestMigrationsOrder(t *testing.T) {
	m := func(sid ha.SID, source, target string, imbalance float64) ScoredMigration {
		return ScoredMigration{Migration{sid, source, target}, expected(imbalance)}
	}
	want := []ScoredMigration{
		m("vm:103", "node2", "node1", 0.5),
		m("vm:102", "node1", "node2", 0.7231749488916931),
		m("vm:102", "node1", "node3", 0.723174948891693),
		m("vm:102", "node2", "node1", 0.723174948891693),
		m("vm:99", "node1", "node2", 0.723174948891693),
		m("vm:101", "node1", "node2", 0.723174948891693+1e-15),
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, func(a, b ScoredMigration) int { return a.compare(&b) })
	require.Equal(t, want, got)
}

func TestBestMigration(t *testing.T) {
	services := map[ha.SID]Service{"vm:101": {Stats: stats(0.7, 4, 8*gib, 16*gib)}}
	candidates := []Candidate{
		{Leader: "vm:101", Resources: []ha.SID{"vm:101"}, Nodes: []string{"node2", "node3"}},
	}
	for _, c := range []struct {
		name   string
		nodes  map[string]NodeStats
		method Method
		target string
	}{
		{"equal nodes", equalNodes, BruteForce, "node3"},
		{"unequal nodes", unequalNodes, BruteForce, "node3"},
		{"equal nodes", equalNodes, TOPSIS, "node2"},
		{"unequal nodes", unequalNodes, TOPSIS, "node2"},
	} {
		t.Run(fmt.Sprintf("%s %s", c.name, c.method), func(t *testing.T) {
			u := dynamicUsage(t, c.nodes, services)
			require.NoError(t, u.Add("vm:101", Placement{Current: "node1", Running: true}))
			before := u.Imbalance()
			best, found, err := u.BestMigration(c.method, candidates)
			require.NoError(t, err)
			require.True(t, found)
			require.Equal(t, Migration{SID: "vm:101", Source: "node1", Target: c.target}, best.Migration)
			require.Equal(t, before, u.Imbalance(), "trying changes nothing")

			_, found, err = u.BestMigration(c.method, nil)
			require.NoError(t, err)
			require.False(t, found, "no candidates")
			_, found, err = u.BestMigration(c.method, []Candidate{{Leader: "vm:101", Resources: []ha.SID{"vm:101"}}})
			require.NoError(t, err)
			require.False(t, found, "a candidate without targets")
		})
	}
	t.Run("unknown method", func(t *testing.T) {
		u := dynamicUsage(t, equalNodes, services)
		_, found, err := u.BestMigration("guess", []Candidate{{Leader: "vm:1"}})
		require.NoError(t, err)
		require.False(t, found)
	})
}

func TestBestMigrationTakesTheBundle(t *testing.T) {
	u := staticCluster(t, stats(0, 2, 0, gib), NodeStats{MaxCPU: 8, MaxMem: 8 * gib}, NodeStats{MaxCPU: 8, MaxMem: 8 * gib})
	for _, sid := range []ha.SID{"vm:1", "vm:2", "vm:3", "vm:4"} {
		require.NoError(t, u.Add(sid, Placement{Current: "A"}))
	}
	for _, method := range []Method{BruteForce, TOPSIS} {
		best, found, err := u.BestMigration(method, []Candidate{
			{Leader: "vm:1", Resources: []ha.SID{"vm:1"}, Nodes: []string{"B"}},
			{Leader: "vm:2", Resources: []ha.SID{"vm:2", "vm:3"}, Nodes: []string{"B"}},
		})
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, ScoredMigration{Migration{"vm:2", "A", "B"}, 0}, best)
	}
}

func TestBestMigrationTargetThatChangesNothing(t *testing.T) {
	// Neither an unknown target nor the source itself takes up the load; the
	// rules never offer either.
	u := staticCluster(t, stats(0, 2, 0, gib), NodeStats{MaxCPU: 8, MaxMem: 8 * gib}, NodeStats{MaxCPU: 8, MaxMem: 8 * gib})
	require.NoError(t, u.Add("vm:1", Placement{Current: "A"}))
	require.NoError(t, u.Add("vm:2", Placement{Current: "B"}))
	for _, target := range []string{"A", "X"} {
		for _, method := range []Method{BruteForce, TOPSIS} {
			best, found, err := u.BestMigration(method, []Candidate{
				{Leader: "vm:1", Resources: []ha.SID{"vm:1"}, Nodes: []string{target}},
			})
			require.NoError(t, err)
			require.True(t, found)
			require.Equal(t, ScoredMigration{Migration{"vm:1", "A", target}, 1}, best)
		}
	}
}

func TestBestMigrationErrors(t *testing.T) {
	u := staticCluster(t, stats(0, 2, 0, gib), NodeStats{MaxCPU: 8, MaxMem: 8 * gib}, NodeStats{MaxCPU: 8, MaxMem: 8 * gib})
	require.NoError(t, u.Add("vm:1", Placement{Current: "A"}))
	require.NoError(t, u.Add("vm:2", Placement{Current: "B"}))
	require.NoError(t, u.Add("vm:3", Placement{Current: "A", Target: "B"}))
	for _, c := range []struct {
		candidate Candidate
		want      string
	}{
		{Candidate{Leader: "vm:9"}, "leader 'vm:9' is not present in the cluster usage"},
		{Candidate{Leader: "vm:3"}, "leader 'vm:3' is non-stationary"},
		{Candidate{Leader: "vm:1"}, "leader 'vm:1' is not present in the resources list"},
		{Candidate{Leader: "vm:1", Resources: []ha.SID{"vm:1", "vm:9"}}, "resource 'vm:9' is not present in the cluster usage"},
		{Candidate{Leader: "vm:1", Resources: []ha.SID{"vm:1", "vm:3"}}, "resource 'vm:3' is non-stationary"},
		{Candidate{Leader: "vm:1", Resources: []ha.SID{"vm:1", "vm:2"}}, "resource 'vm:2' is on other node than leader"},
	} {
		for _, method := range []Method{BruteForce, TOPSIS} {
			_, found, err := u.BestMigration(method, []Candidate{
				{Leader: "vm:1", Resources: []ha.SID{"vm:1"}, Nodes: []string{"B"}}, c.candidate,
			})
			require.EqualError(t, err, "unable to score best balancing migration - "+c.want)
			require.False(t, found)
		}
	}
}

func TestLeavingNeverFallsBelowNothing(t *testing.T) {
	l := load{cpu: 1, maxCPU: 4, mem: gib, maxMem: 4 * gib}
	s := ServiceStats{CPU: 1.5, Mem: 2 * gib}
	require.Equal(t, load{maxCPU: 4, maxMem: 4 * gib}, l.leave(s))
	require.Equal(t, load{cpu: 2.5, maxCPU: 4, mem: 3 * gib, maxMem: 4 * gib}, l.arrive(s))
}
