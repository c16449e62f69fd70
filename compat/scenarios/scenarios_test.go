package scenarios

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pveha/compat/sim"
	"pveha/crm"
	"pveha/internal/corpus"
	"pveha/internal/golden"
	"pveha/internal/ha"
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

// Two runs of a scenario give the same bytes, and those of the given recordings
// without overlooking anything. On the way, every edge of the lifecycle is taken
// by some scenario: the table holds nothing that a log of the Perl stack has not
// shown.
func TestRunsRepeatAndTakeEveryEdge(t *testing.T) {
	cases := golden.Cases(t, testdata)
	taken := map[[2]ha.ServiceState]string{}
	var mu sync.Mutex
	parallel(len(cases), func(i int) {
		c := cases[i]
		note := func(_ ha.SID, from, to ha.ServiceState) {
			mu.Lock()
			defer mu.Unlock()
			taken[[2]ha.ServiceState{from, to}] = c.Name
		}
		var first, second bytes.Buffer
		assert.NoError(t, Play(c, &first, sim.Options{OnChange: note}), c.Name)
		assert.NoError(t, Play(c, &second, sim.Options{}), c.Name)
		golden.Equal(t, c.Name+" again", first.Bytes(), second.Bytes())
		if strings.Contains(c.Path, "/replay/") {
			golden.Equal(t, c.Name, c.Files[Expectation], first.Bytes())
		}
	})
	for _, e := range crm.Lifecycle {
		by := taken[[2]ha.ServiceState{e.From, e.To}]
		assert.NotEmpty(t, by, "no scenario takes the edge from %q to %q", e.From, e.To)
		t.Logf("%-20s -> %-20s %s", e.From, e.To, by)
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

// The files of a scenario in which ours is meant to differ: the recorded log,
// and the reason.
const (
	perlLog = "log.perl"
	reason  = "why"
)

// Where ours does better than the Perl stack, the scenario holds both logs and
// says why. When they become equal, the exception has to go.
func TestKnownDifferences(t *testing.T) {
	for _, c := range golden.Cases(t, testdata+"/differs") {
		require.NotEmpty(t, c.Files[reason], "%s: no reason", c.Name)
		require.NotEmpty(t, c.Files[perlLog], "%s: nothing to differ from", c.Name)
		require.NotEqual(t, withoutAccidents(c.Files[perlLog]), withoutAccidents(c.Files[Expectation]),
			"%s: no difference", c.Name)
	}
	for _, c := range golden.Cases(t, testdata+"/recorded", testdata+"/replay") {
		require.NotContains(t, c.Files, perlLog, c.Name)
	}
}

// The given recordings show no slip: without copying any, the logs are the same.
func TestGivenScenariosNeedNoSlips(t *testing.T) {
	t.Run("random", func(t *testing.T) { equalWithoutSlips(t, testdata+"/replay") })
	t.Run("published", func(t *testing.T) {
		equalWithoutSlips(t, golden.Shared(t, "golden", "upstream", "scenarios"))
	})
}

func equalWithoutSlips(t *testing.T, path string) {
	cases := golden.Cases(t, path)
	parallel(len(cases), func(i int) {
		var log bytes.Buffer
		s, err := sim.Parse(cases[i].Name, cases[i].Files)
		if !assert.NoError(t, err) {
			return
		}
		cluster, err := sim.New(s, sim.Options{Log: &log})
		if !assert.NoError(t, err) {
			return
		}
		assert.NoError(t, cluster.Run())
		golden.Equal(t, cases[i].Name, cases[i].Files[Expectation], log.Bytes())
	})
}
