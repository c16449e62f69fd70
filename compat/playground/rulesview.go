package playground

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"pveha/cfgparse/hacfg"
	"pveha/crm/rules"
	"pveha/internal/ha"
)

// RuleView is one affinity rule with what is wrong with it.
type RuleView struct {
	ID        string         `json:"id"`
	Type      hacfg.RuleType `json:"type"`
	Affinity  hacfg.Affinity `json:"affinity"` // of resource affinity
	Resources []ha.SID       `json:"resources"`
	Nodes     map[string]int `json:"nodes"` // of node affinity: priority by node
	Strict    bool           `json:"strict"`
	Disabled  bool           `json:"disabled"`
	Comment   string         `json:"comment"`
	Conflicts []Conflict     `json:"conflicts"`
}

// Conflict is a reason why a rule is not applied.
type Conflict struct {
	Message string   `json:"message"` // of the check, as the CRM logs it
	Explain string   `json:"explain"` // why that is so, and a way out
	With    []string `json:"with"`    // the other rules it takes for that
}

// GroupView is one group, the forerunner of a node affinity rule.
type GroupView struct {
	ID         string   `json:"id"`
	Nodes      []string `json:"nodes"` // NODE or NODE:PRIORITY
	Restricted bool     `json:"restricted"`
	NoFailback bool     `json:"nofailback"`
	Comment    string   `json:"comment"`
}

// viewConfig reads the files of rules and groups and checks the rules on a
// cluster of the given nodes.
func viewConfig(rulesFile, groupsFile []byte, nodes []string) ([]RuleView, []GroupView, []string) {
	r, problems := hacfg.ParseRules(fileRules, rulesFile)
	g, more := hacfg.ParseGroups(fileGroups, groupsFile)
	texts := []string{}
	problems = append(problems, more...)
	for i := range problems {
		texts = append(texts, problems[i].Error())
	}
	conflicts := map[string][]Conflict{}
	for _, c := range rules.Check(r, nodes) {
		with := overlapping(r, c.RuleID)
		conflicts[c.RuleID] = append(conflicts[c.RuleID], Conflict{
			Message: c.Message, Explain: explainConflict(c.Message, r.ByID[c.RuleID], len(nodes)), With: with,
		})
	}
	views := []RuleView{}
	for _, id := range slices.Sorted(maps.Keys(r.ByID)) {
		rule := r.ByID[id]
		views = append(views, RuleView{
			ID: id, Type: rule.Type, Affinity: rule.Affinity, Nodes: rule.Nodes, Strict: rule.IsStrict(),
			Resources: slices.Sorted(maps.Keys(rule.Resources)),
			Disabled:  rule.Disable != nil, Comment: rule.Comment, Conflicts: conflicts[id],
		})
	}
	groups := []GroupView{}
	for _, id := range slices.Sorted(maps.Keys(g.ByID)) {
		group := g.ByID[id]
		groups = append(groups, GroupView{
			ID: id, Nodes: group.Nodes, Comment: group.Comment,
			Restricted: group.Restricted != nil && *group.Restricted,
			NoFailback: group.NoFailback != nil && *group.NoFailback,
		})
	}
	return views, groups, texts
}

// overlapping returns the other enabled rules that name a resource of a rule.
func overlapping(r *hacfg.Rules, id string) []string {
	with := []string{}
	for _, other := range slices.Sorted(maps.Keys(r.ByID)) {
		rule := r.ByID[other]
		if other == id || rule.Disable != nil {
			continue
		}
		for sid := range rule.Resources {
			if r.ByID[id].Resources[sid] {
				with = append(with, other)
				break
			}
		}
	}
	return with
}

// conflictReasons explain the messages of the checks, each found by a part of
// its text.
var conflictReasons = []struct{ part, why string }{
	{
		"is already used in another node affinity rule",
		"A resource can follow one node affinity rule only: with two of them nobody could say which nodes count." +
			" Take it out of one, or join the rules.",
	},
	{
		"less than two resources",
		"A rule that keeps resources together or apart needs at least two of them. Add another, or delete the rule.",
	},
	{
		"more resources than available nodes",
		"Each of %[1]d resources would need a node of its own, and the cluster has %[2]d." +
			" Name fewer resources, or split the rule.",
	},
	{
		"with a negative resource affinity rule",
		"Two resources cannot be kept together by this rule and apart by another. Take one of them out of either rule.",
	},
	{
		"with a positive resource affinity rule",
		"Two resources cannot be kept apart by this rule and together by another. Take one of them out of either rule.",
	},
	{
		"cannot be in a node affinity rule with multiple priorities",
		"Some of its resources are also kept together or apart, and with nodes of several priorities" +
			" it would depend on the moment which nodes count. Give all nodes the same priority.",
	},
	{
		"resources are in node affinity rules with multiple priorities",
		"Some of its resources prefer nodes by several priorities, so it would depend on the moment" +
			" which nodes count for them. Give all nodes of that rule the same priority.",
	},
	{
		"resources are in multiple node affinity rules",
		"Its resources should share a node, but follow different node affinity rules, which may have no node in common." +
			" Let one node affinity rule name them all.",
	},
	{
		"other node affinity rule already",
		"One of its resources is kept together with others that follow another node affinity rule," +
			" and the two may have no node in common. Let one node affinity rule name them all.",
	},
	{
		"two or more resources are restricted",
		"Its resources need a node each, but node affinity rules leave them fewer nodes than there are resources." +
			" Give those rules more nodes.",
	},
	{
		"would restrict these to less nodes",
		"Some of its resources are kept apart and need a node each, but this rule leaves them too few nodes." +
			" Name more nodes here.",
	},
}

func explainConflict(message string, rule *hacfg.Rule, nodes int) string {
	for _, r := range conflictReasons {
		switch {
		case !strings.Contains(message, r.part):
		case strings.Contains(r.why, "%"):
			return fmt.Sprintf(r.why, len(rule.Resources), nodes)
		default:
			return r.why
		}
	}
	return ""
}
