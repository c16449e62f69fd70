package usage

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
)

func TestBasicCountsServices(t *testing.T) {
	b := NewBasic([]string{"c", "a", "b", "a"})
	require.Equal(t, []string{"a", "b", "c"}, b.Nodes())
	require.True(t, b.Contains("b"))
	require.False(t, b.Contains("d"))

	scores := func() []float64 {
		s, err := b.Scores("vm:1")
		require.NoError(t, err)
		return s
	}
	require.Equal(t, []float64{0, 0, 0}, scores())
	require.NoError(t, b.Add("vm:1", Placement{Current: "a"}))
	require.NoError(t, b.Add("vm:2", Placement{Current: "a", Target: "c"}))
	require.NoError(t, b.Add("vm:3", Placement{Target: "c", Running: true}))
	require.NoError(t, b.Add("vm:4", Placement{}))
	require.NoError(t, b.Add("vm:5", Placement{Current: "b", Target: "b"}))
	require.Equal(t, []float64{2, 1, 2}, scores())

	require.NoError(t, b.Add("vm:1", Placement{Current: "b"}), "moves")
	require.Equal(t, []float64{1, 2, 2}, scores())

	b.Remove("vm:2")
	b.Remove("vm:2")
	b.Remove("vm:9")
	require.Equal(t, []float64{0, 2, 1}, scores())
}

func TestBasicUnknownNode(t *testing.T) {
	b := NewBasic([]string{"a"})
	require.EqualError(t, b.Add("vm:1", Placement{Current: "x"}),
		"unable to add service 'vm:1' usage to node 'x' - node not in usage hash")
	require.EqualError(t, b.Add("vm:1", Placement{Current: "a", Target: "y"}),
		"unable to add service 'vm:1' usage to node 'y' - node not in usage hash")
	scores, err := b.Scores("vm:1")
	require.NoError(t, err)
	require.Equal(t, []float64{0}, scores, "it puts no load anywhere")
}

func TestBasicDoesNotBalance(t *testing.T) {
	b := NewBasic([]string{"a", "b"})
	require.NoError(t, b.Add("vm:1", Placement{Current: "a"}))
	require.Zero(t, b.Imbalance())
	_, found, err := b.BestMigration(BruteForce, []Candidate{
		{Leader: "vm:1", Resources: []ha.SID{"vm:1"}, Nodes: []string{"b"}},
	})
	require.NoError(t, err)
	require.False(t, found)
}
