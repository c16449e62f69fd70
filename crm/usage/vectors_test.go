package usage

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
)

// vector is a cluster with what the scheduler of the Perl stack made of it.
// The files under testdata were recorded with that scheduler's library,
// proxmox-resource-scheduling 2.1.0, the imbalance not divided by its upper
// bound. All numbers are shortest decimals and read back to the same bits.
type vector struct {
	Mode  string
	Nodes map[string]struct {
		CPU, MaxCPU float64
		Mem, MaxMem uint64
	}
	Services map[ha.SID]struct {
		CPU, MaxCPU     float64
		Mem, MaxMem     uint64
		Current, Target string
		Running         bool
	}
	Candidates []Candidate
	Score      ha.SID // the service that was scored

	Scores             []float64
	Imbalance          float64
	BruteForce, TOPSIS *ScoredMigration
}

func (v *vector) build(t *testing.T) *Weighted {
	t.Helper()
	stats := map[string]NodeStats{}
	for name, n := range v.Nodes {
		stats[name] = NodeStats{CPU: n.CPU, MaxCPU: n.MaxCPU, Mem: n.Mem, MaxMem: n.MaxMem}
	}
	services := map[ha.SID]Service{}
	for sid, s := range v.Services {
		services[sid] = Service{Stats: &ServiceStats{CPU: s.CPU, MaxCPU: s.MaxCPU, Mem: s.Mem, MaxMem: s.MaxMem}}
	}
	build := map[string]func([]string, map[string]NodeStats, map[ha.SID]Service) (*Weighted, error){
		"static": NewStatic, "dynamic": NewDynamic,
	}[v.Mode]
	require.NotNil(t, build, "mode %q", v.Mode)
	w, err := build(slices.Collect(maps.Keys(stats)), stats, services)
	require.NoError(t, err)
	for sid, s := range v.Services { // in any order
		require.NoError(t, w.Add(sid, Placement{Current: s.Current, Target: s.Target, Running: s.Running}))
	}
	return w
}

func (v *vector) check(t *testing.T) {
	t.Helper()
	w := v.build(t)
	scores, err := w.Scores(v.Score)
	require.NoError(t, err)
	require.Equal(t, v.Scores, scores)
	require.Equal(t, math.Float64bits(v.Imbalance), math.Float64bits(w.Imbalance()))

	for method, want := range map[Method]*ScoredMigration{BruteForce: v.BruteForce, TOPSIS: v.TOPSIS} {
		got, found, err := w.BestMigration(method, v.Candidates)
		require.NoError(t, err)
		require.Equal(t, want != nil, found, "method %s", method)
		if found {
			require.Equal(t, *want, got, "method %s", method)
		}
	}
}

func TestVectors(t *testing.T) {
	files, err := filepath.Glob("testdata/*.jsonl")
	require.NoError(t, err)
	checked := 0
	for _, name := range files {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		lines := bufio.NewScanner(bytes.NewReader(data))
		lines.Buffer(nil, 1<<24)
		for lines.Scan() {
			var v vector
			require.NoError(t, json.Unmarshal(lines.Bytes(), &v))
			t.Run(fmt.Sprintf("%s:%d", filepath.Base(name), checked+1), v.check)
			checked++
		}
		require.NoError(t, lines.Err())
	}
	require.GreaterOrEqual(t, checked, 40)
}
