package hactl

import (
	"fmt"
	"slices"
	"strings"
)

// ManPage returns the manual page in the language of man(7). What the Perl
// command does not have is marked.
func ManPage() string {
	var b strings.Builder
	b.WriteString(`.TH HA\-MANAGER 1 "" "pve\-ha\-manager" "Proxmox VE"
.SH NAME
ha\-manager \- Proxmox VE HA manager command line
.SH SYNOPSIS
.B ha\-manager
.I COMMAND
.RI [ ARGUMENTS ]
.RI [ OPTIONS ]
.SH DESCRIPTION
.B ha\-manager
shows and changes the resources that the HA stack looks after, the rules that say where they run, and sends commands
to the cluster resource manager.
It has to be run by root.
.PP
Commands and options can be shortened as long as they stay unique; those marked as new have to be written out.
Options may stand anywhere, with one or two dashes, and with their value behind a space or an equals sign.
A boolean option without a value is on; its values are 1, on, yes, true and 0, off, no, false.
An argument that begins with a dash goes behind
.BR \-\- .
.SH COMMANDS
`)
	sorted := slices.Clone(commands())
	slices.SortFunc(sorted, func(a, b command) int { return strings.Compare(a.words, b.words) })
	for i := range sorted {
		sorted[i].man(&b)
	}
	for _, alias := range []string{"migrate", "relocate"} {
		fmt.Fprintf(&b, ".SS \"%s %s\"\nAnother word for\n.BR \"%s %s\" .\n", roff(exeName), alias, roff(exeName), roff(aliases[alias]))
	}
	b.WriteString(".SH FORMAT OPTIONS\nCommands that print tables take these options, too.\n")
	for _, o := range formatOptions {
		o.man(&b, "\\-\\-"+roff(o.name))
	}
	b.WriteString(".SH STATUS AS JSON\n.B status \\-\\-json\nprints one object. Its keys, with a dot before those of inner objects:\n")
	for _, k := range statusKeys {
		fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(k.key), paragraph(k.meaning))
	}
	b.WriteString(`.SH "EXIT STATUS"
.TP
.B 0
Success.
.TP
.B 1
New commands only: there is something to look at, such as a problem that
.B lint
found, or a wait that was given up.
.TP
.B 255
Failure; the reason is on standard error.
.SH FILES
.TP
.I /etc/pve/ha/resources.cfg
Resources.
.TP
.I /etc/pve/ha/rules.cfg
Rules.
.TP
.I /etc/pve/ha/groups.cfg
Groups, of clusters that have not become users of rules yet.
.TP
.I /etc/pve/ha/manager_status
The status of the manager.
.TP
.I /etc/pve/ha/crm_commands
Commands that the manager has not taken yet.
`)
	return b.String()
}

// roff escapes text for a line of a manual page.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}

// paragraph breaks text into lines as manual pages want them: one sentence each.
func paragraph(text string) string {
	return roff(strings.ReplaceAll(strings.Join(strings.Fields(text), " "), ". ", ".\n"))
}

// man writes the section about a command.
func (c *command) man(b *strings.Builder) {
	fmt.Fprintf(b, ".SS \"%s\"\n", roff(strings.TrimSpace(strings.TrimSuffix(c.synopsis(exeName+" "+c.words, true), "\n"))))
	help := c.help
	if c.new {
		help += newMark
	}
	b.WriteString(paragraph(help) + "\n")
	for _, name := range c.args {
		c.option(name).man(b, "<"+roff(name)+">")
	}
	for _, o := range shown(c.options, c.isArg, true) {
		o.man(b, "\\-\\-"+roff(o.name))
	}
	for _, v := range c.byType {
		fmt.Fprintf(b, ".PP\nOf type\n.BR %s :\n", roff(v.typ))
		for _, o := range shown(v.options, c.isArg, true) {
			o.man(b, "\\-\\-"+roff(o.name))
		}
	}
}

// man writes the paragraph about an option.
func (o *option) man(b *strings.Builder, name string) {
	fmt.Fprintf(b, ".TP\n.BI \"%s \" \"%s\"\n", name, roff(o.typeText()))
	help := o.help
	if o.preset != "" {
		help = strings.TrimSuffix(help, ".") + " (default: " + o.preset + ")."
	}
	if o.new {
		help += newMark
	}
	b.WriteString(paragraph(help) + "\n")
}
