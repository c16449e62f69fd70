package pmxcfsio_test

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/pmxcfsio"
)

const domainFolder = "priv/lock/domain-ha"

// noWork is a body that must not run.
func noWork(t testing.TB) func(context.Context) error {
	return func(context.Context) error {
		t.Error("the lock was not to be had")
		return nil
	}
}

// messages collects what is said while a lock is waited for.
func messages(into *[]string) func(string) {
	return func(m string) { *into = append(*into, m) }
}

func TestDomainLockIsHeldAroundTheWork(t *testing.T) {
	e := newEmu(t, "node1", "node2")
	f, _ := e.inline("node1")
	wrong := errors.New("what the work says")
	var said []string
	for _, want := range []error{nil, wrong} {
		err := f.Domain(ctx, "ha", messages(&said), func(context.Context) error {
			_, err := e.Node("node2").Stat(domainFolder)
			require.NoError(t, err)
			require.ErrorIs(t, e.Node("node2").Mkdir(domainFolder), syscall.EEXIST)
			return want
		})
		require.Equal(t, want, err)
		_, err = e.Node("node2").Stat(domainFolder)
		require.ErrorIs(t, err, syscall.ENOENT)
	}
	require.Empty(t, said)
}

func TestDomainLockIsWaitedForAsThePerlStackDoes(t *testing.T) {
	const message = "trying to acquire cfs lock 'domain-ha' ..."
	for name, test := range map[string]struct {
		free     time.Duration // when the other node lets go of it
		messages int
		took     time.Duration
		fails    bool
	}{
		"never":         {free: time.Hour, messages: 9, took: 9900 * time.Millisecond, fails: true},
		"after 3.5 s":   {free: 3500 * time.Millisecond, messages: 3, took: 3600 * time.Millisecond},
		"after a while": {free: 700 * time.Millisecond, messages: 1, took: time.Second},
		"at the end":    {free: 9850 * time.Millisecond, messages: 9, took: 9900 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEmu(t, "node1", "node2")
			f, clock := e.inline("node1")
			other := e.Node("node2")
			require.NoError(t, other.Mkdir("priv/lock"))
			require.NoError(t, other.Mkdir(domainFolder))
			start := clock.Boot()
			clock.sleep = func(d time.Duration) {
				e.clock.Advance(d)
				if test.free > 0 && clock.Boot()-start >= test.free {
					test.free = 0
					require.NoError(t, other.Rmdir(domainFolder))
				}
			}
			var said []string
			ran := false
			err := f.Domain(ctx, "ha", messages(&said), func(context.Context) error { ran = true; return nil })
			require.InDelta(t, test.took.Seconds(), (clock.Boot() - start).Seconds(), 0.101)
			require.Len(t, said, test.messages)
			for _, m := range said {
				require.Equal(t, message, m)
			}
			require.Equal(t, !test.fails, ran)
			if test.fails {
				require.EqualError(t, err, "cfs-lock 'domain-ha' error: got lock request timeout")
				require.ErrorIs(t, err, pmxcfsio.ErrHeld)
				_, err := other.Stat(domainFolder)
				require.NoError(t, err, "the other's lock is untouched")
			}
		})
	}
}

func TestDomainLockOfADeadHolderIsTakenOver(t *testing.T) {
	e := newEmu(t, "node1", "node2")
	f, _ := e.inline("node1")
	require.NoError(t, e.Node("node2").Mkdir("priv/lock"))
	require.NoError(t, e.Node("node2").Mkdir(domainFolder))
	e.clock.Advance(lifetime + 2*time.Second)
	ran := false
	require.NoError(t, f.Domain(ctx, "ha", nil, func(context.Context) error { ran = true; return nil }))
	require.True(t, ran)
}

