package fusemount_test

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"pveha/compat/cfsemu"
)

// waits runs a call that has to wait for the cluster's clock.
func (b *bed) waits(call func() error) <-chan error {
	b.t.Helper()
	waiting := b.clock.Waiting()
	result := make(chan error, 1)
	go func() { result <- call() }()
	require.Eventually(b.t, func() bool { return b.clock.Waiting() > waiting }, 10*time.Second, time.Millisecond, "the call does not wait")
	return result
}

// Facts 7.1 and 1.6, through the kernel.
func TestPartitionThroughTheKernel(t *testing.T) {
	b := newBed(t, 0, cfsemu.MeasuredTiming())
	b.write(1, "f", "")
	require.NoError(t, b.cluster.Partition("node3"))
	lost := b.waits(func() error { return utime(b.path(3, "f"), 1) })
	kept := b.waits(func() error { return os.Mkdir(b.path(1, "d"), 0o755) })
	require.Empty(t, b.read(3, "f"), "reads never block")
	b.clock.Advance(8 * time.Second)
	errno(t, syscall.EPERM, <-lost)
	require.NoError(t, <-kept)
	errno(t, syscall.EACCES, utime(b.path(3, "f"), 1))
	info, err := os.Lstat(b.path(3, "f"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o440), info.Mode().Perm())
}

// Facts 7.4: after a crash the mount is there and dead, until pmxcfs is
// started again.
func TestCrashLeavesADeadMount(t *testing.T) {
	b := newBed(t, 0, cfsemu.Timing{})
	top := b.path(1, "")
	require.NoError(t, b.cluster.Crash("node1"))
	for _, call := range []func() error{
		func() error { _, err := os.Lstat(b.path(1, "local")); return err },
		func() error { _, err := os.ReadFile(b.path(1, ".version")); return err },
		func() error { return os.Mkdir(b.path(1, "d"), 0o755) },
		func() error { _, err := os.Stat(top); return err },
	} {
		errno(t, syscall.ENOTCONN, call())
	}
	b.write(2, "f", "others live")
	require.NoError(t, b.cluster.Start("node1"))
	require.Equal(t, "others live", b.read(1, "f"))
}

// Facts 1.10 and 7.4: whoever holds something of the dead mount keeps it from
// starting; a watch does not.
func TestDeadMountThatSomebodyHolds(t *testing.T) {
	for name, test := range map[string]struct {
		name  string
		flags int
	}{
		"a file": {"corosync.conf", unix.O_RDONLY}, "a path": {"", unix.O_PATH}, "a folder": {"ha", unix.O_DIRECTORY},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, 0, cfsemu.Timing{})
			fd, err := unix.Open(b.path(1, test.name), test.flags|unix.O_CLOEXEC, 0)
			require.NoError(t, err)
			require.NoError(t, b.cluster.Crash("node1"))
			err = b.cluster.Start("node1")
			require.ErrorContains(t, err, "fuse: failed to access mountpoint "+b.path(1, "")+": transport endpoint is not connected")
			require.Equal(t, cfsemu.StateCrashed, b.cluster.Node("node1").State())
			errno(t, syscall.ENOTCONN, os.Mkdir(b.path(1, "d"), 0o755))
			_ = unix.Close(fd) // which may fail as all does
			require.NoError(t, b.cluster.Start("node1"))
			require.NoError(t, os.Mkdir(b.path(1, "d"), 0o755))
		})
	}
	t.Run("a watch", func(t *testing.T) {
		b := newBed(t, 0, cfsemu.Timing{})
		w, err := fsnotify.NewWatcher()
		require.NoError(t, err)
		defer w.Close()
		require.NoError(t, w.Add(b.path(1, "ha")))
		require.NoError(t, b.cluster.Crash("node1"))
		require.NoError(t, b.cluster.Start("node1"))
		for len(w.WatchList()) > 0 { // it does not survive
			select {
			case <-w.Events:
			case err := <-w.Errors:
				require.NoError(t, err)
			case <-time.After(time.Millisecond):
			}
		}
	})
}

