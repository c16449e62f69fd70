package hactl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"pveha/cfgparse"
	"pveha/cfgparse/hacfg"
	"pveha/crm/rules"
	"pveha/internal/ha"
	"pveha/pmxcfsio"
)

// withGroups returns the rules together with those that groups stand for, as
// long as there are groups.
func (q *Query) withGroups(ctx context.Context, r *hacfg.Rules) (*hacfg.Rules, error) {
	groups, err := q.groups(ctx)
	if err != nil {
		return nil, err
	}
	resources, err := q.resources(ctx)
	if err != nil {
		return nil, err
	}
	services, err := q.services(ctx, resources)
	if err != nil {
		return nil, err
	}
	all := &hacfg.Rules{Digest: r.Digest, ByID: maps.Clone(r.ByID), Broken: maps.Clone(r.Broken)}
	rules.MigrateGroups(all, groups, services)
	return all, nil
}

// knownNodes returns the nodes that the manager knows of.
func (q *Query) knownNodes(ctx context.Context) ([]string, error) {
	status, err := q.managerStatus(ctx)
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(fields(status["node_status"]))), nil
}

// conflicts returns by rule why rules cannot be kept.
func (q *Query) conflicts(ctx context.Context, r *hacfg.Rules) (map[string][]string, error) {
	nodes, err := q.knownNodes(ctx)
	if err != nil {
		return nil, err
	}
	byRule := map[string][]string{}
	for _, c := range rules.Check(r, nodes) {
		byRule[c.RuleID] = append(byRule[c.RuleID], c.Message)
	}
	return byRule, nil
}

// conflictsKey is the setting that all conflicts are about.
const conflictsKey = "resources"

