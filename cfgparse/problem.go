package cfgparse

import (
	"errors"
	"strconv"
	"strings"
)

// ProblemKind says what a Problem is about.
type ProblemKind uint8

// The kinds of problems.
const (
	// Other is anything that has no kind of its own; its warning is its text.
	Other ProblemKind = iota
	// IgnoredLine is a line that fits nowhere and was left out.
	IgnoredLine
	// SkippedSection is a section whose header was refused; its lines were
	// left out without a look at them.
	SkippedSection
	// BrokenSection is a section that failed its checks as a whole.
	BrokenSection
	// BadValue is a property that was left out of its section.
	BadValue
	// IgnoredSetting is a line that was left out of a file without sections.
	IgnoredSetting
	// IgnoredFenceLine is a line that was left out of fence.cfg.
	IgnoredFenceLine
)

// Problem is something in a file that was not taken over, and why. It is an
// error, too, with one line of text. It is small, because there can be one
// for each line of a file.
type Problem struct {
	Kind  ProblemKind
	line  int32
	place *place
	text  string // the line that was ignored, or the warning of Other
}

// place is shared by problems that have it in common.
type place struct {
	file, section, key string
	err                error // the failed check; nil for an ignored line and for Other
}

// ProblemList collects the problems of one file.
type ProblemList struct {
	Problems []Problem

	at    *place // of the last problem
	file  string
	lines int
}

// NewProblemList returns an empty list for the file that problems call by the
// name file. lines is about how many problems there can be.
func NewProblemList(file string, lines int) *ProblemList {
	return &ProblemList{file: file, lines: lines}
}

// Add appends a problem of the kind Other, whose text is its warning, or with
// an ignored line, whose text is the line. section and key are "" where there
// is none; line counts from 1 and is 0 when the problem is with no line.
func (l *ProblemList) Add(kind ProblemKind, line int, section, key, text string) {
	l.append(place{file: l.file, section: section, key: key}, Problem{Kind: kind, line: int32(line), text: text})
}

// fail appends a problem with a check that failed.
func (l *ProblemList) fail(kind ProblemKind, line int, section, key string, err error) {
	l.append(place{l.file, section, key, err}, Problem{Kind: kind, line: int32(line)})
}

func (l *ProblemList) append(at place, p Problem) {
	if l.at == nil || !l.at.equal(at) {
		shared := at
		l.at = &shared
	}
	p.place = l.at
	if l.Problems == nil {
		l.Problems = make([]Problem, 0, l.lines)
	}
	l.Problems = append(l.Problems, p)
}

func (p *place) equal(q place) bool {
	if p.file != q.file || p.section != q.section || p.key != q.key {
		return false
	}
	if p.err == nil || q.err == nil {
		return p.err == nil && q.err == nil
	}
	return errors.Is(p.err, errUnknownProperty) && errors.Is(q.err, errUnknownProperty)
}

// File returns the name under which the file was read.
func (p *Problem) File() string { return p.place.file }

// Line returns the line number from 1, or 0 when the problem is with no line.
func (p *Problem) Line() int { return int(p.line) }

// Section returns the ID of the section, "" outside of one.
func (p *Problem) Section() string { return p.place.section }

// Key returns the name of the property, "" when the problem is with no
// property.
func (p *Problem) Key() string { return p.place.key }

// Context names the place: "file F line N".
func (p *Problem) Context() string {
	return "file " + p.place.file + " line " + strconv.Itoa(int(p.line))
}

// Reason returns the text of the failed check as the Perl stack keeps it in a
// configuration's list of errors, one or more line feeds at its end included.
// For an ignored line it is the line.
func (p *Problem) Reason() string {
	if p.place.err == nil {
		return p.text
	}
	return Reason(p.place.err)
}

// Message returns the reason without the place and without line feeds at its
// end.
func (p *Problem) Message() string {
	switch p.Kind {
	case IgnoredLine, IgnoredSetting, IgnoredFenceLine:
		return "ignore config line: " + p.text
	case SkippedSection, BrokenSection, BadValue, Other:
	}
	return strings.TrimRight(p.Reason(), "\n")
}

// Warning returns the text that the Perl stack writes to its log for the
// problem, byte for byte, line feed at the end included.
func (p *Problem) Warning() string {
	section := "section '" + p.place.section + "')"
	switch p.Kind {
	case IgnoredLine:
		if p.place.section == "" {
			return p.Context() + " - ignore config line: " + p.text + "\n"
		}
		return p.Context() + " (" + section + " - ignore config line: " + p.text + "\n"
	case SkippedSection, BrokenSection:
		return p.Context() + " (skip " + section + ": " + p.Reason()
	case BadValue:
		return p.Context() + " (" + section + " - unable to parse value of '" + p.place.key + "': " + p.Reason()
	case IgnoredSetting:
		return "ignore config line: " + p.text + "\n"
	case IgnoredFenceLine:
		return p.place.file + " ignore line " + strconv.Itoa(int(p.line)) + ": " + p.text + "\n"
	case Other:
	}
	return p.text
}

// Error returns the warning without line feeds at its end.
func (p *Problem) Error() string { return strings.TrimRight(p.Warning(), "\n") }
