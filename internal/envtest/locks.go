package envtest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// lifetime is how long a lock lives without a refresh, in seconds.
const lifetime = 120

// graceTries is how often one may have to try for a lock that has expired, a
// second apart: the first try only asks for the old one to be dropped.
const graceTries = 5

// holderLock is a lock as two daemons see it: the one that holds it first, and
// one on another node that wants it.
type holderLock struct {
	take, other func() bool
}

// expires checks the lifetime of a lock that the holder has just refreshed.
func (l holderLock) expires(t testing.TB, w World) {
	t.Helper()
	w.Advance(lifetime - w.Slack())
	require.False(t, l.other(), "the lock is taken %d s after its last refresh", lifetime)
	for range graceTries {
		w.Advance(1)
		if l.other() {
			return
		}
	}
	require.Fail(t, "the lock cannot be taken", "%d s after its last refresh", lifetime+graceTries)
}

func managerLock(w World) holderLock {
	n := w.Nodes()
	return holderLock{take: w.CRM(n[0]).ManagerLock, other: w.CRM(n[1]).ManagerLock}
}

var lockClauses = []Clause{
	{Name: "one node holds the manager lock", Check: func(t testing.TB, w World) {
		require.True(t, w.CRM(w.Nodes()[0]).ManagerLock())
		for _, node := range w.Nodes()[1:] {
			require.False(t, w.CRM(node).ManagerLock(), node)
		}
		require.True(t, w.CRM(w.Nodes()[0]).ManagerLock(), "its holder can refresh it")
	}},
	{Name: "a lock expires without a refresh", Check: func(t testing.TB, w World) {
		l := managerLock(w)
		require.True(t, l.take())
		l.expires(t, w)
	}},
	{Name: "a refresh gives a lock its whole lifetime", Check: func(t testing.TB, w World) {
		l := managerLock(w)
		require.True(t, l.take())
		for range 3 {
			w.Advance(lifetime - 20)
			require.True(t, l.take(), "refresh in time")
		}
		l.expires(t, w)
	}},
	{Name: "a try for another's lock does not refresh it", Check: func(t testing.TB, w World) {
		l := managerLock(w)
		require.True(t, l.take())
		w.Advance(lifetime / 2)
		require.False(t, l.other())
		w.Advance(lifetime/2 - w.Slack())
		require.False(t, l.other())
		w.Advance(graceTries)
		l.other() // may only ask for the old lock to be dropped
		w.Advance(1)
		require.True(t, l.other())
	}},
	{Name: "a manager lock is kept by another no longer than it lives", Check: func(t testing.TB, w World) {
		l, other := managerLock(w), w.CRM(w.Nodes()[1])
		require.False(t, other.ManagerLockKept(), "nobody has it")
		for range 3 {
			require.True(t, l.take())
			require.False(t, w.CRM(w.Nodes()[0]).ManagerLockKept(), "it is this node's own")
			require.False(t, l.other())
			w.Advance(10)
		}
		for since := 10; !l.other(); since++ {
			require.Less(t, since, lifetime+graceTries)
			require.False(t, other.ManagerLockKept() && since >= lifetime, "%d s after its last refresh", since)
			w.Advance(1)
		}
		require.False(t, other.ManagerLockKept(), "it is this node's own now")
	}},
	{Name: "after a takeover the old holder is refused", Check: func(t testing.TB, w World) {
		l := managerLock(w)
		require.True(t, l.take())
		l.expires(t, w)
		require.False(t, l.take())
		require.True(t, l.other(), "the new holder can refresh it")
		holderLock{take: l.other, other: l.take}.expires(t, w)
	}},
	{Name: "the holder may come back to an expired lock that nobody took", Check: func(t testing.TB, w World) {
		l := managerLock(w)
		require.True(t, l.take())
		w.Advance(2 * lifetime)
		got := false
		for i := 0; i < graceTries && !got; i++ {
			got = l.take()
			w.Advance(1)
		}
		require.True(t, got)
		require.False(t, l.other())
	}},
	{Name: "a released lock is free at once", Check: func(t testing.TB, w World) {
		l := managerLock(w)
		require.True(t, l.take())
		require.True(t, w.CRM(w.Nodes()[0]).ReleaseManagerLock())
		require.True(t, l.other())
		require.False(t, l.take())
	}},
	{Name: "only the holder releases a lock", Check: func(t testing.TB, w World) {
		one, two, three := w.CRM(w.Nodes()[0]), w.CRM(w.Nodes()[1]), w.CRM(w.Nodes()[2])
		require.False(t, one.ReleaseManagerLock(), "nobody holds it")
		require.True(t, one.ManagerLock())
		require.False(t, two.ReleaseManagerLock())
		require.False(t, three.ManagerLock(), "it is still held")
		require.True(t, one.ManagerLock())
		require.True(t, one.ReleaseManagerLock())
		require.False(t, one.ReleaseManagerLock(), "it was released already")
	}},
	{Name: "no lock without quorum", Needs: []Condition{CutOff}, Check: func(t testing.TB, w World) {
		lost, there := w.Nodes()[0], w.Nodes()[1]
		set(t, w, CutOff, lost)
		require.False(t, w.CRM(lost).ManagerLock())
		require.False(t, w.LRM(lost).TakeAgentLock())
		require.False(t, w.CRM(lost).AgentLock(there))
		require.True(t, w.CRM(there).ManagerLock(), "the others go on")
		require.True(t, w.LRM(there).TakeAgentLock())
	}},
	{Name: "a holder without quorum can neither refresh nor release", Needs: []Condition{CutOff}, Check: func(t testing.TB, w World) {
		lost, l := w.Nodes()[0], managerLock(w)
		require.True(t, l.take())
		require.True(t, w.LRM(lost).TakeAgentLock())
		set(t, w, CutOff, lost)
		require.False(t, l.take())
		require.False(t, w.LRM(lost).TakeAgentLock())
		require.False(t, w.CRM(lost).ReleaseManagerLock())
		require.False(t, w.LRM(lost).ReleaseAgentLock())
		require.False(t, l.other(), "it was not released")
		l.expires(t, w)
		mend(t, w, CutOff, lost)
		require.False(t, l.take(), "the lock is the other's now")
	}},
	{Name: "nobody gets a lock when no side has a quorum", Needs: []Condition{CutOff}, Check: func(t testing.TB, w World) {
		n := w.Nodes()
		for _, node := range n[(len(n)-1)/2:] {
			set(t, w, CutOff, node)
		}
		w.Advance(2 * lifetime)
		for _, node := range n {
			require.False(t, w.CRM(node).ManagerLock(), node)
			require.False(t, w.LRM(node).TakeAgentLock(), node)
		}
	}},
}

