package pmxcfsio_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/pmxcfsio"
)

var ctx = context.Background()

const lifetime = pmxcfsio.LockLifetime

// twoLocks are the same lock on two nodes of a cluster of three.
func twoLocks(t *testing.T) (e *emu, one, two *pmxcfsio.Lock, clock *emuClock) {
	e = newEmu(t, "node1", "node2", "node3")
	f1, clock := e.inline("node1")
	f2, _ := e.inline("node2")
	return e, f1.NodeLock("ha_manager_lock"), f2.NodeLock("ha_manager_lock"), clock
}

func TestLockIsTakenRefreshedAndReleased(t *testing.T) {
	e, one, two, _ := twoLocks(t)
	require.Zero(t, one.Left())
	require.NoError(t, one.Take(ctx))
	require.Equal(t, lifetime, one.Left())

	err := two.Take(ctx)
	require.ErrorIs(t, err, pmxcfsio.ErrHeld)
	require.EqualError(t, err, "can't get cfs lock")
	require.Zero(t, two.Left())

	for range 5 {
		e.clock.Advance(100 * time.Second)
		require.Equal(t, 20*time.Second, one.Left())
		require.NoError(t, one.Take(ctx))
		require.ErrorIs(t, two.Take(ctx), pmxcfsio.ErrHeld)
	}
	require.NoError(t, one.Release(ctx))
	require.Zero(t, one.Left())
	require.NoError(t, two.Take(ctx), "it is free at once")
	require.ErrorIs(t, one.Release(ctx), pmxcfsio.ErrHeld, "it is not this node's any more")
	require.ErrorIs(t, one.Take(ctx), pmxcfsio.ErrHeld)
}

func TestLockExpiresForTheHolderFirst(t *testing.T) {
	e, one, two, _ := twoLocks(t)
	require.NoError(t, one.Take(ctx))
	took := time.Duration(0)
	for range 200 {
		e.clock.Advance(time.Second)
		took += time.Second
		if two.Take(ctx) == nil {
			break
		}
		require.Equal(t, max(0, lifetime-took), one.Left())
	}
	require.Greater(t, took, lifetime)
	require.LessOrEqual(t, took, lifetime+3*time.Second)
	require.Zero(t, one.Left())
	require.ErrorIs(t, one.Take(ctx), pmxcfsio.ErrHeld)
	require.NoError(t, two.Take(ctx))
}

func TestLockIsRefreshedByTimeAloneWhileItLives(t *testing.T) {
	e, one, two, _ := twoLocks(t)
	require.NoError(t, one.Take(ctx))
	require.NoError(t, e.Partition("node1"))
	require.NoError(t, e.Heal())
	e.clock.Advance(100 * time.Second)
	require.NoError(t, one.Take(ctx), "a holder that was cut off for a moment goes on")

	require.NoError(t, e.Partition("node1"))
	err := one.Take(ctx)
	require.ErrorIs(t, err, pmxcfsio.ErrNoQuorum)
	require.ErrorIs(t, err, syscall.EACCES)
	require.EqualError(t, err, "cfs lock update failed - Permission denied")
	require.Equal(t, lifetime, one.Left(), "nobody can have taken it yet")
	require.ErrorIs(t, one.Release(ctx), pmxcfsio.ErrNoQuorum)

	for range 200 {
		e.clock.Advance(time.Second)
		if two.Take(ctx) == nil {
			break
		}
	}
	require.Zero(t, one.Left())
	require.NoError(t, e.Heal())
	require.NoError(t, two.Take(ctx))
	require.ErrorIs(t, one.Take(ctx), pmxcfsio.ErrHeld)
}

