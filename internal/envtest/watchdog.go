package envtest

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
)

const (
	// clientTimeout is how long a watchdog's client may be silent, in seconds.
	clientTimeout = 60
	// resetBy is when a node has to be dead that has fallen silent: the client
	// timeout and the device's of 10 s, in seconds. It is less than the
	// lifetime of a lock, which is what fencing rests on.
	resetBy = clientTimeout + 10
)

// open opens a watchdog that stays open though nobody mentions it any more: the
// collector of garbage would close its connection, which resets the node.
func open(t testing.TB, env interface{ OpenWatchdog() (ha.Watchdog, error) }) ha.Watchdog {
	t.Helper()
	wd, err := env.OpenWatchdog()
	require.NoError(t, err)
	require.NotNil(t, wd)
	t.Cleanup(func() { runtime.KeepAlive(wd) })
	return wd
}

// requireResets checks how often each node was reset.
func requireResets(t testing.TB, w World, want map[string]int) {
	t.Helper()
	for _, node := range w.Nodes() {
		got, err := w.Resets(node)
		require.NoError(t, err)
		require.Equal(t, want[node], got, node)
	}
}

var watchdogClauses = []Clause{
	{Name: "a watchdog is updated and closed", Check: func(t testing.TB, w World) {
		for _, wd := range []ha.Watchdog{open(t, w.CRM(w.Nodes()[0])), open(t, w.LRM(w.Nodes()[0]))} {
			require.NoError(t, wd.Update())
			w.Advance(10)
			require.NoError(t, wd.Update())
			require.NoError(t, wd.Close())
		}
	}},
	{Name: "a closed watchdog is gone", Check: func(t testing.TB, w World) {
		wd := open(t, w.LRM(w.Nodes()[0]))
		require.NoError(t, wd.Close())
		require.Error(t, wd.Update())
		require.Error(t, wd.Close())
		wd = open(t, w.LRM(w.Nodes()[0]))
		require.NoError(t, wd.Update(), "a new one can be opened")
		require.NoError(t, wd.Close())
	}},
	{Name: "a node whose watchdog is not updated is reset", Needs: []Condition{Reset}, Check: func(t testing.TB, w World) {
		silent := w.Nodes()[0]
		open(t, w.LRM(silent))
		w.Advance(clientTimeout - w.Slack())
		requireResets(t, w, nil)
		w.Advance(resetBy - clientTimeout + 2*w.Slack())
		requireResets(t, w, map[string]int{silent: 1})
	}},
	{Name: "an updated watchdog resets nothing", Needs: []Condition{Reset}, Check: func(t testing.TB, w World) {
		wd := open(t, w.LRM(w.Nodes()[0]))
		for range 6 {
			w.Advance(clientTimeout - 10)
			require.NoError(t, wd.Update())
		}
		requireResets(t, w, nil)
		require.NoError(t, wd.Close())
	}},
	{Name: "a watchdog that was closed in time resets nothing", Needs: []Condition{Reset}, Check: func(t testing.TB, w World) {
		wd := open(t, w.CRM(w.Nodes()[0]))
		w.Advance(clientTimeout - 10)
		require.NoError(t, wd.Close())
		w.Advance(2 * resetBy)
		requireResets(t, w, nil)
	}},
	{Name: "one silent client is enough, on its own node", Needs: []Condition{Reset}, Check: func(t testing.TB, w World) {
		silent, other := w.Nodes()[0], w.Nodes()[1]
		wd, far := open(t, w.CRM(silent)), open(t, w.CRM(other))
		open(t, w.LRM(silent))
		for range 2 {
			w.Advance(resetBy / 2)
			_ = wd.Update() // fails once its node is reset
			require.NoError(t, far.Update())
		}
		w.Advance(2 * w.Slack())
		requireResets(t, w, map[string]int{silent: 1})
		require.NoError(t, far.Close())
	}},
	{Name: "an expired watchdog cannot be saved", Needs: []Condition{Reset}, Check: func(t testing.TB, w World) {
		wd := open(t, w.LRM(w.Nodes()[0]))
		w.Advance(resetBy + 2*w.Slack())
		require.Error(t, wd.Update())
		require.Error(t, wd.Close())
		requireResets(t, w, map[string]int{w.Nodes()[0]: 1})
	}},
	{Name: "the watchdog works without network and files", Needs: []Condition{CutOff, NoFiles, Reset}, Check: func(t testing.TB, w World) {
		lost := w.Nodes()[0]
		wd := open(t, w.LRM(lost))
		set(t, w, CutOff, lost)
		set(t, w, NoFiles, lost)
		w.Advance(clientTimeout - 10)
		require.NoError(t, wd.Update())
		w.Advance(clientTimeout - w.Slack())
		requireResets(t, w, nil)
		w.Advance(resetBy - clientTimeout + 2*w.Slack())
		requireResets(t, w, map[string]int{lost: 1})
	}},
	{Name: "a node that is off has no watchdog", Needs: []Condition{PoweredOff, Reset}, Check: func(t testing.TB, w World) {
		off := w.Nodes()[0]
		wd := open(t, w.LRM(off))
		set(t, w, PoweredOff, off)
		w.Advance(2 * resetBy)
		mend(t, w, PoweredOff, off)
		w.Advance(2 * resetBy)
		requireResets(t, w, nil)
		require.Error(t, wd.Update(), "the daemon that had it is dead")
	}},
	{Name: "a node is dead before its lock can be taken", Needs: []Condition{CutOff, Reset}, Check: func(t testing.TB, w World) {
		lost, master := w.Nodes()[0], w.Nodes()[1]
		require.True(t, w.LRM(lost).TakeAgentLock())
		open(t, w.LRM(lost))
		set(t, w, CutOff, lost)
		for range 2 * lifetime {
			w.Advance(1)
			if !w.CRM(master).AgentLock(lost) {
				continue
			}
			requireResets(t, w, map[string]int{lost: 1})
			return
		}
		require.Fail(t, "the lock could never be taken")
	}},
}
