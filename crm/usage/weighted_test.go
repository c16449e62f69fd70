package usage

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
)

const gib = 1 << 30

func stats(cpu, maxCPU float64, mem, maxMem uint64) *ServiceStats {
	return &ServiceStats{CPU: cpu, MaxCPU: maxCPU, Mem: mem, MaxMem: maxMem}
}

func TestMissingNodeFigures(t *testing.T) {
	for _, c := range []struct {
		name  string
		stats map[string]NodeStats
		want  string // the kind stands for %[1]s
	}{
		{"no figures", nil, "did not get %[1]s node usage information for 'node1'"},
		{
			"no cpu count",
			map[string]NodeStats{"node1": {MaxMem: gib}},
			"%[1]s node usage information for 'node1' missing cpu count",
		},
		{
			"no whole cpu",
			map[string]NodeStats{"node1": {MaxCPU: 0.5, MaxMem: gib}},
			"%[1]s node usage information for 'node1' missing cpu count",
		},
		{
			"neither",
			map[string]NodeStats{"node1": {}},
			"%[1]s node usage information for 'node1' missing cpu count",
		},
		{
			"no memory",
			map[string]NodeStats{"node1": {MaxCPU: 4}},
			"%[1]s node usage information for 'node1' missing memory",
		},
		{
			"the first node in order is named",
			map[string]NodeStats{"node1": {MaxCPU: 4, MaxMem: gib}},
			"did not get %[1]s node usage information for 'node2'",
		},
		{
			"not a number",
			map[string]NodeStats{"node1": {MaxCPU: math.NaN(), MaxMem: gib}},
			"%[1]s node usage information for 'node1' has invalid cpu figures",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			nodes := []string{"node3", "node2", "node1"}
			_, err := NewStatic(nodes, c.stats, nil)
			require.EqualError(t, err, fmt.Sprintf(c.want, "static"))
			_, err = NewDynamic(nodes, c.stats, nil)
			require.EqualError(t, err, fmt.Sprintf(c.want, "dynamic"))
		})
	}
}

func TestFiguresOfOtherNodesDoNotMatter(t *testing.T) {
	w, err := NewStatic([]string{"b"}, map[string]NodeStats{"a": {}, "b": {MaxCPU: 4, MaxMem: gib}}, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"b"}, w.Nodes())
	require.False(t, w.Contains("a"))
}

func twoNodes(t *testing.T, services map[ha.SID]Service) *Weighted {
	t.Helper()
	size := NodeStats{MaxCPU: 8, MaxMem: 16 * gib}
	w, err := NewStatic([]string{"a", "b"}, map[string]NodeStats{"a": size, "b": size}, services)
	require.NoError(t, err)
	return w
}

func TestAddErrors(t *testing.T) {
	w := twoNodes(t, map[ha.SID]Service{
		"vm:1": {Stats: stats(0, 1, 0, gib)},
		"vm:2": {},
		"vm:4": {Stats: stats(0, math.Inf(1), 0, gib)},
	})
	require.NoError(t, w.Add("vm:3", Placement{}), "no load, no figures needed")
	for _, c := range []struct {
		sid  ha.SID
		at   Placement
		want string
	}{
		{"vm:2", Placement{Current: "a"}, "unable to add service 'vm:2' - did not get static service usage information for 'vm:2'"},
		{"vm:3", Placement{Current: "a"}, "unable to add service 'vm:3' - did not get static service usage information for 'vm:3'"},
		{"vm:4", Placement{Current: "a"}, "unable to add service 'vm:4' - static service usage information for 'vm:4' has invalid cpu figures"},
		{"vm:1", Placement{Current: "x"}, "unable to add service 'vm:1' - current node for resource 'vm:1' does not exist"},
		{"vm:1", Placement{Target: "x"}, "unable to add service 'vm:1' - current node for resource 'vm:1' does not exist"},
		{"vm:1", Placement{Current: "a", Target: "x"}, "unable to add service 'vm:1' - nodes for resource 'vm:1' do not exist"},
		{"vm:1", Placement{Current: "x", Target: "a"}, "unable to add service 'vm:1' - nodes for resource 'vm:1' do not exist"},
		{"vm:1", Placement{Current: "a", Target: "a"}, "unable to add service 'vm:1' - resource 'vm:1' has the same current and target node"},
	} {
		require.EqualError(t, w.Add(c.sid, c.at), c.want)
		require.Zero(t, w.Imbalance(), "nothing was added")
	}
	require.NoError(t, w.Add("vm:1", Placement{Current: "a"}))
	require.EqualError(t, w.Add("vm:1", Placement{Current: "b"}), "unable to add service 'vm:1' - resource 'vm:1' already exists")
	require.Equal(t, 1.0, w.Imbalance(), "it stays where it is")
	w.Remove("vm:1")
	w.Remove("vm:1")
	require.Zero(t, w.Imbalance())
	require.NoError(t, w.Add("vm:1", Placement{Current: "b"}))
}

