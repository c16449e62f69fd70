package cfsemu_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/compat/cfsemu"
)

const lock = lockFolder + "/ha_manager_lock"

// held makes a lock of node 1.
func (b *bed) held() {
	b.t.Helper()
	require.NoError(b.t, b.n1.Mkdir(lockFolder))
	require.NoError(b.t, b.n1.Mkdir(lock))
}

// unlock is the time that asks for a stale lock to be dropped.
var unlock = time.Unix(0, 0)

// Facts 4.1: every row of the table, on the holder's node and on another.
func TestLockRules(t *testing.T) {
	type result struct{ holder, other syscall.Errno }
	at := func(seconds int64) func(*cfsemu.Node) error {
		return func(n *cfsemu.Node) error { return n.Utime(lock, start.Add(time.Duration(seconds)*time.Second)) }
	}
	for name, test := range map[string]struct {
		age  float64 // of the lock, in seconds
		call func(*cfsemu.Node) error
		want result
	}{
		"mkdir, held":                 {0, func(n *cfsemu.Node) error { return n.Mkdir(lock) }, result{syscall.EEXIST, syscall.EEXIST}},
		"utime now, held":             {10, at(10), result{noError, syscall.EACCES}},
		"utimensat NULL":              {10, func(n *cfsemu.Node) error { return n.Touch(lock) }, result{noError, syscall.EACCES}},
		"utime of the same second":    {0, at(0), result{noError, syscall.EACCES}},
		"utime before its mtime":      {10, at(-1), result{syscall.EACCES, syscall.EACCES}},
		"utime in the future":         {10, at(30), result{noError, syscall.EACCES}},
		"utime 0, younger than 120 s": {120, func(n *cfsemu.Node) error { return n.Utime(lock, unlock) }, result{syscall.EACCES, syscall.EACCES}},
		"utime 0, expired":            {121, func(n *cfsemu.Node) error { return n.Utime(lock, unlock) }, result{syscall.EACCES, syscall.EACCES}},
		"rmdir, held":                 {0, func(n *cfsemu.Node) error { return n.Rmdir(lock) }, result{noError, noError}},
		"rename":                      {0, func(n *cfsemu.Node) error { return n.Rename(lock, lockFolder+"/b") }, result{syscall.EACCES, syscall.EACCES}},
		"a file inside":               {0, func(n *cfsemu.Node) error { return n.Create(lock + "/f") }, result{noError, noError}},
	} {
		t.Run(name, func(t *testing.T) {
			for i, want := range []syscall.Errno{test.want.holder, test.want.other} {
				b := newBed(t, cfsemu.Timing{})
				b.held()
				b.seconds(test.age)
				errno(t, want, test.call(b.Nodes()[i]), "node%d", i+1)
			}
		})
	}
}

func TestLockFreeMkdirTakesIt(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	errno(t, syscall.ENOENT, b.n2.Mkdir(lock), "no folder for locks yet")
	b.held()
	require.NoError(t, b.n3.Rmdir(lock))
	errno(t, syscall.ENOENT, b.n1.Touch(lock), "vanished")
	require.NoError(t, b.n2.Mkdir(lock))
	errno(t, syscall.EACCES, b.n1.Touch(lock), "somebody else made it anew")
	require.NoError(t, b.n2.Touch(lock), "any process of the node is the owner")
}

func TestLockRefreshedIntoTheFuture(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	b.held()
	require.NoError(t, b.n1.Utime(lock, b.now().Add(20*time.Second)))
	b.seconds(19)
	errno(t, syscall.EACCES, b.n1.Touch(lock))
	b.seconds(1)
	require.NoError(t, b.n1.Touch(lock))
}

