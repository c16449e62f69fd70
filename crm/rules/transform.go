package rules

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"pveha/cfgparse/hacfg"
	"pveha/internal/ha"
)

// Transform brings r into the form that Compile wants, for a cluster of the
// given nodes: it drops the infeasible rules, joins positive rules that
// overlap, keeps apart from a service also those that stay together with one
// it is kept apart from, and lets services that stay together share a node
// affinity rule. Rules made up here have IDs that begin with an underscore,
// which no configured rule can have.
//
// The messages say why each rule was dropped, for the journal, sorted by rule
// ID, without newline. r.ByID changes in place; rules and maps in it that
// would change are replaced by copies.
func Transform(r *hacfg.Rules, nodes []string) (messages []string) {
	conflicts := Check(r, nodes)
	for _, c := range conflicts {
		messages = append(messages, fmt.Sprintf("Drop rule '%s', because %s.", c.RuleID, c.Message))
		delete(r.ByID, c.RuleID)
	}
	joinPositive(r)
	inferNegative(r)
	inferNodeAffinity(r)
	return messages
}

// joinPositive replaces positive rules that overlap by one rule.
func joinPositive(r *hacfg.Rules) {
	for _, b := range bundles(viewOf(r).positive) {
		if len(b.rules) < 2 {
			continue
		}
		ids := make([]string, len(b.rules))
		for i, rule := range b.rules {
			ids[i] = rule.ID
			delete(r.ByID, rule.ID)
		}
		id := "_merged-" + strings.Join(ids, "-")
		r.ByID[id] = &hacfg.Rule{
			ID:        id,
			Type:      hacfg.ResourceAffinity,
			Ordinal:   b.rules[0].Ordinal,
			Resources: b.resources,
			Affinity:  hacfg.Positive,
		}
	}
}

// inferNegative adds a negative rule for each pair of a service and another
// that it must avoid only because of a third one it stays together with.
func inferNegative(r *hacfg.Rules) {
	v := viewOf(r)
	if len(v.positive) == 0 || len(v.negative) == 0 {
		return
	}
	negative := indexOf(v.negative)
	ordinal := r.NextOrdinal() // stays the same: the new rules are above the lowest
	for _, rule := range v.positive {
		avoided := avoidedBy(rule.Resources, negative)
		if len(avoided) == 0 {
			continue
		}
		members := slices.Sorted(maps.Keys(rule.Resources))
		for _, other := range slices.Sorted(maps.Keys(avoided)) {
			for _, sid := range members {
				if avoided[other][sid] {
					continue
				}
				id := fmt.Sprintf("_implicit-negative-%s-%s-%s", rule.ID, sid, other)
				r.ByID[id] = &hacfg.Rule{
					ID:        id,
					Type:      hacfg.ResourceAffinity,
					Ordinal:   ordinal,
					Resources: map[ha.SID]bool{sid: true, other: true},
					Affinity:  hacfg.Negative,
				}
			}
		}
	}
}

// avoidedBy returns the services that rules keep apart from any of the
// members, each with the members that are told so.
func avoidedBy(members map[ha.SID]bool, negative *index) map[ha.SID]map[ha.SID]bool {
	avoided := make(map[ha.SID]map[ha.SID]bool)
	for sid := range members {
		for _, i := range negative.users[sid] {
			for other := range negative.rules[i].Resources {
				if other == sid {
					continue
				}
				if avoided[other] == nil {
					avoided[other] = make(map[ha.SID]bool)
				}
				avoided[other][sid] = true
			}
		}
	}
	return avoided
}

// inferNodeAffinity adds the services of each positive rule to the node
// affinity rule that one of them is in. After the checks there is at most one;
// where overlapping bundles leave more, the first by ID counts.
func inferNodeAffinity(r *hacfg.Rules) {
	v := viewOf(r)
	first := make(map[ha.SID]int) // the node affinity rule with the service; the checks leave one
	for i, rule := range v.node {
		for sid := range rule.Resources {
			first[sid] = i
		}
	}
	changed := make(map[int]bool)
	for _, rule := range v.positive {
		at := len(v.node)
		for sid := range rule.Resources {
			if i, ok := first[sid]; ok {
				at = min(at, i)
			}
		}
		if at == len(v.node) {
			continue
		}
		if !changed[at] {
			changed[at] = true
			v.node[at] = withOwnResources(v.node[at])
			r.ByID[v.node[at].ID] = v.node[at]
		}
		for sid := range rule.Resources {
			v.node[at].Resources[sid] = true
			first[sid] = at
		}
	}
}

func withOwnResources(rule *hacfg.Rule) *hacfg.Rule {
	c := *rule
	c.Resources = maps.Clone(rule.Resources)
	return &c
}
