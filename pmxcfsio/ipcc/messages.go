package ipcc

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"syscall"
)

// Numbers of the requests (cfs-ipc-ops.h). 9 is not used any more, 12 checks
// an API token.
const (
	getVersions        int32 = 1
	getClusterInfo     int32 = 2
	getGuestList       int32 = 3
	setStatus          int32 = 4
	getStatus          int32 = 5
	getConfig          int32 = 6
	logMessage         int32 = 7
	getClusterLog      int32 = 8
	getUsage           int32 = 10
	getGuestProperty   int32 = 11
	getGuestProperties int32 = 13
)

// nameSize is the size of the fields for names of values and nodes, of which
// the last byte is zero.
const nameSize = 256

// minGuest is the lowest ID of a guest; 0 stands for all guests.
const minGuest = 100

// defaultLogLimit is how many entries of the cluster log are sent to whom
// names no number.
const defaultLogLimit = 50

// maxLogWord is the longest ident or tag of a log entry, whose length with the
// zero byte goes into one byte.
const maxLogWord = 254

// maxProperties is how many properties fit one request.
const maxProperties = 255

// checkText refuses what would end early on the wire.
func checkText(what, text string) error {
	if strings.ContainsRune(text, 0) {
		return fmt.Errorf("%s %q holds a zero byte: %w", what, text, syscall.EINVAL)
	}
	return nil
}

// putName makes the field of a name.
func putName(to []byte, what, name string) ([]byte, error) {
	if err := checkText(what, name); err != nil {
		return nil, err
	}
	if len(name) >= nameSize {
		return nil, fmt.Errorf("%s of %d bytes: %w", what, len(name), syscall.ENAMETOOLONG)
	}
	return append(append(to, name...), make([]byte, nameSize-len(name))...), nil
}

// putText adds text and the zero byte behind it.
func putText(to []byte, text string) []byte { return append(append(to, text...), 0) }

// putStatus asks to set a value, or to remove it when there is none.
func putStatus(name string, value []byte, remove bool) ([]byte, error) {
	if name == "" {
		return nil, fmt.Errorf("value without a name: %w", syscall.EINVAL)
	}
	b, err := putName(nil, "name of a value", name)
	if err != nil || remove {
		return b, err
	}
	return append(append(b, value...), 0), nil
}

func putStatusQuery(node, name string) ([]byte, error) {
	b, err := putName(nil, "name of a value", name)
	if err != nil {
		return nil, err
	}
	return putName(b, "node", node)
}

func putPath(path string) ([]byte, error) {
	if path == "" {
		return nil, fmt.Errorf("file without a name: %w", syscall.EINVAL)
	}
	return putText(nil, path), checkText("path", path)
}

func putLogEntry(entry LogEntry) ([]byte, error) {
	for _, word := range []string{entry.Ident, entry.Tag} {
		if len(word) > maxLogWord {
			return nil, fmt.Errorf("ident or tag of %d bytes: %w", len(word), syscall.ENAMETOOLONG)
		}
	}
	if err := checkText("log entry", entry.Ident+entry.Tag+entry.Message); err != nil {
		return nil, err
	}
	b := []byte{entry.Priority, byte(len(entry.Ident) + 1), byte(len(entry.Tag) + 1)}
	return putText(putText(putText(b, entry.Ident), entry.Tag), entry.Message), nil
}

func putLogQuery(user string, limit uint32) ([]byte, error) {
	b := binary.LittleEndian.AppendUint32(nil, limit)
	return putText(append(b, make([]byte, 12)...), user), checkText("user", user)
}

func putGuestProperty(vmid uint32, property string) ([]byte, error) {
	if err := checkProperty(property); err != nil {
		return nil, err
	}
	return putText(binary.LittleEndian.AppendUint32(nil, vmid), property), nil
}

func putGuestProperties(vmid uint32, properties []string) ([]byte, error) {
	if len(properties) == 0 || len(properties) > maxProperties {
		return nil, fmt.Errorf("%d properties, not 1 to %d: %w", len(properties), maxProperties, syscall.EINVAL)
	}
	b := append(binary.LittleEndian.AppendUint32(nil, vmid), byte(len(properties)))
	for _, property := range properties {
		if err := checkProperty(property); err != nil {
			return nil, err
		}
		b = putText(b, property)
	}
	return b, nil
}

