package envtest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/pmxcfsio"
)

// fsLock is the first of the world's locks on a node.
func fsLock(w FSWorld, node int) FSLock { return w.FS(w.Nodes()[node]).Lock(w.Names().Locks[0]) }

// takes and refused try for a lock.
func takes(t testing.TB, l FSLock, why string) {
	t.Helper()
	require.NoError(t, l.Take(bg), why)
}

func refused(t testing.TB, l FSLock, why string) {
	t.Helper()
	require.ErrorIs(t, l.Take(bg), pmxcfsio.ErrHeld, why)
}

// expiresFor checks that another node gets a lock that was refreshed some
// seconds ago, and not before its lifetime is over.
func expiresFor(t testing.TB, w FSWorld, other FSLock, ago int64) {
	t.Helper()
	w.Advance(lifetime - ago - w.Slack())
	refused(t, other, "its lifetime is not over")
	for range graceTries + w.Slack() {
		w.Advance(1)
		if other.Take(bg) == nil {
			return
		}
	}
	require.Fail(t, "the lock cannot be taken", "%d s after its last refresh", lifetime+graceTries)
}

var fsLockClauses = []FSClause{
	{Name: "one node holds a lock", Check: func(t testing.TB, w FSWorld) {
		takes(t, fsLock(w, 0), "it is free")
		for i := range w.Nodes()[1:] {
			refused(t, fsLock(w, i+1), "it is held")
		}
		takes(t, fsLock(w, 0), "its holder refreshes it")
	}},
	{Name: "a lock nobody refreshes can be taken after its lifetime", Check: func(t testing.TB, w FSWorld) {
		takes(t, fsLock(w, 0), "it is free")
		expiresFor(t, w, fsLock(w, 1), 0)
		refused(t, fsLock(w, 0), "it is the other's now")
		refused(t, fsLock(w, 2), "it is the other's now")
		takes(t, fsLock(w, 1), "its holder refreshes it")
		expiresFor(t, w, fsLock(w, 2), 0)
	}},
	{Name: "a refresh gives a lock its whole lifetime again", Check: func(t testing.TB, w FSWorld) {
		takes(t, fsLock(w, 0), "it is free")
		for range 3 {
			w.Advance(lifetime - 20)
			takes(t, fsLock(w, 0), "in time")
			refused(t, fsLock(w, 1), "it was refreshed")
		}
		expiresFor(t, w, fsLock(w, 1), 0)
	}},
	{Name: "the tries of others neither refresh a lock nor drop it", Check: func(t testing.TB, w FSWorld) {
		takes(t, fsLock(w, 0), "it is free")
		for range 10 {
			w.Advance(6)
			for range 3 {
				refused(t, fsLock(w, 1), "it is held")
				refused(t, fsLock(w, 2), "it is held")
			}
		}
		expiresFor(t, w, fsLock(w, 1), 60)
	}},
	{Name: "a lock that expired comes back to its holder when nobody wants it", Check: func(t testing.TB, w FSWorld) {
		takes(t, fsLock(w, 0), "it is free")
		w.Advance(2 * lifetime)
		settles(t, w, func() bool { return fsLock(w, 0).Take(bg) == nil }, "nobody else wants it")
		refused(t, fsLock(w, 1), "it is held")
	}},
	{Name: "a lock given back is free at once", Check: func(t testing.TB, w FSWorld) {
		takes(t, fsLock(w, 0), "it is free")
		require.NoError(t, fsLock(w, 0).Release(bg))
		takes(t, fsLock(w, 1), "it was given back")
		refused(t, fsLock(w, 0), "it is the other's")
	}},
	{Name: "a lock is given back by its holder alone, and once", Check: func(t testing.TB, w FSWorld) {
		require.Error(t, fsLock(w, 0).Release(bg), "nobody has it")
		takes(t, fsLock(w, 0), "it is free")
		require.Error(t, fsLock(w, 1).Release(bg))
		refused(t, fsLock(w, 2), "it is held")
		takes(t, fsLock(w, 0), "it is still held")
		require.NoError(t, fsLock(w, 0).Release(bg))
		require.Error(t, fsLock(w, 0).Release(bg))
	}},
	{Name: "who lost a lock does not give it back", Check: func(t testing.TB, w FSWorld) {
		takes(t, fsLock(w, 0), "it is free")
		expiresFor(t, w, fsLock(w, 1), 0)
		require.Error(t, fsLock(w, 0).Release(bg))
		refused(t, fsLock(w, 2), "it is held")
		takes(t, fsLock(w, 1), "it is held")
	}},
	{Name: "locks of different names are different locks", Check: func(t testing.TB, w FSWorld) {
		n, names := w.Nodes(), w.Names().Locks
		takes(t, fsLock(w, 0), "it is free")
		second := w.FS(n[1]).Lock(names[1])
		takes(t, second, "it is another lock")
		require.NoError(t, fsLock(w, 0).Release(bg))
		refused(t, w.FS(n[2]).Lock(names[1]), "the first went, not the second")
		takes(t, second, "it is held")
	}},
}

