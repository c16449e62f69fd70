package corpus

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDiff(t *testing.T) {
	require.Empty(t, Diff("want", "got", []byte("same\n"), []byte("same\n")))
	require.Equal(t,
		"diff want got\n--- want\n+++ got\n@@ -1,2 +1,2 @@\n first\n-second\n+2nd\n",
		Diff("want", "got", []byte("first\nsecond\n"), []byte("first\n2nd\n")))
	require.Contains(t, Diff("want", "got", []byte("a\n"), []byte("a")), "No newline at end of file")
}
