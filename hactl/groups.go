package hactl

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"pveha/cfgparse"
	"pveha/cfgparse/hacfg"
	"pveha/pmxcfsio"
)

// listGroups is the command "groupconfig".
func listGroups(ctx context.Context, q *Query, _ params) error {
	groups, err := q.groups(ctx)
	if err != nil {
		return err
	}
	if groupsMigrated(groups) {
		return fmt.Errorf("cannot index groups: " + groupsAreGone)
	}
	var b strings.Builder
	for _, id := range slices.Sorted(maps.Keys(groups.ByID)) {
		g := groups.ByID[id]
		fmt.Fprintf(&b, "group: %s\n", id)
		if g.Comment != "" {
			fmt.Fprintf(&b, "\tcomment %s\n", g.Comment)
		}
		fmt.Fprintf(&b, "\tnodes %s\n", strings.Join(g.Nodes, ","))
		if g.NoFailback != nil {
			fmt.Fprintf(&b, "\tnofailback %s\n", boolText(*g.NoFailback))
		}
		if g.Restricted != nil {
			fmt.Fprintf(&b, "\trestricted %s\n", boolText(*g.Restricted))
		}
		b.WriteByte('\n')
	}
	fmt.Fprint(q.Stdio.Out, b.String())
	return nil
}

// requireGroups fails when groups have become rules.
func (q *Query) requireGroups(ctx context.Context, verb string) error {
	inUse, err := q.hasManagedGroups(ctx)
	if err != nil {
		return err
	}
	if !inUse {
		return fmt.Errorf("cannot %s group: "+groupsAreGone, verb)
	}
	return nil
}

// addGroup is the command "groupadd".
func addGroup(ctx context.Context, e *Edit, p params) error {
	if err := e.requireGroups(ctx, "create"); err != nil {
		return err
	}
	if err := e.begin(ctx); err != nil {
		return err
	}
	id, values := p.get("group"), p.except("group", "type")
	if err := checkSection(hacfg.GroupSchema(), "group", id, values); err != nil {
		return err
	}
	return e.editGroups(ctx, "create ha group failed", func(g *hacfg.Groups) error {
		return g.Add(id, values)
	})
}

// setGroup is the command "groupset".
func setGroup(ctx context.Context, e *Edit, p params) error {
	if err := e.requireGroups(ctx, "update"); err != nil {
		return err
	}
	return e.editGroups(ctx, "update ha group failed", func(g *hacfg.Groups) error {
		if err := checkDigest(g.Digest, p); err != nil {
			return err
		}
		return g.Change(p.get("group"), hacfg.Change{
			Set:    p.except("group", "delete", "digest"),
			Delete: cfgparse.SplitList(p.get("delete")),
		})
	})
}

// removeGroup is the command "groupremove".
func removeGroup(ctx context.Context, e *Edit, p params) error {
	if err := e.requireGroups(ctx, "delete"); err != nil {
		return err
	}
	return e.editGroups(ctx, "delete ha group failed", func(g *hacfg.Groups) error {
		resources, err := e.resources(ctx)
		if err != nil {
			return err
		}
		for _, sid := range slices.Sorted(maps.Keys(resources.ByID)) {
			if group := resources.ByID[sid].Group; group != "" && group == p.get("group") {
				return fmt.Errorf("ha group is used by service '%s'", sid)
			}
		}
		g.Remove(p.get("group"))
		return nil
	})
}

// editGroups changes groups.cfg under the lock of the HA domain.
func (e *Edit) editGroups(ctx context.Context, prefix string, edit func(*hacfg.Groups) error) error {
	return e.locked(ctx, prefix, func(ctx context.Context) error {
		groups, err := e.groups(ctx)
		if err != nil {
			return err
		}
		if err := edit(groups); err != nil {
			return err
		}
		return e.write(ctx, pmxcfsio.GroupsFile, groups.Write)
	})
}
