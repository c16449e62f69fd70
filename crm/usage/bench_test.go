package usage

import (
	"fmt"
	"testing"

	"pveha/internal/ha"
)

// bigCluster is 32 nodes with 10000 services, all of them placed.
func bigCluster(b *testing.B) (names []string, nodes map[string]NodeStats, services map[ha.SID]Service, sids []ha.SID) {
	b.Helper()
	nodes = map[string]NodeStats{}
	for i := range 32 {
		name := fmt.Sprintf("node%02d", i)
		names = append(names, name)
		nodes[name] = NodeStats{CPU: float64(i) * 1.7, MaxCPU: 128, Mem: uint64(i) * 9 * gib, MaxMem: 1024 * gib}
	}
	services = map[ha.SID]Service{}
	for i := range 10000 {
		sid := ha.SID(fmt.Sprintf("vm:%d", 10000+i))
		sids = append(sids, sid)
		services[sid] = Service{Stats: stats(float64(i%7)/7, float64(i%8)/2, uint64(i%5)<<28, uint64(i%9)<<29)}
	}
	return names, nodes, services, sids
}

func build(b *testing.B) *Weighted {
	names, nodes, services, sids := bigCluster(b)
	w, err := NewStatic(names, nodes, services)
	if err != nil {
		b.Fatal(err)
	}
	for i, sid := range sids {
		if err := w.Add(sid, Placement{Current: names[i*i%len(names)], Running: true}); err != nil {
			b.Fatal(err)
		}
	}
	return w
}

func BenchmarkBuild(b *testing.B) {
	names, nodes, services, sids := bigCluster(b)
	b.ReportAllocs()
	for b.Loop() {
		w, err := NewStatic(names, nodes, services)
		if err != nil {
			b.Fatal(err)
		}
		for i, sid := range sids {
			_ = w.Add(sid, Placement{Current: names[i%len(names)], Running: true})
		}
	}
}

func BenchmarkBuildBasic(b *testing.B) {
	names, _, _, sids := bigCluster(b)
	b.ReportAllocs()
	for b.Loop() {
		u := NewBasic(names)
		for i, sid := range sids {
			_ = u.Add(sid, Placement{Current: names[i%len(names)], Running: true})
		}
	}
}

func BenchmarkRemoveAdd(b *testing.B) {
	w := build(b)
	b.ReportAllocs()
	for b.Loop() {
		w.Remove("vm:10007")
		_ = w.Add("vm:10007", Placement{Current: "node03", Running: true})
	}
}

func BenchmarkScores(b *testing.B) {
	w := build(b)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = w.Scores("vm:10007")
	}
}

func BenchmarkImbalance(b *testing.B) {
	w := build(b)
	for b.Loop() {
		_ = w.Imbalance()
	}
}

// BenchmarkBestMigration tries every service on every other node: 310000
// migrations.
func BenchmarkBestMigration(b *testing.B) {
	w := build(b)
	var candidates []Candidate
	_, _, _, sids := bigCluster(b)
	for _, sid := range sids {
		c := Candidate{Leader: sid, Resources: []ha.SID{sid}}
		for i, node := range w.Nodes() {
			if i != w.placed[sid].current {
				c.Nodes = append(c.Nodes, node)
			}
		}
		candidates = append(candidates, c)
	}
	for _, method := range []Method{BruteForce, TOPSIS} {
		b.Run(string(method), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, found, err := w.BestMigration(method, candidates); err != nil || !found {
					b.Fatal(err)
				}
			}
		})
	}
}