func TestDomainLockWithoutQuorum(t *testing.T) {
	e := newEmu(t, "node1", "node2", "node3")
	f, clock := e.inline("node1")
	require.NoError(t, e.Node("node1").Mkdir("priv/lock"))
	require.NoError(t, e.Partition("node1"))
	var said []string
	start := clock.Boot()
	err := f.Domain(ctx, "ha", messages(&said), noWork(t))
	require.EqualError(t, err, "cfs-lock 'domain-ha' error: no quorum!")
	require.ErrorIs(t, err, pmxcfsio.ErrNoQuorum)
	require.Len(t, said, 9)
	require.InDelta(t, 10, (clock.Boot() - start).Seconds(), 0.2)
}

func TestDomainLockWithoutMountFailsAtOnce(t *testing.T) {
	e := newEmu(t, "node1")
	f, clock := e.inline("node1")
	require.NoError(t, e.Stop("node1"))
	start := clock.Boot()
	err := f.Domain(ctx, "ha", nil, noWork(t))
	require.ErrorIs(t, err, pmxcfsio.ErrNotMounted)
	require.EqualError(t, err, "cfs-lock 'domain-ha' error: no quorum!")
	require.Equal(t, start, clock.Boot())
}

func TestDomainLockEndsWithItsContext(t *testing.T) {
	e := newEmu(t, "node1", "node2")
	f, clock := e.inline("node1")
	require.NoError(t, e.Node("node2").Mkdir("priv/lock"))
	require.NoError(t, e.Node("node2").Mkdir(domainFolder))
	limited, cancel := context.WithCancel(ctx)
	clock.sleep = func(time.Duration) { cancel() }
	err := f.Domain(limited, "ha", nil, noWork(t))
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, pmxcfsio.ErrTimeout)
}

func TestWorkUnderADomainLockIsEndedAfterAMinute(t *testing.T) {
	e := newEmu(t, "node1")
	f, _ := e.process("node1")
	require.NoError(t, f.Domain(ctx, "ha", nil, func(ctx context.Context) error {
		deadline, ok := ctx.Deadline()
		require.True(t, ok)
		require.InDelta(t, 60, time.Until(deadline).Seconds(), 1)
		return nil
	}))
	f.HoldFor(time.Millisecond)
	err := f.Domain(ctx, "ha", nil, func(ctx context.Context) error {
		<-ctx.Done()
		require.ErrorIs(t, f.Write(ctx, "ha/resources.cfg", nil), pmxcfsio.ErrTimeout)
		return ctx.Err()
	})
	require.EqualError(t, err, "'domain-ha'-locked command timed out - aborting")
	require.ErrorIs(t, err, pmxcfsio.ErrTimeout)
	_, err = e.Node("node1").Stat(domainFolder)
	require.ErrorIs(t, err, syscall.ENOENT, "it is released")
	require.NoError(t, f.Domain(ctx, "ha", nil, func(ctx context.Context) error {
		<-ctx.Done()
		return nil
	}), "what was done in the end was done")
}

func TestDomainLockThatMayHaveExpiredIsNotRemoved(t *testing.T) {
	e := newEmu(t, "node1")
	f, _ := e.inline("node1")
	require.NoError(t, f.Domain(ctx, "ha", nil, func(context.Context) error {
		e.clock.Advance(lifetime)
		return nil
	}))
	_, err := e.Node("node1").Stat(domainFolder)
	require.NoError(t, err)
}

func TestDomainLockIsReleasedWhenTheWorkPanics(t *testing.T) {
	e := newEmu(t, "node1")
	f, _ := e.inline("node1")
	require.Panics(t, func() {
		_ = f.Domain(ctx, "ha", nil, func(context.Context) error { panic("oops") })
	})
	_, err := e.Node("node1").Stat(domainFolder)
	require.ErrorIs(t, err, syscall.ENOENT)
}

func TestDomainLockThatComesTooLateIsGivenBack(t *testing.T) {
	e, f, m := faulty(t)
	stuck, release := m.hangs(t, "mkdir", domainFolder)
	err := f.Domain(stuck, "ha", nil, noWork(t))
	require.ErrorIs(t, err, pmxcfsio.ErrTimeout)
	release()
	requireIdle(t, f)
	_, err = e.Node("node2").Stat(domainFolder)
	require.ErrorIs(t, err, syscall.ENOENT)
}
