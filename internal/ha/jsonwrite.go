package ha

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Encode returns the text of ha/manager_status as this stack writes it:
// compact JSON with sorted keys in UTF-8, without a newline at the end. A flag
// that is set is 1, one that is not is left out, and so is what is empty; node
// and service states are always there.
func (m *ManagerStatus) Encode() []byte {
	w := jsonWriter{out: make([]byte, 0, 256+128*len(m.ServiceStatus))}
	w.open(m.Extra)
	if m.Disarm != nil {
		w.key("disarm")
		w.disarm(m.Disarm)
	}
	w.textKey("master_node", m.MasterNode)
	if m.NodeRequest != nil {
		w.key("node_request")
		writeMap(&w, m.NodeRequest, w.nodeRequest)
	}
	w.key("node_status")
	writeMap(&w, m.NodeStatus, func(state NodeState) { w.text(string(state)) })
	w.key("service_status")
	writeMap(&w, m.ServiceStatus, w.service)
	w.timestamp(m.Timestamp)
	w.close()
	return w.out
}

// Encode returns the text of nodes/NODE/lrm_status, in the form of
// ManagerStatus.Encode. The results are always there.
func (l *LRMStatus) Encode() []byte {
	w := jsonWriter{out: make([]byte, 0, 128+128*len(l.Results))}
	w.open(l.Extra)
	w.textKey("mode", string(l.Mode))
	w.key("results")
	writeMap(&w, l.Results, w.result)
	w.textKey("state", string(l.State))
	w.timestamp(l.Timestamp)
	w.close()
	return w.out
}

func (w *jsonWriter) disarm(d *Disarm) {
	w.open(d.Extra)
	w.textKey("mode", string(d.Mode))
	w.textKey("state", string(d.State))
	w.close()
}

func (w *jsonWriter) nodeRequest(r NodeRequest) {
	w.open(r.Extra)
	w.flagKey("maintenance", r.Maintenance)
	w.close()
}

func (w *jsonWriter) service(s *ServiceStatus) {
	w.open(s.Extra)
	w.listKey("cmd", s.Cmd)
	w.listKey("failed_nodes", s.FailedNodes)
	w.textKey("maintenance_node", s.MaintenanceNode)
	w.textKey("node", s.Node)
	w.flagKey("running", s.Running)
	w.textKey("state", string(s.State))
	w.textKey("target", s.Target)
	w.textKey("timeout", s.Timeout)
	w.textKey("uid", s.UID)
	w.close()
}

func (w *jsonWriter) result(r Result) {
	w.open(r.Extra)
	w.key("exit_code")
	w.out = strconv.AppendInt(w.out, int64(r.ExitCode), 10)
	w.textKey("sid", string(r.SID))
	w.textKey("state", string(r.State))
	w.close()
}

// jsonWriter appends JSON text. Keys of an object come in ascending order from
// its user; the keys of Extra are put in between where they belong.
type jsonWriter struct {
	out   []byte
	first bool // nothing is written yet in the innermost object
	extra []extraObject
}

// extraObject is what Extra of an open object still has to be written.
type extraObject struct {
	keys   []string // sorted
	values map[string]json.RawMessage
}

func (w *jsonWriter) open(extra map[string]json.RawMessage) {
	w.out = append(w.out, '{')
	w.first = true
	var object extraObject
	if len(extra) > 0 {
		object = extraObject{slices.Sorted(maps.Keys(extra)), extra}
	}
	w.extra = append(w.extra, object)
}

func (w *jsonWriter) close() {
	w.writeExtra("")
	w.extra = w.extra[:len(w.extra)-1]
	w.out = append(w.out, '}')
	w.first = false
}

// writeExtra writes the keys of Extra before the key before, or all that are
// left when it is "". One that equals it gives way.
func (w *jsonWriter) writeExtra(before string) {
	object := &w.extra[len(w.extra)-1]
	for len(object.keys) > 0 && (before == "" || object.keys[0] <= before) {
		key := object.keys[0]
		object.keys = object.keys[1:]
		if key == before && before != "" {
			continue
		}
		w.rawKey(key)
		w.out = append(w.out, object.values[key]...)
	}
}

// key writes one of the known keys, none of which needs an escape.
func (w *jsonWriter) key(key string) {
	if len(w.extra[len(w.extra)-1].keys) > 0 {
		w.writeExtra(key)
	}
	w.comma()
	w.out = append(append(append(w.out, '"'), key...), '"', ':')
}

func (w *jsonWriter) rawKey(key string) {
	w.comma()
	w.out = append(appendJSONString(w.out, key), ':')
}

func (w *jsonWriter) comma() {
	if !w.first {
		w.out = append(w.out, ',')
	}
	w.first = false
}

func (w *jsonWriter) text(text string) { w.out = appendJSONString(w.out, text) }

// textKey writes a key with a text, if there is one.
func (w *jsonWriter) textKey(key, text string) {
	if text != "" {
		w.key(key)
		w.text(text)
	}
}

// flagKey writes a key with a flag, if it is set.
func (w *jsonWriter) flagKey(key string, set bool) {
	if set {
		w.key(key)
		w.out = append(w.out, '1')
	}
}

// listKey writes a key with a list, if there is one.
func (w *jsonWriter) listKey(key string, list []string) {
	if list == nil {
		return
	}
	w.key(key)
	w.out = append(w.out, '[')
	for i, text := range list {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		w.text(text)
	}
	w.out = append(w.out, ']')
}

func (w *jsonWriter) timestamp(t Epoch) {
	if t != 0 {
		w.key("timestamp")
		w.out = strconv.AppendInt(w.out, int64(t), 10)
	}
}

// writeMap writes a map as an object with sorted keys, each value by value.
func writeMap[K ~string, V any](w *jsonWriter, m map[K]V, value func(V)) {
	w.open(nil)
	type member struct {
		key   K
		value V
	}
	members := make([]member, 0, len(m))
	for key, v := range m {
		members = append(members, member{key, v})
	}
	slices.SortFunc(members, func(a, b member) int { return strings.Compare(string(a.key), string(b.key)) })
	for _, member := range members {
		w.rawKey(string(member.key))
		value(member.value)
	}
	w.close()
}

// appendJSONString appends a string with the escapes of the Perl stack's JSON
// module. What is not UTF-8 becomes U+FFFD.
func appendJSONString(out []byte, text string) []byte {
	out = append(out, '"')
	start := 0 // of what is not written yet
	for i := 0; i < len(text); {
		c := text[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(text[i:])
			if r == utf8.RuneError && size == 1 {
				out = append(append(out, text[start:i]...), "\uFFFD"...)
				start = i + 1
			}
			i += size
			continue
		}
		if c < 0x20 || c == '"' || c == '\\' {
			out = appendEscape(append(out, text[start:i]...), c)
			start = i + 1
		}
		i++
	}
	return append(append(out, text[start:]...), '"')
}

func appendEscape(out []byte, c byte) []byte {
	const hex = "0123456789abcdef"
	switch c {
	case '"', '\\':
		return append(out, '\\', c)
	case '\b':
		return append(out, `\b`...)
	case '\f':
		return append(out, `\f`...)
	case '\n':
		return append(out, `\n`...)
	case '\r':
		return append(out, `\r`...)
	case '\t':
		return append(out, `\t`...)
	}
	return append(out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}
