package hactl

// nodeHelp is about a node that is not the target of anything.
const nodeHelp = "The cluster node name."

var crmCommands = []command{
	{
		words: "crm-command migrate", family: familyResources,
		help: "Request resource migration (online) to another node.",
		args: []string{"sid", "node"}, options: motionOptions, write: migrate,
	},
	{
		words: "crm-command relocate", family: familyResources,
		help: "Request resource relocation to another node. This stops the service on the old node," +
			" and restarts it on the target node.",
		args: []string{"sid", "node"}, options: motionOptions, write: relocate,
	},
	{
		words: "crm-command stop", family: familyOwn, help: "Request the service to be stopped.",
		args: []string{"sid", "timeout"}, write: stop,
		options: []option{sidArg(completeSID), {
			name: "timeout", kind: kindInteger, required: true, natural: true,
			help: "Timeout in seconds. If set to 0 a hard stop will be performed.",
		}},
	},
	{
		words: "crm-command node-maintenance enable", family: familyOwn,
		help: "Change the node-maintenance request state.",
		args: []string{"node"}, write: enableMaintenance,
		options: with([]option{nodeArg(nodeHelp, completeNode)}, waitOptions),
	},
	{
		words: "crm-command node-maintenance disable", family: familyOwn,
		help: "Change the node-maintenance request state.",
		args: []string{"node"}, options: []option{nodeArg(nodeHelp, completeNode)}, write: disableMaintenance,
	},
	{
		words: "crm-command disarm-ha", family: familyStatus,
		help: "Request disarming the HA stack, releasing all watchdogs cluster-wide.",
		args: []string{"resource-mode"}, write: disarm,
		options: []option{{
			name: "resource-mode", kind: kindString, required: true, enum: []string{"freeze", "ignore"},
			help: "Controls how HA managed resources are handled while disarmed." +
				" The current state of resources is not affected." +
				" 'freeze': new commands and state changes are not applied." +
				" 'ignore': resources are removed from HA tracking and can be" +
				" managed as if they were not HA managed.",
		}},
	},
	{
		words: "crm-command arm-ha", family: familyStatus,
		help: "Request re-arming the HA stack after it was disarmed.", write: arm,
	},
}

// waitOptions are of the commands that can wait for what they ask for.
var waitOptions = []option{
	{
		name: "wait", kind: kindBoolean, new: true,
		help: "Wait until it is done, and tell what happens meanwhile and what it waits for.",
	},
	{
		name: "timeout", kind: kindInteger, natural: true, new: true, typetext: "<seconds>",
		help: "With --wait: give up after that many seconds. What was asked for stays asked for.",
	},
}

var motionOptions = with([]option{sidArg(completeSID), nodeArg("Target node.", completeOtherNode)}, waitOptions)

var jsonOption = option{name: "json", kind: kindBoolean, help: "Print JSON, for programs."}

var ownCommands = []command{
	{
		words: "status", family: familyOwn, help: "Display HA manager status.", read: status,
		options: []option{
			boolOption("verbose", "Verbose output. Include complete CRM and LRM status (JSON).", "0"),
			{name: "json", kind: kindBoolean, new: true, help: "Print the status as JSON, for programs."},
			{name: "watch", kind: kindBoolean, new: true, help: "Show the status and keep it up to date. End with q or ^C."},
		},
	},
	{
		words: "explain", family: familyOwn, new: true, read: explain, args: []string{"sid"},
		help:    "Tell why a resource is where it is, what each rule and score says for every node, and what would move it.",
		options: []option{sidArg(completeSID), jsonOption},
	},
	{
		words: "simulate", family: familyOwn, new: true, read: simulate,
		help: "Tell what would become of the resources if nodes failed now: what would go where, what would not fit," +
			" and which rules are in the way. Nothing is changed. Exit status 1 tells that something would not run or fit.",
		options: []option{
			{
				name: "fail", kind: kindString, required: true, typetext: "<node>{,<node>}*",
				help: "The nodes that fail, all at once.", format: formatNodes, complete: completeNode,
			},
			jsonOption,
		},
	},
	{
		words: "lint", family: familyOwn, new: true, read: lint,
		help: "Check all files of the HA stack and list every problem with its file and line." +
			" Exit status 1 tells that there are some.",
	},
	{
		words: "help", family: familyHelp, help: "Get help about specified command.", args: []string{extraArgs},
		options: []option{
			{
				name: extraArgs, kind: kindArray, help: "Shows help for a specific command",
				complete: completeCommand,
			},
			boolOption("verbose", "Verbose output format.", ""),
		},
	},
}
