package hactl

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// usageIndent stands before each line of the list of commands.
const usageIndent = "       "

// typeText is how help shows the values of an option.
func (o *option) typeText() string {
	switch {
	case o.typetext != "":
		return o.typetext
	case len(o.enum) > 0:
		return "<" + strings.Join(slices.Sorted(slices.Values(o.enum)), " | ") + ">"
	case o.natural:
		return "<" + string(o.kind) + "> (0 - N)"
	}
	return "<" + string(o.kind) + ">"
}

// describe is the paragraph about an option in the full help; shown is its
// name as it is written.
func (o *option) describe(shown string) string {
	const indent = "             "
	preset := ""
	if o.preset != "" {
		preset = "   (default=" + o.preset + ")"
	}
	head := fmt.Sprintf("  %-10s %s%s\n", shown, o.typeText(), preset)
	return wrap("", indent, head) + wrap(indent, indent, o.help) + "\n\n"
}

// shown returns the options that help lists, sorted by name: those of the Perl
// command, or the new ones as well.
func shown(options []option, skip func(string) bool, withNew bool) []option {
	var list []option
	for _, o := range options {
		if !skip(o.name) && (withNew || !o.new) {
			list = append(list, o)
		}
	}
	slices.SortFunc(list, func(a, b option) int { return cmp.Compare(a.name, b.name) })
	return list
}

// synopsis is the line that says how a command is used.
func (c *command) synopsis(prefix string, withNew bool) string {
	var words []string
	for _, name := range c.args {
		o := c.option(name)
		switch {
		case o.format != nil && o.format.list:
			words = append(words, "{<"+name+">}")
		case o.required:
			words = append(words, "<"+name+">")
		default:
			words = append(words, "[<"+name+">]")
		}
	}
	options := shown(c.options, c.isArg, withNew)
	for _, o := range options {
		if o.required {
			words = append(words, "--"+o.name+" <"+string(o.kind)+">")
		}
	}
	line := prefix + " " + strings.Join(words, " ")
	if len(options) > 0 || c.byType != nil {
		line += " [OPTIONS]"
	}
	if c.tabular {
		line += " [FORMAT_OPTIONS]"
	}
	return line + "\n"
}

// fullHelp is everything about a command.
func (c *command) fullHelp(prefix string, withNew bool) string {
	var b strings.Builder
	b.WriteString("USAGE: " + c.synopsis(prefix, withNew))
	help := c.help
	if c.new {
		help += newMark
	}
	b.WriteString("\n" + wrap("  ", "  ", help) + "\n\n")
	for _, name := range c.args {
		b.WriteString(c.option(name).describe("<" + name + ">"))
	}
	for _, o := range shown(c.options, c.isArg, withNew) {
		if o.new {
			o.help += newMark
		}
		b.WriteString(o.describe("--" + o.name))
	}
	if c.byType != nil {
		b.WriteString(" Conditional options:\n\n")
	}
	for _, v := range c.byType {
		b.WriteString(" [type=" + v.typ + "]\n\n")
		for _, o := range shown(v.options, c.isArg, withNew) {
			b.WriteString(o.describe("--" + o.name))
		}
	}
	return b.String()
}

// newMark stands behind the description of what the Perl command does not have.
const newMark = " (not in the Perl command)"

// fullHelpOf is the full help of a group of commands. prefix stands for the
// words of the group, as they were written.
func fullHelpOf(words, prefix string) string {
	var b strings.Builder
	for _, name := range within(words).names {
		inner := join(words, name)
		if c := lookup(inner); c != nil {
			b.WriteString(c.fullHelp(prefix+" "+name, false))
		} else {
			b.WriteString(fullHelpOf(inner, prefix+" "+name))
		}
	}
	return b.String()
}

// shortHelpOf is a line for each command of a group, sorted by name.
func shortHelpOf(words, prefix string) string {
	var b strings.Builder
	for _, name := range within(words).names {
		inner := join(words, name)
		if c := lookup(inner); c != nil {
			b.WriteString(usageIndent + c.synopsis(prefix+" "+name, false))
		} else {
			b.WriteString(shortHelpOf(inner, prefix+" "+name))
		}
	}
	return b.String()
}

// overview is a line for each command of a group, groups in it first and then
// by family, with the separator between families.
func overview(words, prefix, separator string) string {
	names := within(words).names
	slices.SortStableFunc(names, func(a, b string) int {
		return cmp.Compare(familyOf(join(words, a)), familyOf(join(words, b)))
	})
	var b strings.Builder
	last := family("")
	for _, name := range names {
		inner := join(words, name)
		c := lookup(inner)
		if c == nil {
			b.WriteString(overview(inner, prefix+" "+name, "") + separator)
			continue
		}
		if last != "" && last != c.family {
			b.WriteString(separator)
		}
		last = c.family
		b.WriteString(usageIndent + c.synopsis(prefix+" "+name, false))
	}
	return b.String()
}

// familyOf is "" for a group, so that groups come first.
func familyOf(words string) family {
	if c := lookup(words); c != nil {
		return c.family
	}
	return ""
}

// printUsage tells what is wrong with the words of a command, and which there
// are: all, or those of the group that r names.
func printUsage(out io.Writer, problem string, r *resolved) {
	fmt.Fprintf(out, "ERROR: %s\n", problem)
	fmt.Fprintf(out, "USAGE: %s <COMMAND> [ARGS] [OPTIONS]\n\n", exeName)
	if r == nil {
		fmt.Fprint(out, overview("", exeName, "\n"))
		return
	}
	fmt.Fprint(out, overview(r.words, r.shown, ""))
}
