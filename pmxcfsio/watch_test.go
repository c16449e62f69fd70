package pmxcfsio_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/pmxcfsio"
)

// often is the interval of watchers in tests.
const often = 20 * time.Millisecond

// seen waits until a watcher has told of all the changes, in any number of
// batches, and returns all it told.
func seen(t testing.TB, w *pmxcfsio.Watcher, want ...pmxcfsio.Event) []pmxcfsio.Event {
	t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	var all []pmxcfsio.Event
	missing := map[pmxcfsio.Event]bool{}
	for _, e := range want {
		missing[e] = true
	}
	for len(missing) > 0 {
		select {
		case batch, open := <-w.Events():
			require.True(t, open, "the watcher ended")
			require.NotEmpty(t, batch)
			all = append(all, batch...)
			for _, e := range batch {
				delete(missing, e)
			}
		case <-limit.C:
			require.Fail(t, "not told", "%v, but %v", missing, all)
		}
	}
	return all
}

// file is the change of a file.
func file(name string) pmxcfsio.Event {
	return pmxcfsio.Event{Change: pmxcfsio.FileChanged, File: name}
}

func change(c pmxcfsio.Change) pmxcfsio.Event { return pmxcfsio.Event{Change: c} }

// watching is a watcher on node1, of all status files.
func watching(t testing.TB, f *pmxcfsio.FS) *pmxcfsio.Watcher {
	t.Helper()
	w := f.Watch(ctx, pmxcfsio.WatchConfig{
		Nodes: func() []string { return []string{"node1", "node2", "node3"} }, Interval: often,
	})
	t.Cleanup(w.Close)
	return w
}

// eachWay runs a test with and without IPC.
func eachWay(t *testing.T, test func(t *testing.T, b *bed, f *pmxcfsio.FS)) {
	for _, withIPC := range []bool{false, true} {
		t.Run(fmt.Sprintf("ipc=%t", withIPC), func(t *testing.T) {
			b := newBed(t, realClock, often/2)
			var ipc pmxcfsio.IPC
			if withIPC {
				ipc = b.client(t, "node1")
			}
			test(t, b, b.fs(t, "node1", ipc))
		})
	}
}

func TestWatcherTellsWhichFileChanged(t *testing.T) {
	eachWay(t, func(t *testing.T, b *bed, f *pmxcfsio.FS) {
		w := watching(t, f)
		for _, name := range []string{
			pmxcfsio.ManagerStatusFile, pmxcfsio.CommandsFile, pmxcfsio.ResourcesFile, pmxcfsio.RulesFile, pmxcfsio.GroupsFile,
			pmxcfsio.FenceFile, pmxcfsio.DatacenterFile, pmxcfsio.LRMStatusFile("node2"), pmxcfsio.LRMStatusFile("node3"),
		} {
			require.NoError(t, b.Node("node2").Replace(name, []byte("by another node")))
			require.ElementsMatch(t, []pmxcfsio.Event{file(name)}, seen(t, w, file(name)))
			require.NoError(t, f.Write(ctx, name, []byte("by this node")))
			require.ElementsMatch(t, []pmxcfsio.Event{file(name)}, seen(t, w, file(name)))
			require.NoError(t, b.Node("node3").Unlink(name))
			require.ElementsMatch(t, []pmxcfsio.Event{file(name)}, seen(t, w, file(name)))
		}
		require.NoError(t, f.Write(ctx, pmxcfsio.LRMStatusFile("node1"), []byte("own")))
		seen(t, w, file(pmxcfsio.LRMStatusFile("node1")))
	})
}

func TestWatcherTellsOfGuestsMembersAndQuorum(t *testing.T) {
	eachWay(t, func(t *testing.T, b *bed, f *pmxcfsio.FS) {
		w := watching(t, f)
		require.NoError(t, b.Node("node2").Create("nodes/node2/qemu-server/100.conf"))
		seen(t, w, change(pmxcfsio.GuestsChanged))
		require.NoError(t, b.Partition("node3"))
		seen(t, w, change(pmxcfsio.MembersChanged))
		require.NoError(t, b.Heal())
		seen(t, w, change(pmxcfsio.MembersChanged))
		require.NoError(t, b.Partition("node1"))
		seen(t, w, change(pmxcfsio.QuorumChanged))
		require.NoError(t, b.Heal())
		seen(t, w, change(pmxcfsio.QuorumChanged))
	})
}

