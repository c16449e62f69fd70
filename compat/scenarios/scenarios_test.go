package scenarios

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/compat/sim"
	"pveha/internal/corpus"
	"pveha/internal/golden"
)

// testdata holds the scenarios that were recorded from the Perl stack.
const testdata = "../testdata"

func checkAllEqual(t *testing.T, opts sim.Options, paths ...string) {
	t.Helper()
	var report strings.Builder
	passed, failed, err := Check(paths, &report, opts)
	require.NoError(t, err)
	require.Zero(t, failed, report.String())
	require.NotZero(t, passed)
	t.Logf("%d scenarios", passed)
}

func TestRecordedScenarios(t *testing.T) {
	checkAllEqual(t, sim.Options{}, testdata)
}

func TestPublishedScenarios(t *testing.T) {
	checkAllEqual(t, sim.Options{}, golden.Shared(t, "golden", "upstream", "scenarios"))
}

// On a real cluster daemons meet in files only. Whatever is lost in the text
// form of a status file would change a log.
func TestRecordedScenariosOverTheWire(t *testing.T) {
	checkAllEqual(t, sim.Options{Wire: true}, testdata)
}

func TestRunsRepeat(t *testing.T) {
	for _, c := range golden.Cases(t, testdata) {
		var first, second bytes.Buffer
		require.NoError(t, Play(c, &first, sim.Options{}), c.Name)
		require.NoError(t, Play(c, &second, sim.Options{}), c.Name)
		golden.Equal(t, c.Name, first.Bytes(), second.Bytes())
	}
}

func TestDifferenceIsReported(t *testing.T) {
	c := golden.Cases(t, testdata)[0]
	c.Files[Expectation] = bytes.Replace(c.Files[Expectation], []byte("status change"), []byte("status CHANGE"), 1)
	report := check(c, sim.Options{})
	require.Contains(t, report, "-info")
	require.Contains(t, report, "status CHANGE")

	delete(c.Files, Expectation)
	require.Contains(t, check(c, sim.Options{}), "no log.expect to compare with")
}

func TestAccidentalOrderIsOverlooked(t *testing.T) {
	const (
		other = "info     80    node1/crm: got lock 'ha_manager_lock'\n"
		a     = "info    100    node1/crm: removing stale service 'vm:100' (no config)\n"
		b     = "info    100    node1/crm: removing stale service 'vm:101' (no config)\n"
	)
	same := func(x, y string) bool {
		return bytes.Equal(withoutAccidents([]byte(x)), withoutAccidents([]byte(y)))
	}
	require.True(t, same(other+b+a+other, other+a+b+other))
	require.False(t, same(b+other+a, a+other+b), "lines of different rounds")
	require.False(t, same(other+a, other+b))
	require.False(t, same(a+b, a+b+b))
	require.False(t, same(other+a, a+other))
}

// The given recordings are equal without overlooking anything.
func TestRecordedScenariosNeedNoAccidents(t *testing.T) {
	for _, c := range golden.Cases(t, testdata+"/replay") {
		var got bytes.Buffer
		require.NoError(t, Play(c, &got, sim.Options{}), c.Name)
		golden.Equal(t, c.Name, c.Files[Expectation], got.Bytes())
	}
}

func TestScenarioWithErrorIsReported(t *testing.T) {
	c := corpus.Case{Name: "bad", Path: "dir/bad", Files: map[string][]byte{
		"cmdlist":   []byte(`[["power node9 on"]]`),
		Expectation: nil,
	}}
	require.Equal(t, "dir/bad: cmdlist: step 1: command \"power node9 on\": no such node \"node9\""+
		" (there are [\"node1\" \"node2\" \"node3\"])\n", check(c, sim.Options{}))
	var input *InputError
	require.ErrorAs(t, Play(c, io.Discard, sim.Options{}), &input)
}
