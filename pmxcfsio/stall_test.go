package pmxcfsio_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/pmxcfsio"
)

// stalls lets the process, or its machine, stand still in calls of one kind.
func (m *faultyMount) stalls(e *emu, op string, d time.Duration) {
	m.set(func(o, _ string) *fault {
		if o == op {
			e.clock.Advance(d)
		}
		return nil
	})
}

// A process that goes on after two minutes must not believe that it has what it
// took before.
func TestALockOfLongAgoIsNotTaken(t *testing.T) {
	for op, prepare := range map[string]func(l *pmxcfsio.Lock) error{
		"mkdir": func(*pmxcfsio.Lock) error { return nil },
		"utime": func(l *pmxcfsio.Lock) error { return l.Take(ctx) },
	} {
		e, f, m := faulty(t)
		l := f.NodeLock("ha_manager_lock")
		require.NoError(t, prepare(l))
		m.stalls(e, op, lifetime)
		require.ErrorIs(t, l.Take(ctx), pmxcfsio.ErrTimeout, op)
		require.Zero(t, l.Left())
	}
}

// What a master was about to write before it stood still is not what the next
// one has written since.
func TestAFileIsNotReplacedByAProcessThatStoodStill(t *testing.T) {
	e, f, m := faulty(t)
	require.NoError(t, f.Write(ctx, "ha/manager_status", []byte("new")))
	m.stalls(e, "create", 2*time.Minute)
	require.ErrorIs(t, f.Write(ctx, "ha/manager_status", []byte("old")), pmxcfsio.ErrTimeout)
	m.set(nil)
	text, err := f.Read(ctx, "ha/manager_status")
	require.NoError(t, err)
	require.Equal(t, "new", string(text))
	names, err := f.List(ctx, "ha")
	require.NoError(t, err)
	require.Equal(t, []string{"manager_status"}, names)
	require.NoError(t, f.Write(ctx, "ha/manager_status", []byte("newer")), "and the next is")
}

// A call whose caller gave up before it was made is never made: not even when
// there is a turn for it in the same moment.
func TestACallThatWasGivenUpIsNotMadeLater(t *testing.T) {
	_, f, m := faulty(t)
	made := make(chan struct{}, 1000)
	m.set(func(op, _ string) *fault {
		if op == "rename" {
			made <- struct{}{}
		}
		return nil
	})
	l := f.NodeLock("ha_manager_lock")
	for range 1000 {
		gone, cancel := context.WithCancel(ctx)
		go cancel()
		if l.Take(gone) == nil {
			require.NoError(t, l.Release(ctx))
		}
		if f.Write(gone, "ha/manager_status", []byte("x")) != nil {
			continue
		}
		<-made
	}
	require.Eventually(t, func() bool { return f.Hanging() == 0 }, 10*time.Second, time.Millisecond, "no turn is lost")
	require.Eventually(t, func() bool { return l.Take(ctx) == nil }, 10*time.Second, time.Millisecond)
	require.NoError(t, l.Release(ctx))
}
