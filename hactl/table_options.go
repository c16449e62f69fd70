package hactl

// The options that several commands have.
const (
	sidHelp = "HA resource ID. This consists of a resource type followed by a resource" +
		" specific name, separated with colon (example: vm:100 / ct:100). For virtual machines and" +
		" containers, you can simply use the VM or CT id as a shortcut (example: 100)."
	sidsHelp = "List of HA resource IDs. This consists of a list of resource types followed" +
		" by a resource specific name separated with a colon (example: vm:100,ct:101)."
	nodesHelp    = "List of cluster node names with optional priority."
	nodesText    = "<node>[:<pri>]{,<node>[:<pri>]}*"
	failbackHelp = "Automatically migrate HA resource to the node with the highest priority according to their" +
		" node affinity  rules, if a node with a higher priority than the current node comes online."
	maxComment = 4096
	maxDelete  = 4096
	maxDigest  = 64
)

func sidArg(c completion) option {
	return option{
		name: "sid", kind: kindString, help: sidHelp, typetext: "<type>:<name>",
		required: true, format: formatSID, complete: c,
	}
}

func nodeArg(help string, c completion) option {
	return option{name: "node", kind: kindString, help: help, required: true, format: formatNode, complete: c}
}

func groupOption(required bool) option {
	return option{
		name: "group", kind: kindString, help: "The HA group identifier.",
		required: required, format: formatConfigID, complete: completeGroup,
	}
}

func commentOption(help string) option {
	return option{name: "comment", kind: kindString, help: help, maxChars: maxComment}
}

func typeOption(help string, enum []string, required bool) option {
	return option{name: "type", kind: kindString, help: help, enum: enum, required: required}
}

func boolOption(name, help, preset string) option {
	return option{name: name, kind: kindBoolean, help: help, preset: preset}
}

func countOption(name, help string) option {
	return option{name: name, kind: kindInteger, help: help, natural: true, preset: "1"}
}

// editOptions are what all commands have that edit a section.
var editOptions = []option{
	{
		name: "delete", kind: kindString, help: "A list of settings you want to delete.",
		format: formatConfigIDs, maxChars: maxDelete,
	},
	{
		name: "digest", kind: kindString, maxChars: maxDigest,
		help: "Prevent changes if current configuration file has a different digest." +
			" This can be used to prevent concurrent modifications.",
	},
}

// formatOptions are for the form of the output of tabular commands.
var formatOptions = []option{
	{
		name: "output-format", kind: kindString, help: "Output format.", preset: "text",
		enum: []string{"text", "json", "json-pretty", "yaml"},
	},
	boolOption("noheader", "Do not show column headers (for 'text' format).", "0"),
	boolOption("noborder", "Do not draw borders (for 'text' format).", "0"),
	boolOption("quiet", "Suppress printing results.", ""),
	boolOption("human-readable", "Call output rendering functions to produce human readable text.", "1"),
}

func isFormatOption(name string) bool {
	for i := range formatOptions {
		if formatOptions[i].name == name {
			return true
		}
	}
	return false
}

// with returns options of several origins as one list.
func with(lists ...[]option) []option {
	var all []option
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}
