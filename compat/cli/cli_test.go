package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/golden"
)

// recordedFiles are the files of recordings with the number of calls in each.
func recordedFiles(t *testing.T) map[string]int {
	own := func(name string) string { return filepath.Join("..", "testdata", "cli", name) }
	return map[string]int{
		golden.Shared(t, "golden", "cli", "recordings.jsonl"): 300, // on a real cluster
		own("commands.jsonl"): 438, // every command and option
		own("values.jsonl"):   431, // odd values, states and spellings of options
	}
}

func TestRecordingsOfThePerlCommand(t *testing.T) {
	for file, count := range recordedFiles(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			var out bytes.Buffer
			passed, failed, err := Check([]string{file}, &out)
			require.NoError(t, err)
			require.Zero(t, failed, out.String())
			require.Equal(t, count, passed)
		})
	}
}

// Every place where ours differs is in the list, an exit status that differs
// in the left-over error number alone as well, and nothing else is.
func TestEveryExceptionIsListedAndNeeded(t *testing.T) {
	list, err := loadExceptions()
	require.NoError(t, err)
	for file := range recordedFiles(t) {
		recordings, err := load(file)
		require.NoError(t, err)
		for i := range recordings {
			r := &recordings[i]
			o, err := r.replay(context.Background())
			require.NoError(t, err, r.ID)
			var differing, listed []field
			for _, d := range compare(r, o) {
				if len(differing) == 0 || differing[len(differing)-1] != d.field {
					differing = append(differing, d.field)
				}
			}
			for _, e := range list[r.ID] {
				listed = append(listed, e.Field)
			}
			require.ElementsMatch(t, listed, differing, r.ID)
			delete(list, r.ID)
		}
	}
	require.Empty(t, list, "exceptions of recordings that do not exist")
}

// recordingFile writes lines to a file and returns its path.
func recordingFile(t *testing.T, lines ...string) string {
	path := filepath.Join(t.TempDir(), "recordings.jsonl")
	require.NoError(t, os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600))
	return path
}

const recordedConfig = `"argv":["config"],"node":"node1","needs":"files","before":{"ha/resources.cfg":"vm: 100\n\n"},"exit":0,"stderr":""`

func TestDifferencesAreShown(t *testing.T) {
	path := recordingFile(t,
		`{"id":"a",`+recordedConfig+`,"stdout":"vm:100\n\n","files":{"ha/resources.cfg":"vm: 100\n\n"}}`,
		``,
		`{"id":"b","argv":["config"],"node":"node1","needs":"files","before":{"ha/resources.cfg":"vm: 100\n\n"},"exit":255,"stderr":"x\n","stdout":"vm:101\n\n","files":{"ha/resources.cfg":null,"ha/rules.cfg":""}}`,
		`{"id":"c","argv":["nosuch"],"node":"node1","needs":"files","exit":2,"stderr":"","stdout":"","files":{}}`,
		`{"id":"d","argv":["set"],"node":"node1","needs":"files","exit":0,"stderr":"400 not enough arguments\nha-manager set <sid> [OPTIONS]\n","stdout":"","files":{}}`,
	)
	var out bytes.Buffer
	passed, failed, err := Check([]string{path}, &out)
	require.NoError(t, err)
	require.Equal(t, 1, passed)
	require.Equal(t, 3, failed)
	shown := out.String()
	require.Contains(t, shown, "b: ha-manager \"config\": differs\n"+
		"    stdout: want \"vm:101\\n\\n\", got \"vm:100\\n\\n\"\n"+
		"    stderr: want \"x\\n\", got \"\"\n"+
		"    exit: want 255, got 0\n"+
		"    file ha/resources.cfg: want \"no file\", got \"content vm: 100\\n\\n\"\n"+
		"    file ha/rules.cfg: want \"content \", got \"no file\"\n")
	require.Contains(t, shown, "c: ha-manager \"nosuch\": differs\n    stderr: want \"\", got \"ERROR: unknown command 'ha-manager nosuch'")
	require.NotContains(t, shown, "want 2, got 255", "a left-over error number is no difference")
	require.Contains(t, shown, "d: ha-manager \"set\": differs\n    exit: want 0, got 255\n")
}

