package cfgparse

import (
	"crypto/sha1"
	"encoding/hex"
	"strings"
)

// Tree is a section-config file as text with its structure: every line in
// order, comments and ignored lines included. Its String is the input.
type Tree struct {
	Sections []Section

	text  string
	lines []span
}

// span is a line in the text of a Tree. It holds no pointer, because a file
// can be nothing but short lines.
type span struct {
	start int32
	kind  LineKind
}

// Section is one section of a Tree as it stands there: nothing of it is
// checked, and several may have the same ID.
type Section struct {
	Type   string // as written
	ID     string // as written
	Header int    // line number of the header, from 1
	Last   int    // line number of the section's last line, the header's if it has no other
}

// Digest returns the SHA-1 of raw in hexadecimal, by which the cluster tells
// whether a file has changed under an editor's hands.
func Digest(raw []byte) string {
	sum := sha1.Sum(raw)
	return hex.EncodeToString(sum[:])
}

// Parse splits raw into lines and sections. There is no input that it refuses;
// of one beyond 2 GiB, which no file of the cluster can be, it sees the start.
func Parse(raw []byte) *Tree {
	const most = 1<<31 - 1
	t := &Tree{text: string(raw[:min(len(raw), most)])}
	t.lines = make([]span, 0, strings.Count(t.text, "\n")+1)
	t.Sections = make([]Section, 0, strings.Count(t.text, "\n\n")+1)
	inSection := false
	for start := 0; start < len(t.text); {
		end := len(t.text)
		if i := strings.IndexByte(t.text[start:], '\n'); i >= 0 {
			end = start + i
		}
		inSection = t.add(start, t.text[start:end], inSection)
		start = end + 1
	}
	return t
}

// add appends one line and tells whether a section is open behind it.
func (t *Tree) add(start int, line string, inSection bool) bool {
	number := len(t.lines) + 1
	kind := LineIgnored
	switch {
	case isBlank(line):
		kind, inSection = LineBlank, false
	case isComment(line):
		kind = LineComment
	case inSection:
		if _, _, _, ok := SplitProperty(line); ok {
			kind = LineProperty
		}
	default:
		if typ, id, ok := SplitHeader(line); ok {
			kind, inSection = LineHeader, true
			t.Sections = append(t.Sections, Section{Type: typ, ID: id, Header: number})
		}
	}
	t.lines = append(t.lines, span{start: int32(start), kind: kind})
	if inSection {
		t.Sections[len(t.Sections)-1].Last = number
	}
	return inSection
}

// Len returns the number of lines.
func (t *Tree) Len() int { return len(t.lines) }

// Line returns a line by its number from 1.
func (t *Tree) Line(number int) Line {
	line := t.lines[number-1]
	end := len(t.text)
	if number < len(t.lines) {
		end = int(t.lines[number].start) - 1
	} else if strings.HasSuffix(t.text, "\n") {
		end--
	}
	return Line{Kind: line.kind, Text: t.text[line.start:end]}
}

// String returns the text of the tree, which is the input of Parse.
func (t *Tree) String() string {
	var b strings.Builder
	b.Grow(len(t.text))
	for number := 1; number <= len(t.lines); number++ {
		b.WriteString(t.Line(number).Text)
		if number < len(t.lines) || strings.HasSuffix(t.text, "\n") {
			b.WriteByte('\n')
		}
	}
	return b.String()
}
