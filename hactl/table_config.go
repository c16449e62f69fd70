package hactl

// resourceSettings are the settings of a resource.
var resourceSettings = []option{
	{
		name: "state", kind: kindString, help: "Requested resource state.", preset: "started",
		enum: []string{"started", "stopped", "enabled", "disabled", "ignored"},
	},
	groupOption(false),
	boolOption("failback", failbackHelp, "1"),
	countOption("max_restart", "Maximal number of tries to restart the resource on a node after its start failed."+
		" When reached, the HA manager will try to relocate the resource to an eligible node."),
	countOption("max_relocate", "Maximal number of resource relocate tries when a resource fails to start."),
	commentOption("Description."),
}

var resourceCommands = []command{
	{
		words: "config", family: familyResources, help: "List HA resources.",
		options: []option{typeOption("Only list resources of specific type", resourceTypes, false)},
		read:    listResources,
	},
	{
		words: "add", family: familyResources, help: "Create a new HA resource.", args: []string{"sid"},
		options: with([]option{sidArg(completeNewSID)}, resourceSettings,
			[]option{typeOption("Resource type.", resourceTypes, false)}),
		write: addResource,
	},
	{
		words: "set", family: familyResources, help: "Update resource configuration.", args: []string{"sid"},
		options: with([]option{sidArg(completeSID)}, resourceSettings, editOptions),
		write:   setResource,
	},
	{
		words: "remove", family: familyResources, help: "Delete resource configuration.", args: []string{"sid"},
		options: []option{sidArg(completeSID), boolOption("purge", "Remove this resource from rules that reference it,"+
			" deleting the rule if this resource is the only resource in the rule", "1")},
		write: removeResource,
	},
}

// groupSettings are the settings of a group but for its nodes.
var groupSettings = []option{
	boolOption("restricted", "Resources bound to restricted groups may only run on nodes defined by the group.", "0"),
	boolOption("nofailback", "The CRM tries to run services on the node with the highest priority."+
		" If a node with higher priority comes online, the CRM migrates the service to that node."+
		" Enabling nofailback prevents that behavior.", "0"),
	commentOption("Description."),
}

func nodesOption(required bool) option {
	return option{
		name: "nodes", kind: kindString, help: nodesHelp, typetext: nodesText,
		required: required, format: formatHANodes, complete: completeNode,
	}
}

const deprecated = " (deprecated in favor of HA rules)"

var groupCommands = []command{
	{
		words: "groupconfig", family: familyGroups, help: "Get HA groups." + deprecated,
		read: listGroups,
	},
	{
		words: "groupadd", family: familyGroups, help: "Create a new HA group." + deprecated, args: []string{"group"},
		options: with([]option{groupOption(true), nodesOption(true)}, groupSettings,
			[]option{typeOption("Group type.", []string{"group"}, false)}),
		write: addGroup,
	},
	{
		words: "groupset", family: familyGroups, help: "Update ha group configuration." + deprecated, args: []string{"group"},
		options: with([]option{groupOption(true), nodesOption(false)}, groupSettings, editOptions),
		write:   setGroup,
	},
	{
		words: "groupremove", family: familyGroups, help: "Delete ha group configuration." + deprecated,
		args: []string{"group"}, options: []option{groupOption(true)},
		write: removeGroup,
	},
}

// ruleVariants are the settings of a rule by its type. Those that a rule must
// have are required of a new one.
func ruleVariants(required bool) []variant {
	resources := option{
		name: "resources", kind: kindString, help: sidsHelp, typetext: "<type>:<name>{,<type>:<name>}*",
		required: required, format: formatSIDs, complete: completeSID,
	}
	disable := boolOption("disable", "Whether the HA rule is disabled.", "")
	comment := commentOption("HA rule description.")
	return []variant{
		{"node-affinity", []option{
			resources, nodesOption(required), disable, comment,
			boolOption("strict", "Describes whether the node affinity rule is strict or non-strict.", "0"),
		}},
		{"resource-affinity", []option{
			resources, disable, comment,
			{
				name: "affinity", kind: kindString, required: required, enum: []string{"positive", "negative"},
				help: "Describes whether the HA resources are supposed to be kept on the same node ('positive')," +
					" or are supposed to be kept on separate nodes ('negative').",
			},
		}},
	}
}

var ruleArg = option{
	name: "rule", kind: kindString, help: "HA rule identifier.",
	required: true, format: formatConfigID, complete: completeRule,
}

var ruleTypeArg = typeOption("HA rule type.", ruleTypes, true)

var ruleFilters = []option{
	typeOption("Limit the returned list to the specified rule type.", ruleTypes, false),
	{
		name: "resource", kind: kindString, complete: completeSID,
		help: "Limit the returned list to rules affecting the specified resource.",
	},
}

var ruleCommands = []command{
	{
		words: "rules list", family: familyRules, help: "Get HA rules.",
		options: ruleFilters, tabular: true, read: listRules,
	},
	{
		words: "rules config", family: familyRules, help: "Get HA rules.",
		options: ruleFilters, tabular: true, read: showRules,
	},
	{
		words: "rules add", family: familyRules, help: "Create HA rule.", args: []string{"type", "rule"},
		options: []option{ruleTypeArg, ruleArg}, byType: ruleVariants(true),
		write: addRule,
	},
	{
		words: "rules set", family: familyRules, help: "Update HA rule.", args: []string{"type", "rule"},
		options: with([]option{ruleTypeArg, ruleArg}, editOptions), byType: ruleVariants(false),
		write: setRule,
	},
	{
		words: "rules remove", family: familyRules, help: "Delete HA rule.", args: []string{"rule"},
		options: []option{ruleArg},
		write:   removeRule,
	},
}
