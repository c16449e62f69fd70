package ha

import (
	"cmp"
	"strings"
)

// version is what of a package version is compared: decimal numbers without
// leading zeros, so that the longer one is the bigger one.
type version struct {
	major, minor, patch string
	revision            string // behind '~'
	released            bool   // there is no revision, which is newer than any
}

// HasMinVersion tells whether a package version such as "9.0.0~16" is at least
// min. It compares three numbers, of which the last may follow a dot or a
// hyphen, and a number behind '~'; what follows is not looked at. A version
// that does not begin like this reads as zero.
func HasMinVersion(version, min string) bool {
	have, want := parseVersion(version), parseVersion(min)
	order := cmp.Or(
		compareNumbers(have.major, want.major),
		compareNumbers(have.minor, want.minor),
		compareNumbers(have.patch, want.patch),
	)
	if order != 0 {
		return order > 0
	}
	return have.released || compareNumbers(have.revision, want.revision) >= 0
}

func compareNumbers(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

func parseVersion(s string) version {
	unknown := version{released: true}
	v := version{released: true}
	var ok bool
	if v.major, s, ok = cutNumber(s); !ok || !strings.HasPrefix(s, ".") {
		return unknown
	}
	if v.minor, s, ok = cutNumber(s[1:]); !ok || s == "" || (s[0] != '.' && s[0] != '-') {
		return unknown
	}
	if v.patch, s, ok = cutNumber(s[1:]); !ok {
		return unknown
	}
	if rest, found := strings.CutPrefix(s, "~"); found {
		if revision, _, ok := cutNumber(rest); ok {
			v.revision, v.released = revision, false
		}
	}
	return v
}

// cutNumber reads decimal digits at the start of s and drops leading zeros.
func cutNumber(s string) (digits, rest string, ok bool) {
	end := 0
	for end < len(s) && s[end] >= '0' && s[end] <= '9' {
		end++
	}
	return strings.TrimLeft(s[:end], "0"), s[end:], end > 0
}