// Facts 7.3 and 1.13: after a clean stop the mount point is an ordinary folder;
// what was open is dead for ever.
func TestStopLeavesAnOrdinaryFolder(t *testing.T) {
	b := newBed(t, 0, cfsemu.MeasuredTiming())
	fd, err := unix.Open(b.path(1, "corosync.conf"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	require.NoError(t, b.cluster.Partition("node2"))
	waits := b.waits(func() error { return os.Mkdir(b.path(1, "d"), 0o755) })
	require.NoError(t, b.cluster.Stop("node1"))
	errno(t, syscall.ECONNABORTED, <-waits)
	entries, err := os.ReadDir(b.path(1, ""))
	require.NoError(t, err)
	require.Empty(t, entries)
	require.NoError(t, os.Mkdir(b.path(1, "top"), 0o755), "in the root file system")
	require.NoError(t, os.Remove(b.path(1, "top")))
	_, err = unix.Pread(fd, make([]byte, 10), 0)
	errno(t, syscall.ENOTCONN, err)

	require.NoError(t, b.cluster.Heal())
	require.NoError(t, b.cluster.Start("node1"))
	_, err = unix.Pread(fd, make([]byte, 10), 0)
	errno(t, syscall.ENOTCONN, err, "still")
	_ = unix.Close(fd) // which fails as all does
	calls := b.waits(func() error { _, err := os.Lstat(b.path(1, "local")); return err })
	b.clock.Advance(time.Second)
	require.NoError(t, <-calls, "they hang at first")
}

// Facts 6.5: the read that kills.
func TestReadThatKillsThroughTheKernel(t *testing.T) {
	b := newBed(t, 0, cfsemu.Timing{})
	b.write(1, "f", "")
	require.NoError(t, os.Truncate(b.path(1, "f"), 100))
	data, err := os.ReadFile(b.path(2, "f"))
	require.Error(t, err, "%q %v", data, b.cluster.Node("node2").State())
	require.Eventually(t, func() bool { // the kernel cuts calls that were under way
		_, err = os.ReadFile(b.path(2, "f"))
		return errors.Is(err, syscall.ENOTCONN)
	}, 5*time.Second, time.Millisecond)
	require.NoError(t, b.cluster.Start("node2"))
	require.Empty(t, b.read(2, "f"))
}

func TestFaultsThroughTheKernel(t *testing.T) {
	b := newBed(t, 0, cfsemu.Timing{})
	b.write(1, "ha/f", "abcdef")
	inject := func(f cfsemu.Fault) int {
		id, err := b.cluster.Inject(f)
		require.NoError(t, err)
		return id
	}
	inject(cfsemu.Fault{Node: "node1", Op: cfsemu.OpOpen, Path: "ha/**", Count: 1, Kind: cfsemu.FaultError, Errno: syscall.EIO})
	_, err := os.ReadFile(b.path(1, "ha/f"))
	errno(t, syscall.EIO, err)
	inject(cfsemu.Fault{Op: cfsemu.OpRead, Path: "ha/f", Count: 2, Kind: cfsemu.FaultTruncate, Bytes: 3})
	require.Equal(t, "abc", b.read(1, "ha/f"))
	inject(cfsemu.Fault{Op: cfsemu.OpRead, Path: "ha/f", Kind: cfsemu.FaultDelay, Delay: 30 * time.Second, Count: 1})
	waits := b.waits(func() error { _, err := os.ReadFile(b.path(1, "ha/f")); return err })
	b.clock.Advance(30 * time.Second)
	require.NoError(t, <-waits)
	hang := inject(cfsemu.Fault{Op: cfsemu.OpMkdir, Kind: cfsemu.FaultHang})
	made := make(chan error, 1)
	go func() { made <- os.Mkdir(b.path(1, "d"), 0o755) }()
	require.Eventually(t, func() bool { return b.cluster.Hits(hang) == 1 }, 10*time.Second, time.Millisecond)
	b.cluster.ClearFaults()
	require.NoError(t, <-made)
}

// Whatever state the nodes are in and whoever hangs, Close leaves nothing.
func TestCloseLeavesNothing(t *testing.T) {
	b := newBed(t, 0, cfsemu.MeasuredTiming())
	_, err := b.cluster.Inject(cfsemu.Fault{Op: cfsemu.OpRmdir, Kind: cfsemu.FaultHang})
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(b.path(1, "d"), 0o755))
	fd, err := unix.Open(b.path(3, "ha"), unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	hangs := make(chan error, 1)
	go func() { hangs <- os.Remove(b.path(1, "d")) }()
	require.Eventually(t, func() bool { return b.cluster.Hits(1) > 0 }, 10*time.Second, time.Millisecond)
	require.NoError(t, b.cluster.Crash("node2"))
	require.NoError(t, b.cluster.Partition("node1"))
	blocked := b.waits(func() error { return os.Mkdir(b.path(3, "e"), 0o755) })
	require.NoError(t, b.mounts.Close())
	require.Error(t, <-hangs)
	require.Error(t, <-blocked)
	require.NoError(t, unix.Close(fd))
	for node := range 3 {
		require.NoDirExists(t, b.path(node+1, ""))
	}
}

func TestManyProcessesAtOnce(t *testing.T) {
	b := newBed(t, 0, cfsemu.Timing{})
	require.NoError(t, os.Mkdir(b.path(1, "priv/lock"), 0o700))
	var all sync.WaitGroup
	taken := make(chan int, 300)
	for node := 1; node <= 3; node++ {
		for range 4 {
			all.Go(func() {
				for range 25 {
					if os.Mkdir(b.path(node, "priv/lock/l"), 0o700) == nil {
						taken <- node
						if err := os.Remove(b.path(node, "priv/lock/l")); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
	}
	all.Wait()
	require.NotEmpty(t, taken)
	require.NoDirExists(t, b.path(2, "priv/lock/l"))
}