func checkProperty(name string) error {
	if name == "" || name[0] < 'a' || name[0] > 'z' {
		return fmt.Errorf("property %q does not begin with a lower case letter: %w", name, syscall.EINVAL)
	}
	return checkText("property", name)
}

// What follows reads requests as strictly as pmxcfs does, no more and no less
// (server.c); what it refuses is EINVAL.

// text is what stands before the first zero byte.
func text(field []byte) string {
	before, _, _ := bytes.Cut(field, []byte{0})
	return string(before)
}

// fixed is the text of a field whose last byte pmxcfs takes to be zero.
func fixed(field []byte) string { return text(field[:len(field)-1]) }

func parseStatus(b []byte) (name string, value []byte, err error) {
	if len(b) < nameSize {
		return "", nil, syscall.EINVAL
	}
	return fixed(b[:nameSize]), b[nameSize:], nil
}

func parseStatusQuery(b []byte) (node, name string, err error) {
	if len(b) < 2*nameSize {
		return "", "", syscall.EINVAL
	}
	return fixed(b[nameSize : 2*nameSize]), fixed(b[:nameSize]), nil
}

func parsePath(b []byte) (string, error) {
	if len(b) == 0 {
		return "", syscall.EINVAL
	}
	return fixed(b), nil
}

func parseLogEntry(b []byte) (LogEntry, error) {
	if len(b) < 3 {
		return LogEntry{}, syscall.EINVAL
	}
	data := b[3:]
	tag := int(b[1])
	message := tag + int(b[2])
	if len(data)-message < 1 || tag == 0 || message == tag || data[tag-1] != 0 || data[message-1] != 0 {
		return LogEntry{}, syscall.EINVAL
	}
	return LogEntry{
		Priority: b[0],
		Ident:    text(data[:tag]), Tag: text(data[tag:message]), Message: text(data[message:]),
	}, nil
}

func parseLogQuery(b []byte) (user string, limit uint32, err error) {
	if len(b) <= 16 {
		return "", 0, syscall.EINVAL
	}
	if limit = binary.LittleEndian.Uint32(b); limit == 0 {
		limit = defaultLogLimit
	}
	return fixed(b[16:]), limit, nil
}

// parseGuest takes the ID of a guest off a request.
func parseGuest(b []byte) (vmid uint32, rest []byte, err error) {
	if len(b) < 4 {
		return 0, nil, syscall.EINVAL
	}
	if vmid = binary.LittleEndian.Uint32(b); vmid < minGuest && vmid != 0 {
		return 0, nil, syscall.EINVAL
	}
	return vmid, b[4:], nil
}

func parseGuestProperty(b []byte) (vmid uint32, property string, err error) {
	vmid, rest, err := parseGuest(b)
	if err != nil || len(rest) == 0 {
		return 0, "", syscall.EINVAL
	}
	return vmid, fixed(rest), nil
}

func parseGuestProperties(b []byte) (vmid uint32, properties []string, err error) {
	vmid, rest, err := parseGuest(b)
	if err != nil || len(rest) < 3 || rest[0] == 0 {
		return 0, nil, syscall.EINVAL
	}
	count := int(rest[0])
	rest = rest[1:]
	for range count {
		property, after, ended := bytes.Cut(rest, []byte{0})
		if !ended || len(property) == 0 || property[0] < 'a' || property[0] > 'z' {
			return 0, nil, syscall.EINVAL
		}
		properties = append(properties, string(property))
		rest = after
	}
	if len(rest) != 0 {
		return 0, nil, syscall.EINVAL
	}
	return vmid, properties, nil
}

// private says whether group www-data may not read a file (path_is_private in
// cfs-utils.c).
func private(path string) bool {
	path = strings.TrimLeft(path, "/")
	if below(path, "priv") {
		return true
	}
	nodes, found := strings.CutPrefix(path, "nodes/")
	_, rest, hasRest := strings.Cut(nodes, "/")
	return found && hasRest && below(rest, "priv")
}

// below says whether a path is a folder or in it.
func below(path, folder string) bool {
	rest, found := strings.CutPrefix(path, folder)
	return found && (rest == "" || rest[0] == '/')
}
