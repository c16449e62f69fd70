package rules

import (
	"cmp"
	"fmt"
	"slices"

	"pveha/cfgparse/hacfg"
	"pveha/internal/ha"
)

// Conflict is one reason why a rule cannot be kept in every state of the
// cluster.
type Conflict struct {
	RuleID  string
	Option  string // the option of the rule that is to blame: always "resources"
	Message string // without full stop and newline
}

// Messages of the checks; they stand in the journal and in answers of the
// command line, so they are interface.
const (
	msgSharedNodeAffinity = "resource '%s' is already used in another node affinity rule"
	msgIneffective        = "rule is ineffective as there are less than two resources"
	msgTooManyResources   = "rule defines more resources than available nodes"
	msgSharesWithNegative = "rule shares two or more resources with a negative resource affinity rule"
	msgSharesWithPositive = "rule shares two or more resources with a positive resource affinity rule"
	msgMultiPriorityNode  = "resources are in a resource affinity rule and cannot be in" +
		" a node affinity rule with multiple priorities"
	msgMultiPriorityResource = "resources are in node affinity rules with multiple priorities"
	msgManyNodeAffinity      = "resources are in multiple node affinity rules"
	msgOtherNodeAffinity     = "at least one resource is in a positive resource affinity" +
		" rule and there are other resources in at least one" +
		" other node affinity rule already"
	msgTooFewNodes = "two or more resources are restricted to less nodes than" +
		" available to the resources"
	msgRestricts = "at least one resource is in a negative resource affinity" +
		" rule and this rule would restrict these to less nodes" +
		" than available to the resources"
)

// Check returns why rules in r are infeasible on a cluster of the given nodes.
// The conflicts are sorted by rule ID, those of one rule in the order of the
// checks. A rule that conflicts with several others in the same way is listed
// once for each.
func Check(r *hacfg.Rules, nodes []string) []Conflict {
	v := viewOf(r)
	c := &checker{view: v, byNode: indexOf(v.node), bundles: bundles(v.positive)}
	c.sharedNodeAffinity()
	c.resourceCounts(len(nodes))
	c.positiveAgainstNegative()
	c.multiplePriorities()
	c.manyNodeAffinities()
	c.tooFewNodes()
	slices.SortStableFunc(c.conflicts, func(a, b Conflict) int {
		return cmp.Compare(a.RuleID, b.RuleID)
	})
	return c.conflicts
}

// checker collects conflicts. Every check looks at all enabled rules, also at
// those that another check already objects to.
type checker struct {
	*view
	byNode    *index   // of the node affinity rules
	bundles   []bundle // of the positive rules
	conflicts []Conflict
}

func (c *checker) add(message string, rules ...*hacfg.Rule) {
	for _, rule := range rules {
		c.conflicts = append(c.conflicts, Conflict{RuleID: rule.ID, Option: "resources", Message: message})
	}
}

// sharedNodeAffinity objects to node affinity rules that name the same
// service: there is no way to say which of them counts.
func (c *checker) sharedNodeAffinity() {
	var shared []ha.SID
	for sid, users := range c.byNode.users {
		if len(users) > 1 {
			shared = append(shared, sid)
		}
	}
	slices.Sort(shared)
	for _, sid := range shared {
		message := fmt.Sprintf(msgSharedNodeAffinity, sid)
		for _, i := range c.byNode.users[sid] {
			c.add(message, c.node[i])
		}
	}
}

// resourceCounts objects to resource affinity rules with nothing to relate,
// and to negative ones with more services than the cluster has nodes.
func (c *checker) resourceCounts(nodes int) {
	for _, rule := range c.resource {
		if len(rule.Resources) < 2 {
			c.add(msgIneffective, rule)
		}
	}
	for _, rule := range c.negative {
		if len(rule.Resources) > nodes {
			c.add(msgTooManyResources, rule)
		}
	}
}

// positiveAgainstNegative objects to services that should be together and
// apart at the same time.
func (c *checker) positiveAgainstNegative() {
	if len(c.negative) == 0 {
		return
	}
	holders := make(map[ha.SID][]int) // the bundles a service is in
	for i, b := range c.bundles {
		for sid := range b.resources {
			holders[sid] = append(holders[sid], i)
		}
	}
	for _, rule := range c.negative {
		common := make(map[int]int) // bundle to number of services it shares with the rule
		for sid := range rule.Resources {
			for _, i := range holders[sid] {
				common[i]++
			}
		}
		for i, n := range common {
			if n >= 2 {
				c.add(msgSharesWithPositive, rule)
				c.add(msgSharesWithNegative, c.bundles[i].rules...)
			}
		}
	}
}

// multiplePriorities objects to resource affinity among services whose node
// affinity has priorities: which class of nodes counts would depend on the
// nodes online and on where the other services are.
func (c *checker) multiplePriorities() {
	for _, rule := range c.resource {
		paired, _ := c.byNode.overlapping(rule.Resources)
		if slices.ContainsFunc(paired, hasPriorities) {
			c.add(msgMultiPriorityResource, rule)
			c.add(msgMultiPriorityNode, paired...)
		}
	}
}

// hasPriorities tells whether the rule's nodes differ in priority.
func hasPriorities(rule *hacfg.Rule) bool {
	one, known := 0, false
	for _, priority := range rule.Nodes {
		if known && priority != one {
			return true
		}
		one, known = priority, true
	}
	return false
}

// manyNodeAffinities objects to services that should be together but follow
// several node affinity rules.
func (c *checker) manyNodeAffinities() {
	for _, b := range c.bundles {
		paired, _ := c.byNode.overlapping(b.resources)
		if len(paired) > 1 {
			c.add(msgManyNodeAffinity, b.rules...)
			c.add(msgOtherNodeAffinity, paired...)
		}
	}
}

// tooFewNodes objects to services that should be apart but whose node affinity
// rules name, all together, fewer nodes than there are services in them.
func (c *checker) tooFewNodes() {
	for _, rule := range c.negative {
		paired, located := c.byNode.overlapping(rule.Resources)
		if countNodes(paired) < located {
			c.add(msgTooFewNodes, rule)
			c.add(msgRestricts, paired...)
		}
	}
}

func countNodes(rules []*hacfg.Rule) int {
	nodes := make(map[string]bool)
	for _, rule := range rules {
		for node := range rule.Nodes {
			nodes[node] = true
		}
	}
	return len(nodes)
}
