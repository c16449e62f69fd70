package crm

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
)

// explained takes every service in by rounds of a master, then asks.
func explained(t *testing.T, f *fake, rounds int, sid ha.SID) *Explanation {
	t.Helper()
	m, err := newManager(f, f.config())
	require.NoError(t, err)
	for range rounds {
		require.NoError(t, m.Round())
	}
	f.taken()
	e, err := Explain(f, sid)
	require.NoError(t, err)
	require.Empty(t, f.taken(), "an explanation has no effect")
	return e
}

func verdictOf(t *testing.T, e *Explanation, node string) Verdict {
	t.Helper()
	for _, v := range e.Nodes {
		if v.Node == node {
			return v
		}
	}
	t.Fatalf("nothing is said of %s", node)
	return Verdict{}
}

func TestExplainWithoutRules(t *testing.T) {
	f := newFake("n1", "n2")
	f.guest("vm:100", "n1", ha.RequestStarted)
	e := explained(t, f, 2, "vm:100")
	require.Equal(t, "n1", e.Choice)
	require.Equal(t, []string{
		"it is wanted started, and 'n1' has it",
		"no rule asks for another node, and a running service is not moved for its score alone",
	}, e.Because)
	require.Equal(t, []string{"the loss or maintenance of 'n1': to 'n2'"}, e.Moves)
	require.True(t, verdictOf(t, e, "n2").Usable)
	require.Equal(t, 1, verdictOf(t, e, "n2").Rank, "it carries less")
	require.NotNil(t, verdictOf(t, e, "n1").Score)
}

func TestExplainRules(t *testing.T) {
	f := newFake("n1", "n2", "n3")
	f.rules = "node-affinity: pin\n\tnodes n1,n2\n\tresources vm:100\n\tstrict 1\n\n" +
		"resource-affinity: apart\n\taffinity negative\n\tresources vm:100,vm:101\n\n" +
		"node-affinity: off\n\tdisable\n\tnodes n3\n\tresources vm:100\n\n"
	f.guest("vm:100", "n1", ha.RequestStarted)
	f.guest("vm:101", "n2", ha.RequestStarted)
	e := explained(t, f, 2, "vm:100")
	require.Equal(t, []string{"rule 'pin' prefers it (priority 0)"}, verdictOf(t, e, "n1").Says)
	require.Equal(t, []string{
		"rule 'apart' keeps it apart from vm:101, which is there",
		"rule 'pin' prefers it (priority 0)",
	}, verdictOf(t, e, "n2").Says)
	require.Equal(t, []string{"strict rule 'pin' forbids it"}, verdictOf(t, e, "n3").Says, "the disabled rule says nothing")
	require.False(t, verdictOf(t, e, "n2").Usable)
	require.Equal(t, "n1", e.Nodes[0].Node, "the best comes first")
	require.Contains(t, e.Because, "it is the only node that rules and node states leave")
	require.Contains(t, e.Moves, "the loss or maintenance of 'n1': nowhere: no other node may have it")
}

// A rule in conflict is not applied, and said to be so.
func TestExplainConflict(t *testing.T) {
	f := newFake("n1", "n2", "n3")
	f.rules = "node-affinity: pin\n\tnodes n1:2,n2:1\n\tresources vm:100\n\n" +
		"resource-affinity: apart\n\taffinity negative\n\tresources vm:100,vm:101\n\n"
	f.guest("vm:100", "n1", ha.RequestStarted)
	f.guest("vm:101", "n2", ha.RequestStarted)
	e := explained(t, f, 2, "vm:100")
	require.Len(t, e.Notes, 2)
	require.Contains(t, e.Notes[0], "rule 'apart' is not applied: ")
	require.Empty(t, verdictOf(t, e, "n2").Says)
}

