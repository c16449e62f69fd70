package ha

import (
	"fmt"
	"strings"
)

// SID is a service ID: resource type and name with a colon between, such as
// "vm:100" or "ct:200".
type SID string

// Type returns the part before the first colon: "vm" of "vm:100".
func (s SID) Type() string {
	t, _, _ := strings.Cut(string(s), ":")
	return t
}

// Name returns the part behind the first colon: "100" of "vm:100".
func (s SID) Name() string {
	_, n, _ := strings.Cut(string(s), ":")
	return n
}

// ParseSID accepts what the HA configuration accepts as a service ID: a type
// of lower-case letters, a colon, and a name without white space.
func ParseSID(s string) (SID, error) {
	typ, name, ok := strings.Cut(s, ":")
	if !ok || typ == "" || name == "" || strings.ContainsFunc(name, isSpace) ||
		strings.ContainsFunc(typ, func(r rune) bool { return r < 'a' || r > 'z' }) {
		return "", fmt.Errorf("value %q does not look like a valid ha resource id", s)
	}
	return SID(s), nil
}

func isSpace(r rune) bool {
	return r == ' ' || (r >= '\t' && r <= '\r')
}
