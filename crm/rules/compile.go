package rules

import (
	"maps"
	"math"
	"slices"

	"pveha/cfgparse/hacfg"
	"pveha/internal/ha"
)

// lowPriority is the priority of nodes that a non-strict rule does not name;
// configured priorities start at 0.
const lowPriority = -1

// maxListed is the size of a rule up to which each of its services gets a list
// of the others of its own. The lists of one rule take the square of its size
// in memory: 4 MiB at 512 services, but 1.6 GB at 10,000.
const maxListed = 512

// Compiled answers what the rules say about a service. It never changes, so
// any number of goroutines may use it.
type Compiled struct {
	nodes map[ha.SID]*nodePriorities
	peers map[ha.SID]relations
}

// nodePriorities is the nodes of one node affinity rule, sorted by name. The
// services of the rule share it.
type nodePriorities struct {
	names      []string
	priorities []int // by position in names
}

// relations is what resource affinity rules say about one service.
type relations struct {
	together, separate peers
}

// peers is a sorted list of services. Large rules share one list among their
// services, which then contains the service itself as well.
type peers struct {
	sids   []ha.SID
	shared bool
}

// Compile makes the look-ups from rules that went through Transform with the
// same nodes. A service in several node affinity rules, which the checks leave
// in rare cases, follows the last by ID.
func Compile(r *hacfg.Rules, nodes []string) *Compiled {
	v := viewOf(r)
	c := &Compiled{
		nodes: make(map[ha.SID]*nodePriorities),
		peers: make(map[ha.SID]relations),
	}
	for _, rule := range v.node {
		priorities := effectiveNodes(rule, nodes)
		for sid := range rule.Resources {
			c.nodes[sid] = priorities
		}
	}
	for sid, p := range relate(v.positive) {
		c.peers[sid] = relations{together: p}
	}
	for sid, p := range relate(v.negative) {
		c.peers[sid] = relations{together: c.peers[sid].together, separate: p}
	}
	return c
}

// effectiveNodes adds the remaining nodes to those of a non-strict rule.
func effectiveNodes(rule *hacfg.Rule, nodes []string) *nodePriorities {
	all := maps.Clone(rule.Nodes)
	if all == nil {
		all = make(map[string]int)
	}
	if !rule.IsStrict() {
		for _, node := range nodes {
			if _, named := all[node]; !named {
				all[node] = lowPriority
			}
		}
	}
	p := &nodePriorities{names: slices.Sorted(maps.Keys(all))}
	p.priorities = make([]int, len(p.names))
	for i, name := range p.names {
		p.priorities[i] = all[name]
	}
	return p
}

// relate returns for each service the others in the rules that name it.
// Services with no other are left out.
func relate(rules []*hacfg.Rule) map[ha.SID]peers {
	groups := make(map[ha.SID][][]ha.SID) // the members of each of its rules
	for _, rule := range rules {
		if len(rule.Resources) < 2 {
			continue
		}
		members := slices.Sorted(maps.Keys(rule.Resources))
		for _, sid := range members {
			groups[sid] = append(groups[sid], members)
		}
	}
	related := make(map[ha.SID]peers, len(groups))
	for sid, members := range groups {
		if len(members) == 1 && len(members[0]) > maxListed {
			related[sid] = peers{sids: members[0], shared: true}
			continue
		}
		all := slices.Concat(members...)
		if len(members) > 1 {
			slices.Sort(all)
			all = slices.Compact(all)
		}
		related[sid] = peers{sids: slices.DeleteFunc(all, func(s ha.SID) bool { return s == sid })}
	}
	return related
}

// NodeAffinity returns the nodes of online that the service may use, and of
// these the ones it prefers. Online must be sorted, the results are. Without a
// rule both are online itself; so the caller must not modify either. Both are
// empty when a strict rule has no node online.
func (c *Compiled) NodeAffinity(sid ha.SID, online []string) (allowed, preferred []string) {
	p, ok := c.nodes[sid]
	if !ok {
		return online, online
	}
	return p.among(online)
}

// among walks both sorted lists at once: first to count, then to collect what
// is not simply online.
func (p *nodePriorities) among(online []string) (allowed, preferred []string) {
	highest, usable, best := 0, 0, 0
	next := 0
	for _, node := range online {
		at := p.find(next, node)
		if at < 0 {
			continue
		}
		next = at + 1
		usable++
		switch priority := p.priorities[at]; {
		case best == 0 || priority > highest:
			highest, best = priority, 1
		case priority == highest:
			best++
		}
	}
	allowed = p.collect(online, usable, math.MinInt)
	if best == usable {
		return allowed, allowed
	}
	return allowed, p.collect(online, best, highest)
}

// collect returns the first n nodes of online that have at least the priority.
func (p *nodePriorities) collect(online []string, n, least int) []string {
	switch n {
	case 0:
		return nil
	case len(online):
		return online
	}
	nodes := make([]string, 0, n)
	next := 0
	for _, node := range online {
		at := p.find(next, node)
		if at < 0 {
			continue
		}
		next = at + 1
		if p.priorities[at] >= least {
			if nodes = append(nodes, node); len(nodes) == n {
				break
			}
		}
	}
	return nodes
}

// find returns the position of the node from the given one on, -1 for none.
func (p *nodePriorities) find(from int, node string) int {
	for i := from; i < len(p.names); i++ {
		// Mostly the two lists agree, and equality is the cheaper question.
		if p.names[i] == node {
			return i
		}
		if p.names[i] > node {
			break
		}
	}
	return -1
}

// Together returns the services that stay on one node with sid, sorted and
// without sid. The caller must not modify the result. Only for a service of a
// rule above 512 services is the list made on each call.
func (c *Compiled) Together(sid ha.SID) []ha.SID { return c.peers[sid].together.without(sid) }

// Separate returns the services that are kept apart from sid, sorted and
// without sid. What is said of Together holds here too.
func (c *Compiled) Separate(sid ha.SID) []ha.SID { return c.peers[sid].separate.without(sid) }

func (p peers) without(sid ha.SID) []ha.SID {
	if !p.shared {
		return p.sids
	}
	others := make([]ha.SID, 0, len(p.sids)-1)
	for _, other := range p.sids {
		if other != sid {
			others = append(others, other)
		}
	}
	return others
}