func TestScoreWithoutFigures(t *testing.T) {
	size := map[string]NodeStats{"a": {MaxCPU: 8, MaxMem: gib}, "b": {CPU: 3, MaxCPU: 8, MaxMem: gib}}
	static, err := NewStatic([]string{"a", "b"}, size, nil)
	require.NoError(t, err)
	scores, err := static.Scores("vm:1")
	require.EqualError(t, err, "unable to score nodes according to static usage for service 'vm:1' - "+
		"did not get static service usage information for 'vm:1'")
	require.Equal(t, []float64{0, 0}, scores)

	dynamic, err := NewDynamic([]string{"a", "b"}, size, map[ha.SID]Service{
		"vm:2": {Stats: stats(1, math.MaxFloat64, 0, 0)},
	})
	require.NoError(t, err)
	scores, err = dynamic.Scores("vm:1")
	require.EqualError(t, err, "unable to score nodes according to dynamic usage for service 'vm:1' - "+
		"did not get dynamic service usage information for 'vm:1'")
	require.Equal(t, []float64{0, 0}, scores)
	scores, err = dynamic.Scores("vm:2")
	require.EqualError(t, err, "unable to score nodes according to dynamic usage for service 'vm:2' - "+
		"criterion 0 got invalid value NaN")
	require.Equal(t, []float64{0, 0}, scores)
}

// TestExactHistory holds the promise that the load of a node depends on what is
// there, and not on what was there before or in which order it came: after
// every change all results equal those of a usage built from nothing, in any
// order.
func TestExactHistory(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	names := []string{"n1", "n2", "n3", "n4"}
	nodeStats := map[string]NodeStats{}
	for i, n := range names {
		nodeStats[n] = NodeStats{CPU: 0.1 + float64(i)/3, MaxCPU: 16, Mem: gib, MaxMem: 64 * gib}
	}
	services := map[ha.SID]Service{}
	var sids []ha.SID
	for i := range 40 {
		sid := ha.SID(fmt.Sprintf("vm:%d", i))
		sids = append(sids, sid)
		services[sid] = Service{Stats: stats(random.Float64(), random.Float64()*4, random.Uint64N(gib), random.Uint64N(gib))}
	}
	for name, build := range map[string]func() *Weighted{
		"static": func() *Weighted { w, err := NewStatic(names, nodeStats, services); require.NoError(t, err); return w },
		"dynamic": func() *Weighted {
			w, err := NewDynamic(names, nodeStats, services)
			require.NoError(t, err)
			return w
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := build()
			empty := resultsOf(t, w)
			places := map[ha.SID]Placement{}
			for range 300 {
				sid := sids[random.IntN(len(sids))]
				w.Remove(sid)
				delete(places, sid)
				if random.IntN(3) > 0 {
					i := random.Perm(len(names))
					p := Placement{Current: names[i[0]], Running: random.IntN(2) == 0}
					if random.IntN(4) == 0 {
						p.Target = names[i[1]]
					}
					places[sid] = p
					require.NoError(t, w.Add(sid, p))
				}
				fresh := build()
				for sid, p := range places { // in Go's random order
					require.NoError(t, fresh.Add(sid, p))
				}
				require.Equal(t, resultsOf(t, fresh), resultsOf(t, w))
			}
			for sid := range places {
				w.Remove(sid)
			}
			require.Equal(t, empty, resultsOf(t, w))
		})
	}
}

