package hactl

import "strings"

// exeName is what the command is called in its texts.
const exeName = "ha-manager"

// resolved is what the words at the start of the arguments name.
type resolved struct {
	first   string   // the first argument
	command *command // nil when the words name none
	group   bool     // the words name a group of commands
	words   string   // those of the group
	shown   string   // all words, completed, with the name of the program
	args    []string // what is behind the words of a command
}

// resolve finds the command that the arguments begin with. Words may be
// shortened as long as they stay unique among those of the Perl command;
// aliases and new words are written out.
func resolve(args []string) resolved {
	r := resolved{group: true, shown: exeName}
	if len(args) > 0 {
		r.first = args[0]
	}
	for i := 0; i < len(args); i++ {
		if target, ok := aliases[join(r.words, args[i])]; ok {
			args = append(strings.Fields(target), args[i+1:]...)
			r, i = resolved{group: true, shown: exeName, first: args[0]}, -1
			continue
		}
		word, unique, some := complete(r.words, args[i])
		r.shown += " " + word
		if !unique {
			r.group = some
			return r
		}
		words := join(r.words, word)
		if c := lookup(words); c != nil {
			r.command, r.group, r.args, r.first = c, false, args[i+1:], word
			return r
		}
		r.words = words
	}
	return r
}

// complete returns the full word that may follow words and begins with start,
// and whether it is the only one; if it is not, whether there are some.
func complete(words, start string) (word string, unique, some bool) {
	if c := lookup(join(words, start)); c != nil {
		return start, true, true
	}
	var hits []string
	for _, name := range within(words).names {
		if name == start {
			return start, true, true
		}
		if strings.HasPrefix(name, start) {
			hits = append(hits, name)
		}
	}
	if len(hits) == 1 {
		return hits[0], true, true
	}
	return start, false, len(hits) > 0
}