var agentLockClauses = []Clause{
	{Name: "the locks are independent", Check: func(t testing.TB, w World) {
		n := w.Nodes()
		require.True(t, w.CRM(n[0]).ManagerLock())
		for _, node := range n {
			require.True(t, w.LRM(node).TakeAgentLock(), node)
		}
		require.True(t, w.LRM(n[0]).ReleaseAgentLock())
		require.False(t, w.CRM(n[1]).ManagerLock(), "the manager lock went with an agent lock")
		require.False(t, w.CRM(n[2]).AgentLock(n[1]), "an agent lock went with another")
		require.True(t, w.CRM(n[0]).ReleaseManagerLock())
		require.False(t, w.CRM(n[2]).AgentLock(n[1]), "an agent lock went with the manager lock")
		require.True(t, w.CRM(n[2]).AgentLock(n[0]), "the released lock is free")
	}},
	{Name: "a living node's agent lock is its own", Check: func(t testing.TB, w World) {
		n := w.Nodes()
		for range 4 {
			require.True(t, w.LRM(n[0]).TakeAgentLock())
			require.False(t, w.CRM(n[1]).AgentLock(n[0]))
			w.Advance(lifetime - 20)
		}
	}},
	{Name: "a dead node's agent lock can be taken as the proof", Check: func(t testing.TB, w World) {
		n := w.Nodes()
		l := holderLock{
			take:  w.LRM(n[0]).TakeAgentLock,
			other: func() bool { return w.CRM(n[1]).AgentLock(n[0]) },
		}
		require.True(t, l.take())
		l.expires(t, w)
		require.False(t, l.take(), "its own node gets it back only when the master lets go of it")
		require.False(t, w.CRM(n[2]).AgentLock(n[0]), "one master alone has the proof")
	}},
	{Name: "an agent lock that nobody holds can be taken at once", Check: func(t testing.TB, w World) {
		n := w.Nodes()
		require.True(t, w.CRM(n[1]).AgentLock(n[0]))
		require.False(t, w.LRM(n[0]).TakeAgentLock())
	}},
	{Name: "an LRM releases its own lock only", Check: func(t testing.TB, w World) {
		n := w.Nodes()
		require.False(t, w.LRM(n[0]).ReleaseAgentLock(), "nobody holds it")
		require.True(t, w.CRM(n[1]).AgentLock(n[0]))
		require.False(t, w.LRM(n[0]).ReleaseAgentLock(), "the master holds it")
		require.False(t, w.LRM(n[0]).TakeAgentLock(), "the master still holds it")
	}},
}
