package demo

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/compat/sim"
)

// lines of a log as the timeline gets them.
func follow(lines ...sim.Line) *timeline {
	t := &timeline{}
	for _, l := range lines {
		t.note(l)
	}
	return t
}

func printed(t *timeline) string {
	var out strings.Builder
	t.print(&out)
	return out.String()
}

var outageLog = []sim.Line{
	{At: 100, From: "cmdlist", Text: "execute network node2 off"},
	{At: 110, From: "node1/crm", Text: "node 'node2': state changed from 'online' => 'unknown'"},
	{At: 164, From: "watchdog", Text: "execute power node2 off"},
	{At: 164, From: "hardware", Text: "server 'node2' stopped by poweroff (watchdog)"},
	{At: 240, From: "node1/crm", Text: "fencing: acknowledged - got agent lock for node 'node2'"},
	{At: 240, From: "node1/crm", Text: "recover service 'vm:7' from fenced node 'node2' to node 'node3'"},
	{At: 245, From: "node3/lrm", Text: "service status vm:7 started"},
	{At: 400, From: "cmdlist", Text: "execute power node2 on"},
	{At: 420, From: "node1/crm", Text: "node 'node2': state changed from 'unknown' => 'online'"},
}

func TestTimeline(t *testing.T) {
	require.Equal(t, `Timeline of node2 (simulated seconds, and since the cut)
     100     +0  cut off
     110    +10  detected: the master no longer sees it
     164    +64  reset by its own watchdog
     240   +140  fenced: its lock is taken, so it is dead
     245   +145  recovered: vm:7 runs on node3
     420   +320  returned
`, printed(follow(outageLog...)))
	require.Equal(t, "No node was lost.\n", printed(follow()))
}

func TestNews(t *testing.T) {
	for n, want := range []string{
		"",
		"node2 lost for 400 s: nobody has noticed",
		"node2 lost for 400 s: the master no longer sees it",
		"node2 lost for 400 s: the master no longer sees it",
		"node2 lost for 400 s: reset by its watchdog, not proven yet",
		"node2 lost for 400 s: fenced, its guests recover",
		"node2 lost for 400 s: fenced, its guests recover",
		"node2 lost for 400 s: its guests run elsewhere",
		"node2 lost for 400 s: its guests run elsewhere",
		"node2 is back",
	} {
		require.Equal(t, want, follow(outageLog[:n]...).news(500), n)
	}
}

func TestTimelineOfAShortOutage(t *testing.T) {
	times := follow(
		sim.Line{At: 100, From: "cmdlist", Text: "execute network node2 off"},
		sim.Line{At: 110, From: "cmdlist", Text: "execute network node2 on"},
		sim.Line{At: 300, From: "cmdlist", Text: "execute power node2 off"},
		sim.Line{At: 300, From: "cmdlist", Text: "execute power node2 off"},
		sim.Line{At: 320, From: "node1/crm", Text: "node 'node2': state changed from 'online' => 'unknown'"},
	)
	require.Equal(t, `Timeline of node2 (simulated seconds, and since the cut)
     100     +0  cut off
     110    +10  returned, before the master noticed
Timeline of node2 (simulated seconds, and since the cut)
     300     +0  cut off
     320    +20  detected: the master no longer sees it
`, printed(times))
}

func TestTimelineOfTwoNodes(t *testing.T) {
	times := follow(
		sim.Line{At: 100, From: "cmdlist", Text: "execute power node2 off"},
		sim.Line{At: 100, From: "cmdlist", Text: "execute power node3 off"},
		sim.Line{At: 120, From: "node1/crm", Text: "node 'node3': state changed from 'online' => 'unknown'"},
		sim.Line{At: 120, From: "node1/crm", Text: "node 'node2': state changed from 'online' => 'unknown'"},
		sim.Line{At: 240, From: "node1/crm", Text: "fencing: acknowledged - got agent lock for node 'node3'"},
		sim.Line{At: 240, From: "node1/crm", Text: "recover service 'vm:7' from fenced node 'node3' to node 'node1'"},
		sim.Line{At: 241, From: "node1/lrm", Text: "service status vm:8 started"},
		sim.Line{At: 242, From: "node1/lrm", Text: "service status vm:7 started"},
	)
	require.Equal(t, `Timeline of node2 (simulated seconds, and since the cut)
     100     +0  cut off
     120    +20  detected: the master no longer sees it
Timeline of node3 (simulated seconds, and since the cut)
     100     +0  cut off
     120    +20  detected: the master no longer sees it
     240   +140  fenced: its lock is taken, so it is dead
     242   +142  recovered: vm:7 runs on node1
`, printed(times))
}

// What a node does to itself is no outage.
func TestShutdownIsNoOutage(t *testing.T) {
	require.Equal(t, "No node was lost.\n", printed(follow(
		sim.Line{At: 100, From: "cmdlist", Text: "execute shutdown node2"},
		sim.Line{At: 120, From: "shutdown", Text: "execute power node2 off"},
		sim.Line{At: 140, From: "node1/crm", Text: "node 'node2': state changed from 'online' => 'unknown'"},
	)))
}

func TestStoryRepeats(t *testing.T) {
	victims := map[string]bool{}
	for seed := range uint64(50) {
		name, files := Story(seed)
		again, filesAgain := Story(seed)
		require.Equal(t, name, again)
		require.Equal(t, files, filesAgain)
		victims[strings.Fields(name)[2]] = true
	}
	require.Len(t, victims, 3, "every node is lost in some story")
}
