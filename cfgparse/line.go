package cfgparse

import "strings"

// LineKind is what a line is, given where it stands.
type LineKind uint8

// The kinds of lines.
const (
	// LineBlank ends a section. It is empty, or it is the single character
	// "0", which readers have always taken for an empty line too.
	LineBlank LineKind = iota
	// LineComment starts with '#', white space before it allowed. It ends no
	// section.
	LineComment
	// LineHeader starts a section.
	LineHeader
	// LineProperty belongs to the section above it.
	LineProperty
	// LineIgnored fits nowhere: no header outside of a section, no property
	// inside of one.
	LineIgnored
)

// Line is one line of a file, without its line feed.
type Line struct {
	Kind LineKind
	Text string
}

// isSpace tells whether c is white space in ASCII.
func isSpace(c byte) bool {
	return c == ' ' || (c >= '\t' && c <= '\r')
}

// trimLeft cuts white space off the start of s.
func trimLeft(s string) string {
	i := 0
	for i < len(s) && isSpace(s[i]) {
		i++
	}
	return s[i:]
}

// trimRight cuts white space off the end of s.
func trimRight(s string) string {
	i := len(s)
	for i > 0 && isSpace(s[i-1]) {
		i--
	}
	return s[:i]
}

// cutWord returns the leading part of s without white space, and the rest.
func cutWord(s string) (word, rest string) {
	i := 0
	for i < len(s) && !isSpace(s[i]) {
		i++
	}
	return s[:i], s[i:]
}

func isBlank(line string) bool { return line == "" || line == "0" }

func isComment(line string) bool { return strings.HasPrefix(trimLeft(line), "#") }

// SplitHeader takes a header line apart: "vm: 100" into "vm" and "100". The
// type ends at the last colon that leaves an ID behind it, so "a:b:c" is the
// section "c" of type "a:b", and "a:b:" the section "b:" of type "a".
func SplitHeader(line string) (typ, id string, ok bool) {
	word, rest := cutWord(trimRight(line))
	rest = trimLeft(rest)
	if rest != "" {
		typ, found := strings.CutSuffix(word, ":")
		if id, more := cutWord(rest); found && typ != "" && more == "" {
			return typ, id, true
		}
		return "", "", false
	}
	if word == "" {
		return "", "", false
	}
	colon := strings.LastIndexByte(word[:len(word)-1], ':')
	if colon < 1 {
		return "", "", false
	}
	return word[:colon], word[colon+1:], true
}

// SplitProperty takes a property line apart. A property without a value is
// told from one with a value by given; a value never is empty and has white
// space neither at its start nor at its end.
func SplitProperty(line string) (key, value string, given, ok bool) {
	body := trimLeft(line)
	if len(body) == len(line) || body == "" {
		return "", "", false, false
	}
	key, rest := cutWord(body)
	value = trimLeft(trimRight(rest))
	return key, value, value != "", true
}
