package crm

import (
	"cmp"
	"slices"

	"pveha/crm/rules"
	"pveha/crm/usage"
	"pveha/internal/ha"
)

// preference says how much a service wants to move when a node is chosen.
type preference int

const (
	stay    preference = iota // the current node, unless a rule prefers another
	best                      // the node with the best score
	another                   // the next best node on which it has not failed yet
)

// placement is what the choice of a node depends on.
type placement struct {
	rules    *rules.Compiled
	usage    usage.Usage
	services map[ha.SID]*ha.ServiceStatus
	warn     func(sid ha.SID, err error)
}

func (m *Manager) placement() placement {
	return placement{
		rules:    m.rules,
		usage:    m.usage,
		services: m.services,
		warn: func(sid ha.SID, err error) {
			m.complain(ha.LevelErr, sid, "%v", err)
		},
	}
}

// choose returns the node on which a service should be, "" when no node is
// allowed.
func (p placement) choose(sid ha.SID, cfg ha.ServiceConfig, pref preference) string {
	s := p.services[sid]
	allowed, preferred := p.rules.NodeAffinity(sid, p.usage.Nodes())
	if len(preferred) == 0 {
		return ""
	}
	partners := p.rules.ResourceAffinity(sid, p.places)

	// Without failback an allowed node is good enough: no needless migration.
	if pref == stay && !cfg.Failback &&
		slices.Contains(allowed, s.Node) && partners.Allows(s.Node) {
		return s.Node
	}
	if pref == another {
		preferred = without(preferred, s.FailedNodes)
	}
	preferred = partners.KeepTogether(partners.KeepApart(preferred))
	if s.MaintenanceNode != "" && slices.Contains(preferred, s.MaintenanceNode) {
		return s.MaintenanceNode
	}
	if pref == stay && slices.Contains(preferred, s.Node) {
		return s.Node
	}
	ranked := p.rank(sid, preferred)
	if len(ranked) == 0 {
		return ""
	}
	if pref == another {
		// Starting behind the current node gives every node its turn.
		if i := slices.Index(ranked, s.Node); i >= 0 && i < len(ranked)-1 {
			return ranked[i+1]
		}
	}
	return ranked[0]
}

// places returns the nodes a service uses: where it is and where it goes.
func (p placement) places(sid ha.SID) (current, target string) {
	s := p.services[sid]
	if s == nil {
		return "", ""
	}
	used := usage.PlacementOf(s, p.usage.Contains)
	return used.Current, used.Target
}

// rank sorts nodes by their score for the service, best first, ties by name.
func (p placement) rank(sid ha.SID, nodes []string) []string {
	scores, err := p.usage.Scores(sid)
	if err != nil {
		p.warn(sid, err)
	}
	all := p.usage.Nodes()
	score := func(node string) float64 {
		i, ok := slices.BinarySearch(all, node)
		if !ok || i >= len(scores) {
			return 0
		}
		return scores[i]
	}
	ranked := slices.Clone(nodes)
	slices.SortStableFunc(ranked, func(a, b string) int {
		return cmp.Or(cmp.Compare(score(a), score(b)), cmp.Compare(a, b))
	})
	return ranked
}

func without(nodes, unwanted []string) []string {
	return slices.DeleteFunc(slices.Clone(nodes), func(n string) bool {
		return slices.Contains(unwanted, n)
	})
}
