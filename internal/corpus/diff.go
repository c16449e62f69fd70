package corpus

import "github.com/rogpeppe/go-internal/diff"

// Diff shows in unified format how b differs from a, under the given names. It
// is empty when they are equal.
func Diff(nameA, nameB string, a, b []byte) string {
	return string(diff.Diff(nameA, a, nameB, b))
}
