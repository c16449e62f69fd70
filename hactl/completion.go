package hactl

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"pveha/cfgparse"
)

// completion says what can stand for a value.
type completion string

const (
	completeSID       completion = "sid"        // configured resources
	completeNewSID    completion = "new sid"    // guests that are none yet
	completeGroup     completion = "group"      // groups
	completeRule      completion = "rule"       // rules
	completeNode      completion = "node"       // nodes
	completeOtherNode completion = "other node" // nodes but this one
	completeCommand   completion = "command"    // first words of commands
)

// completeOldWay answers a shell that wants to complete a word, by the protocol
// of bash's "complete -C": the arguments are the name of the command, the word
// and the word before it, the whole line is in the environment. It prints one
// proposal a line. What cannot be read has no proposals.
func (q *Query) completeOldWay(ctx context.Context, args []string) error {
	line := q.Stdio.getenv("COMP_LINE")
	if point, err := strconv.Atoi(q.Stdio.getenv("COMP_POINT")); err != nil || point < 0 {
		line = ""
	} else {
		line = line[:min(point, len(line))]
	}
	words := cfgparse.SplitWords(line)
	if len(words) == 0 || len(args) < 3 {
		return nil
	}
	c := completer{
		query: q.quietly(), word: args[1], previous: args[2],
		fresh: line != strings.TrimRight(line, " \t"),
	}
	for _, proposal := range c.proposals(ctx, words[1:]) {
		if strings.HasPrefix(proposal, c.word) {
			fmt.Fprintln(q.Stdio.Out, proposal)
		}
	}
	return nil
}

// completer completes one word.
type completer struct {
	query          *Query
	word, previous string
	fresh          bool // the word is a new one, behind white space
}

// proposals returns what may stand for the last of the words, sorted; those
// that do not fit what is there already have to be left out.
func (c completer) proposals(ctx context.Context, words []string) []string {
	if !c.fresh && len(words) > 0 {
		// The last word may be the start of a command's word.
		if r := resolve(words[:len(words)-1]); r.group {
			return proposedWords(r.words)
		}
	}
	r := resolve(words)
	switch {
	case r.command != nil:
		return c.ofCommand(ctx, r)
	case r.group:
		return proposedWords(r.words)
	}
	return nil
}

// proposedWords are the words that can follow others, new ones included.
func proposedWords(words string) []string {
	list := within(words).names
	for i := range commands() {
		rest, ok := strings.CutPrefix(commands()[i].words, prefixOf(words))
		if ok && commands()[i].new && !strings.Contains(rest, " ") {
			list = append(list, rest)
		}
	}
	slices.Sort(list)
	return list
}

// ofCommand proposes options and values of a command.
func (c completer) ofCommand(ctx context.Context, r resolved) []string {
	at := len(r.args)
	if !c.fresh {
		at--
	}
	if at >= 0 && at < len(r.command.args) {
		return c.values(ctx, r.command.option(r.command.args[at]))
	}
	if !strings.HasPrefix(c.word, "-") && isOption(c.previous) {
		if o := r.command.option(strings.TrimLeft(c.previous, "-")); o != nil {
			return c.values(ctx, o)
		}
	}
	var options []string
	for _, name := range r.command.optionNames() {
		if !r.command.isArg(name) {
			options = append(options, "--"+name)
		}
	}
	return options
}

// values proposes values of an option.
func (c completer) values(ctx context.Context, o *option) []string {
	switch o.complete {
	case completeSID:
		if resources, err := c.query.resources(ctx); err == nil {
			return sortedKeys(resources.ByID)
		}
	case completeNewSID:
		return c.newSIDs(ctx)
	case completeGroup:
		if groups, err := c.query.groups(ctx); err == nil {
			return sortedKeys(groups.ByID)
		}
	case completeRule:
		if rules, err := c.query.rules(ctx); err == nil {
			return sortedKeys(rules.ByID)
		}
	case completeNode, completeOtherNode:
		nodes, _ := c.query.Cluster.Nodes(ctx)
		return slices.DeleteFunc(nodes, func(node string) bool {
			return o.complete == completeOtherNode && node == c.query.Host.Node()
		})
	case completeCommand:
		return proposedWords("")
	}
	if o.kind == kindBoolean {
		return []string{"0", "1"}
	}
	return slices.Sorted(slices.Values(o.enum))
}

// newSIDs are the guests that are not under HA.
func (c completer) newSIDs(ctx context.Context) []string {
	guests, err := c.query.Cluster.Guests(ctx)
	if err != nil {
		return nil
	}
	resources, err := c.query.resources(ctx)
	if err != nil {
		return nil
	}
	configured := sortedKeys(resources.ByID)
	var sids []string
	for id, guest := range guests {
		typ, err := resourceType(guest.Type)
		if sid := typ + ":" + id; err == nil && !slices.Contains(configured, sid) {
			sids = append(sids, sid)
		}
	}
	slices.Sort(sids)
	return sids
}

func sortedKeys[K ~string, V any](m map[K]V) []string {
	keys := make([]string, 0, len(m))
	for key := range maps.Keys(m) {
		keys = append(keys, string(key))
	}
	slices.Sort(keys)
	return keys
}

// BashCompletion returns the completion file for bash. It asks the command.
func BashCompletion() string {
	return `# bash completion for ` + exeName + `

# The IDs of resources have a colon in them, at which bash would break words.
COMP_WORDBREAKS=${COMP_WORDBREAKS//:}

complete -o default -C '` + exeName + ` bashcomplete' ` + exeName + `
`
}

// ZshCompletion returns the completion file for zsh. It asks the command.
func ZshCompletion() string {
	return `#compdef ` + exeName + `

_` + exeName + `() {
    local line="${(j: :)words[1,CURRENT]}"
    local -a proposals
    proposals=("${(@f)$(COMP_LINE="$line" COMP_POINT="${#line}" \
        ` + exeName + ` bashcomplete "${words[1]}" "${words[CURRENT]}" "${words[CURRENT-1]}" 2>/dev/null)}")
    compadd -a proposals
}

_` + exeName + ` "$@"
`
}
