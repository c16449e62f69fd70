package envtest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/crm"
	"pveha/internal/ha"
)

// managerText and lrmText are what a node reads, as text: equal text is an
// equal status.
func managerText(t testing.TB, env managerReader) string {
	t.Helper()
	s, err := env.ReadManagerStatus()
	require.NoError(t, err)
	require.NotNil(t, s)
	return string(s.Encode())
}

type managerReader interface {
	ReadManagerStatus() (*ha.ManagerStatus, error)
}

func lrmText(t testing.TB, env crm.Env, node string) string {
	t.Helper()
	s, err := env.ReadLRMStatus(node)
	require.NoError(t, err)
	require.NotNil(t, s)
	return string(s.Encode())
}

var (
	emptyManager = string((&ha.ManagerStatus{}).Encode())
	emptyLRM     = string((&ha.LRMStatus{}).Encode())
)

var statusClauses = []Clause{
	{Name: "a manager status that was never written is empty", Check: func(t testing.TB, w World) {
		for _, node := range w.Nodes() {
			require.Equal(t, emptyManager, managerText(t, w.CRM(node)))
			require.Equal(t, emptyManager, managerText(t, w.LRM(node)))
		}
	}},
	{Name: "every node reads the manager status whole", Check: func(t testing.TB, w World) {
		n := w.Nodes()
		for _, variant := range []string{"first", "the second"} {
			want := managerSample(n, variant)
			require.NoError(t, w.CRM(n[0]).WriteManagerStatus(want))
			for _, node := range n {
				require.Equal(t, string(want.Encode()), managerText(t, w.CRM(node)))
				require.Equal(t, string(want.Encode()), managerText(t, w.LRM(node)))
			}
		}
	}},
	{Name: "a write replaces the whole manager status", Check: func(t testing.TB, w World) {
		n := w.Nodes()
		require.NoError(t, w.CRM(n[0]).WriteManagerStatus(managerSample(n, "first")))
		small := &ha.ManagerStatus{MasterNode: n[1], Timestamp: 7}
		require.NoError(t, w.CRM(n[1]).WriteManagerStatus(small))
		require.Equal(t, string(small.Encode()), managerText(t, w.CRM(n[0])))
	}},
	{Name: "a manager status once read stays as it is", Check: func(t testing.TB, w World) {
		n := w.Nodes()
		require.NoError(t, w.CRM(n[0]).WriteManagerStatus(managerSample(n, "first")))
		var held []*ha.ManagerStatus
		for _, env := range []managerReader{w.CRM(n[0]), w.CRM(n[1]), w.LRM(n[1])} {
			s, err := env.ReadManagerStatus()
			require.NoError(t, err)
			held = append(held, s)
		}
		require.NoError(t, w.CRM(n[0]).WriteManagerStatus(managerSample(n, "the second")))
		for _, s := range held {
			require.Equal(t, string(managerSample(n, "first").Encode()), string(s.Encode()))
		}
	}},
	{Name: "the writer may change the manager status it has written", Check: func(t testing.TB, w World) {
		n := w.Nodes()
		mine := managerSample(n, "first")
		require.NoError(t, w.CRM(n[0]).WriteManagerStatus(mine))
		held, err := w.CRM(n[1]).ReadManagerStatus()
		require.NoError(t, err)
		scrambleManager(mine)
		want := string(managerSample(n, "first").Encode())
		require.Equal(t, want, string(held.Encode()), "what a reader held")
		require.Equal(t, want, managerText(t, w.CRM(n[0])))
	}},
	{Name: "the LRM status of a node that wrote none is empty", Check: func(t testing.TB, w World) {
		n := w.Nodes()
		require.NoError(t, w.LRM(n[0]).WriteLRMStatus(lrmSample("first")))
		require.Equal(t, emptyLRM, lrmText(t, w.CRM(n[0]), n[1]))
		require.Equal(t, emptyLRM, lrmText(t, w.CRM(n[0]), "no-such-node"))
	}},
	{Name: "every node has its own LRM status", Check: func(t testing.TB, w World) {
		n := w.Nodes()
		for _, node := range n {
			require.NoError(t, w.LRM(node).WriteLRMStatus(lrmSample("of "+node)))
		}
		for _, reader := range n {
			for _, node := range n {
				require.Equal(t, string(lrmSample("of "+node).Encode()), lrmText(t, w.CRM(reader), node))
			}
		}
		small := &ha.LRMStatus{State: ha.LRMWaitForAgentLock, Mode: ha.ModeActive, Timestamp: 7}
		require.NoError(t, w.LRM(n[0]).WriteLRMStatus(small))
		require.Equal(t, string(small.Encode()), lrmText(t, w.CRM(n[1]), n[0]), "a write replaces the whole")
	}},
	{Name: "an LRM status once read stays as it is", Check: func(t testing.TB, w World) {
		n := w.Nodes()
		mine := lrmSample("first")
		require.NoError(t, w.LRM(n[0]).WriteLRMStatus(mine))
		held, err := w.CRM(n[1]).ReadLRMStatus(n[0])
		require.NoError(t, err)
		scrambleLRM(mine)
		want := string(lrmSample("first").Encode())
		require.Equal(t, want, string(held.Encode()), "after the writer changed its own")
		require.Equal(t, want, lrmText(t, w.CRM(n[1]), n[0]))
		require.NoError(t, w.LRM(n[0]).WriteLRMStatus(lrmSample("the second")))
		require.Equal(t, want, string(held.Encode()), "after a later write")
	}},
}

