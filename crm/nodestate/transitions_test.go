package nodestate_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/crm/nodestate"
	"pveha/internal/ha"
)

var update = flag.Bool("update", false, "write the golden files anew")

const absent ha.NodeState = "(none)" // the node has no state yet

// The facts an Update goes by, each with every value that could matter.
var (
	states  = []ha.NodeState{absent, ha.NodeOnline, ha.NodeMaintenance, ha.NodeUnknown, ha.NodeFence, ha.NodeGone}
	members = []string{"online", "offline", "removed"}
	modes   = []ha.LRMMode{
		ha.ModeMaintenance, ha.ModeActive, ha.ModeRestart, ha.ModeShutdown, ha.ModeDisarm, ha.ModeUnknown, "",
	}
	// Seconds since the node was online or first asked for; never: its clock
	// does not run yet.
	sinces = []int64{never, 0, 59, 60, 3599, 3600}
)

const never = -1

// outcome performs one Update of node 'X' under the given facts and says what
// came of it, and what the queries say then.
func outcome(t *testing.T, state ha.NodeState, member string, mode ha.LRMMode, since int64) string {
	t.Helper()
	const now = 10000
	var lines []string
	clock := ha.Epoch(now)
	initial := map[string]ha.NodeState{"X": state}
	if state == absent {
		delete(initial, "X")
	}
	tracker := nodestate.New(nodestate.Config{
		Now: func() ha.Epoch { return clock },
		Log: func(e ha.Entry) {
			require.Equal(t, "X", e.Node)
			lines = append(lines, fmt.Sprintf("%s: %s", e.Level, e.Text))
		},
	}, initial)
	if since != never {
		clock = ha.Epoch(now - since)
		tracker.OfflineForLongOrStartClock("X")
		if state == ha.NodeOnline { // the query starts no clock for these
			require.NoError(t, tracker.Update(map[string]nodestate.Member{"X": {Online: true}}, nil))
		}
		clock = now
	}

	cluster := map[string]nodestate.Member{}
	if member != "removed" {
		cluster["X"] = nodestate.Member{Online: member == "online"}
	}
	changed := tracker.Changed(cluster)
	require.NoError(t, tracker.Update(cluster, map[string]ha.LRMMode{"X": mode}))

	after := absent
	if s, ok := tracker.Statuses()["X"]; ok {
		after = s
		require.Equal(t, s, tracker.State("X"))
	} else {
		require.Equal(t, ha.NodeUnknown, tracker.State("X"))
	}
	var flags []string
	if changed {
		flags = append(flags, "node list changed")
	}
	if tracker.Operational("X") {
		flags = append(flags, "operational")
	}
	if tracker.OfflineForLongOrStartClock("X") {
		flags = append(flags, "offline for long")
	}
	text := fmt.Sprintf("%-11s  [%s]", after, strings.Join(flags, ", "))
	for _, l := range lines {
		text += "\n        " + l
	}
	return text
}

// TestTransitions compares every transition with the table in
// testdata/transitions.txt. Facts that make no difference are merged there.
func TestTransitions(t *testing.T) {
	var table strings.Builder
	table.WriteString(`# What one Update does to node X, for every combination of its state, its
# membership (online, offline, or removed from the cluster), the mode of its
# LRM, and the seconds since it was online or first asked for: the new state,
# in brackets what the queries say, and the lines of the log.
`)
	combinations := 0
	for _, state := range states {
		for _, member := range members {
			fmt.Fprintf(&table, "\n%s, %s\n", state, member)
			var rows [][]string // by mode: the outcome for each of sinces
			for _, mode := range modes {
				var row []string
				for _, since := range sinces {
					row = append(row, outcome(t, state, member, mode, since))
					combinations++
				}
				rows = append(rows, row)
			}
			writeMerged(&table, rows)
		}
	}
	require.Equal(t, 6*3*7*6, combinations)
	compareGolden(t, "transitions.txt", table.String())
}

// writeMerged writes one line for each outcome that differs.
func writeMerged(table *strings.Builder, rows [][]string) {
	done := map[int]bool{}
	for i, row := range rows {
		if done[i] {
			continue
		}
		var same []string
		for j := range rows {
			if slices.Equal(row, rows[j]) {
				done[j] = true
				same = append(same, modeName(modes[j]))
			}
		}
		label := strings.Join(same, " ")
		if len(same) == len(modes) {
			label = "any"
		} else if len(same) == len(modes)-1 {
			label = "any other"
		}
		for first := 0; first < len(row); {
			last := first
			for last+1 < len(row) && row[last+1] == row[first] {
				last++
			}
			fmt.Fprintf(table, "    mode %-12s since %-14s -> %s\n", label, span(first, last), row[first])
			first = last + 1
		}
	}
}

func modeName(mode ha.LRMMode) string {
	if mode == "" {
		return "(none)"
	}
	return string(mode)
}

func span(first, last int) string {
	name := func(i int) string {
		if sinces[i] == never {
			return "never"
		}
		return fmt.Sprintf("%d", sinces[i])
	}
	switch {
	case first == 0 && last == len(sinces)-1:
		return "any"
	case first == last:
		return name(first)
	}
	return name(first) + " to " + name(last)
}

func compareGolden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
		return
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}