func TestWatcherSurvivesTheEndOfPmxcfs(t *testing.T) {
	eachWay(t, func(t *testing.T, b *bed, f *pmxcfsio.FS) {
		w := watching(t, f)
		for _, end := range []func(string) error{b.Stop, b.Crash} {
			require.NoError(t, end("node1"))
			require.Equal(t, []pmxcfsio.Event{change(pmxcfsio.MountLost)}, seen(t, w, change(pmxcfsio.MountLost)))
			time.Sleep(often) // until the kernel forgets the attributes of a dead mount
			require.NoError(t, b.start("node1"))
			seen(t, w, change(pmxcfsio.MountBack), change(pmxcfsio.MembersChanged), change(pmxcfsio.GuestsChanged),
				file(pmxcfsio.ManagerStatusFile), file(pmxcfsio.DatacenterFile))
			require.NoError(t, f.Write(ctx, pmxcfsio.ResourcesFile, []byte("after")))
			seen(t, w, file(pmxcfsio.ResourcesFile))
		}
	})
}

func TestWatcherTellsWhatHappenedWhileItWasLost(t *testing.T) {
	eachWay(t, func(t *testing.T, b *bed, f *pmxcfsio.FS) {
		status := pmxcfsio.LRMStatusFile("node2")
		require.NoError(t, b.Node("node2").Replace(status, []byte("before")))
		w := watching(t, f)
		require.NoError(t, b.Stop("node1"))
		seen(t, w, change(pmxcfsio.MountLost))
		require.NoError(t, b.Node("node2").Replace(status, []byte("meanwhile")))
		require.NoError(t, b.start("node1"))
		seen(t, w, change(pmxcfsio.MountBack), file(status))
	})
}

func TestWatcherStartsWithoutAFileSystem(t *testing.T) {
	eachWay(t, func(t *testing.T, b *bed, f *pmxcfsio.FS) {
		require.NoError(t, b.Stop("node1"))
		w := watching(t, f)
		require.NoError(t, b.start("node1"))
		all := seen(t, w, change(pmxcfsio.MountBack))
		require.NotContains(t, all, change(pmxcfsio.MountLost))
	})
}

func TestWatcherPutsTogetherWhatNobodyReceives(t *testing.T) {
	eachWay(t, func(t *testing.T, b *bed, f *pmxcfsio.FS) {
		w := watching(t, f)
		for i := range 20 {
			require.NoError(t, f.Write(ctx, pmxcfsio.RulesFile, fmt.Append(nil, i)))
			require.NoError(t, b.Node("node2").Replace(pmxcfsio.CommandsFile, fmt.Append(nil, i)))
		}
		all := seen(t, w, file(pmxcfsio.RulesFile), file(pmxcfsio.CommandsFile))
		require.LessOrEqual(t, len(all), 4)
	})
}

func TestWatcherEndsWithItsContext(t *testing.T) {
	b := newBed(t, realClock, 0)
	limited, cancel := context.WithCancel(ctx)
	w := b.fs(t, "node1", nil).Watch(limited, pmxcfsio.WatchConfig{})
	cancel()
	_, open := <-w.Events()
	require.False(t, open)
	w.Close()
	w.Close()
}

// TestWatcherLooksWhenTheJournalIsWritten has regular looks an hour apart.
func TestWatcherLooksWhenTheJournalIsWritten(t *testing.T) {
	b := newBed(t, realClock, 0)
	w := b.journaled(t, nil).Watch(ctx, pmxcfsio.WatchConfig{Nodes: func() []string { return []string{"node2", "node3"} }, Interval: time.Hour})
	defer w.Close()
	for i, name := range []string{pmxcfsio.ManagerStatusFile, pmxcfsio.LRMStatusFile("node2"), pmxcfsio.LRMStatusFile("node3")} {
		require.NoError(t, b.Node("node3").Replace(name, fmt.Append(nil, i)))
		require.Equal(t, []pmxcfsio.Event{file(name)}, seen(t, w, file(name)))
	}
}

// TestWatcherTellsThatALockIsGone has regular looks an hour apart, and a kernel
// that remembers for as long.
func TestWatcherTellsThatALockIsGone(t *testing.T) {
	lock := pmxcfsio.LockPath(pmxcfsio.ManagerLock)
	b := newBed(t, realClock, time.Hour)
	holder := b.Node("node2")
	require.NoError(t, holder.Mkdir("priv/lock"))
	require.NoError(t, holder.Mkdir(lock))
	f := b.journaled(t, b.client(t, "node1"))
	_, err := f.Stat(ctx, lock) // for the kernel to remember
	require.NoError(t, err)
	var awaits atomic.Bool
	awaits.Store(true)
	w := f.Watch(ctx, pmxcfsio.WatchConfig{Interval: time.Hour, Awaits: func() string {
		if awaits.Load() {
			return lock
		}
		return ""
	}})
	defer w.Close()
	require.NoError(t, holder.Replace(pmxcfsio.RulesFile, []byte("x")))
	require.NoError(t, holder.Utime(lock, time.Now()))
	select {
	case batch := <-w.Events():
		require.Fail(t, "told of what can wait", "%v", batch)
	case <-time.After(3 * often):
	}
	require.NoError(t, holder.Rmdir(lock))
	require.Equal(t, []pmxcfsio.Event{file(pmxcfsio.RulesFile), file(lock)}, seen(t, w, file(lock)))

	awaits.Store(false)
	require.NoError(t, holder.Replace(pmxcfsio.RulesFile, []byte("y")))
	require.Equal(t, []pmxcfsio.Event{file(pmxcfsio.RulesFile)}, seen(t, w, file(pmxcfsio.RulesFile)))
}

