package rules

import "pveha/internal/ha"

// NodePriorities returns for each service with a node affinity rule the
// priority of every node it may use: -1 for the nodes that a non-strict rule
// does not name. For comparison and display; services of one rule share a map.
func (c *Compiled) NodePriorities() map[ha.SID]map[string]int {
	shared := make(map[*nodePriorities]map[string]int)
	all := make(map[ha.SID]map[string]int, len(c.nodes))
	for sid, p := range c.nodes {
		byName, ok := shared[p]
		if !ok {
			byName = make(map[string]int, len(p.names))
			for i, name := range p.names {
				byName[name] = p.priorities[i]
			}
			shared[p] = byName
		}
		all[sid] = byName
	}
	return all
}

// Positive returns Together of every service for which that is not empty.
func (c *Compiled) Positive() map[ha.SID][]ha.SID {
	return c.related(func(r relations) peers { return r.together })
}

// Negative returns Separate of every service for which that is not empty.
func (c *Compiled) Negative() map[ha.SID][]ha.SID {
	return c.related(func(r relations) peers { return r.separate })
}

func (c *Compiled) related(which func(relations) peers) map[ha.SID][]ha.SID {
	all := make(map[ha.SID][]ha.SID)
	for sid, r := range c.peers {
		if others := which(r).without(sid); len(others) > 0 {
			all[sid] = others
		}
	}
	return all
}
