package crm

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/crm/usage"
	"pveha/internal/ha"
)

// history is a short life of a small cluster in which most of what a master
// can do is done once: groups become rules, a service is moved and one is
// stopped by command, a node dies and comes back, one goes into maintenance,
// the stack is disarmed and armed, services and a node come and go.
type history struct {
	*lrms
	crm  *CRM
	died ha.Epoch // when node2 did
}

// historyRounds is the number of rounds with what makes up for a failure in
// the last of them.
const historyRounds = 38

// newHistory is the cluster before its first round.
func newHistory() *history {
	f := newFake("node1", "node2", "node3")
	f.guest("vm:101", "node2", ha.RequestStarted)
	f.guest("vm:102", "node2", ha.RequestStarted)
	f.guest("ct:103", "node3", ha.RequestStarted)
	f.guest("vm:104", "node1", ha.RequestStopped)
	f.guest("vm:105", "node1", ha.RequestStarted)
	grouped := f.services["vm:105"]
	grouped.Group = "first"
	f.configure("vm:105", grouped)
	f.groups = "group: first\n\tnodes node1\n\tnofailback 1\n"
	f.rules = "resource-affinity: apart\n\tresources vm:101,ct:103\n\taffinity negative\n\n" +
		"node-affinity: home\n\tresources vm:102\n\tnodes node1,node2\n\tstrict 1\n"
	f.guestLocks["vm:102"] = "backup"
	h := &history{lrms: newLRMs(f)}
	f.agentLock = func(node string) bool {
		return node == "node2" && !f.members[node] && f.now >= h.died+70
	}
	h.crm = New(f, f.config())
	return h
}

// round is one round of the cluster: what happens to it, its master, its LRMs.
func (h *history) round(n int) {
	switch n {
	case 3:
		h.commands = "migrate ct:103 node1\nno such command\n"
	case 6:
		h.commands = "stop vm:105 30\n"
	case 9:
		h.members["node2"] = false
		h.died = h.now
		h.reset("node2")
	case 19:
		h.members["node2"] = true
	case 20:
		h.commands = "enable-node-maintenance node3\n"
	case 23:
		h.commands = "disable-node-maintenance node3\n"
	case 24:
		h.guest("ct:106", "node2", ha.RequestStarted)
		delete(h.services, "vm:104")
		h.addNode("node4")
	case 27:
		h.commands = "disarm-ha freeze\n"
	case 30:
		h.commands = "arm-ha\n"
	}
	before := maps.Clone(h.services)
	if alive, err := h.crm.Iterate(); !alive || err != nil {
		panic(fmt.Sprintf("the daemon ends: %v", err))
	}
	for _, sid := range slices.Sorted(maps.Keys(before)) {
		if now := h.services[sid]; now.Node != before[sid].Node {
			h.moves = append(h.moves, fmt.Sprintf("steal %s from %s to %s", sid, before[sid].Node, now.Node))
		}
	}
	for _, node := range slices.Sorted(maps.Keys(h.members)) {
		h.obey(node, true)
	}
}

// play plays the history to its end.
func (h *history) play() *history {
	for n := range historyRounds {
		h.round(n)
	}
	return h
}

