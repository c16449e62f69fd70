package usage

import (
	"fmt"
	"slices"

	"pveha/internal/ha"
)

// Basic takes the number of its services for the load of a node. It needs no
// statistics and does no balancing.
type Basic struct {
	nodes
	counts []int                // services by node
	placed map[ha.SID]Placement // those that count somewhere
}

var _ Usage = (*Basic)(nil)

// NewBasic returns the usage of nodes without any service.
func NewBasic(names []string) *Basic {
	n := newNodes(names)
	return &Basic{nodes: n, counts: make([]int, len(n.names)), placed: map[ha.SID]Placement{}}
}

// Add implements Usage. A service added again is in its new place only.
func (b *Basic) Add(sid ha.SID, p Placement) error {
	b.Remove(sid)
	if p.Target == p.Current {
		p.Target = ""
	}
	for _, node := range []string{p.Current, p.Target} {
		if node != "" && !b.Contains(node) {
			return fmt.Errorf("unable to add service '%s' usage to node '%s' - node not in usage hash", sid, node)
		}
	}
	b.count(p, 1)
	b.placed[sid] = p
	return nil
}

// Remove implements Usage.
func (b *Basic) Remove(sid ha.SID) {
	b.count(b.placed[sid], -1)
	delete(b.placed, sid)
}

func (b *Basic) count(p Placement, by int) {
	for _, node := range []string{p.Current, p.Target} {
		if i, ok := b.index[node]; ok {
			b.counts[i] += by
		}
	}
}

// Scores implements Usage. It needs no statistics and never fails.
func (b *Basic) Scores(ha.SID) ([]float64, error) {
	scores := make([]float64, len(b.counts))
	for i, n := range b.counts {
		scores[i] = float64(n)
	}
	return scores, nil
}

// Imbalance implements Usage: it is always 0, which keeps balancing away.
func (b *Basic) Imbalance() float64 { return 0 }

// BestMigration implements Usage: there never is one.
func (b *Basic) BestMigration(Method, []Candidate) (ScoredMigration, bool, error) {
	return ScoredMigration{}, false, nil
}

// nodes are the names of the nodes and the place of each among them.
type nodes struct {
	names []string // sorted
	index map[string]int
}

func newNodes(names []string) nodes {
	n := nodes{names: slices.Clone(names), index: make(map[string]int, len(names))}
	slices.Sort(n.names)
	n.names = slices.Compact(n.names)
	for i, name := range n.names {
		n.index[name] = i
	}
	return n
}

// Nodes implements Usage.
func (n *nodes) Nodes() []string { return n.names }

// Contains implements Usage.
func (n *nodes) Contains(node string) bool {
	_, ok := n.index[node]
	return ok
}
