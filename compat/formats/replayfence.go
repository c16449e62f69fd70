package formats

import "pveha/cfgparse/hacfg"

// Nodes and tries for which the vectors hold the commands of a fence.cfg.
var (
	fenceNodes = []string{"node1", "node2", "node3"}
	fenceTries = 4
)

func replayFence(input string) outcome {
	fence, problems, err := hacfg.ParseFence("fence.cfg", []byte(input))
	o := outcome{"warnings": warnings(problems)}
	if err != nil {
		o["error"] = reason(err)
		return o
	}
	o["parsed"] = fenceFields(fence)
	commands := map[string]any{}
	for _, node := range fenceNodes {
		tries := []any{}
		for try := range fenceTries {
			tries = append(tries, fenceCommands(fence, node, try))
		}
		commands[node] = tries
	}
	o["commands"] = commands
	o.write(fence.Write())
	return o
}

func fenceFields(fence *hacfg.Fence) map[string]any {
	devices := map[string]any{}
	for name, device := range fence.Devices {
		parts := map[string]any{}
		for number, part := range device.Parts {
			fields := map[string]any{"agent": characters(part.Agent), "args": characterList(part.Args)}
			if part.Nodes != nil {
				nodes := map[string]any{}
				for node, args := range part.Nodes {
					nodes[node] = characterList(args)
				}
				fields["node_args"] = nodes
			}
			parts[number] = fields
		}
		devices[characters(name)] = map[string]any{"priority": device.Priority, "sub_devs": parts}
	}
	return devices
}

func characterList(texts []string) []any {
	list := []any{}
	for _, text := range texts {
		list = append(list, characters(text))
	}
	return list
}

// fenceCommands is nil when the node has no further device.
func fenceCommands(fence *hacfg.Fence, node string, try int) any {
	commands := fence.Commands(node, try)
	if commands == nil {
		return nil
	}
	list := []any{}
	for i := range commands {
		line, err := commands[i].Line()
		if err != nil {
			line = reason(err)
		}
		list = append(list, characters(line))
	}
	return list
}
