package rules

import (
	"maps"
	"slices"

	"pveha/cfgparse/hacfg"
	"pveha/internal/ha"
)

// MigrateGroups adds to r a node affinity rule "ha-group-NAME" for each group
// that a service is in, in the order of the group names; a rule of that ID is
// replaced. Groups that are not defined are passed over.
//
// Two entries of a group for one node, which groups.cfg allows with different
// priorities, count as the last of the two in text order; the Perl stack takes
// either.
func MigrateGroups(r *hacfg.Rules, g *hacfg.Groups, services map[ha.SID]ha.ServiceConfig) {
	members := make(map[string]map[ha.SID]bool)
	for sid, service := range services {
		if g.ByID[service.Group] == nil {
			continue
		}
		if members[service.Group] == nil {
			members[service.Group] = make(map[ha.SID]bool)
		}
		members[service.Group][sid] = true
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		rule := ruleOfGroup(g.ByID[name], members[name])
		rule.Ordinal = r.NextOrdinal()
		if r.ByID == nil {
			r.ByID = make(map[string]*hacfg.Rule)
		}
		r.ByID[rule.ID] = rule
		delete(r.Broken, rule.ID)
	}
}

func ruleOfGroup(group *hacfg.Group, members map[ha.SID]bool) *hacfg.Rule {
	rule := &hacfg.Rule{
		ID:        "ha-group-" + group.ID,
		Type:      hacfg.NodeAffinity,
		Resources: members,
		Comment:   group.Comment,
		Nodes:     make(map[string]int, len(group.Nodes)),
	}
	for _, entry := range slices.Sorted(slices.Values(group.Nodes)) {
		// The reader of groups.cfg lets no other entries pass.
		if node, priority, err := hacfg.ParseNodePriority(entry); err == nil {
			rule.Nodes[node] = priority
		}
	}
	if group.Restricted != nil {
		strict := *group.Restricted
		rule.Strict = &strict
	}
	// "0" is false to the Perl stack, as is no comment.
	if rule.Comment == "" || rule.Comment == "0" {
		rule.Comment = "Generated from HA group '" + group.ID + "'."
	}
	return rule
}

// FailbackFromGroups sets the failback of every service that is in a group
// from the group's nofailback.
//
// A group that is not defined counts as one without nofailback and without
// nodes, and g gains it as such: when MigrateGroups runs on g afterwards, it
// makes a rule without nodes of it. That rule permits every node, but it can
// be in conflict with others. The Perl stack's CRM does so in each round; its
// persistent migration migrates to rules first, so that such groups vanish.
func FailbackFromGroups(g *hacfg.Groups, services map[ha.SID]ha.ServiceConfig) {
	for sid, service := range services {
		if service.Group == "" {
			continue
		}
		group := g.ByID[service.Group]
		if group == nil {
			group = &hacfg.Group{ID: service.Group}
			if g.ByID == nil {
				g.ByID = make(map[string]*hacfg.Group)
			}
			g.ByID[service.Group] = group
			delete(g.Broken, service.Group)
		}
		service.Failback = group.NoFailback == nil || !*group.NoFailback
		services[sid] = service
	}
}