// pending and take are the command queue as one node sees it.
func pending(t testing.TB, env crm.Env) bool {
	t.Helper()
	waits, err := env.CommandsPending()
	require.NoError(t, err)
	return waits
}

func take(t testing.TB, env crm.Env) []string {
	t.Helper()
	content, err := env.TakeCommands()
	require.NoError(t, err)
	return ha.CommandLines(content)
}

var commandClauses = []Clause{
	{Name: "an empty command queue has nothing to take", Check: func(t testing.TB, w World) {
		for _, node := range w.Nodes() {
			require.False(t, pending(t, w.CRM(node)))
			require.Empty(t, take(t, w.CRM(node)))
		}
	}},
	{Name: "commands are taken in order, and once", Check: func(t testing.TB, w World) {
		n := w.Nodes()
		lines := []string{"migrate vm:101 " + n[1], "stop ct:102 60", "arm-ha", "stop ct:102 60"}
		for _, line := range lines {
			w.Queue(line)
		}
		require.True(t, pending(t, w.CRM(n[0])))
		require.True(t, pending(t, w.CRM(n[1])), "looking takes nothing away")
		require.Equal(t, lines, take(t, w.CRM(n[0])))
		for _, node := range n {
			require.False(t, pending(t, w.CRM(node)))
			require.Empty(t, take(t, w.CRM(node)))
		}
	}},
	{Name: "a command that comes later is not lost", Check: func(t testing.TB, w World) {
		n := w.Nodes()
		var got []string
		for i, line := range []string{"arm-ha", "disarm-ha freeze", "enable-node-maintenance " + n[0], "arm-ha"} {
			w.Queue(line)
			require.True(t, pending(t, w.CRM(n[0])))
			if i%2 == 1 { // whoever is master then
				got = append(got, take(t, w.CRM(n[i%len(n)]))...)
			}
		}
		require.Equal(t, []string{"arm-ha", "disarm-ha freeze", "enable-node-maintenance " + n[0], "arm-ha"}, got)
	}},
	{Name: "a line that is no command is taken as it is", Check: func(t testing.TB, w World) {
		w.Queue("do what I mean  ü")
		require.Equal(t, []string{"do what I mean  ü"}, take(t, w.CRM(w.Nodes()[0])))
	}},
}
