package rules

import (
	"cmp"
	"slices"

	"pveha/cfgparse/hacfg"
	"pveha/internal/ha"
)

// view is the enabled rules by kind, each list sorted by rule ID.
type view struct {
	node     []*hacfg.Rule // node affinity
	resource []*hacfg.Rule // resource affinity, whatever its direction
	positive []*hacfg.Rule
	negative []*hacfg.Rule
}

func viewOf(r *hacfg.Rules) *view {
	v := &view{}
	for _, rule := range r.ByID {
		if rule.Disable != nil {
			continue
		}
		switch rule.Type {
		case hacfg.NodeAffinity:
			v.node = append(v.node, rule)
		case hacfg.ResourceAffinity:
			v.resource = append(v.resource, rule)
		}
	}
	byID := func(a, b *hacfg.Rule) int { return cmp.Compare(a.ID, b.ID) }
	slices.SortFunc(v.node, byID)
	slices.SortFunc(v.resource, byID)
	for _, rule := range v.resource {
		switch rule.Affinity {
		case hacfg.Positive:
			v.positive = append(v.positive, rule)
		case hacfg.Negative:
			v.negative = append(v.negative, rule)
		}
	}
	return v
}

// index tells which of a list of rules name a service, so that overlaps are
// found without comparing every rule with every other.
type index struct {
	rules []*hacfg.Rule
	users map[ha.SID][]int // positions in rules, ascending
	seen  []int            // per rule the number of the last search that met it
	turn  int
}

func indexOf(rules []*hacfg.Rule) *index {
	x := &index{
		rules: rules,
		users: make(map[ha.SID][]int),
		seen:  make([]int, len(rules)),
	}
	for i, rule := range rules {
		for sid := range rule.Resources {
			x.users[sid] = append(x.users[sid], i)
		}
	}
	return x
}

// overlapping returns the rules that share a service with resources, in any
// order, and how many of the resources any rule names.
func (x *index) overlapping(resources map[ha.SID]bool) (rules []*hacfg.Rule, named int) {
	x.turn++
	for sid := range resources {
		users := x.users[sid]
		if len(users) > 0 {
			named++
		}
		for _, i := range users {
			if x.seen[i] != x.turn {
				x.seen[i] = x.turn
				rules = append(rules, x.rules[i])
			}
		}
	}
	return rules, named
}

// bundle is a set of services that positive rules keep on one node.
type bundle struct {
	rules     []*hacfg.Rule
	resources map[ha.SID]bool // of a single rule: that rule's own map
}

// bundles joins positive rules that overlap. A rule is looked at in the order
// of its lowest service, rules with the same lowest service by ID, and joins
// the first bundle it has a service in common with. It never links two bundles
// into one, so bundles may overlap. The Perl stack does the same, and rule IDs
// and dropped rules tell of it.
func bundles(positive []*hacfg.Rule) []bundle {
	var list []bundle
	first := make(map[ha.SID]int) // the lowest bundle with the service
	for _, rule := range byLowestResource(positive) {
		at := len(list)
		for sid := range rule.Resources {
			if i, ok := first[sid]; ok {
				at = min(at, i)
			}
		}
		if at == len(list) {
			list = append(list, bundle{resources: rule.Resources})
		} else {
			list[at].resources = union(list[at], rule)
		}
		list[at].rules = append(list[at].rules, rule)
		for sid := range rule.Resources {
			first[sid] = at
		}
	}
	return list
}

// union adds the rule's services to those of the bundle. A bundle of one rule
// still has that rule's map, which must stay as it is.
func union(b bundle, rule *hacfg.Rule) map[ha.SID]bool {
	all := b.resources
	if len(b.rules) == 1 {
		all = make(map[ha.SID]bool, len(b.resources)+len(rule.Resources))
		for sid := range b.resources {
			all[sid] = true
		}
	}
	for sid := range rule.Resources {
		all[sid] = true
	}
	return all
}

// byLowestResource sorts by each rule's lowest service; rules that share it
// keep their order. A rule without services comes first.
func byLowestResource(rules []*hacfg.Rule) []*hacfg.Rule {
	type keyed struct {
		lowest ha.SID
		rule   *hacfg.Rule
	}
	list := make([]keyed, len(rules))
	for i, rule := range rules {
		k := keyed{rule: rule}
		for sid := range rule.Resources {
			if k.lowest == "" || sid < k.lowest {
				k.lowest = sid
			}
		}
		list[i] = k
	}
	slices.SortStableFunc(list, func(a, b keyed) int { return cmp.Compare(a.lowest, b.lowest) })
	sorted := make([]*hacfg.Rule, len(list))
	for i, k := range list {
		sorted[i] = k.rule
	}
	return sorted
}
