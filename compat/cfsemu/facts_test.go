package cfsemu_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/golden"
)

// rows returns the cells of the rows of all tables in a text, heads left out.
func rows(text string) [][]string {
	var all [][]string
	for line := range strings.SplitSeq(text, "\n") {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| part ") {
			continue
		}
		var cells []string
		for cell := range strings.SplitSeq(strings.Trim(line, "|"), "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		all = append(all, cells)
	}
	return all
}

// measuredParts lists the numbers of the parts of the measured facts: the
// points of the short list, and the sections below.
func measuredParts(text string) []string {
	var parts []string
	short, rest, _ := strings.Cut(text, "\n## 2. ")
	for _, m := range regexp.MustCompile(`(?m)^(\d+)\. `).FindAllStringSubmatch(short, -1) {
		parts = append(parts, "1."+m[1])
	}
	parts = append(parts, "2")
	for _, m := range regexp.MustCompile(`(?m)^##+ (\d+(?:\.\d+)?)\.? `).FindAllStringSubmatch(rest, -1) {
		parts = append(parts, m[1])
	}
	return parts
}

// Every part of the measured facts is either emulated, with a test, or listed
// as left out.
func TestFactsAreComplete(t *testing.T) {
	listed, err := os.ReadFile("FACTS.md")
	require.NoError(t, err)
	emulated, left, found := strings.Cut(string(listed), "## Not emulated")
	require.True(t, found)
	tests := testNames(t)
	covered := map[string]bool{}
	for _, cells := range rows(emulated) {
		require.Len(t, cells, 3, cells)
		covered[cells[0]] = true
		for name := range strings.SplitSeq(cells[2], ", ") {
			require.Contains(t, tests, name, "named by part %s", cells[0])
		}
	}
	for _, cells := range rows(left) {
		require.Len(t, cells, 3, cells)
		require.NotEmpty(t, cells[2], "the reason why %s of part %s is left out", cells[1], cells[0])
		covered[cells[0]] = true
	}
	measured, err := os.ReadFile(filepath.Join(golden.Shared(t, "facts"), "pmxcfs.md"))
	require.NoError(t, err)
	parts := measuredParts(string(measured))
	require.Greater(t, len(parts), 30)
	for _, part := range parts {
		inside := slices.ContainsFunc(parts, func(p string) bool { return strings.HasPrefix(p, part+".") })
		require.True(t, covered[part] || inside, "part %s is not in FACTS.md", part)
	}
	for part := range covered {
		require.Contains(t, parts, part, "part %s of FACTS.md is none of the measured ones", part)
	}
}

// testNames are the tests of this package, and those of the packages below by
// the name of the package.
func testNames(t *testing.T) []string {
	t.Helper()
	var names []string
	for prefix, pattern := range map[string]string{"": "*_test.go", "fusemount ": "fusemount/*_test.go", "ipcserve ": "ipcserve/*_test.go"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, file := range files {
			source, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`).FindAllStringSubmatch(string(source), -1) {
				names = append(names, prefix+m[1])
			}
		}
	}
	return names
}