func TestLockWithAFileInItNeverGoes(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	b.held()
	require.NoError(t, b.n2.Create(lock+"/f"))
	errno(t, syscall.ENOTEMPTY, b.n1.Rmdir(lock))
	b.seconds(1000)
	errno(t, syscall.EACCES, b.n2.Utime(lock, unlock))
	errno(t, syscall.EEXIST, b.n2.Mkdir(lock))
	require.NoError(t, b.n2.Unlink(lock+"/f"))
	errno(t, syscall.EACCES, b.n2.Utime(lock, unlock))
	require.NoError(t, b.n2.Mkdir(lock))
}

func TestLocksAreFoldersRightThere(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	b.held()
	require.NoError(t, b.n1.Create(lockFolder+"/file"))
	require.NoError(t, b.n2.Utime(lockFolder+"/file", b.now()), "a file is no lock")
	require.NoError(t, b.n1.Mkdir(lock+"/deeper"))
	require.NoError(t, b.n2.Utime(lock+"/deeper", b.now()), "a deeper folder is no lock")
	require.NoError(t, b.n2.Utime(lockFolder, b.now()))
}

// Facts 4.1: local mode behaves the same; its only node drops a stale lock
// before it answers.
func TestLockInLocalMode(t *testing.T) {
	n, clock := local(t)
	require.NoError(t, n.Mkdir(lockFolder))
	require.NoError(t, n.Mkdir(lock))
	errno(t, syscall.EEXIST, n.Mkdir(lock))
	clock.Advance(120 * time.Second)
	errno(t, syscall.EACCES, n.Utime(lock, unlock))
	clock.Advance(time.Second)
	require.NoError(t, n.Utime(lock, unlock))
	require.NoError(t, n.Mkdir(lock))
}

// expiry polls as facts 4.2 do: mkdir, and on failure the request to drop it.
// It returns the seconds since now until mkdir succeeds.
func (b *bed) expiry(poller *cfsemu.Node, every func(second int)) int {
	b.t.Helper()
	for second := range 500 {
		if every != nil {
			every(second)
		}
		err := poller.Mkdir(lock)
		if err == nil {
			return second
		}
		errno(b.t, syscall.EEXIST, err)
		errno(b.t, syscall.EACCES, poller.Utime(lock, unlock))
		if poller.Mkdir(lock) == nil {
			return second
		}
		b.seconds(1)
	}
	b.t.Fatal("never")
	return 0
}

// Facts 4.2: whole seconds, more than 120 since the last refresh.
func TestLockExpiry(t *testing.T) {
	for name, test := range map[string]struct {
		poller int
		every  func(b *bed, second int)
		want   int
	}{
		"polled by another node": {poller: 2, want: 121},
		"polled by the holder":   {poller: 1, want: 121},
		"refreshed at 60": {poller: 2, want: 181, every: func(b *bed, second int) {
			if second == 60 {
				require.NoError(b.t, b.n1.Touch(lock))
			}
		}},
		"another node's refused refresh": {poller: 2, want: 121, every: func(b *bed, second int) {
			if second%6 == 0 {
				errno(b.t, syscall.EACCES, b.n3.Touch(lock))
			}
		}},
		"an mtime in the future": {poller: 2, want: 121, every: func(b *bed, second int) {
			if second == 0 {
				require.NoError(b.t, b.n1.Utime(lock, b.now().Add(1000*time.Second)))
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, cfsemu.Timing{})
			b.held()
			var every func(int)
			if test.every != nil {
				every = func(second int) { test.every(b, second) }
			}
			require.Equal(t, test.want, b.expiry(b.Nodes()[test.poller-1], every))
		})
	}
}

// Facts 4.2: nobody asks, it stays; one question, and it goes a moment later.
func TestLockGoesAMomentAfterTheQuestion(t *testing.T) {
	b := newBed(t, cfsemu.MeasuredTiming())
	b.held()
	b.seconds(150)
	errno(t, syscall.EEXIST, b.n2.Mkdir(lock))
	errno(t, syscall.EACCES, b.n2.Utime(lock, unlock))
	errno(t, syscall.EEXIST, b.n2.Mkdir(lock))
	b.seconds(0.05)
	require.NoError(t, b.n2.Mkdir(lock))
}

