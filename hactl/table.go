package hactl

import (
	"context"
	"slices"
	"strings"
)

// family says which commands stand together in the list of all commands. The
// names sort in the order of that list.
type family string

const (
	familyGroups    family = "1 groups"
	familyResources family = "2 resources"
	familyRules     family = "3 rules"
	familyStatus    family = "4 status"
	familyOwn       family = "5 own"
	familyHelp      family = "6 help"
)

// command is one command as data.
type command struct {
	words   string // "rules add"
	family  family
	help    string
	args    []string // the options that are given by place, in order
	options []option
	// byType holds the options that depend on the value of the option "type".
	byType []variant
	// tabular commands take the options for the form of their output too.
	tabular bool
	new     bool // not in the Perl command

	read  func(ctx context.Context, q *Query, p params) error
	write func(ctx context.Context, e *Edit, p params) error
}

// variant is the options of one type.
type variant struct {
	typ     string
	options []option
}

// aliases are other words for commands.
var aliases = map[string]string{
	"migrate":  "crm-command migrate",
	"relocate": "crm-command relocate",
}

// option returns the option of that name, also one that depends on the type.
func (c *command) option(name string) *option {
	for i := range c.options {
		if c.options[i].name == name {
			return &c.options[i]
		}
	}
	for _, v := range c.byType {
		for i := range v.options {
			if v.options[i].name == name {
				return &v.options[i]
			}
		}
	}
	if c.tabular {
		for i := range formatOptions {
			if formatOptions[i].name == name {
				return &formatOptions[i]
			}
		}
	}
	return nil
}

// optionNames returns the names of all options, sorted.
func (c *command) optionNames() []string {
	var names []string
	add := func(options []option) {
		for _, o := range options {
			names = append(names, o.name)
		}
	}
	add(c.options)
	for _, v := range c.byType {
		add(v.options)
	}
	if c.tabular {
		add(formatOptions)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (c *command) isArg(name string) bool { return slices.Contains(c.args, name) }

// commands returns the table. It is built on first use and never changes.
func commands() []command { return theTable }

var theTable = slices.Concat(resourceCommands, groupCommands, ruleCommands, crmCommands, ownCommands)

// group is the commands that begin with the same words.
type group struct {
	words string // "" for all
	names []string
}

// within returns what can follow the words: names of commands and of groups of
// them, sorted. New words are left out.
func within(words string) group {
	g := group{words: words}
	for i := range commands() {
		c := &commands()[i]
		rest, ok := strings.CutPrefix(c.words, prefixOf(words))
		if !ok || c.new {
			continue
		}
		name, _, _ := strings.Cut(rest, " ")
		g.names = append(g.names, name)
	}
	slices.Sort(g.names)
	g.names = slices.Compact(g.names)
	return g
}

func prefixOf(words string) string {
	if words == "" {
		return ""
	}
	return words + " "
}

func join(words, name string) string { return prefixOf(words) + name }

// lookup returns the command of exactly those words, or nil.
func lookup(words string) *command {
	for i := range commands() {
		if commands()[i].words == words {
			return &commands()[i]
		}
	}
	return nil
}
