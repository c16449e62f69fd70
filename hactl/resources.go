package hactl

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"pveha/cfgparse"
	"pveha/cfgparse/hacfg"
	"pveha/internal/ha"
	"pveha/pmxcfsio"
)

var (
	patternNumber = regexp.MustCompile(`^[0-9]+$`)
	patternPair   = regexp.MustCompile(`^([^\t\n\v\f\r ]+):([^\t\n\v\f\r ]+)$`)
)

// serviceID is a service ID taken apart. The name begins behind the last colon.
type serviceID struct {
	sid       ha.SID
	typ, name string
}

// service reads a service ID, or the ID of a guest, which it looks up.
func (q *Query) service(ctx context.Context, text string) (serviceID, error) {
	text = strings.TrimSuffix(text, "\n")
	if patternNumber.MatchString(text) {
		guests, err := q.Cluster.Guests(ctx)
		if err != nil {
			return serviceID{}, fmt.Errorf("cannot list the guests: %w", err)
		}
		guest, ok := guests[text]
		if !ok {
			return serviceID{}, fmt.Errorf("unable to detect SID from VMID - VM/CT %s does not exist", text)
		}
		typ, err := resourceType(guest.Type)
		if err != nil {
			return serviceID{}, err
		}
		return serviceID{sid: ha.SID(typ + ":" + text), typ: typ, name: text}, nil
	}
	parts := patternPair.FindStringSubmatch(text)
	if parts == nil {
		return serviceID{}, fmt.Errorf("unable to parse service id '%s'", text)
	}
	return serviceID{sid: ha.SID(text), typ: parts[1], name: parts[2]}, nil
}

// resourceType is the type of the resource that a guest can be.
func resourceType(guest string) (string, error) {
	switch guest {
	case string(pmxcfsio.GuestQemu):
		return "vm", nil
	case string(pmxcfsio.GuestLXC):
		return "ct", nil
	}
	return "", fmt.Errorf("unknown PVE resource type '%s'", guest)
}

// listResources is the command "config".
func listResources(ctx context.Context, q *Query, p params) error {
	resources, err := q.resources(ctx)
	if err != nil {
		return err
	}
	groups, err := q.groups(ctx)
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, sid := range slices.Sorted(maps.Keys(resources.ByID)) {
		r := resources.ByID[sid]
		if p.get("type") != "" && p.get("type") != sid.Type() {
			continue
		}
		b.WriteString(string(sid) + "\n")
		for _, setting := range resourceLines(r, !groupsMigrated(groups)) {
			b.WriteString("\t" + setting + "\n")
		}
		b.WriteByte('\n')
		if !groupsMigrated(groups) && r.Group != "" && r.Group != "0" && groups.ByID[r.Group] == nil {
			fmt.Fprintf(q.Stdio.Err, "error: property 'group' - group '%s' does not exist\n", r.Group)
		}
	}
	fmt.Fprint(q.Stdio.Out, b.String())
	return nil
}

// resourceLines are the settings of a resource, sorted.
func resourceLines(r *hacfg.Resource, withGroup bool) []string {
	var lines []string
	add := func(key, value string) { lines = append(lines, key+" "+value) }
	if r.Comment != "" {
		add("comment", r.Comment)
	}
	if r.Failback != nil {
		add("failback", boolText(*r.Failback))
	}
	if r.Group != "" && withGroup {
		add("group", r.Group)
	}
	if r.MaxRelocate != nil {
		add("max_relocate", strconv.Itoa(*r.MaxRelocate))
	}
	if r.MaxRestart != nil {
		add("max_restart", strconv.Itoa(*r.MaxRestart))
	}
	if r.State != "" {
		add("state", string(r.State))
	}
	return lines
}

func boolText(on bool) string { return perlBool(on) }

const groupsAreGone = "ha groups have been migrated to rules"

// addResource is the command "add".
func addResource(ctx context.Context, e *Edit, p params) error {
	if err := e.begin(ctx); err != nil {
		return err
	}
	id, err := e.service(ctx, p.get("sid"))
	if err != nil {
		return err
	}
	if typ := p.get("type"); typ != "" && typ != id.typ {
		return fmt.Errorf("types does not match")
	}
	if p.has("group") {
		inUse, err := e.hasManagedGroups(ctx)
		if err != nil {
			return err
		}
		if !inUse {
			return fmt.Errorf("invalid parameter 'group': " + groupsAreGone)
		}
	}
	if err := e.checkGuest(ctx, id); err != nil {
		return err
	}
	values := p.except("sid", "type")
	if err := checkSection(hacfg.ResourceSchema(), id.typ, string(id.sid), values); err != nil {
		return err
	}
	return e.locked(ctx, "create resource failed", func(ctx context.Context) error {
		resources, err := e.resources(ctx)
		if err != nil {
			return err
		}
		if err := resources.Add(id.sid, values); err != nil {
			return err
		}
		return e.write(ctx, pmxcfsio.ResourcesFile, resources.Write)
	})
}

