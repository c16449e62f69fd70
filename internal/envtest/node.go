package envtest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/crm"
	"pveha/lrm"
)

// online returns which nodes a daemon sees online.
func online(t testing.TB, env crm.Env) map[string]bool {
	t.Helper()
	members, err := env.Members()
	require.NoError(t, err)
	seen := map[string]bool{}
	for name, m := range members {
		seen[name] = m.Online
	}
	return seen
}

func allOnline(nodes []string, but ...string) map[string]bool {
	all := map[string]bool{}
	for _, n := range nodes {
		all[n] = true
	}
	for _, n := range but {
		all[n] = false
	}
	return all
}

func shutdown(t testing.TB, env lrm.Env) (down, reboot bool) {
	t.Helper()
	down, reboot, err := env.NodeShutdown()
	require.NoError(t, err)
	return down, reboot
}

var nodeClauses = []Clause{
	{Name: "a daemon knows its node", Check: func(t testing.TB, w World) {
		for _, node := range w.Nodes() {
			require.Equal(t, node, w.CRM(node).NodeName())
			require.Equal(t, node, w.LRM(node).NodeName())
		}
	}},
	{Name: "a healthy cluster is quorate, fresh and complete", Check: func(t testing.TB, w World) {
		for _, node := range w.Nodes() {
			require.True(t, w.CRM(node).Quorate())
			require.True(t, w.LRM(node).Quorate())
			require.True(t, w.CRM(node).Refresh())
			require.True(t, w.LRM(node).Refresh())
			require.Equal(t, allOnline(w.Nodes()), online(t, w.CRM(node)))
			for _, other := range w.Nodes() {
				version, err := w.CRM(node).NodeVersion(other)
				require.NoError(t, err)
				require.NotEmpty(t, version, other)
			}
		}
	}},
	{Name: "members belong to who reads them", Check: func(t testing.TB, w World) {
		env := w.CRM(w.Nodes()[0])
		members, err := env.Members()
		require.NoError(t, err)
		clear(members)
		require.Equal(t, allOnline(w.Nodes()), online(t, env))
	}},
	{Name: "the figures of the nodes are of nodes of the cluster", Check: func(t testing.TB, w World) {
		for _, node := range w.Nodes() {
			stats, err := w.CRM(node).StaticNodes()
			require.NoError(t, err)
			require.NotEmpty(t, stats)
			for name, s := range stats {
				require.Contains(t, w.Nodes(), name)
				require.Positive(t, s.MaxCPU, name)
				require.Positive(t, s.MaxMem, name)
			}
		}
	}},
	{Name: "a node that is cut off is alone", Needs: []Condition{CutOff}, Check: func(t testing.TB, w World) {
		lost := w.Nodes()[1]
		set(t, w, CutOff, lost)
		require.False(t, w.CRM(lost).Quorate())
		require.False(t, w.LRM(lost).Quorate())
		for _, node := range w.Nodes() {
			if node != lost {
				require.True(t, w.CRM(node).Quorate(), node)
				require.True(t, w.LRM(node).Quorate(), node)
				require.Equal(t, allOnline(w.Nodes(), lost), online(t, w.CRM(node)), node)
			}
		}
		mend(t, w, CutOff, lost)
		require.True(t, w.CRM(lost).Quorate())
		require.Equal(t, allOnline(w.Nodes()), online(t, w.CRM(lost)))
	}},
	{Name: "a node that is off is no member online, and keeps what it wrote", Needs: []Condition{PoweredOff}, Check: func(t testing.TB, w World) {
		off, there := w.Nodes()[0], w.Nodes()[1]
		require.NoError(t, w.CRM(off).WriteManagerStatus(managerSample(w.Nodes(), "first")))
		require.NoError(t, w.LRM(off).WriteLRMStatus(lrmSample("first")))
		require.True(t, w.LRM(off).TakeAgentLock())
		set(t, w, PoweredOff, off)
		require.Equal(t, allOnline(w.Nodes(), off), online(t, w.CRM(there)))
		require.Equal(t, string(managerSample(w.Nodes(), "first").Encode()), managerText(t, w.CRM(there)))
		require.Equal(t, string(lrmSample("first").Encode()), lrmText(t, w.CRM(there), off))
		holderLock{other: func() bool { return w.CRM(there).AgentLock(off) }}.expires(t, w)
		mend(t, w, PoweredOff, off)
		require.Equal(t, allOnline(w.Nodes()), online(t, w.CRM(there)))
		require.True(t, w.CRM(off).Quorate())
	}},
	{Name: "a stale view is told on its node alone", Needs: []Condition{Stale}, Check: func(t testing.TB, w World) {
		stale, there := w.Nodes()[0], w.Nodes()[1]
		set(t, w, Stale, stale)
		require.False(t, w.CRM(stale).Refresh())
		require.False(t, w.LRM(stale).Refresh())
		require.True(t, w.CRM(there).Refresh())
		mend(t, w, Stale, stale)
		require.True(t, w.CRM(stale).Refresh())
		require.True(t, w.LRM(stale).Refresh())
	}},
	{Name: "a running node does not shut down", Check: func(t testing.TB, w World) {
		for _, node := range w.Nodes() {
			down, reboot := shutdown(t, w.LRM(node))
			require.False(t, down)
			require.False(t, reboot)
		}
	}},
	{Name: "a shutdown is told on its node alone", Needs: []Condition{ShuttingDown}, Check: func(t testing.TB, w World) {
		set(t, w, ShuttingDown, w.Nodes()[0])
		down, reboot := shutdown(t, w.LRM(w.Nodes()[0]))
		require.True(t, down)
		require.False(t, reboot)
		down, _ = shutdown(t, w.LRM(w.Nodes()[1]))
		require.False(t, down)
	}},
	{Name: "a reboot is a shutdown that comes back", Needs: []Condition{Rebooting}, Check: func(t testing.TB, w World) {
		set(t, w, Rebooting, w.Nodes()[0])
		down, reboot := shutdown(t, w.LRM(w.Nodes()[0]))
		require.True(t, down)
		require.True(t, reboot)
	}},
	{Name: "no worker ends that was not started", Check: func(t testing.TB, w World) {
		for _, node := range w.Nodes() {
			env := w.LRM(node)
			limit, err := env.MaxWorkers()
			require.NoError(t, err)
			require.GreaterOrEqual(t, limit, 0)
			require.Empty(t, env.FinishedWorkers())
			if limit == 0 { // orders are carried out in the round
				require.Error(t, env.StartWorker(lrm.Order{SID: "vm:101", UID: "x"}))
			}
		}
	}},
}
