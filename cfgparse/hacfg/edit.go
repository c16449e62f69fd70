package hacfg

import (
	"errors"
	"fmt"

	"pveha/cfgparse"
	"pveha/internal/ha"
)

// Change is an edit of one section. Values are as they would stand in the
// file; a comment of a rule is decoded like one that is read.
type Change = cfgparse.Change

// ResourceSchema returns the properties of resources with their checks. It must
// not be changed.
func ResourceSchema() *cfgparse.Schema { return resourcesSchema }

// GroupSchema returns the properties of groups like ResourceSchema.
func GroupSchema() *cfgparse.Schema { return groupsSchema }

// RuleSchema returns the properties of rules like ResourceSchema.
func RuleSchema() *cfgparse.Schema { return rulesSchema }

// Add adds a resource behind all others.
func (r *Resources) Add(sid ha.SID, values map[string]string) error {
	if _, err := resourcesSchema.CheckHeader(sid.Type(), sid.Name()); err != nil {
		return err
	}
	if r.ByID[sid] != nil {
		return fmt.Errorf("resource ID '%s' already defined", sid)
	}
	entry, err := resourcesSchema.Create(sid.Type(), string(sid), values)
	if err != nil {
		return err
	}
	for _, other := range r.ByID {
		entry.Ordinal = max(entry.Ordinal, other.Ordinal)
	}
	entry.Ordinal++
	if r.ByID == nil {
		r.ByID = map[ha.SID]*Resource{}
	}
	r.ByID[sid] = newResource(entry)
	return nil
}

// Change edits a resource. After an error it is as it was.
func (r *Resources) Change(sid ha.SID, change Change) error {
	resource := r.ByID[sid]
	if resource == nil {
		return fmt.Errorf("no such resource '%s'", sid)
	}
	entry := resource.entry(sid)
	if err := resourcesSchema.Apply(entry, change); err != nil {
		return err
	}
	*resource = *newResource(entry)
	return nil
}

// Remove removes a resource and tells whether it was there.
func (r *Resources) Remove(sid ha.SID) bool {
	_, found := r.ByID[sid]
	delete(r.ByID, sid)
	return found
}

// Add adds a group behind all others.
func (g *Groups) Add(id string, values map[string]string) error {
	if err := checkConfigID(id); err != nil {
		return err
	}
	if g.ByID[id] != nil {
		return fmt.Errorf("ha group ID '%s' already defined", id)
	}
	if _, broken := g.Broken[id]; broken {
		return fmt.Errorf("ha group ID '%s' already defined, but failed its checks: remove it first", id)
	}
	entry, err := groupsSchema.Create(groupType, id, values)
	if err != nil {
		return err
	}
	for _, other := range g.ByID {
		entry.Ordinal = max(entry.Ordinal, other.Ordinal)
	}
	entry.Ordinal++
	if g.ByID == nil {
		g.ByID = map[string]*Group{}
	}
	g.ByID[id] = newGroup(entry)
	return nil
}

// Change edits a group. After an error it is as it was.
func (g *Groups) Change(id string, change Change) error {
	group := g.ByID[id]
	if group == nil {
		return fmt.Errorf("no such ha group '%s'", id)
	}
	entry := group.entry(id)
	if err := groupsSchema.Apply(entry, change); err != nil {
		return err
	}
	*group = *newGroup(entry)
	return nil
}

// Remove removes a group, even one that failed its checks, and tells whether
// it was there.
func (g *Groups) Remove(id string) bool {
	_, found := g.ByID[id]
	_, broken := g.Broken[id]
	delete(g.ByID, id)
	delete(g.Broken, id)
	return found || broken
}

// Add adds a rule. It comes second, by NextOrdinal, and shares that place with
// the rule that was there; rules of the same ordinal are written in the order of
// their IDs.
func (r *Rules) Add(id string, typ RuleType, values map[string]string) error {
	if err := checkConfigID(id); err != nil {
		return err
	}
	if r.ByID[id] != nil {
		return fmt.Errorf("HA rule '%s' already defined", id)
	}
	if _, broken := r.Broken[id]; broken {
		return fmt.Errorf("HA rule '%s' already defined, but failed its checks: remove it first", id)
	}
	entry, err := rulesSchema.Create(string(typ), id, values)
	if err != nil {
		return err
	}
	rule := newRule(entry)
	if err := rule.checkLists(); err != nil {
		return err
	}
	rule.Ordinal = r.NextOrdinal()
	if r.ByID == nil {
		r.ByID = map[string]*Rule{}
	}
	r.ByID[id] = rule
	return nil
}

// NextOrdinal returns the ordinal of a rule that joins r: one above the lowest
// in use, so new rules share ordinals. Upstream surely meant the highest, but
// the value can be seen in what the API lists and in the order of the file.
func (r *Rules) NextOrdinal() int {
	lowest, known := 0, false
	consider := func(ordinal int) {
		if !known || ordinal < lowest {
			lowest, known = ordinal, true
		}
	}
	for _, rule := range r.ByID {
		consider(rule.Ordinal)
	}
	for _, ordinal := range r.Broken {
		consider(ordinal)
	}
	return lowest + 1
}

// checkLists refuses lists that are empty: without them the rule would be
// broken when it is read again.
func (r *Rule) checkLists() error {
	if len(r.Resources) == 0 {
		return errors.New("no resources were specified")
	}
	if r.Type == NodeAffinity && len(r.Nodes) == 0 {
		return errors.New("no nodes were specified")
	}
	return nil
}

// Change edits a rule. After an error it is as it was.
func (r *Rules) Change(id string, change Change) error {
	rule := r.ByID[id]
	if rule == nil {
		return fmt.Errorf("HA rule '%s' does not exist", id)
	}
	entry, err := rule.entry()
	if err != nil {
		return err
	}
	entry.ID = id
	if err := change.Conflict(); err != nil {
		return err
	}
	if err := rulesSchema.Apply(entry, change); err != nil {
		return err
	}
	edited := newRule(entry)
	if _, changed := change.Set["nodes"]; !changed {
		edited.Nodes, edited.huge = rule.Nodes, rule.huge
	}
	if err := edited.checkLists(); err != nil {
		return err
	}
	*rule = *edited
	return nil
}

// Remove removes a rule, even one that failed its checks, and tells whether it
// was there.
func (r *Rules) Remove(id string) bool {
	_, found := r.ByID[id]
	_, broken := r.Broken[id]
	delete(r.ByID, id)
	delete(r.Broken, id)
	return found || broken
}

// Purge takes a resource out of all rules, and removes the rules that have no
// other. Rules that failed their checks stay, so that Write refuses as long as
// there are any; the Perl stack loses them here.
func (r *Rules) Purge(sid ha.SID) {
	for id, rule := range r.ByID {
		delete(rule.Resources, sid)
		if len(rule.Resources) == 0 {
			delete(r.ByID, id)
		}
	}
}