// TestWatcherMissesNothingInAStorm has regular looks an hour apart, and so many
// writes that most of them find it deaf.
func TestWatcherMissesNothingInAStorm(t *testing.T) {
	lock := pmxcfsio.LockPath(pmxcfsio.ManagerLock)
	b := newBed(t, realClock, 0)
	holder := b.Node("node2")
	require.NoError(t, holder.Mkdir("priv/lock"))
	require.NoError(t, holder.Mkdir(lock))
	w := b.journaled(t, b.client(t, "node1")).Watch(ctx, pmxcfsio.WatchConfig{Interval: time.Hour, Awaits: func() string { return lock }})
	defer w.Close()
	for end := time.Now().Add(1500 * time.Millisecond); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		require.NoError(t, holder.Utime(lock, time.Now()))
	}
	require.NoError(t, holder.Rmdir(lock))
	seen(t, w, file(lock))
}

func TestJournalThatIsNotWrittenIsNotReliedOn(t *testing.T) {
	b := newBed(t, realClock, 0)
	f := b.fs(t, "node1", nil, filepath.Join(t.TempDir(), "never written"))
	const rest = 3 * time.Second
	f.RestFor(rest)
	start := time.Now() // of its first rest
	w := f.Watch(ctx, pmxcfsio.WatchConfig{Interval: often})
	defer w.Close()
	took := make([]time.Duration, 4)
	for i := range took {
		require.NoError(t, b.Node("node2").Replace(pmxcfsio.RulesFile, fmt.Append(nil, i)))
		seen(t, w, file(pmxcfsio.RulesFile))
		took[i] = time.Since(start)
		start = time.Now()
	}
	require.Greater(t, took[0], rest/2, "it was relied on")
	require.Less(t, took[3], rest/2)
}

// TestLocalChangeNeedsNoLook has regular looks an hour apart, so that only the
// kernel can tell.
func TestLocalChangeNeedsNoLook(t *testing.T) {
	b := newBed(t, realClock, 0)
	f := b.fs(t, "node1", nil)
	w := f.Watch(ctx, pmxcfsio.WatchConfig{Nodes: func() []string { return []string{"node1"} }, Interval: time.Hour})
	defer w.Close()
	for _, name := range []string{pmxcfsio.ManagerStatusFile, pmxcfsio.DatacenterFile, pmxcfsio.LRMStatusFile("node1")} {
		for i := range 3 {
			require.NoError(t, f.Write(ctx, name, fmt.Append(nil, i)))
			require.Equal(t, []pmxcfsio.Event{file(name)}, seen(t, w, file(name)))
		}
	}
}

func TestHangingMountIsLostAndComesBack(t *testing.T) {
	e := newEmu(t, "node1", "node2")
	m := &faultyMount{Mount: emuMount{e.Node("node1")}}
	f, err := pmxcfsio.New(pmxcfsio.Config{Root: t.TempDir(), Mount: m, ReadTimeout: 200 * time.Millisecond})
	require.NoError(t, err)
	w := watching(t, f)
	_, release := m.hangs(t, "read", ".version")
	seen(t, w, change(pmxcfsio.MountLost))
	release()
	seen(t, w, change(pmxcfsio.MountBack))
	w.Close()
	requireIdle(t, f)
}

func TestGarbledCountersAreNoChange(t *testing.T) {
	e := newEmu(t, "node1", "node2")
	m := &faultyMount{Mount: emuMount{e.Node("node1")}}
	f, err := pmxcfsio.New(pmxcfsio.Config{Root: t.TempDir(), Mount: m})
	require.NoError(t, err)
	w := watching(t, f)
	m.cuts(3)
	require.NoError(t, e.Node("node2").Replace(pmxcfsio.RulesFile, []byte("x")))
	require.Equal(t, []pmxcfsio.Event{file(pmxcfsio.RulesFile)}, seen(t, w, file(pmxcfsio.RulesFile)))
	m.cuts(1000)
	require.NoError(t, e.Node("node2").Replace(pmxcfsio.RulesFile, []byte("y")))
	require.Equal(t, []pmxcfsio.Event{change(pmxcfsio.MountLost)}, seen(t, w, change(pmxcfsio.MountLost)))
	m.cuts(0)
	seen(t, w, change(pmxcfsio.MountBack), file(pmxcfsio.RulesFile))
}
