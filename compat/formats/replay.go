package formats

import (
	"strings"

	"pveha/cfgparse"
	"pveha/cfgparse/hacfg"
	"pveha/internal/ha"
)

// replayers make an outcome of an input, by the kind of the vector.
var replayers = map[string]func(input string) outcome{
	"resources":  replayResources,
	"groups":     replayGroups,
	"rules":      replayRules,
	"fence":      replayFence,
	"datacenter": replayDatacenter,
	"version":    replayVersion,
	"nodeprio":   replayNodePriority,
}

// characters returns a text with one character for each byte of s.
func characters(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteRune(rune(s[i]))
	}
	return b.String()
}

// reason returns the text with which the Perl stack dies of err.
func reason(err error) string { return characters(cfgparse.Reason(err)) }

func warnings(problems []hacfg.Problem) []any {
	list := []any{}
	for i := range problems {
		list = append(list, characters(problems[i].Warning()))
	}
	return list
}

// section-config files

// sections collects the fields of a parsed section-config file.
type sections struct {
	ids, order map[string]any
}

func newSections(broken map[string]int) sections {
	s := sections{ids: map[string]any{}, order: map[string]any{}}
	for id, ordinal := range broken {
		s.ids[characters(id)], s.order[characters(id)] = nil, ordinal
	}
	return s
}

func (s sections) add(id string, ordinal int, properties map[string]any) {
	s.ids[characters(id)], s.order[characters(id)] = properties, ordinal
}

// config completes the parsed file with its digest and its list of errors.
func (s sections) config(digest string, problems []hacfg.Problem) map[string]any {
	config := map[string]any{"ids": s.ids, "order": s.order, "digest": digest}
	var failures []any
	for i := range problems {
		if p := &problems[i]; p.Kind == cfgparse.BadValue {
			failures = append(failures, map[string]any{
				"context": p.Context(),
				"section": characters(p.Section()),
				"key":     characters(p.Key()),
				"err":     characters(p.Reason()),
			})
		}
	}
	if failures != nil {
		config["errors"] = failures
	}
	return config
}

func (o outcome) write(data []byte, err error) {
	if err != nil {
		o["written"], o["write_error"] = nil, reason(err)
		return
	}
	o["written"] = characters(string(data))
}

func setText(properties map[string]any, key, value string) {
	if value != "" {
		properties[key] = value
	}
}

func setFlag(properties map[string]any, key string, value *bool) {
	if value != nil {
		properties[key] = truth(*value)
	}
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

func replayResources(input string) outcome {
	resources, problems := hacfg.ParseResources("resources.cfg", []byte(input))
	parsed := newSections(nil)
	for sid, r := range resources.ByID {
		properties := map[string]any{"type": sid.Type()}
		setText(properties, "state", string(r.State))
		setText(properties, "group", r.Group)
		setText(properties, "comment", characters(r.Comment))
		setFlag(properties, "failback", r.Failback)
		if r.MaxRestart != nil {
			properties["max_restart"] = *r.MaxRestart
		}
		if r.MaxRelocate != nil {
			properties["max_relocate"] = *r.MaxRelocate
		}
		parsed.add(string(sid), r.Ordinal, properties)
	}
	o := outcome{"parsed": parsed.config(resources.Digest, problems), "warnings": warnings(problems)}
	o.write(resources.Write())
	return o
}

func replayGroups(input string) outcome {
	groups, problems := hacfg.ParseGroups("groups.cfg", []byte(input))
	parsed := newSections(groups.Broken)
	for id, g := range groups.ByID {
		nodes := map[string]any{}
		for _, entry := range g.Nodes {
			nodes[entry] = 1
		}
		properties := map[string]any{"type": "group", "nodes": nodes}
		setText(properties, "comment", characters(g.Comment))
		setFlag(properties, "restricted", g.Restricted)
		setFlag(properties, "nofailback", g.NoFailback)
		parsed.add(id, g.Ordinal, properties)
	}
	o := outcome{"parsed": parsed.config(groups.Digest, problems), "warnings": warnings(problems)}
	o.write(groups.Write())
	return o
}

// other files

func replayVersion(input string) outcome {
	version, min, _ := strings.Cut(input, " ")
	return outcome{"parsed": truth(ha.HasMinVersion(version, min)), "warnings": []any{}}
}

func replayNodePriority(input string) outcome {
	node, priority, err := hacfg.ParseNodePriority(input)
	if err != nil {
		return outcome{"error": reason(err), "warnings": []any{}}
	}
	return outcome{"parsed": []any{node, priority}, "warnings": []any{}}
}

func replayDatacenter(input string) outcome {
	dc, problems := hacfg.ParseDatacenter("datacenter.cfg", []byte(input))
	parsed := map[string]any{}
	setText(parsed, "fencing", string(dc.Fencing))
	if dc.MaxWorkers != 0 {
		setText(parsed, "max_workers", show(dc.MaxWorkers))
	}
	if dc.HA.ShutdownPolicy != "" {
		parsed["ha"] = map[string]any{"shutdown_policy": string(dc.HA.ShutdownPolicy)}
	}
	if dc.CRS != nil {
		parsed["crs"] = crsFields(dc.CRS)
	}
	if dc.Migration != nil {
		migration := map[string]any{"type": dc.Migration.Type}
		setText(migration, "network", dc.Migration.Network)
		parsed["migration"] = migration
	}
	return outcome{"parsed": parsed, "warnings": warnings(problems)}
}

func crsFields(crs *hacfg.CRSSettings) map[string]any {
	fields := map[string]any{}
	setText(fields, "ha", string(crs.Mode))
	setFlag(fields, "ha-rebalance-on-start", crs.RebalanceOnStart)
	setFlag(fields, "ha-auto-rebalance", crs.AutoRebalance)
	setText(fields, "ha-auto-rebalance-method", string(crs.Method))
	setNumber(fields, "ha-auto-rebalance-threshold", crs.Threshold)
	setNumber(fields, "ha-auto-rebalance-hold-duration", crs.HoldDuration)
	setNumber(fields, "ha-auto-rebalance-margin", crs.Margin)
	return fields
}

// setNumber puts a number as text, which is what the Perl stack keeps of it.
func setNumber(fields map[string]any, key string, value *float64) {
	if value != nil {
		fields[key] = show(*value)
	}
}
