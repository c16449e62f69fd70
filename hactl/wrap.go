package hactl

import "strings"

const (
	helpColumns = 76
	tabWidth    = 8
)

// wrap breaks text into lines of less than helpColumns, the first one indented
// by first and the others by next, and replaces runs of spaces by tabs. A line
// is broken at one white space character, which is dropped; further ones stay
// at the start of the next line. It is how the Perl command lays out its help,
// so tests and tools may know its output.
func wrap(first, next, text string) string {
	var b strings.Builder
	lead, separator, dropped := first, "", ""
	for strings.TrimRight(text, " \n") != "" {
		width := helpColumns - 1 - len(lead)
		line := text
		if end := strings.IndexByte(line, '\n'); end >= 0 {
			line = line[:end]
		}
		if len(line) > width {
			if at := strings.LastIndexByte(line[:width+1], ' '); at >= 0 {
				line = line[:at]
			} else {
				line = line[:width]
			}
		}
		b.WriteString(tabs(separator + lead + line))
		text = text[len(line):]
		dropped = "\n"
		if text != "" && (text[0] == ' ' || text[0] == '\n') {
			dropped, text = text[:1], text[1:]
		} else if text == "" {
			dropped = ""
		}
		lead, separator = next, "\n"
	}
	return b.String() + dropped
}

// tabs replaces spaces that end at a multiple of tabWidth by a tab, where
// there are two or more.
func tabs(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		var b strings.Builder
		for len(line) >= tabWidth {
			cell := line[:tabWidth]
			if trimmed := strings.TrimRight(cell, " "); len(trimmed) < tabWidth-1 {
				cell = trimmed + "\t"
			}
			b.WriteString(cell)
			line = line[tabWidth:]
		}
		b.WriteString(line)
		lines[i] = b.String()
	}
	return strings.Join(lines, "\n")
}
