package agent

import (
	"bytes"
	"regexp"
)

// lockLine is a property `lock` as the parsers of the guests' configuration
// read it: the key at the very beginning of the line, the value without the
// white space around it.
var lockLine = regexp.MustCompile(`^lock:\s*(.+?)\s*$`)

// cutLock returns the lock in the current configuration of a guest, "" for
// none, and the text without it. The writers put one property on a line, so
// that the text without that line is what they would write. Snapshots and
// pending changes come in sections behind; a lock there is part of them.
func (k kind) cutLock(data []byte) (lock string, without []byte) {
	main := true
	for line := range bytes.Lines(data) {
		text := bytes.TrimSuffix(line, []byte("\n"))
		main = main && !k.section.Match(text)
		if m := lockLine.FindSubmatch(text); main && m != nil {
			lock = string(m[1]) // of several the last counts
			continue
		}
		without = append(without, line...)
	}
	return lock, without
}