// Facts 4.3: the timers of the lowest node decide, and they begin anew with
// its pmxcfs.
func TestLockAndRestarts(t *testing.T) {
	for name, test := range map[string]struct {
		restarted string
		want      int
	}{
		"the lowest node": {"node1", 181},
		"a higher node":   {"node3", 121},
		"the holder":      {"node2", 121},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, cfsemu.Timing{})
			require.NoError(t, b.n2.Mkdir(lockFolder))
			require.NoError(t, b.n2.Mkdir(lock))
			require.Equal(t, test.want, b.expiry(b.n3, func(second int) {
				if second == 60 {
					require.NoError(t, b.Stop(test.restarted))
					require.NoError(t, b.Start(test.restarted))
				}
			}))
		})
	}
	t.Run("the holder keeps the lock", func(t *testing.T) {
		b := newBed(t, cfsemu.Timing{})
		b.held()
		require.NoError(t, b.Crash("node1"))
		b.seconds(60)
		require.NoError(t, b.Start("node1"))
		require.NoError(t, b.n1.Touch(lock))
	})
}

// Facts 4.3: a holder that is cut off; its last refresh is what counts.
func TestLockOfAPartitionedHolder(t *testing.T) {
	for name, holder := range map[string]int{"the highest": 3, "the lowest": 1} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, cfsemu.MeasuredTiming())
			h, other := b.Nodes()[holder-1], b.n2
			require.NoError(t, h.Mkdir(lockFolder))
			require.NoError(t, h.Mkdir(lock))
			b.seconds(10)
			require.NoError(t, h.Touch(lock))
			b.seconds(2)
			require.NoError(t, b.Partition(h.Name()))
			b.seconds(3)
			refresh := b.waits(func() error { return h.Touch(lock) })
			b.seconds(4.98)
			errno(t, syscall.EPERM, <-refresh, "the call under way")
			errno(t, syscall.EACCES, h.Touch(lock), "the next one")
			b.seconds(0.02) // 10 s after the last refresh
			taken := 10
			for ; other.Mkdir(lock) != nil; taken++ {
				errno(t, syscall.EACCES, other.Utime(lock, unlock))
				b.seconds(1)
			}
			require.InDelta(t, 121, taken, 1)
			require.NoError(t, b.Heal())
			b.seconds(3)
			errno(t, syscall.EACCES, h.Touch(lock), "the old holder after the partition")
			require.NoError(t, other.Touch(lock), "the new one keeps it")
		})
	}
}

// Facts 7.1: a lock not older than 120 s goes on after a partition.
func TestLockSurvivesAShortPartition(t *testing.T) {
	b := newBed(t, cfsemu.MeasuredTiming())
	require.NoError(t, b.n3.Mkdir(lockFolder))
	require.NoError(t, b.n3.Mkdir(lock))
	require.NoError(t, b.Partition("node3"))
	b.seconds(60)
	errno(t, syscall.EACCES, b.n3.Touch(lock))
	require.NoError(t, b.Heal())
	b.seconds(3)
	require.NoError(t, b.n3.Touch(lock))
}

// Every node times a lock by its own wall clock, so a step of the deciding
// node's clock makes locks old or young.
func TestLockAndAStepOfTheClock(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	b.held()
	require.NoError(t, b.StepClock("node2", time.Hour))
	errno(t, syscall.EACCES, b.n2.Utime(lock, unlock))
	errno(t, syscall.EEXIST, b.n2.Mkdir(lock), "the clock of a higher node")
	require.NoError(t, b.StepClock("node1", -time.Hour))
	b.seconds(600)
	errno(t, syscall.EACCES, b.n2.Utime(lock, unlock))
	errno(t, syscall.EEXIST, b.n2.Mkdir(lock), "the deciding clock was set back")
	require.NoError(t, b.StepClock("node1", 2*time.Hour))
	errno(t, syscall.EACCES, b.n2.Utime(lock, unlock))
	require.NoError(t, b.n2.Mkdir(lock))
}