func TestLockThatSomebodyRemovedIsTakenAnew(t *testing.T) {
	e, one, _, _ := twoLocks(t)
	require.NoError(t, one.Take(ctx))
	require.NoError(t, e.Node("node3").Rmdir("priv/lock/ha_manager_lock"))
	err := one.Take(ctx)
	require.ErrorIs(t, err, pmxcfsio.ErrHeld)
	require.EqualError(t, err, "cfs lock update failed - No such file or directory")
	require.Zero(t, one.Left())
	require.NoError(t, one.Take(ctx))
}

func TestLockThatAnotherNodeTookWhileItLivedIsKnownToBeLost(t *testing.T) {
	e, one, two, _ := twoLocks(t)
	require.NoError(t, one.Take(ctx))
	require.NoError(t, e.Node("node3").Rmdir("priv/lock/ha_manager_lock"))
	require.NoError(t, two.Take(ctx))
	require.ErrorIs(t, one.Take(ctx), pmxcfsio.ErrHeld)
	require.Zero(t, one.Left())
	require.ErrorIs(t, one.Release(ctx), pmxcfsio.ErrHeld)
	require.NoError(t, two.Take(ctx), "it was not released")
}

func TestLockSurvivesStepsOfTheWallClock(t *testing.T) {
	for name, steps := range map[string][]time.Duration{
		"back":          {-time.Hour, -time.Hour},
		"forth":         {time.Hour, time.Hour},
		"back and more": {-time.Hour, -2 * time.Hour, -3 * time.Hour},
		"to and fro":    {time.Hour, 0, time.Hour, -time.Hour, 0},
		"to 1970":       {-time.Duration(epoch.Unix()) * time.Second, -time.Duration(epoch.Unix()+100) * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			e, one, two, clock := twoLocks(t)
			require.NoError(t, one.Take(ctx))
			for _, step := range steps {
				clock.set(step)
				for range 3 {
					e.clock.Advance(100 * time.Second)
					require.NoError(t, one.Take(ctx))
					require.Equal(t, lifetime, one.Left())
					require.ErrorIs(t, two.Take(ctx), pmxcfsio.ErrHeld)
				}
			}
			e.clock.Advance(lifetime)
			require.Zero(t, one.Left(), "nor does a step keep a lock that expired")
			e.clock.Advance(2 * time.Second)
			_ = two.Take(ctx)
			require.NoError(t, two.Take(ctx))
			require.ErrorIs(t, one.Take(ctx), pmxcfsio.ErrHeld)
		})
	}
}

func TestLockIsRefreshedThoughItsFolderIsAheadOfTheClock(t *testing.T) {
	e, one, two, clock := twoLocks(t)
	require.NoError(t, e.StepClock("node1", 30*time.Second)) // the folder is made with this time
	require.NoError(t, one.Take(ctx))
	require.NoError(t, e.StepClock("node1", -30*time.Second))
	clock.set(-30 * time.Second)
	require.NoError(t, one.Take(ctx))
	require.ErrorIs(t, two.Take(ctx), pmxcfsio.ErrHeld)
}

func TestRefreshNeverSetsATimeAheadOfTheClock(t *testing.T) {
	e, one, _, _ := twoLocks(t)
	for range 3 {
		require.NoError(t, one.Take(ctx))
		a, err := e.Node("node2").Stat("priv/lock/ha_manager_lock")
		require.NoError(t, err)
		require.Equal(t, e.clock.Now().Unix(), a.Mtime.Unix())
		e.clock.Advance(7 * time.Second)
	}
}

// countingMount counts requests to drop a lock.
type countingMount struct {
	emuMount
	drops *int
}

func (m countingMount) Utime(name string, mtime int64) error {
	if mtime == 0 {
		*m.drops++
	}
	return m.emuMount.Utime(name, mtime)
}

