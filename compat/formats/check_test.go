package formats

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVectorsOfThePerlStack(t *testing.T) {
	for file, count := range map[string]int{
		"vectors.jsonl": 503,
		"edges.jsonl":   245, // odd bytes, numbers, quotes and separators
	} {
		t.Run(file, func(t *testing.T) {
			var out bytes.Buffer
			passed, failed, err := Check([]string{filepath.Join("..", "testdata", "formats", file)}, &out)
			require.NoError(t, err)
			require.Zero(t, failed, out.String())
			require.Equal(t, count, passed)
		})
	}
}

// vectorFile writes lines to a file and returns its path.
func vectorFile(t *testing.T, lines ...string) string {
	path := filepath.Join(t.TempDir(), "vectors.jsonl")
	require.NoError(t, os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600))
	return path
}

func TestDifferencesAreShown(t *testing.T) {
	path := vectorFile(t,
		`{"id":"a","kind":"nodeprio","input":"n:1","parsed":["n",1],"warnings":[]}`,
		`{"id":"b","kind":"nodeprio","input":"n:1","parsed":["n",2,3],"warnings":["w"]}`,
		``,
		`{"id":"c","kind":"nodeprio","input":"-","parsed":["-",0]}`,
		`{"id":"d","kind":"groups","input":"group: ab\n\tnodes a\n","parsed":{"digest":"x","ids":{"ab":null},"order":{"cd":1}},"written":null}`,
		`{"id":"e","kind":"groups","input_base64":"/w==","written":"","warnings":["file groups.cfg line 1 - ignore config line: ÿ\n"]}`,
	)
	var out bytes.Buffer
	passed, failed, err := Check([]string{path}, &out)
	require.NoError(t, err)
	require.Equal(t, 2, passed)
	require.Equal(t, 3, failed)
	require.Equal(t, `b: differs
    parsed[1]: want 2, got 1
    parsed[2]: want 3, got nothing
    warnings[0]: want "w", got nothing
c: differs
    error: want null, got "unable to parse HA node entry '-'\n"
    parsed: want ["-",0], got null
d: differs
    parsed.digest: want "x", got "6b10eaa6633cc1c21e5b1bf03cee604ee619433d"
    parsed.ids.ab: want null, got {"nodes":{"a":1},"type":"group"}
    parsed.order.ab: want nothing, got 1
    parsed.order.cd: want 1, got nothing
    written: want null, got "group: ab\n\tnodes a\n\n"
`, out.String())
}

func TestFieldsWithoutAnOrderAreComparedAsSets(t *testing.T) {
	path := vectorFile(t,
		`{"id":"a","kind":"groups","input":"group: ab\n\tnodes x,y\n","written":"group: ab\n\tnodes y,x\n\n","unordered_in_perl":["written"]}`,
		`{"id":"b","kind":"groups","input":"x\ny\n","warnings":["file groups.cfg line 2 - ignore config line: y\n","file groups.cfg line 1 - ignore config line: x\n"],"unordered_in_perl":["warnings"]}`,
	)
	var out bytes.Buffer
	passed, _, err := Check([]string{path}, &out)
	require.NoError(t, err)
	require.Equal(t, 2, passed, out.String())
}

func TestFilesThatHoldNoVectorsAreErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "holds no vector",
		"\n\n":                             "holds no vector",
		"{":                                ":1: unexpected end of JSON input",
		`{"id":"a"}`:                       ":1: not a vector: it needs an id and an input",
		`{"id":"a","input":"","kind":"x"}`: ":1: vector a is of the unknown kind \"x\"",
	} {
		_, _, err := Check([]string{vectorFile(t, text)}, &bytes.Buffer{})
		require.ErrorContains(t, err, want)
	}
	_, _, err := Check([]string{"/nonexistent"}, &bytes.Buffer{})
	require.ErrorIs(t, err, os.ErrNotExist)
}
