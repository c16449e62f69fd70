package scenarios

import (
	"bytes"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pveha/compat/sim"
	"pveha/internal/corpus"
	"pveha/internal/golden"
)

// soonerMatters are the scenarios in which something comes to an end sooner
// with extra rounds, before something else that came first without.
var soonerMatters = map[string]string{
	"deleted-while-migrating-during-deferred-disarm": "a deleted service is forgotten before an LRM wakes up for it",
	"static-mode-service-deleted-while-disarmed":     "a deleted service is forgotten before an LRM wakes up for it",
	"rnd-01020-disarm":                               "a deleted service is forgotten before an LRM wakes up for it",
	"rnd-01345-disarm":                               "a deleted service is forgotten before an LRM looks at it",
	"disarm-deferred-by-fence-and-recovery":          "that it waits for another state is said in the round in which it has changed",
	"disarm-deferred-source-dies":                    "that it waits for another state is said in the round in which it has changed",
	"disarm-freeze-then-everything-changes-then-arm": "a new service is taken in before the frozen ones are thawed",
	"disarm-ignore-then-everything-changes-then-arm": "a new service is taken in before another is stopped",
	"rnd-01141-disarm":                               "a new service is taken in before the frozen ones are thawed",
	"groups-lrm-restarting":                          "an LRM has restarted before the groups are tried",
}

// bySource returns what every daemon said, in order, without the times.
func bySource(log []byte) map[string]string {
	said := map[string]string{}
	for line := range strings.Lines(string(log)) {
		fields := strings.Fields(line)
		if len(fields) < 3 || !strings.Contains(fields[2], "/") {
			continue // the simulator itself
		}
		from := fields[2]
		_, text, _ := strings.Cut(line, from)
		said[from] += fields[0] + text
	}
	return said
}

// Events bring the daemons extra rounds, and what was recorded came without.
// Extra rounds make things happen sooner, and change nothing else: every daemon
// says the same in the same order. So they count nothing, use up no tries, and
// repeat no complaint.
func TestExtraRoundsChangeNothingButTheTime(t *testing.T) {
	cases := golden.Cases(t, testdata)
	var mu sync.Mutex
	differs := map[string]string{}
	parallel(len(cases), func(i int) {
		c := cases[i]
		var with, without bytes.Buffer
		if Play(c, &without, sim.Options{}) != nil {
			return // a recording that ends with an error
		}
		assert.NoError(t, Play(c, &with, sim.Options{Extra: func() int { return 2 }}), c.Name)
		want, got := bySource(without.Bytes()), bySource(with.Bytes())
		mu.Lock()
		defer mu.Unlock()
		for from := range want {
			if want[from] != got[from] {
				differs[c.Name] += corpus.Diff(c.Name+" "+from, "with extra rounds", []byte(want[from]), []byte(got[from]))
			}
		}
	})
	require.Greater(t, len(cases), 50*len(soonerMatters), "a handful of exceptions")
	for name, diff := range differs {
		assert.NotEmpty(t, soonerMatters[name], diff)
	}
	for name := range soonerMatters {
		assert.NotEmpty(t, differs[name], "%s does not differ any more", name)
	}
}
