package rules

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/cfgparse"
	"pveha/cfgparse/hacfg"
	"pveha/internal/ha"
)

var threeNodes = []string{"node1", "node2", "node3"}

// config makes rules of lines such as
//
//	positive ID SIDS [OPTION...]
//	negative ID SIDS [OPTION...]
//	node ID SIDS NODES [OPTION...]
//
// where an option is "strict", "disable" or "disable=0". Ordinals count from 1.
func config(t testing.TB, lines ...string) *hacfg.Rules {
	t.Helper()
	r := &hacfg.Rules{ByID: make(map[string]*hacfg.Rule)}
	for i, line := range lines {
		f := strings.Fields(line)
		rule := &hacfg.Rule{ID: f[1], Ordinal: i + 1, Resources: make(map[ha.SID]bool)}
		for _, sid := range cfgparse.SplitList(f[2]) {
			rule.Resources[ha.SID(sid)] = true
		}
		options := f[3:]
		switch f[0] {
		case "node":
			rule.Type, rule.Nodes = hacfg.NodeAffinity, make(map[string]int)
			for _, entry := range cfgparse.SplitList(f[3]) {
				node, priority, err := hacfg.ParseNodePriority(entry)
				require.NoError(t, err)
				rule.Nodes[node] = priority
			}
			options = f[4:]
		default:
			rule.Type, rule.Affinity = hacfg.ResourceAffinity, hacfg.Affinity(f[0])
		}
		for _, option := range options {
			switch option {
			case "strict":
				rule.Strict = new(true)
			case "disable", "disable=0":
				rule.Disable = new(option == "disable")
			default:
				require.Fail(t, "unknown option "+option)
			}
		}
		r.ByID[rule.ID] = rule
	}
	return r
}

// lines writes rules as config reads them, with the ordinal in front, sorted.
func lines(r *hacfg.Rules) []string {
	var list []string
	for _, rule := range r.ByID {
		sids := slices.Sorted(maps.Keys(rule.Resources))
		kind, nodes := string(rule.Affinity), ""
		if rule.Type == hacfg.NodeAffinity {
			kind = "node"
			var entries []string
			for _, node := range slices.Sorted(maps.Keys(rule.Nodes)) {
				entries = append(entries, fmt.Sprintf("%s:%d", node, rule.Nodes[node]))
			}
			nodes = " " + strings.Join(entries, ",")
		}
		line := fmt.Sprintf("%d %s %s %s%s", rule.Ordinal, kind, rule.ID, join(sids), nodes)
		if rule.IsStrict() {
			line += " strict"
		}
		if rule.Disable != nil {
			line += " disable"
		}
		list = append(list, line)
	}
	slices.Sort(list)
	return list
}

func join(sids []ha.SID) string {
	parts := make([]string, len(sids))
	for i, sid := range sids {
		parts[i] = string(sid)
	}
	return strings.Join(parts, ",")
}

// compile takes rules through the whole of the package.
func compile(t testing.TB, nodes []string, lines ...string) *Compiled {
	t.Helper()
	r := config(t, lines...)
	require.Empty(t, Transform(r, nodes))
	return Compile(r, nodes)
}

// object is a JSON object.
type object = map[string]any

// perlRules is the shape the Perl stack keeps rules in.
func perlRules(r *hacfg.Rules) object {
	ids, order := object{}, object{}
	for id, ordinal := range r.Broken {
		ids[id], order[id] = nil, ordinal
	}
	for id, rule := range r.ByID {
		ids[id], order[id] = perlRule(rule), rule.Ordinal
	}
	return object{"digest": r.Digest, "ids": ids, "order": order}
}

func perlRule(rule *hacfg.Rule) object {
	o := object{"type": string(rule.Type), "resources": set(slices.Collect(maps.Keys(rule.Resources)))}
	if rule.Comment != "" {
		o["comment"] = rule.Comment
	}
	if rule.Disable != nil {
		o["disable"] = number(*rule.Disable)
	}
	if rule.Strict != nil {
		o["strict"] = number(*rule.Strict)
	}
	switch rule.Type {
	case hacfg.NodeAffinity:
		o["nodes"] = perlNodes(rule.Nodes)
	case hacfg.ResourceAffinity:
		o["affinity"] = string(rule.Affinity)
	}
	return o
}

func perlNodes(priorities map[string]int) object {
	o := object{}
	for node, priority := range priorities {
		o[node] = object{"priority": priority}
	}
	return o
}

// perlCompiled is the shape of compiled rules in the Perl stack.
func perlCompiled(c *Compiled) object {
	nodes := object{}
	for sid, priorities := range c.NodePriorities() {
		nodes[string(sid)] = object{"nodes": perlNodes(priorities)}
	}
	related := func(all map[ha.SID][]ha.SID) object {
		o := object{}
		for sid, others := range all {
			o[string(sid)] = set(others)
		}
		return o
	}
	return object{
		"node-affinity": nodes,
		"resource-affinity": object{
			"positive": related(c.Positive()),
			"negative": related(c.Negative()),
		},
	}
}

func set(sids []ha.SID) object {
	o := object{}
	for _, sid := range sids {
		o[string(sid)] = 1
	}
	return o
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// pretty prints JSON as Perl's JSON module does with canonical and pretty set.
func pretty(t testing.TB, o object) string {
	t.Helper()
	raw, err := json.MarshalIndent(o, "", "   ")
	require.NoError(t, err)
	// Keys are followed by a space there; no value in rules has a quote and a
	// colon in it.
	return strings.ReplaceAll(string(raw), `": `, `" : `) + "\n"
}
