package usage

import (
	"fmt"
	"math"
	"slices"

	"pveha/internal/ha"
)

// Imbalance implements Usage.
func (w *Weighted) Imbalance() float64 { return imbalance(w.balanced()) }

// balanced returns the shares in use of every node that balancing goes by. A
// guest that waits for its start is no reason to move another.
func (w *Weighted) balanced() []shares {
	return w.shares(w.balancedLoad)
}

func (w *Weighted) balancedLoad(n *nodeLoad) load {
	if w.measured {
		return n.base
	}
	return n.guests
}

// imbalance is the coefficient of variation. That of fewer than two nodes, and
// of idle ones, has no meaning and is 0.
func imbalance(nodes []shares) float64 {
	if len(nodes) < 2 {
		return 0
	}
	sum := 0.0
	for _, node := range nodes {
		sum += node.total()
	}
	if sum == 0 {
		return 0
	}
	n := float64(len(nodes))
	mean := sum / n
	squares := 0.0
	for _, node := range nodes {
		d := node.total() - mean
		squares += float64(d * d) // no fused multiply-add, see package topsis
	}
	return math.Sqrt(squares/n) / mean
}

// expected cuts an imbalance after as many decimals as a float64 is good for.
// Migrations that come to the same would otherwise differ by the errors of
// their calculation, and those would decide instead of the names.
func expected(imbalance float64) float64 {
	const factor = 1e15
	return math.Trunc(factor*imbalance) / factor
}

// BestMigration implements Usage.
func (w *Weighted) BestMigration(method Method, candidates []Candidate) (ScoredMigration, bool, error) {
	if method != BruteForce && method != TOPSIS {
		return ScoredMigration{}, false, nil
	}
	best, found, err := w.bestMigration(method, candidates)
	if err != nil {
		return ScoredMigration{}, false, fmt.Errorf("unable to score best balancing migration - %w", err)
	}
	return best, found, nil
}

func (w *Weighted) bestMigration(method Method, candidates []Candidate) (ScoredMigration, bool, error) {
	bundles, err := w.bundles(candidates)
	if err != nil {
		return ScoredMigration{}, false, err
	}
	if method == TOPSIS {
		return w.bestScore(bundles)
	}
	best, found := w.leastImbalance(bundles)
	return best, found, nil
}

// bundle is a candidate with the figures of its services.
type bundle struct {
	leader  ha.SID
	source  int
	targets []string
	stats   ServiceStats // of all services together, what they use now
}

// bundles looks up the candidates. All services of one must be in one place
// and none on the move.
func (w *Weighted) bundles(candidates []Candidate) ([]bundle, error) {
	bundles := make([]bundle, 0, len(candidates))
	for _, c := range candidates {
		leader, ok := w.placed[c.Leader]
		switch {
		case !ok:
			return nil, fmt.Errorf("leader '%s' is not present in the cluster usage", c.Leader)
		case leader.target != none:
			return nil, fmt.Errorf("leader '%s' is non-stationary", c.Leader)
		case !slices.Contains(c.Resources, c.Leader):
			return nil, fmt.Errorf("leader '%s' is not present in the resources list", c.Leader)
		}
		b := bundle{leader: c.Leader, source: leader.current, targets: c.Nodes}
		for _, sid := range c.Resources {
			r, ok := w.placed[sid]
			switch {
			case !ok:
				return nil, fmt.Errorf("resource '%s' is not present in the cluster usage", sid)
			case r.target != none:
				return nil, fmt.Errorf("resource '%s' is non-stationary", sid)
			case r.current != b.source:
				return nil, fmt.Errorf("resource '%s' is on other node than leader", sid)
			}
			b.stats.CPU += r.stats.CPU
			b.stats.Mem += r.stats.Mem
		}
		bundles = append(bundles, b)
	}
	return bundles, nil
}

func (w *Weighted) migration(b *bundle, target string, imbalance float64) ScoredMigration {
	return ScoredMigration{
		Migration: Migration{SID: b.leader, Source: w.names[b.source], Target: target},
		Imbalance: expected(imbalance),
	}
}

// try puts in then, which holds the shares in use now, what the two nodes of the
// migration would come to. The source itself and a node that is not online take
// up nothing.
func (w *Weighted) try(then []shares, b *bundle, target string) {
	then[b.source] = w.balancedLoad(&w.onNode[b.source]).leave(b.stats).shares()
	if at, ok := w.index[target]; ok && at != b.source {
		then[at] = w.balancedLoad(&w.onNode[at]).arrive(b.stats).shares()
	}
}

// undo reverts try.
func (w *Weighted) undo(then, now []shares, b *bundle, target string) {
	then[b.source] = now[b.source]
	if at, ok := w.index[target]; ok {
		then[at] = now[at]
	}
}

// leastImbalance tries every migration.
func (w *Weighted) leastImbalance(bundles []bundle) (best ScoredMigration, found bool) {
	now := w.balanced()
	then := slices.Clone(now)
	for i := range bundles {
		b := &bundles[i]
		for _, target := range b.targets {
			w.try(then, b, target)
			m := w.migration(b, target, imbalance(then))
			w.undo(then, now, b, target)
			if !found || m.compare(&best) < 0 {
				best, found = m, true
			}
		}
	}
	return best, found
}

// bestScore weighs average and highest load of CPU and memory after every
// migration against each other. Of equally good ones the first one wins.
func (w *Weighted) bestScore(bundles []bundle) (ScoredMigration, bool, error) {
	now := w.balanced()
	then := slices.Clone(now)
	var values []float64
	for i := range bundles {
		b := &bundles[i]
		for _, target := range b.targets {
			w.try(then, b, target)
			values = spread{}.withAll(then).appendValues(values, len(then))
			w.undo(then, now, b, target)
		}
	}
	scores, err := w.criteria.Score(values)
	if err != nil || len(scores) == 0 {
		return ScoredMigration{}, false, err
	}
	b, target := nthMigration(bundles, slices.Index(scores, slices.Max(scores)))
	w.try(then, b, target)
	return w.migration(b, target, imbalance(then)), true, nil
}

// nthMigration returns the bundle and target of migration n of all.
func nthMigration(bundles []bundle, n int) (*bundle, string) {
	i := 0
	for n >= len(bundles[i].targets) {
		n -= len(bundles[i].targets)
		i++
	}
	return &bundles[i], bundles[i].targets[n]
}