func TestNobodyAsksToDropALockThatIsSeenToBeRefreshed(t *testing.T) {
	e := newEmu(t, "node1", "node2", "node3")
	holder, _ := e.inline("node1")
	drops := 0
	f, _ := e.processOn(countingMount{emuMount{e.Node("node2")}, &drops}, nil)
	f.Inline()
	one, two := holder.NodeLock("x"), f.NodeLock("x")
	for i := range 600 {
		if i%10 == 0 {
			require.NoError(t, one.Take(ctx))
		}
		if i == 300 {
			require.NoError(t, e.StepClock("node1", time.Hour)) // the node that decides
		}
		e.clock.Advance(time.Second)
		require.ErrorIs(t, two.Take(ctx), pmxcfsio.ErrHeld)
	}
	require.LessOrEqual(t, drops, 10, "until the first refresh was seen")

	quiet := 0
	for two.Take(ctx) != nil {
		e.clock.Advance(time.Second)
		quiet++
		require.Less(t, quiet, 125)
	}
	require.Greater(t, quiet, 105)
}

func TestLockIsKeptWhileAnotherNodeIsSeenToRefreshIt(t *testing.T) {
	e, one, two, _ := twoLocks(t)
	require.NoError(t, one.Take(ctx))
	require.ErrorIs(t, two.Take(ctx), pmxcfsio.ErrHeld)
	require.False(t, two.Kept(), "its holder may have died long ago")
	for range 30 {
		e.clock.Advance(10 * time.Second)
		require.NoError(t, one.Take(ctx))
		require.ErrorIs(t, two.Take(ctx), pmxcfsio.ErrHeld)
		require.True(t, two.Kept())
		require.False(t, one.Kept())
	}
	rest := time.Duration(0)
	for ; two.Kept(); rest += time.Second {
		e.clock.Advance(time.Second)
	}
	require.Greater(t, rest, 100*time.Second)
	require.Less(t, rest, lifetime, "it is over before the lock can be had")
	for range 30 {
		require.False(t, two.Kept())
		e.clock.Advance(time.Second)
		if two.Take(ctx) == nil {
			return
		}
	}
	require.Fail(t, "the lock is not to be had")
}

func TestLockFolderIsMadeForTheFirstLock(t *testing.T) {
	e, one, _, _ := twoLocks(t)
	_, err := e.Node("node1").Stat("priv/lock")
	require.ErrorIs(t, err, syscall.ENOENT)
	require.NoError(t, one.Take(ctx))
}

func TestLockOfANodeWithoutMount(t *testing.T) {
	e, one, two, _ := twoLocks(t)
	require.NoError(t, one.Take(ctx))
	for _, end := range []struct {
		how  func(string) error
		kind error
		text string
	}{
		{e.Stop, pmxcfsio.ErrNotMounted, "can't create '/etc/pve/priv/lock' (pmxcfs not mounted?)"},
		{e.Crash, pmxcfsio.ErrStaleMount, "cfs lock update failed - Transport endpoint is not connected"},
	} {
		require.NoError(t, end.how("node1"))
		err := one.Take(ctx)
		require.ErrorIs(t, err, end.kind)
		require.EqualError(t, err, end.text)
		require.ErrorIs(t, one.Release(ctx), end.kind)
		require.NotZero(t, one.Left())
		require.ErrorIs(t, two.Take(ctx), pmxcfsio.ErrHeld)
		require.NoError(t, e.Start("node1"))
		require.NoError(t, one.Take(ctx), "pmxcfs came back in time")
	}
}

func TestOneLockPerNameAndBadNames(t *testing.T) {
	f, _ := newEmu(t, "node1").inline("node1")
	require.Same(t, f.NodeLock("a"), f.NodeLock("a"))
	require.NotSame(t, f.NodeLock("a"), f.NodeLock("b"))
	for _, name := range []string{"", ".", "..", "../../etc", "a/b", "a\x00b"} {
		err := f.NodeLock(name).Take(ctx)
		require.ErrorIs(t, err, pmxcfsio.ErrBadName, name)
		require.ErrorAs(t, err, new(*pmxcfsio.Error))
		require.ErrorIs(t, f.Domain(ctx, name+"/", nil, nil), pmxcfsio.ErrBadName, name)
	}
}