func TestExplainPriorities(t *testing.T) {
	f := newFake("n1", "n2", "n3")
	f.rules = "node-affinity: pin\n\tnodes n1:2,n2:1\n\tresources vm:100\n\n"
	f.guest("vm:100", "n1", ha.RequestStarted)
	e := explained(t, f, 2, "vm:100")
	require.Equal(t, []string{"rule 'pin' prefers it (priority 2)"}, verdictOf(t, e, "n1").Says)
	require.Equal(t, []string{"rule 'pin' names it, and others before it (priority 1)"}, verdictOf(t, e, "n2").Says)
	require.Equal(t, []string{"rule 'pin' does not name it: only when none of its nodes is online"}, verdictOf(t, e, "n3").Says)
	require.Equal(t, []string{"the loss or maintenance of 'n1': to 'n2'"}, e.Moves)
}

func TestExplainWhatDrawsAServiceBack(t *testing.T) {
	f := newFake("n3", "n1", "n2")
	f.rules = "node-affinity: home\n\tnodes n1\n\tresources vm:100\n\n"
	f.services["vm:100"] = ha.ServiceConfig{Node: "n2", State: ha.RequestStarted, Failback: true}
	explained(t, f, 1, "vm:100") // n1 is seen
	f.manager.ServiceStatus["vm:100"].State, f.manager.ServiceStatus["vm:100"].Target = ha.Started, ""
	f.members["n1"] = false
	e := explained(t, f, 2, "vm:100")
	require.Equal(t, "n2", e.Choice)
	require.Equal(t, []string{
		"it is in state 'unknown', and takes no services",
		"rule 'home' names it with priority 0",
	}, verdictOf(t, e, "n1").Says)
	require.Contains(t, e.Moves, "the return of 'n1', which a rule prefers")
	require.Nil(t, verdictOf(t, e, "n1").Score)

	// With its own node back and no round since, the choice says where it goes.
	f.members["n1"] = true
	f.edits++
	f.services["vm:100"] = ha.ServiceConfig{Node: "n2", State: ha.RequestStarted, Failback: false}
	e = explained(t, f, 1, "vm:100")
	require.Equal(t, "n2", e.Choice)
	require.Contains(t, e.Because, "another node is preferred, but failback is off: an allowed node is good enough")
}

func TestExplainTogether(t *testing.T) {
	f := newFake("n1", "n2")
	f.rules = "resource-affinity: pair\n\taffinity positive\n\tresources vm:100,vm:101\n\n"
	f.guest("vm:100", "n1", ha.RequestStarted)
	f.guest("vm:101", "n1", ha.RequestStarted)
	e := explained(t, f, 2, "vm:100")
	require.Equal(t, []string{"rule 'pair' keeps it together with vm:101, which is there"}, verdictOf(t, e, "n1").Says)
	require.Equal(t, []string{"rule 'pair' keeps it together with vm:101, which is elsewhere"}, verdictOf(t, e, "n2").Says)
}

// Every state has its words.
func TestExplainEveryState(t *testing.T) {
	for _, edge := range Lifecycle {
		require.NotEmpty(t, stateReasons[edge.To], edge.To)
	}
	f := newFake("n1", "n2")
	f.guest("vm:100", "n1", ha.RequestStarted)
	f.manager = &ha.ManagerStatus{ServiceStatus: map[ha.SID]*ha.ServiceStatus{
		"vm:100": {State: ha.Migrate, Node: "n1", Target: "n2"},
	}}
	e, err := Explain(f, "vm:100")
	require.NoError(t, err)
	require.Equal(t, []string{"it moves from 'n1' to 'n2' while it runs"}, e.Because)
}

func TestExplainUnknownService(t *testing.T) {
	f := newFake("n1")
	_, err := Explain(f, "vm:999")
	require.ErrorIs(t, err, ErrNotManaged)
	require.EqualError(t, err, "service 'vm:999': not managed by HA")

	f.guest("vm:100", "n1", ha.RequestStarted) // configured, and no master has seen it
	_, err = Explain(f, "vm:100")
	require.ErrorIs(t, err, ErrNotManaged)
}