// resultsOf returns the bits of everything that is worked out from the load.
func resultsOf(t *testing.T, w *Weighted) []uint64 {
	t.Helper()
	scores, err := w.Scores("vm:0")
	require.NoError(t, err)
	results := []uint64{math.Float64bits(w.Imbalance())}
	for _, s := range scores {
		results = append(results, math.Float64bits(s))
	}
	for _, n := range w.onNode {
		results = append(results, math.Float64bits(n.guests.cpu), n.guests.mem)
	}
	return results
}

func TestSumsEqualPlainOnes(t *testing.T) {
	// With quarter cores a plain sum never rounds, so that the exact one must
	// be the same in every bit.
	services := map[ha.SID]Service{}
	w := twoNodes(t, services)
	plain := 0.0
	for i := range 1000 {
		sid := ha.SID(fmt.Sprintf("vm:%d", i))
		cores := float64(i%64+1) / 4
		services[sid] = Service{Stats: stats(0, cores, 0, gib)}
		require.NoError(t, w.Add(sid, Placement{Current: "a"}))
		plain += cores
		require.Equal(t, plain, w.onNode[0].guests.cpu)
	}
}

func TestUnlimitedServiceTakesTheWholeNode(t *testing.T) {
	services := map[ha.SID]Service{"vm:1": {Stats: stats(0, 0, 0, gib)}}
	w, err := NewStatic([]string{"a", "b"}, map[string]NodeStats{
		"a": {MaxCPU: 4.9, MaxMem: gib}, "b": {MaxCPU: 32, MaxMem: gib},
	}, services)
	require.NoError(t, err)
	require.NoError(t, w.Add("vm:1", Placement{Current: "a", Target: "b"}))
	require.Equal(t, 4.0, w.onNode[0].guests.cpu, "the fraction of a core is dropped")
	require.Equal(t, 32.0, w.onNode[1].guests.cpu)
}

func TestDynamicCountsOnlyWhatStarts(t *testing.T) {
	services := map[ha.SID]Service{
		"vm:1": {Stats: stats(1, 4, gib, 2*gib)},
		"vm:2": {Stats: stats(1, 2, gib, 3*gib)},
	}
	w, err := NewDynamic([]string{"a"}, map[string]NodeStats{
		"a": {CPU: 1.5, MaxCPU: 8, Mem: 4 * gib, MaxMem: 16 * gib},
	}, services)
	require.NoError(t, err)
	require.NoError(t, w.Add("vm:1", Placement{Current: "a", Running: true}))
	require.Equal(t, load{cpu: 1.5, maxCPU: 8, mem: 4 * gib, maxMem: 16 * gib}, w.onNode[0].guests)
	require.NoError(t, w.Add("vm:2", Placement{Current: "a"}))
	require.Equal(t, load{cpu: 3.5, maxCPU: 8, mem: 7 * gib, maxMem: 16 * gib}, w.onNode[0].guests)
	require.Equal(t, w.onNode[0].base, w.balancedLoad(&w.onNode[0]), "balancing goes by what runs")
}

func TestNodesAreSortedOnce(t *testing.T) {
	size := NodeStats{MaxCPU: 1, MaxMem: 1}
	names := []string{"b", "a", "b"}
	w, err := NewDynamic(names, map[string]NodeStats{"a": size, "b": size}, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, w.Nodes())
	require.Equal(t, []string{"b", "a", "b"}, names, "the caller's slice is left alone")
	require.True(t, slices.IsSorted(w.Nodes()))
}
