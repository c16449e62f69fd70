package rules

import (
	"slices"

	"pveha/internal/ha"
)

// Placement is what resource affinity asks for a service at one moment: the
// nodes of the services it stays together with, and those of the services it
// is kept apart from. The zero value asks for nothing.
type Placement struct {
	together []population
	separate []string
}

// population counts the services on a node.
type population struct {
	node     string
	services int
}

// ResourceAffinity looks up where the services related to sid are. Place
// returns the online nodes a service uses now and is moving to, "" for none
// and for services that are not managed. Of a service to stay together with,
// the target counts before the current node, so that the second of two does
// not follow the first back to where it came from; a service to be kept apart
// from blocks both.
func (c *Compiled) ResourceAffinity(sid ha.SID, place func(ha.SID) (current, target string)) Placement {
	related, ok := c.peers[sid]
	if !ok {
		return Placement{}
	}
	var p Placement
	for _, other := range related.together.sids {
		if other == sid {
			continue
		}
		current, target := place(other)
		if target != "" {
			p.gather(target)
		} else if current != "" {
			p.gather(current)
		}
	}
	for _, other := range related.separate.sids {
		if other == sid {
			continue
		}
		current, target := place(other)
		p.avoid(current)
		p.avoid(target)
	}
	return p
}

func (p *Placement) gather(node string) {
	for i := range p.together {
		if p.together[i].node == node {
			p.together[i].services++
			return
		}
	}
	p.together = append(p.together, population{node, 1})
}

func (p *Placement) avoid(node string) {
	if node != "" && !slices.Contains(p.separate, node) {
		p.separate = append(p.separate, node)
	}
}

// Allows tells whether the service may be on the node: nothing is there that
// it must avoid, or something that it stays together with is.
func (p Placement) Allows(node string) bool {
	here := func(g population) bool { return g.node == node }
	return slices.ContainsFunc(p.together, here) || !slices.Contains(p.separate, node)
}

// KeepTogether leaves of nodes only the one with the most services to stay
// together with, the first by name of equals. When none of nodes has any, it
// returns nodes. The result may be part of nodes.
func (p Placement) KeepTogether(nodes []string) []string {
	best := -1
	most := 0
	for _, g := range p.together {
		i := slices.Index(nodes, g.node)
		if i < 0 || g.services < most {
			continue
		}
		if g.services > most || g.node < nodes[best] {
			best, most = i, g.services
		}
	}
	if best < 0 {
		return nodes
	}
	return nodes[best : best+1 : best+1]
}

// KeepApart returns nodes without those used by services to be kept apart
// from; nodes itself when there is nothing to leave out.
func (p Placement) KeepApart(nodes []string) []string {
	blocked := func(node string) bool { return slices.Contains(p.separate, node) }
	if len(p.separate) == 0 {
		return nodes
	}
	first := slices.IndexFunc(nodes, blocked)
	if first < 0 {
		return nodes
	}
	free := append(make([]string, 0, len(nodes)-1), nodes[:first]...)
	for _, node := range nodes[first+1:] {
		if !blocked(node) {
			free = append(free, node)
		}
	}
	return free
}
