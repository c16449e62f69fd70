package cfsemu

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Sizes of pmxcfs's ring buffer of log entries, in bytes.
const (
	logBytes      = 8192 * 16
	logEntryBytes = 8192
	logEntryHead  = 44
)

// LogEntry is one line of the cluster log.
type LogEntry struct {
	UID      uint32 // counts the entries of one pmxcfs process
	Time     uint32 // seconds of the Unix epoch
	Priority uint8  // as syslog's, 0 to 7
	Tag      string
	PID      uint32
	Node     string
	User     string
	Message  string
}

func (e LogEntry) size() int {
	n := logEntryHead + len(e.Node) + len(e.User) + len(e.Tag) + len(e.Message) + 4
	return (min(n, logEntryBytes) + 7) &^ 7
}

// json does not escape anything: what is kept is ASCII already.
func (e LogEntry) json() string {
	quoted := func(s string) string { return `"` + s + `"` }
	return fmt.Sprintf(`{"uid": %d, "time": %d, "pri": %d, "tag": %s, "pid": %d, "node": %s, "user": %s, "msg": %s}`,
		e.UID, e.Time, e.Priority, quoted(e.Tag), e.PID, quoted(e.Node), quoted(e.User), quoted(e.Message))
}

func (e LogEntry) compare(o LogEntry) int {
	return cmp.Or(cmp.Compare(e.Time, o.Time), strings.Compare(e.Node, o.Node), cmp.Compare(e.UID, o.UID))
}

// clusterLog is one node's copy of the log, oldest entry first.
type clusterLog struct {
	entries []LogEntry
	bytes   int
	uid     uint32
}

func (l *clusterLog) insert(e LogEntry) {
	for _, known := range slices.Backward(l.entries) {
		if known.Node != e.Node {
			continue
		}
		if known.Time > e.Time || known.Time == e.Time && known.UID >= e.UID {
			return // a duplicate
		}
		break
	}
	l.entries = append(l.entries, e)
	l.bytes += e.size()
	l.trim()
}

func (l *clusterLog) trim() {
	for l.bytes > logBytes && len(l.entries) > 0 {
		l.bytes -= l.entries[0].size()
		l.entries = l.entries[1:]
	}
}

// merge makes one log of those of a group, in order of time.
func (l *clusterLog) merge(others []LogEntry) {
	all := slices.Concat(l.entries, others)
	slices.SortStableFunc(all, LogEntry.compare)
	l.entries = slices.CompactFunc(all, func(a, b LogEntry) bool { return a.compare(b) == 0 })
	l.bytes = 0
	for _, e := range l.entries {
		l.bytes += e.size()
	}
	l.trim()
}

// dump lists the newest entries, of one user where one is given.
func (l *clusterLog) dump(user string, limit int) string {
	var b strings.Builder
	b.WriteString("{\n\"data\": [\n")
	count := 0
	for _, e := range slices.Backward(l.entries) {
		if count >= limit {
			break
		}
		if user != "" && e.User != user {
			continue
		}
		if count > 0 {
			b.WriteString(",\n")
		}
		b.WriteString(e.json())
		count++
	}
	if count > 0 {
		b.WriteString("\n")
	}
	b.WriteString("]\n}\n")
	return b.String()
}

// logText writes a message as pmxcfs keeps it: ASCII that goes between the
// quotes of JSON, except for backslashes, which it leaves alone.
func logText(s string) string {
	if !utf8.ValidString(s) {
		return asciiText(s)
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '"':
			b.WriteString(`\"`)
		case r < 32 || r == 127:
			fmt.Fprintf(&b, "#%03d", r)
		case r < 127:
			b.WriteRune(r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// asciiText is logText for bytes that are no UTF-8.
func asciiText(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		switch {
		case c == '"':
			b.WriteString(`\"`)
		case c < 32:
			fmt.Fprintf(&b, "#0%02d", c)
		case c < 127:
			b.WriteByte(c)
		default:
			b.WriteByte('?')
		}
	}
	return b.String()
}

// newEntry numbers and cuts an entry of this node.
func (n *Node) newEntry(user, tag string, pid uint32, priority uint8, text string) LogEntry {
	n.log.uid++
	cut := func(s string, limit int) string { return s[:min(len(s), limit)] }
	e := LogEntry{
		UID: n.log.uid, Time: n.wall(), Priority: priority, Tag: cut(tag, 254), PID: pid,
		Node: cut(n.name, 254), User: cut(user, 254), Message: logText(text),
	}
	room := logEntryBytes - logEntryHead - len(e.Node) - len(e.User) - len(e.Tag) - 4
	e.Message = cut(e.Message, room)
	return e
}
