package usage

import (
	"fmt"
	"math"

	"pveha/crm/usage/topsis"
	"pveha/internal/ha"
)

// Memory counts more than CPU, because CPU time can be shared and memory
// cannot; the highest load counts more than the average, so that no node is
// overfull while others are idle. Negative: the less, the better.
var loadCriteria = []topsis.Criterion{
	{Name: "average CPU", Weight: -1},
	{Name: "highest CPU", Weight: -2},
	{Name: "average memory", Weight: -5},
	{Name: "highest memory", Weight: -10},
}

// Scores implements Usage. A node scores by what the load of all nodes would
// be, were the service started on it.
func (w *Weighted) Scores(sid ha.SID) ([]float64, error) {
	scores, err := w.startScores(sid)
	if err != nil {
		return make([]float64, len(w.names)),
			fmt.Errorf("unable to score nodes according to %s usage for service '%s' - %w", w.kind, sid, err)
	}
	for i := range scores {
		scores[i] = -scores[i] // there higher is better
	}
	return scores, nil
}

func (w *Weighted) startScores(sid ha.SID) ([]float64, error) {
	stats, err := w.statsOf(sid)
	if err != nil {
		return nil, err
	}
	now := w.shares(func(n *nodeLoad) load { return n.guests })
	values := make([]float64, 0, len(now)*len(loadCriteria))
	// The nodes before the one in question are the same in every later
	// alternative, so their part of the sums is kept.
	var before spread
	for i := range w.onNode {
		started := w.onNode[i].guests.start(stats)
		values = before.with(started.shares()).withAll(now[i+1:]).appendValues(values, len(now))
		before = before.with(now[i])
	}
	return w.criteria.Score(values)
}

// shares returns the shares in use of every node, by the load that is asked for.
func (w *Weighted) shares(of func(*nodeLoad) load) []shares {
	list := make([]shares, len(w.onNode))
	for i := range w.onNode {
		list[i] = of(&w.onNode[i]).shares()
	}
	return list
}

// spread sums up how the load is spread over the nodes, in their order.
type spread struct {
	squares shares
	highest shares
}

func (s spread) with(node shares) spread {
	s.squares.cpu += float64(node.cpu * node.cpu) // no fused multiply-add, see package topsis
	s.squares.mem += float64(node.mem * node.mem)
	s.highest.cpu = max(s.highest.cpu, node.cpu)
	s.highest.mem = max(s.highest.mem, node.mem)
	return s
}

func (s spread) withAll(nodes []shares) spread {
	for _, node := range nodes {
		s = s.with(node)
	}
	return s
}

// appendValues adds the values of one alternative, in the order of
// loadCriteria. The average is the quadratic mean, which grows when the same
// load is on fewer nodes. Without the one on top a load of 0.004 would count as
// twice that of 0.002, though both are next to nothing.
func (s spread) appendValues(values []float64, nodes int) []float64 {
	n := float64(nodes)
	return append(values,
		1+math.Sqrt(s.squares.cpu/n), 1+s.highest.cpu,
		1+math.Sqrt(s.squares.mem/n), 1+s.highest.mem)
}
