package pveenv

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
	"pveha/pmxcfsio"
)

// woken reports whether something has happened, and begins a round.
func woken(w *Waker) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	was := w.pending
	w.pending = false
	return was
}

// running runs the watching of an environment until the test ends, and shows
// that it leaves nothing behind.
func running(t *testing.T, run func(context.Context)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var loop sync.WaitGroup
	loop.Go(func() { run(ctx) })
	t.Cleanup(func() {
		cancel()
		loop.Wait()
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		for _, left := range []string{"pveenv.(*node)", "pveenv.(*linkWatch)", "pmxcfsio.(*Watcher)"} {
			require.NotContains(t, string(stacks), left)
		}
	})
}

// settled waits until the watch has begun, which nobody tells: it has when it
// wakes for something.
func settled(t *testing.T, w *world, waker *Waker) {
	t.Helper()
	eventually(t, "the watch works", func() bool {
		require.NoError(t, w.cluster.Node("node1").Touch(pmxcfsio.ResourcesFile))
		time.Sleep(10 * time.Millisecond)
		return woken(waker)
	})
	quiet(t, waker)
}

// aWhile is longer than a watch takes, in hundredths of a second. It is counted
// in sleeps, which take longer where the watch does.
const aWhile = 120

// quiet waits until nothing wakes the daemon for a while.
func quiet(t *testing.T, waker *Waker) {
	t.Helper()
	for calm := 0; calm < aWhile; calm++ {
		if woken(waker) {
			calm = 0
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// requireQuiet wants nothing to wake the daemon for a while.
func requireQuiet(t *testing.T, waker *Waker, what string) {
	t.Helper()
	for range aWhile {
		require.False(t, woken(waker), what)
		time.Sleep(10 * time.Millisecond)
	}
}

func requireWoken(t *testing.T, waker *Waker, what string) {
	t.Helper()
	start := time.Now()
	eventually(t, what, func() bool { return woken(waker) })
	t.Logf("%s: after %v", what, time.Since(start).Round(time.Millisecond))
}

func TestWhatWakesACRM(t *testing.T) {
	w := newWorld(t)
	env := w.machines["node2"].crm
	_, err := env.Members()
	require.NoError(t, err)
	require.True(t, env.ManagerLock())
	running(t, env.Run)
	settled(t, w, env.waker)

	n := w.cluster.Node("node1")
	w.Queue("arm-ha")
	requireWoken(t, env.waker, "a command")
	quiet(t, env.waker)
	require.Equal(t, "arm-ha\n", take(t, env))
	status := &ha.LRMStatus{State: ha.LRMActive, Timestamp: 100}
	require.NoError(t, n.Replace(pmxcfsio.LRMStatusFile("node1"), status.Encode()))
	requireWoken(t, env.waker, "the status of an LRM")
	quiet(t, env.waker)

	require.NoError(t, n.Rename("nodes/node1/qemu-server/101.conf", "nodes/node3/qemu-server/101.conf"))
	requireWoken(t, env.waker, "a guest that moved")
	quiet(t, env.waker)

	// What says nothing new.
	require.NoError(t, n.Replace("nodes/node3/qemu-server/101.conf", []byte("cores: 8\n")))
	status.Timestamp = 110
	require.NoError(t, n.Replace(pmxcfsio.LRMStatusFile("node1"), status.Encode()))
	require.NoError(t, n.Replace(pmxcfsio.ManagerStatusFile, (&ha.ManagerStatus{Timestamp: 5}).Encode()))
	require.NoError(t, n.Replace(pmxcfsio.CommandsFile, nil))
	requireQuiet(t, env.waker, "a status that was only written again, its own status, an empty queue, a guest's configuration")

	status.Mode = ha.ModeMaintenance
	require.NoError(t, n.Replace(pmxcfsio.LRMStatusFile("node1"), status.Encode()))
	requireWoken(t, env.waker, "another mode of an LRM")
	require.NoError(t, w.cluster.Partition("node3"))
	requireWoken(t, env.waker, "a node that is lost")
}

func TestALockThatIsGivenBackWakesTheSlaves(t *testing.T) {
	w := newWorld(t)
	master, slave := w.CRM("node1"), w.machines["node2"].crm
	for range 2 {
		require.True(t, master.ManagerLock())
		require.False(t, slave.ManagerLock())
		w.Advance(10)
	}
	require.True(t, slave.ManagerLockKept())
	running(t, slave.Run)
	settled(t, w, slave.waker)
	require.True(t, master.ReleaseManagerLock())
	requireWoken(t, slave.waker, "a lock that is free")
	require.True(t, slave.ManagerLock())
	require.False(t, slave.ManagerLockKept())
}

func TestWhatWakesAnLRM(t *testing.T) {
	w := newWorld(t)
	env := w.machines["node2"].lrm
	workers := &fakeWorkers{changed: make(chan struct{}, 1)}
	guests := &fakeGuests{changed: make(chan struct{}, 1)}
	env.workers, env.guests = workers, guests
	running(t, env.Run)
	n := w.cluster.Node("node1")
	status := &ha.ManagerStatus{MasterNode: "node1", Timestamp: 1}
	eventually(t, "the watch works", func() bool {
		status.Timestamp++
		status.MasterNode += "x"
		require.NoError(t, n.Replace(pmxcfsio.ManagerStatusFile, status.Encode()))
		time.Sleep(10 * time.Millisecond)
		return woken(env.waker)
	})
	quiet(t, env.waker)

	status.Timestamp++
	require.NoError(t, n.Replace(pmxcfsio.ManagerStatusFile, status.Encode()))
	w.Queue("arm-ha")
	requireQuiet(t, env.waker, "a status that was only written again, and what is the master's")

	status.NodeStatus = map[string]ha.NodeState{"node2": ha.NodeMaintenance}
	require.NoError(t, n.Replace(pmxcfsio.ManagerStatusFile, status.Encode()))
	requireWoken(t, env.waker, "an order")
	quiet(t, env.waker)
	workers.changed <- struct{}{}
	requireWoken(t, env.waker, "a worker that ended")
	guests.changed <- struct{}{}
	requireWoken(t, env.waker, "a guest that died")
	alive, known := env.GuestAlive("vm:101")
	require.True(t, alive && known)
	require.NoError(t, w.cluster.Partition("node2"))
	requireWoken(t, env.waker, "quorum that is lost")
	eventually(t, "it is told", func() bool { return w.log.has("this node has no quorum") })
	require.NoError(t, w.cluster.Heal("node2"))
	eventually(t, "it is told", func() bool { return w.log.has("this node has quorum again") })
}

type fakeGuests struct{ changed chan struct{} }

func (g *fakeGuests) Alive(ha.SID) (alive, known bool) { return true, true }
func (g *fakeGuests) Changed() <-chan struct{}         { return g.changed }
func (g *fakeGuests) Ended() []ha.SID                  { return nil }

// The loss of quorum is told with what may be the reason, and kept for the next
// start.
func TestALossOfQuorumIsToldWithItsReason(t *testing.T) {
	w := newWorld(t)
	env := w.machines["node1"].lrm
	require.True(t, env.Quorate())
	require.True(t, env.TakeAgentLock())
	wd, err := env.OpenWatchdog()
	require.NoError(t, err)
	env.links.mu.Lock()
	env.links.known["eno1"] = linkState{since: w.clock.Now()}
	env.links.mu.Unlock()
	env.linksChanged()
	require.NoError(t, w.cluster.Partition("node1"))
	require.True(t, env.Refresh())
	require.False(t, env.Quorate())
	require.False(t, env.Quorate())
	require.False(t, env.TakeAgentLock())
	require.Equal(t, []string{
		"successfully acquired lock 'ha_agent_node1_lock'", "watchdog active",
		"this node has no quorum, network link 'eno1' is down",
		"lost lock 'ha_agent_node1_lock - cfs lock update failed - Permission denied",
	}, w.log.texts())
	env.fence.wait(10 * time.Second)

	var lines recorder
	cfg := env.cfg
	cfg.Log = lines.log
	next, err := NewLRM(LRMConfig{Config: cfg})
	require.NoError(t, err)
	next.Close()
	require.Empty(t, lines.texts(), "the machine was not reset")
	again := newFenceKeeper(cfg, "lrm", nil)
	again.record.Boot = "another run of the machine"
	again.report()
	require.Len(t, lines.texts(), 1)
	for _, part := range []string{"link 'eno1' down at ", "quorum lost at ", "lock 'ha_agent_node1_lock' lost at "} {
		require.Contains(t, lines.texts()[0], part)
	}
	require.NoError(t, wd.Close())
}

// A watchdog that was lost is opened again, and that is told.
func TestALostWatchdogIsTold(t *testing.T) {
	w := newWorld(t)
	m := w.machines["node1"]
	wd, err := m.lrm.OpenWatchdog()
	require.NoError(t, err)
	m.mux.look()
	m.mux.stop()
	w.Advance(10)
	require.Error(t, wd.Update())
	m.mux.start()
	require.NoError(t, wd.Update())
	require.True(t, w.log.has("connection to watchdog-mux was lost ("), w.log.texts())
	w.Advance(10)
	require.NoError(t, wd.Close())
	require.True(t, w.log.has("watchdog closed (disabled)"))
}

func TestAnEnvironmentNeedsANodeAndFiles(t *testing.T) {
	_, err := NewCRM(CRMConfig{})
	require.ErrorContains(t, err, "name of the local node")
	_, err = NewLRM(LRMConfig{Config: Config{Node: "node1"}})
	require.ErrorContains(t, err, "cluster file system")
}