func TestOrderThatPerlDoesNotFixIsNotCompared(t *testing.T) {
	groups := `"node":"node1","needs":"files","before":{"ha/groups.cfg":"group: g1\n\tnodes a,b\n\n"},"exit":0,"stderr":""`
	path := recordingFile(t,
		`{"id":"a","argv":["groupconfig"],`+groups+`,"stdout":"group: g1\n\tnodes b,a\n\n","files":{"ha/groups.cfg":"group: g1\n\tnodes b,a\n\n"}}`,
		`{"id":"b","argv":["rules","add","bogus","r1","--resources","vm:1"],"node":"node1","needs":"files","exit":255,"stdout":"","files":{},`+
			`"stderr":"400 Parameter verification failed.\ntype: value 'bogus' does not have a value in the enumeration 'node-affinity, resource-affinity'\nresources: property is not defined in schema and the schema does not allow additional properties\nha-manager rules add <type> <rule> [OPTIONS]\nUse of uninitialized value $x in y\n"}`,
	)
	var out bytes.Buffer
	passed, _, err := Check([]string{path}, &out)
	require.NoError(t, err)
	require.Equal(t, 2, passed, out.String())
}

func TestExceptions(t *testing.T) {
	list, err := parseExceptions([]byte(`{"id":"a","field":"stdout","reason":"r"}` + "\n\n" + `{"id":"a","field":"exit","reason":"r"}`))
	require.NoError(t, err)
	require.Empty(t, list.judge("a", []difference{{field: fieldStdout}, {field: fieldExit}}))
	wrong := list.judge("a", []difference{{field: fieldStdout}, {field: fieldFiles, text: "f"}})
	require.Len(t, wrong, 2)
	require.Equal(t, "f", wrong[0].text)
	require.Equal(t, "exit: does not differ, but is listed as an exception", wrong[1].text)

	for text, want := range map[string]string{
		`{`:                         "exceptions.jsonl:1: unexpected end of JSON input",
		`{"id":"a","field":"exit"}`: "exceptions.jsonl:1: an exception needs an id and a reason",
		`{"reason":"a"}`:            "exceptions.jsonl:1: an exception needs an id and a reason",
		"\n{\"id\":\"a\",\"reason\":\"r\"}\n{\"id\":\"a\",\"reason\":\"s\"}": "exceptions.jsonl:3: an exception is listed twice",
	} {
		_, err := parseExceptions([]byte(text))
		require.EqualError(t, err, want)
	}
}

func TestFilesThatHoldNoRecordingsAreErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":           "holds no recording",
		"\n\n":       "holds no recording",
		"{":          ":1: unexpected end of JSON input",
		`{"id":"a"}`: ":1: not a recording: it needs an id, a node and the files after the call",
		`{"id":"a","node":"node1","files":{},"needs":"luck"}`:                                  `:1: recording a needs "luck", which is neither "files" nor "live"`,
		`{"id":"a","node":"node7","files":{},"needs":"files"}`:                                 "recording a cannot be replayed: it was made on node node7, which is not in the cluster",
		`{"id":"a","node":"node1","files":{},"needs":"live","setup":"the moon is full"}`:       "it needs a condition that is not known here: the moon is full",
		`{"id":"a","node":"node1","files":{},"needs":"files","before":{"nodes/node1":"text"}}`: "cannot make nodes/node1",
	} {
		_, _, err := Check([]string{recordingFile(t, text)}, &bytes.Buffer{})
		require.ErrorContains(t, err, want)
	}
	_, _, err := Check([]string{"/nonexistent"}, &bytes.Buffer{})
	require.ErrorIs(t, err, os.ErrNotExist)
}
