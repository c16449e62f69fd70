package formats

import (
	"pveha/cfgparse/hacfg"
	"pveha/crm/rules"
	"pveha/internal/ha"
)

// ruleNodes are the nodes of the cluster for which the vectors hold the
// transformed and the compiled rules.
var ruleNodes = []string{"node1", "node2", "node3"}

func replayRules(input string) outcome {
	config, problems := hacfg.ParseRules("rules.cfg", []byte(input))
	o := outcome{"parsed": ruleSections(config, problems)}
	// The recorder parsed the file twice: to write it, and to transform it.
	o["warnings"] = append(warnings(problems), warnings(problems)...)
	o.write(config.Write())

	messages := []any{}
	for _, message := range rules.Transform(config, ruleNodes) {
		messages = append(messages, characters(message)+"\n")
	}
	o["messages"] = messages
	o["transformed"] = ruleSections(config, problems)
	o["compiled"] = compiledFields(rules.Compile(config, ruleNodes))
	return o
}

func ruleSections(config *hacfg.Rules, problems []hacfg.Problem) map[string]any {
	parsed := newSections(config.Broken)
	for id, rule := range config.ByID {
		resources := map[string]any{}
		for sid := range rule.Resources {
			resources[characters(string(sid))] = 1
		}
		properties := map[string]any{"type": string(rule.Type), "resources": resources}
		setText(properties, "comment", rule.Comment)
		setText(properties, "affinity", string(rule.Affinity))
		setFlag(properties, "disable", rule.Disable)
		setFlag(properties, "strict", rule.Strict)
		if rule.Type == hacfg.NodeAffinity {
			properties["nodes"] = priorities(rule.Nodes)
		}
		parsed.add(id, rule.Ordinal, properties)
	}
	return parsed.config(config.Digest, problems)
}

func priorities(nodes map[string]int) map[string]any {
	fields := map[string]any{}
	for node, priority := range nodes {
		fields[node] = map[string]any{"priority": priority}
	}
	return fields
}

func compiledFields(compiled *rules.Compiled) map[string]any {
	nodes := map[string]any{}
	for sid, byName := range compiled.NodePriorities() {
		nodes[characters(string(sid))] = map[string]any{"nodes": priorities(byName)}
	}
	return map[string]any{
		"node-affinity": nodes,
		"resource-affinity": map[string]any{
			"positive": peers(compiled.Positive()),
			"negative": peers(compiled.Negative()),
		},
	}
}

func peers(bySID map[ha.SID][]ha.SID) map[string]any {
	fields := map[string]any{}
	for sid, others := range bySID {
		set := map[string]any{}
		for _, other := range others {
			set[characters(string(other))] = 1
		}
		fields[characters(string(sid))] = set
	}
	return fields
}