// ruleRows returns the rules that the options ask for, in the order of the
// file, with what is wrong with each.
func (q *Query) ruleRows(ctx context.Context, p params) ([]object, error) {
	r, err := q.rules(ctx)
	if err != nil {
		return nil, err
	}
	if r, err = q.withGroups(ctx, r); err != nil {
		return nil, err
	}
	conflicts, err := q.conflicts(ctx, r)
	if err != nil {
		return nil, err
	}
	ids := slices.SortedFunc(maps.Keys(r.ByID), func(a, b string) int {
		return cmp.Or(cmp.Compare(r.ByID[a].Ordinal, r.ByID[b].Ordinal), cmp.Compare(a, b))
	})
	var rows []object
	for _, id := range ids {
		rule := r.ByID[id]
		if p.has("type") && p.get("type") != string(rule.Type) ||
			p.has("resource") && !rule.Resources[ha.SID(p.get("resource"))] {
			continue
		}
		row := ruleRow(rule)
		row["digest"] = r.Digest
		if messages := conflicts[id]; messages != nil {
			row["errors"] = object{conflictsKey: messages}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// ruleRow is a rule as its settings are written.
func ruleRow(rule *hacfg.Rule) object {
	row := object{
		"rule": rule.ID, "type": string(rule.Type), "order": rule.Ordinal,
		"resources": joinSIDs(rule.Resources),
	}
	if rule.Comment != "" {
		row["comment"] = rule.Comment
	}
	if rule.Disable != nil {
		row["disable"] = number(perlBool(*rule.Disable))
	}
	switch rule.Type {
	case hacfg.NodeAffinity:
		row["nodes"] = joinNodes(rule.Nodes)
		if rule.Strict != nil {
			row["strict"] = number(perlBool(*rule.Strict))
		} else if isFromGroup(rule) {
			row["strict"] = nil
		}
	case hacfg.ResourceAffinity:
		row["affinity"] = string(rule.Affinity)
	}
	return row
}

// isFromGroup tells whether a rule stands for a group. Of such a rule the Perl
// command shows a setting that is not given as well.
func isFromGroup(rule *hacfg.Rule) bool { return strings.HasPrefix(rule.ID, "ha-group-") }

func joinSIDs(sids map[ha.SID]bool) string {
	var list []string
	for _, sid := range slices.Sorted(maps.Keys(sids)) {
		list = append(list, string(sid))
	}
	return strings.Join(list, ",")
}

func joinNodes(nodes map[string]int) string {
	var list []string
	for _, node := range slices.Sorted(maps.Keys(nodes)) {
		if priority := nodes[node]; priority != 0 {
			node += ":" + strconv.Itoa(priority)
		}
		list = append(list, node)
	}
	return strings.Join(list, ",")
}

// listRules is the command "rules list".
func listRules(ctx context.Context, q *Query, p params) error {
	rows, err := q.ruleRows(ctx, p)
	if err != nil {
		return err
	}
	return q.printRows([]string{"rule"}, rows, p)
}

// showRules is the command "rules config".
func showRules(ctx context.Context, q *Query, p params) error {
	rows, err := q.ruleRows(ctx, p)
	if err != nil {
		return err
	}
	for _, row := range rows {
		_, disabled := row["disable"]
		row["enabled"] = number(perlBool(!disabled))
		row["state"] = "in use"
		if row["errors"] != nil {
			row["state"] = "ignored (conflicts)"
		}
	}
	return q.printRows([]string{"enabled", "state", "rule", "type", "resources", "comment"}, rows, p)
}

// requireRules fails as long as there are groups.
func (q *Query) requireRules(ctx context.Context, verb string) error {
	inUse, err := q.hasManagedGroups(ctx)
	if err != nil {
		return err
	}
	if inUse {
		return fmt.Errorf("cannot %s ha rule: ha groups have not been migrated yet", verb)
	}
	return nil
}

// ruleValues are the settings that were given. A rule that is not disabled has
// no such setting.
func ruleValues(p params) map[string]string {
	values := p.except("rule", "delete", "digest")
	if values["disable"] != "1" {
		delete(values, "disable")
	}
	return values
}

// addRule is the command "rules add".
func addRule(ctx context.Context, e *Edit, p params) error {
	if err := e.begin(ctx); err != nil {
		return err
	}
	if err := e.requireRules(ctx, "create"); err != nil {
		return err
	}
	id, values := p.get("rule"), ruleValues(p)
	if err := checkSection(hacfg.RuleSchema(), p.get("type"), id, values); err != nil {
		return err
	}
	return e.editRules(ctx, "create ha rule failed", func(r *hacfg.Rules) error {
		if r.ByID[id] == nil {
			if err := e.checkRuleMembers(ctx, values); err != nil {
				return err
			}
		}
		if err := r.Add(id, hacfg.RuleType(p.get("type")), values); err != nil {
			return err
		}
		return e.checkFeasible(ctx, r, id)
	})
}

// setRule is the command "rules set".
func setRule(ctx context.Context, e *Edit, p params) error {
	if err := e.requireRules(ctx, "update"); err != nil {
		return err
	}
	id, values := p.get("rule"), ruleValues(p)
	return e.editRules(ctx, "update HA rules failed", func(r *hacfg.Rules) error {
		if err := checkDigest(r.Digest, p); err != nil {
			return err
		}
		if rule := r.ByID[id]; rule != nil && string(rule.Type) == p.get("type") {
			if err := e.checkRuleMembers(ctx, values); err != nil {
				return err
			}
			delete(values, "type") // nothing that could be deleted, either
		}
		change := hacfg.Change{Set: values, Delete: cfgparse.SplitList(p.get("delete"))}
		if err := r.Change(id, change); err != nil {
			return err
		}
		return e.checkFeasible(ctx, r, id)
	})
}

// removeRule is the command "rules remove".
func removeRule(ctx context.Context, e *Edit, p params) error {
	return e.editRules(ctx, "delete ha rule failed", func(r *hacfg.Rules) error {
		r.Remove(p.get("rule"))
		return nil
	})
}

// editRules changes rules.cfg under the lock of the HA domain.
func (e *Edit) editRules(ctx context.Context, prefix string, edit func(*hacfg.Rules) error) error {
	return e.locked(ctx, prefix, func(ctx context.Context) error {
		r, err := e.rules(ctx)
		if err != nil {
			return err
		}
		if err := edit(r); err != nil {
			return err
		}
		return e.write(ctx, pmxcfsio.RulesFile, r.Write)
	})
}

// checkRuleMembers refuses resources that are not under HA and nodes that are
// not in the cluster.
func (q *Query) checkRuleMembers(ctx context.Context, values map[string]string) error {
	if list, ok := values["resources"]; ok {
		if err := q.checkMembers(ctx, list); err != nil {
			return err
		}
	}
	list, ok := values["nodes"]
	if !ok {
		return nil
	}
	known, err := q.Cluster.Nodes(ctx)
	if err != nil {
		return fmt.Errorf("cannot list the nodes: %w", err)
	}
	unknown := map[string]bool{}
	entries := cfgparse.SplitList(list)
	for _, entry := range entries {
		node, _, err := hacfg.ParseNodePriority(entry)
		if err == nil && node != q.Host.Node() && !slices.Contains(known, node) {
			unknown[node] = true
		}
	}
	switch {
	case len(entries) == 0:
		return errors.New("no nodes were specified")
	case len(unknown) > 0:
		return fmt.Errorf("cannot use non-existent node(s) %s.", strings.Join(slices.Sorted(maps.Keys(unknown)), ", "))
	}
	return nil
}

// checkMembers refuses resources that are not under HA.
func (q *Query) checkMembers(ctx context.Context, list string) error {
	resources, err := q.resources(ctx)
	if err != nil {
		return err
	}
	sids := cfgparse.SplitList(list)
	if len(sids) == 0 {
		return errors.New("no resources were specified")
	}
	unmanaged := map[string]bool{}
	for _, sid := range sids {
		if resources.ByID[ha.SID(sid)] == nil {
			unmanaged[sid] = true
		}
	}
	if len(unmanaged) > 0 {
		return fmt.Errorf("cannot use unmanaged resource(s) %s.", strings.Join(slices.Sorted(maps.Keys(unmanaged)), ", "))
	}
	return nil
}

// checkFeasible refuses a rule that cannot be kept next to the others.
func (q *Query) checkFeasible(ctx context.Context, r *hacfg.Rules, id string) error {
	all, err := q.withGroups(ctx, r)
	if err != nil {
		return err
	}
	conflicts, err := q.conflicts(ctx, all)
	if err != nil {
		return err
	}
	if messages := conflicts[id]; messages != nil {
		return fmt.Errorf("400 Rule '%s' is invalid.\n%s: %s", id, conflictsKey, strings.Join(messages, ", "))
	}
	return nil
}