// end is what the history came to, but for times and names of orders.
func (h *history) end() string {
	s := h.manager.Clone()
	s.Timestamp = 0
	for _, service := range s.ServiceStatus {
		service.UID = ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", s.Encode())
	for _, sid := range slices.Sorted(maps.Keys(h.services)) {
		fmt.Fprintf(&b, "%s %+v running on %v\n", sid, h.services[sid], h.running[sid])
	}
	fmt.Fprintf(&b, "groups %q rules %q commands %q watchdog %t\n", h.groups, h.rules, h.commands, h.watchdog != nil)
	moves := slices.Sorted(slices.Values(h.moves))
	b.WriteString(strings.Join(moves, "\n"))
	return b.String()
}

// callsWithEffect may fail before their effect or after it.
var callsWithEffect = []string{
	"WriteManagerStatus", "UpdateServices", "WriteRules", "DeleteGroups", "RemoveLocks", "Steal",
	"ManagerLock", "AgentLock", "OpenWatchdog", "watchdog.Update", "watchdog.Close",
}

// A call that fails is made up for in the next rounds, whichever it is: the
// history ends as if nothing had happened, and nothing was moved or taken over
// twice.
func TestFailureOfAnyCallIsMadeUpFor(t *testing.T) {
	undisturbed := newHistory().play()
	want := undisturbed.end()
	require.Equal(t, historyMoves, undisturbed.moves)
	const parts = 4
	for part := range parts {
		t.Run(fmt.Sprint(part), func(t *testing.T) {
			t.Parallel()
			for i := part; i < len(undisturbed.calls); i += parts {
				name := undisturbed.calls[i]
				for _, after := range []bool{false, true} {
					if after && !slices.Contains(callsWithEffect, name) {
						continue
					}
					h := newHistory()
					h.failOnce(i+1, after)
					h.play()
					require.Equal(t, name, h.calls[i])
					require.Equalf(t, want, h.end(), "%s, call %d, failed; after its effect: %t", name, i+1, after)
				}
			}
		})
	}
}

// historyMoves is what the history moves, so that it is one in which something
// happens.
var historyMoves = []string{
	"move ct:103 from node3 to node1",
	"steal vm:101 from node2 to node3", // node2 died
	"steal vm:102 from node2 to node1",
	"move vm:101 from node3 to node2", // node3 is in maintenance
	"move vm:101 from node2 to node3",
}

// failOnce lets call n fail.
func (f *fake) failOnce(n int, after bool) {
	f.fault = func(i int, _ string) (error, error) {
		switch {
		case i != n:
			return nil, nil
		case after:
			return nil, errDown
		default:
			return errDown, nil
		}
	}
}

// toleratedFailures do not end a round, and this is what they come to.
var toleratedFailures = map[string]string{
	"Quorate":           "there is none: the groups are left to a later round",
	"NodeVersion":       "the groups are left to a later round",
	"WriteRules":        "the groups are left to a later round",
	"DeleteGroups":      "the groups are left to a later round",
	"AgentLock":         "the node is left to the next round",
	"UpdateServices":    "the service is left to the next round, or the groups to a later one",
	"RemoveLocks":       "the service is left to the next round, and only that",
	"Steal":             "the service is left to the next round, and only that",
	"StaticServices":    "the basic scheduler takes over",
	"StaticNodes":       "the basic scheduler takes over",
	"DynamicServices":   "the basic scheduler takes over",
	"DynamicNodes":      "the basic scheduler takes over",
	"ReadManagerStatus": "people are told of the fencing without the state of the cluster",
	"watchdog.Update":   "a slow round goes on, and the next opens a new one",
}

// Any other failure ends the round with an error before the status is written.
func TestFailureEndsTheRoundWithAnError(t *testing.T) {
	tolerated, lockLost := map[string]bool{}, false
	for _, mode := range []SchedulerMode{SchedulerBasic, SchedulerStatic, SchedulerDynamic} {
		for _, kind := range []string{"groups", "recovery"} {
			h, err := roundFailing(t, kind, mode, 0)
			require.NoError(t, err)
			for n := 1; n <= len(h.calls); n++ {
				h, err := roundFailing(t, kind, mode, n)
				name := h.calls[n-1]
				aborted := slices.Contains(h.trace, "err: abort ha groups migration: connection refused")
				switch {
				case aborted:
					require.NoError(t, err)
				case name == "ManagerLock" && err != nil: // and no later try in the round had it
					require.ErrorIsf(t, err, errLockLost, "call %d", n)
					require.NotContainsf(t, h.trace, "write manager status", "call %d", n)
					lockLost = true
				case name == "ManagerLock":
				case toleratedFailures[name] != "":
					require.NoErrorf(t, err, "%s, call %d", name, n)
				default:
					require.ErrorIsf(t, err, errDown, "%s, call %d", name, n)
					require.NotContainsf(t, h.trace, "write manager status", "%s, call %d", name, n)
				}
				tolerated[name] = true
			}
		}
	}
	require.True(t, lockLost)
	for name := range toleratedFailures {
		require.Truef(t, tolerated[name], "%s did not fail", name)
	}
}

// roundFailing runs one round in which groups are replaced or services are
// recovered, and a service is stopped by command, with a failure of call n.
func roundFailing(t *testing.T, kind string, mode SchedulerMode, n int) (*history, error) {
	t.Helper()
	h := newHistory()
	h.scheduling.Mode = mode
	for sid := range h.services {
		h.figures[sid] = usage.ServiceStats{CPU: 1, MaxCPU: 2, Mem: 1 << 30, MaxMem: 4 << 30}
	}
	h.round(0)
	h.round(1)
	if kind == "recovery" {
		h.members["node2"], h.died = false, h.now
		h.crm.manager.groupRounds = 10
		mustIterate(t, h.crm)
		h.now += 100
	}
	h.commands = "stop vm:105 30\n"
	h.taken()
	h.calls = nil
	h.failOnce(n, false)
	return h, h.crm.manager.Round()
}