// checkGuest refuses a resource without a guest of its type.
func (q *Query) checkGuest(ctx context.Context, id serviceID) error {
	if hacfg.ResourceSchema().Type(id.typ) == nil {
		return fmt.Errorf("unknown section type '%s'", id.typ)
	}
	if _, err := hacfg.ResourceSchema().CheckHeader(id.typ, id.name); err != nil {
		return err
	}
	guests, err := q.Cluster.Guests(ctx)
	if err != nil {
		return fmt.Errorf("cannot list the guests: %w", err)
	}
	guest, ok := guests[id.name]
	if !ok {
		return fmt.Errorf("resource '%s' does not exist in cluster", id.sid)
	}
	if typ, _ := resourceType(guest.Type); typ != id.typ {
		what := "VM"
		if id.typ == "ct" {
			what = "container"
		}
		return fmt.Errorf("resource '%s' - guest with ID %s is not a %s", id.sid, id.name, what)
	}
	return nil
}

// setResource is the command "set".
func setResource(ctx context.Context, e *Edit, p params) error {
	id, err := e.service(ctx, p.get("sid"))
	if err != nil {
		return err
	}
	if err := e.checkGroup(ctx, p.get("group")); err != nil {
		return err
	}
	if err := e.checkServiceState(ctx, id.sid, p.get("state")); err != nil {
		return err
	}
	return e.locked(ctx, "update resources config failed", func(ctx context.Context) error {
		resources, err := e.resources(ctx)
		if err != nil {
			return err
		}
		if err := checkDigest(resources.Digest, p); err != nil {
			return err
		}
		change := hacfg.Change{
			Set:    p.except("sid", "delete", "digest"),
			Delete: cfgparse.SplitList(p.get("delete")),
		}
		if err := resources.Change(id.sid, change); err != nil {
			return err
		}
		return e.write(ctx, pmxcfsio.ResourcesFile, resources.Write)
	})
}

// checkGroup refuses a group that is not there; "" and "0" name none.
func (q *Query) checkGroup(ctx context.Context, group string) error {
	if group == "" || group == "0" {
		return nil
	}
	groups, err := q.groups(ctx)
	if err != nil {
		return err
	}
	if groupsMigrated(groups) {
		return fmt.Errorf("invalid parameter 'group': " + groupsAreGone)
	}
	if _, broken := groups.Broken[group]; groups.ByID[group] == nil || broken {
		return fmt.Errorf("HA group '%s' does not exist", group)
	}
	return nil
}

// removeResource is the command "remove".
func removeResource(ctx context.Context, e *Edit, p params) error {
	id, err := e.service(ctx, p.get("sid"))
	if err != nil {
		return err
	}
	resources, err := e.resources(ctx)
	if err != nil {
		return err
	}
	if resources.ByID[id.sid] == nil {
		return fmt.Errorf("cannot delete service '%s', not HA managed!", id.sid)
	}
	purge := !p.has("purge") || p.flag("purge")
	return e.locked(ctx, "delete resource failed", func(ctx context.Context) error {
		resources, err := e.resources(ctx)
		if err != nil {
			return err
		}
		resources.Remove(id.sid)
		// What cannot be printed must not leave one file changed and the
		// other one not.
		kept, err := resources.Write()
		if err != nil {
			return err
		}
		rules, err := e.purgedRules(ctx, id.sid, purge)
		if err != nil {
			return err
		}
		if err := e.Editor.Write(ctx, pmxcfsio.ResourcesFile, kept); err != nil || rules == nil {
			return err
		}
		return e.Editor.Write(ctx, pmxcfsio.RulesFile, rules)
	})
}

// purgedRules prints the rules without a resource; nil when they stay as they
// are. Rules that cannot be read cannot be printed, either, but they are no
// harm as long as no other rule has to change.
func (q *Query) purgedRules(ctx context.Context, sid ha.SID, purge bool) ([]byte, error) {
	if !purge {
		return nil, nil
	}
	rules, err := q.rules(ctx)
	if err != nil {
		return nil, err
	}
	used := false
	for _, rule := range rules.ByID {
		used = used || rule.Resources[sid]
	}
	if len(rules.Broken) > 0 && !used {
		return nil, nil
	}
	rules.Purge(sid)
	data, err := rules.Write()
	if data == nil && err == nil {
		data = []byte{}
	}
	return data, err
}
