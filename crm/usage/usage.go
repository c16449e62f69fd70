// Package usage knows how loaded the online nodes are and says which node a
// service should start on, how uneven the load is, and which migration would
// even it out best.
//
// There are three ways to measure load. Basic counts services. Static adds up
// what the guests' configurations ask for. Dynamic takes what the nodes and
// guests report to use, and adds what is about to start.
//
// A Usage is built for one round and follows the state changes of that round.
// It is not safe for concurrent use.
package usage

import (
	"cmp"

	"pveha/internal/ha"
)

// Usage is the load of the nodes of a cluster.
type Usage interface {
	// Nodes returns the nodes in sorted order. The slice is shared and must
	// not be modified.
	Nodes() []string
	// Contains reports whether node is one of Nodes.
	Contains(node string) bool

	// Add puts the load of a service on the nodes it uses. An error is a
	// warning in the log, in full; the service then puts no load anywhere.
	Add(sid ha.SID, p Placement) error
	// Remove takes the load of a service off all nodes again, exactly. A
	// service that puts no load anywhere is fine.
	Remove(sid ha.SID)

	// Scores rates each of Nodes, in their order, for the start of a service.
	// Lower is better; only scores of one call compare. An error is for the
	// log, at level err and in full; the scores returned with it are all
	// alike and leave the choice to the order of the names.
	Scores(sid ha.SID) ([]float64, error)

	// Imbalance tells how uneven the load of the nodes is: their standard
	// deviation in units of their mean. It is 0 when all are alike, and
	// sqrt(n-1) when one of n nodes carries everything.
	Imbalance() float64
	// BestMigration returns the migration among the candidates that does most
	// for the balance by the given method. It returns false when there is no
	// candidate, when the method is unknown, or with an error, which is a
	// warning in the log, in full.
	BestMigration(method Method, candidates []Candidate) (ScoredMigration, bool, error)
}

// Method is a way to choose the best of several migrations
// (datacenter.cfg, crs: ha-auto-rebalance-method).
type Method string

// The methods.
const (
	BruteForce Method = "bruteforce" // least imbalance afterwards
	TOPSIS     Method = "topsis"     // best by average and highest load of CPU and memory
)

// Candidate is a group of services that must stay together and may move.
type Candidate struct {
	Leader    ha.SID   // names the group; one of Resources
	Resources []ha.SID // all on one node
	Nodes     []string // where the group may move
}

// Migration moves a service and those that go with it.
type Migration struct {
	SID    ha.SID // leader of the candidate
	Source string
	Target string
}

// ScoredMigration is a migration with the imbalance expected after it.
type ScoredMigration struct {
	Migration
	Imbalance float64 // cut after 15 decimals
}

// compare orders migrations by imbalance, and equally good ones by their
// names, so that the choice never depends on the order of the candidates.
func (m *ScoredMigration) compare(other *ScoredMigration) int {
	return cmp.Or(
		cmp.Compare(m.Imbalance, other.Imbalance),
		cmp.Compare(m.SID, other.SID),
		cmp.Compare(m.Source, other.Source),
		cmp.Compare(m.Target, other.Target),
	)
}
