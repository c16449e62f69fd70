package cfgparse

import (
	"strconv"
	"strings"
)

// ProblemKind says what a Problem is about.
type ProblemKind string

// The kinds of problems.
const (
	// IgnoredLine is a line that fits nowhere and was left out.
	IgnoredLine ProblemKind = "ignored line"
	// SkippedSection is a section whose header was refused; its lines were
	// left out without a look at them.
	SkippedSection ProblemKind = "skipped section"
	// BrokenSection is a section that failed its checks as a whole.
	BrokenSection ProblemKind = "broken section"
	// BadValue is a property that was left out of its section.
	BadValue ProblemKind = "bad value"
	// Other is anything else; its warning is its text.
	Other ProblemKind = "other"
)

// Problem is something in a file that was not taken over, and why. It is an
// error, too, with one line of text.
type Problem struct {
	Kind    ProblemKind
	File    string
	Line    int    // from 1; 0 when the problem is with no line
	Section string // ID of the section, "" outside of one
	Key     string // name of the property, "" when the problem is with no property

	text string // reason with its line feed, or the line that was ignored
}

// NewProblem returns a problem of the kind Other, with the text of its
// warning, the line feed at its end included.
func NewProblem(file string, line int, key, warning string) Problem {
	return Problem{Kind: Other, File: file, Line: line, Key: key, text: warning}
}

// Context names the place: "file F line N".
func (p *Problem) Context() string {
	return "file " + p.File + " line " + strconv.Itoa(p.Line)
}

// Reason returns the text of the failed check as the Perl stack keeps it in a
// configuration's list of errors, one or more line feeds at its end included.
func (p *Problem) Reason() string { return p.text }

// Message returns the reason without the place and without line feeds at its
// end.
func (p *Problem) Message() string {
	if p.Kind == IgnoredLine {
		return "ignore config line: " + p.text
	}
	return strings.TrimRight(p.text, "\n")
}

// Warning returns the text that the Perl stack writes to its log for the
// problem, byte for byte, line feed at the end included.
func (p *Problem) Warning() string {
	switch p.Kind {
	case IgnoredLine:
		place := p.Context()
		if p.Section != "" {
			place += " (section '" + p.Section + "')"
		}
		return place + " - ignore config line: " + p.text + "\n"
	case SkippedSection, BrokenSection:
		return p.Context() + " (skip section '" + p.Section + "'): " + p.text
	case BadValue:
		return p.Context() + " (section '" + p.Section + "') - unable to parse value of '" + p.Key + "': " + p.text
	case Other:
		return p.text
	}
	return p.text
}

// Error returns the warning without line feeds at its end.
func (p *Problem) Error() string { return strings.TrimRight(p.Warning(), "\n") }