var fsLockFaultClauses = []FSClause{
	{Name: "without quorum there are no locks to take", Needs: []Condition{CutOff}, Check: func(t testing.TB, w FSWorld) {
		setFS(t, w, CutOff, w.Nodes()[0])
		settles(t, w, func() bool { return !quorate(t, w, 0) }, "it is cut off")
		require.Error(t, fsLock(w, 0).Take(bg))
		takes(t, fsLock(w, 1), "the others go on")
	}},
	{Name: "a holder that is cut off for a moment goes on", Needs: []Condition{CutOff}, Check: func(t testing.TB, w FSWorld) {
		takes(t, fsLock(w, 0), "it is free")
		setFS(t, w, CutOff, w.Nodes()[0])
		settles(t, w, func() bool { return !quorate(t, w, 0) }, "it is cut off")
		require.Error(t, fsLock(w, 0).Take(bg))
		require.Error(t, fsLock(w, 0).Release(bg))
		refused(t, fsLock(w, 1), "it is held")
		mendFS(t, w, CutOff, w.Nodes()[0])
		settles(t, w, func() bool { return quorate(t, w, 0) }, "it is connected")
		takes(t, fsLock(w, 0), "nobody had the time to take it")
		refused(t, fsLock(w, 1), "it is held")
	}},
	{Name: "the lock of a holder that is cut off expires after its last refresh", Needs: []Condition{CutOff}, Check: func(t testing.TB, w FSWorld) {
		takes(t, fsLock(w, 0), "it is free")
		w.Advance(30)
		setFS(t, w, CutOff, w.Nodes()[0])
		refused(t, fsLock(w, 1), "it is held")
		expiresFor(t, w, fsLock(w, 1), 30)
		require.Error(t, fsLock(w, 0).Take(bg))
		mendFS(t, w, CutOff, w.Nodes()[0])
		settles(t, w, func() bool { return quorate(t, w, 0) }, "it is connected")
		refused(t, fsLock(w, 0), "it is the other's now")
		require.Error(t, fsLock(w, 0).Release(bg))
		takes(t, fsLock(w, 1), "it is held")
	}},
	{Name: "a restart of pmxcfs costs its node no lock", Needs: []Condition{NoFiles, Counters}, Check: func(t testing.TB, w FSWorld) {
		last := len(w.Nodes()) - 1
		takes(t, fsLock(w, last), "it is free")
		setFS(t, w, NoFiles, w.Nodes()[last])
		require.ErrorIs(t, fsLock(w, last).Take(bg), pmxcfsio.ErrNotMounted)
		refused(t, fsLock(w, 0), "it is held")
		w.Advance(10)
		mendFS(t, w, NoFiles, w.Nodes()[last])
		takes(t, fsLock(w, last), "it came back in time")
		refused(t, fsLock(w, 0), "it is held")
		expiresFor(t, w, fsLock(w, 0), 0)
	}},
}
