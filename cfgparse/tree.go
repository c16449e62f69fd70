package cfgparse

import (
	"crypto/sha1"
	"encoding/hex"
	"strings"
)

// Tree is a section-config file as text with its structure: every line in
// order, comments and ignored lines included. Its String is the input.
type Tree struct {
	Lines    []Line // line N of the file is Lines[N-1]
	Sections []Section

	cut bool // the last line has no line feed
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

// Parse splits raw into lines and sections. There is no input that it
// refuses.
func Parse(raw []byte) *Tree {
	text := string(raw)
	t := &Tree{cut: text != "" && !strings.HasSuffix(text, "\n")}
	t.Lines = make([]Line, 0, strings.Count(text, "\n")+1)
	inSection := false
	for text != "" {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		inSection = t.add(line, inSection)
	}
	return t
}

// add appends one line and tells whether a section is open behind it.
func (t *Tree) add(line string, inSection bool) bool {
	number := len(t.Lines) + 1
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
	t.Lines = append(t.Lines, Line{Kind: kind, Text: line})
	if inSection {
		t.Sections[len(t.Sections)-1].Last = number
	}
	return inSection
}

// String returns the text of the tree. For a tree that nobody changed it is
// the input of Parse.
func (t *Tree) String() string {
	size := len(t.Lines)
	for _, l := range t.Lines {
		size += len(l.Text)
	}
	var b strings.Builder
	b.Grow(size)
	for i, l := range t.Lines {
		b.WriteString(l.Text)
		if i < len(t.Lines)-1 || !t.cut {
			b.WriteByte('\n')
		}
	}
	return b.String()
}
