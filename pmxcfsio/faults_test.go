package pmxcfsio_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/pmxcfsio"
)

// What waits for the end of goroutines waits at most so long.
const (
	patience = 10 * time.Second
	tick     = time.Millisecond
)

const statusFile = pmxcfsio.ManagerStatusFile

// errnos are what the kernel and pmxcfs say, and what it means.
var errnos = []struct {
	errno syscall.Errno
	kind  error
}{
	{syscall.ENOTCONN, pmxcfsio.ErrStaleMount},
	{syscall.ECONNABORTED, pmxcfsio.ErrStaleMount},
	{syscall.EACCES, pmxcfsio.ErrDenied},
	{syscall.EROFS, pmxcfsio.ErrDenied},
	{syscall.EPERM, pmxcfsio.ErrBusy},
	{syscall.EBUSY, pmxcfsio.ErrBusy},
	{syscall.EIO, pmxcfsio.ErrBroken},
	{syscall.ENOSPC, pmxcfsio.ErrFull},
	{syscall.EDQUOT, pmxcfsio.ErrFull},
	{syscall.EFBIG, pmxcfsio.ErrTooLarge},
	{syscall.EINVAL, nil},
}

// requireFailed checks an error and its parts.
func requireFailed(t testing.TB, err error, kind error, errno syscall.Errno) {
	t.Helper()
	require.Error(t, err)
	require.ErrorAs(t, err, new(*pmxcfsio.Error))
	if kind != nil {
		require.ErrorIs(t, err, kind)
	}
	if errno != 0 {
		require.ErrorIs(t, err, errno)
	}
	require.NotContains(t, err.Error(), "%!")
}

func TestFailedWriteLeavesTheOldFileOrTheNew(t *testing.T) {
	for _, op := range []string{"create", "write", "rename"} {
		for _, what := range errnos {
			for _, after := range []bool{false, true} {
				if after && op != "rename" {
					continue
				}
				t.Run(fmt.Sprintf("%s %v after=%t", op, what.errno, after), func(t *testing.T) {
					e, f, m := faulty(t)
					require.NoError(t, f.Write(ctx, statusFile, []byte("old")))
					m.set(func(o, _ string) *fault {
						if o == op {
							return &fault{err: what.errno, after: after}
						}
						return nil
					})
					err := f.Write(ctx, statusFile, []byte("the new one"))
					requireFailed(t, err, what.kind, what.errno)
					require.Contains(t, err.Error(), pmxcfsio.Reason(what.errno))
					require.Contains(t, err.Error(), "'/etc/pve/ha/manager_status")

					m.set(nil)
					want := "old"
					if after {
						want = "the new one"
					}
					requireContent(t, e, statusFile, want)
					requireNoTemporary(t, e)
					require.NoError(t, f.Write(ctx, statusFile, []byte("and another")))
					requireContent(t, e, statusFile, "and another")
				})
			}
		}
	}
}

// requireContent checks what every node reads.
func requireContent(t testing.TB, e *emu, name, want string) {
	t.Helper()
	for _, n := range e.Nodes() {
		got, err := n.Read(name)
		require.NoError(t, err, n.Name())
		require.Equal(t, want, string(got), n.Name())
	}
}

func requireNoTemporary(t testing.TB, e *emu) {
	t.Helper()
	names, err := e.Nodes()[0].List("ha")
	require.NoError(t, err)
	for _, n := range names {
		require.NotContains(t, n, ".tmp.")
	}
}

func TestTextsOfAFailedWriteAreThoseOfThePerlStack(t *testing.T) {
	tmp := fmt.Sprintf("/etc/pve/ha/manager_status.tmp.%d", os.Getpid())
	for op, want := range map[string]string{
		"create": "unable to open file '" + tmp + "' - Permission denied",
		"write":  "unable to write '" + tmp + "' - Permission denied",
		"rename": "close (rename) atomic file '/etc/pve/ha/manager_status' failed: Permission denied",
	} {
		_, f, m := faulty(t)
		m.set(func(o, _ string) *fault {
			if o == op {
				return &fault{err: syscall.EACCES}
			}
			return nil
		})
		require.EqualError(t, f.Write(ctx, statusFile, nil), want)
	}
}

func TestTemporaryFileThatIsThereAlready(t *testing.T) {
	e, f, m := faulty(t)
	tmp := fmt.Sprintf("ha/manager_status.tmp.%d", os.Getpid())
	require.NoError(t, e.Node("node2").Write(tmp, []byte("of another node, or left")))
	require.NoError(t, f.Write(ctx, statusFile, []byte("new")))
	requireContent(t, e, statusFile, "new")
	requireContent(t, e, tmp, "of another node, or left")

	e.clock.Advance(time.Hour)
	require.NoError(t, f.Write(ctx, statusFile, []byte("newer")))
	requireContent(t, e, statusFile, "newer")
	requireNoTemporary(t, e)

	require.NoError(t, e.Node("node2").Write(tmp, []byte("left")))
	e.clock.Advance(time.Hour)
	m.set(func(o, _ string) *fault {
		if o == "unlink" {
			return &fault{err: syscall.EBUSY}
		}
		return nil
	})
	err := f.Write(ctx, statusFile, []byte("newest"))
	requireFailed(t, err, pmxcfsio.ErrBusy, syscall.EBUSY)
	require.EqualError(t, err, "unable to delete old temp file: Device or resource busy")
	requireContent(t, e, statusFile, "newer")
}

func TestFailedReadSaysWhatIsWrong(t *testing.T) {
	for _, what := range errnos {
		e, f, m := faulty(t)
		require.NoError(t, e.Node("node2").Write(statusFile, []byte("content")))
		m.set(func(o, _ string) *fault {
			if o == "read" {
				return &fault{err: what.errno}
			}
			return nil
		})
		data, err := f.Read(ctx, statusFile)
		requireFailed(t, err, what.kind, what.errno)
		require.Nil(t, data)
		_, err = f.Guests(ctx)
		requireFailed(t, err, what.kind, what.errno)
	}
}

func TestErrorsKeepApartWhatIsAbsentAndWhatIsNotMounted(t *testing.T) {
	e, f, _ := faulty(t)
	_, err := f.Read(ctx, "ha/nothing")
	requireFailed(t, err, pmxcfsio.ErrAbsent, syscall.ENOENT)
	require.NotErrorIs(t, err, pmxcfsio.ErrNotMounted)
	require.NoError(t, e.Stop("node1"))
	_, err = f.Read(ctx, "ha/nothing")
	requireFailed(t, err, pmxcfsio.ErrNotMounted, syscall.ENOENT)
	require.NotErrorIs(t, err, pmxcfsio.ErrAbsent)
	var errno syscall.Errno
	require.ErrorAs(t, err, &errno)
	require.Equal(t, syscall.ENOENT, errno)
}

func TestMountThatIsNotThere(t *testing.T) {
	e, f, _ := faulty(t)
	require.NoError(t, f.Write(ctx, statusFile, []byte("old")))
	for _, end := range []struct {
		how  func(string) error
		kind error
		text string
	}{
		{e.Stop, pmxcfsio.ErrNotMounted, "No such file or directory"},
		{e.Crash, pmxcfsio.ErrStaleMount, "Transport endpoint is not connected"},
	} {
		require.NoError(t, end.how("node1"))
		for name, use := range everyUse(f) {
			err := use(ctx)
			require.ErrorIs(t, err, end.kind, name)
			require.NotErrorIs(t, err, pmxcfsio.ErrAbsent, name)
		}
		require.ErrorContains(t, f.Write(ctx, statusFile, []byte("new")), "unable to open file")
		require.ErrorContains(t, f.Write(ctx, statusFile, []byte("new")), end.text)
		require.NoError(t, e.Start("node1"))
		require.NoError(t, f.Mounted(ctx))
		requireContent(t, e, statusFile, "old")
	}
}

// everyUse is every method that touches the mount.
func everyUse(f *pmxcfsio.FS) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"mounted": f.Mounted,
		"read":    func(ctx context.Context) error { _, err := f.Read(ctx, statusFile); return err },
		"exists":  func(ctx context.Context) error { _, err := f.Exists(ctx, statusFile); return err },
		"stat":    func(ctx context.Context) error { _, err := f.Stat(ctx, statusFile); return err },
		"list":    func(ctx context.Context) error { _, err := f.List(ctx, "ha"); return err },
		"write":   func(ctx context.Context) error { return f.Write(ctx, statusFile, []byte("new")) },
		"remove":  func(ctx context.Context) error { return f.Remove(ctx, statusFile) },
		"rename":  func(ctx context.Context) error { return f.Rename(ctx, statusFile, "ha/other") },
		"mkdir":   func(ctx context.Context) error { return f.Mkdir(ctx, "folder") },
		"move": func(ctx context.Context) error {
			return f.MoveGuest(ctx, pmxcfsio.GuestQemu, 100, "node1", "node2")
		},
		"versions":   func(ctx context.Context) error { _, err := f.Versions(ctx); return err },
		"members":    func(ctx context.Context) error { _, err := f.Members(ctx); return err },
		"quorate":    func(ctx context.Context) error { _, err := f.Quorate(ctx); return err },
		"guests":     func(ctx context.Context) error { _, err := f.Guests(ctx); return err },
		"usage":      func(ctx context.Context) error { _, err := f.Usage(ctx); return err },
		"properties": func(ctx context.Context) error { _, err := f.GuestProperties(ctx, []string{"lock"}); return err },
		"take":       func(ctx context.Context) error { return f.NodeLock("x").Take(ctx) },
		"domain": func(ctx context.Context) error {
			return f.Domain(ctx, "ha", nil, func(context.Context) error { return nil })
		},
	}
}

// plainFolder is the mount point without a mount: an ordinary folder.
type plainFolder struct{ pmxcfsio.Mount }

func (plainFolder) Lstat(name string) (pmxcfsio.Info, error) {
	return pmxcfsio.Info{}, syscall.ENOENT
}

func TestNothingIsWrittenBelowARootWithoutMount(t *testing.T) {
	e, f, m := faulty(t)
	m.Mount = plainFolder{m.Mount}
	for name, use := range everyUse(f) {
		require.ErrorIs(t, use(ctx), pmxcfsio.ErrNotMounted, name)
	}
	names, err := e.Node("node1").List("ha")
	require.NoError(t, err)
	require.Empty(t, names)
}

func TestWithoutQuorumNothingIsWritten(t *testing.T) {
	e, f, _ := faulty(t)
	require.NoError(t, f.Write(ctx, statusFile, []byte("old")))
	require.NoError(t, e.Partition("node1"))
	for name, use := range everyUse(f) {
		switch name {
		case "write", "remove", "rename", "mkdir", "domain":
			requireFailed(t, use(ctx), pmxcfsio.ErrNoQuorum, syscall.EACCES)
		case "move":
			require.ErrorIs(t, use(ctx), pmxcfsio.ErrAbsent)
		case "take":
			require.Error(t, use(ctx))
		default:
			require.NoError(t, use(ctx), name)
		}
	}
	quorate, err := f.Quorate(ctx)
	require.NoError(t, err)
	require.False(t, quorate)
	require.NoError(t, e.Heal())
	requireContent(t, e, statusFile, "old")
	requireNoTemporary(t, e)
}

func TestNoCallHangsLongerThanItsContext(t *testing.T) {
	for name := range everyUse(nil) {
		t.Run(name, func(t *testing.T) {
			e, f, m := faulty(t)
			require.NoError(t, e.Node("node1").Write(statusFile, []byte("old")))
			stuck, release := m.hangs(t, "lstat", "local")
			err := everyUse(f)[name](stuck)
			require.ErrorIs(t, err, pmxcfsio.ErrTimeout)
			require.ErrorIs(t, err, context.Canceled)
			require.NotZero(t, f.Hanging())
			release()
			requireIdle(t, f)
		})
	}
}

func TestHangingCallsDoNotPileUp(t *testing.T) {
	e := newEmu(t, "node1")
	m := &faultyMount{Mount: emuMount{e.Node("node1")}}
	f, err := pmxcfsio.New(pmxcfsio.Config{Root: "/etc/pve", Mount: m, MaxHanging: 3})
	require.NoError(t, err)
	var releases []func()
	for i := range 3 {
		stuck, release := m.hangs(t, "read", statusFile)
		releases = append(releases, release)
		_, err := f.Read(stuck, statusFile)
		require.ErrorIs(t, err, pmxcfsio.ErrTimeout)
		require.Equal(t, i+1, f.Hanging())
	}
	soon, cancel := context.WithTimeout(ctx, 5*time.Millisecond)
	defer cancel()
	_, err = f.Read(soon, statusFile)
	require.ErrorIs(t, err, pmxcfsio.ErrTimeout)
	require.ErrorIs(t, f.Mounted(soon), pmxcfsio.ErrTimeout, "every turn is taken")
	require.Equal(t, 3, f.Hanging())
	for _, release := range releases {
		release()
	}
	requireIdle(t, f)
	require.NoError(t, f.Mounted(ctx))
}

func TestLimitsAreKeptWithoutAContext(t *testing.T) {
	e := newEmu(t, "node1")
	m := &faultyMount{Mount: emuMount{e.Node("node1")}}
	f, err := pmxcfsio.New(pmxcfsio.Config{
		Root: "/etc/pve", Mount: m, ReadTimeout: time.Millisecond, WriteTimeout: time.Millisecond,
	})
	require.NoError(t, err)
	_, release := m.hangs(t, "lstat", "local")
	for name, use := range everyUse(f) {
		require.ErrorIs(t, use(ctx), pmxcfsio.ErrTimeout, name)
	}
	release()
	requireIdle(t, f)
}

func TestWriteThatHangsIsNotFinishedBehindTheCallersBack(t *testing.T) {
	for _, op := range []string{"create", "write"} {
		e, f, m := faulty(t)
		require.NoError(t, f.Write(ctx, statusFile, []byte("old")))
		tmp := fmt.Sprintf("ha/manager_status.tmp.%d", os.Getpid())
		stuck, release := m.hangs(t, op, tmp)
		err := f.Write(stuck, statusFile, []byte("late"))
		requireFailed(t, err, pmxcfsio.ErrTimeout, 0)

		require.NoError(t, f.Write(ctx, statusFile, []byte("new")), "another write goes on beside it")
		release()
		requireIdle(t, f)
		requireContent(t, e, statusFile, "new")
		requireNoTemporary(t, e)
	}
}

func TestRenameThatHangsLeavesNoTemporaryFile(t *testing.T) {
	e, f, m := faulty(t)
	require.NoError(t, f.Write(ctx, statusFile, []byte("old")))
	stuck, release := m.hangs(t, "rename", statusFile)
	err := f.Write(stuck, statusFile, []byte("late"))
	requireFailed(t, err, pmxcfsio.ErrTimeout, 0)
	requireContent(t, e, statusFile, "old")
	release()
	requireIdle(t, f)
	requireContent(t, e, statusFile, "late")
	requireNoTemporary(t, e)
}

func TestFileThatIsTooLargeTouchesNothing(t *testing.T) {
	e, f, m := faulty(t)
	whole := []byte(strings.Repeat("x", pmxcfsio.MaxFileSize))
	require.NoError(t, f.Write(ctx, statusFile, whole))
	m.set(func(op, name string) *fault {
		t.Errorf("%s of %s", op, name)
		return nil
	})
	err := f.Write(ctx, statusFile, append(whole, 'x'))
	requireFailed(t, err, pmxcfsio.ErrTooLarge, syscall.EFBIG)
	require.ErrorContains(t, err, "unable to write '/etc/pve/ha/manager_status.tmp.")
	m.set(nil)
	requireContent(t, e, statusFile, string(whole))
}

func TestLockThatIsTakenLateCountsFromWhenItWasAskedFor(t *testing.T) {
	for _, op := range []string{"mkdir", "utime"} {
		t.Run(op, func(t *testing.T) {
			e, f, m := faulty(t)
			lock := f.NodeLock("x")
			if op == "utime" {
				require.NoError(t, lock.Take(ctx))
			}
			e.clock.Advance(10 * time.Second)
			stuck, release := m.hangs(t, op, "priv/lock/x")
			err := lock.Take(stuck)
			requireFailed(t, err, pmxcfsio.ErrTimeout, 0)
			again, cancel := context.WithTimeout(ctx, time.Millisecond)
			require.ErrorIs(t, lock.Take(again), pmxcfsio.ErrTimeout, "nobody knows which would be first")
			require.ErrorIs(t, lock.Release(again), pmxcfsio.ErrTimeout)
			cancel()
			e.clock.Advance(30 * time.Second)
			release()
			requireIdle(t, f)
			require.Equal(t, lifetime-30*time.Second, lock.Left())
			require.NoError(t, lock.Take(ctx))
			require.Equal(t, lifetime, lock.Left())
		})
	}
}

func TestLockIsNotRemovedByAProcessThatStoodStill(t *testing.T) {
	e, f, m := faulty(t)
	lock := f.NodeLock("x")
	require.NoError(t, lock.Take(ctx))
	m.set(func(op, _ string) *fault {
		if op == "utime" { // the refresh before the removal
			e.clock.Advance(lifetime/2 + time.Second)
		}
		if op == "rmdir" {
			t.Error("the folder may be another node's by now")
		}
		return nil
	})
	e.clock.Advance(time.Second)
	require.ErrorIs(t, lock.Release(ctx), pmxcfsio.ErrTimeout)
	m.set(nil)
	require.NoError(t, lock.Take(ctx), "it is still held")
}

func TestLockThatCannotBeReleasedStaysHeld(t *testing.T) {
	e, f, m := faulty(t)
	lock := f.NodeLock("x")
	require.NoError(t, lock.Take(ctx))
	require.NoError(t, e.Node("node2").Create("priv/lock/x/file"))
	err := lock.Release(ctx)
	requireFailed(t, err, nil, syscall.ENOTEMPTY)
	require.NoError(t, lock.Take(ctx))
	for _, what := range errnos {
		m.set(func(op, _ string) *fault {
			if op == "rmdir" {
				return &fault{err: what.errno}
			}
			return nil
		})
		requireFailed(t, lock.Release(ctx), what.kind, what.errno)
		require.NotZero(t, lock.Left())
	}
}

func TestGarbledVirtualFileIsReadAgain(t *testing.T) {
	for cuts, garbled := range map[int]bool{1: false, 4: false, 1000: true} {
		e, f, m := faulty(t)
		require.NoError(t, e.Node("node1").Create("nodes/node1/qemu-server/100.conf"))
		for _, name := range []string{"versions", "members", "guests"} {
			m.cuts(cuts)
			err := everyUse(f)[name](ctx)
			if garbled {
				require.ErrorIs(t, err, pmxcfsio.ErrGarbled, name)
				require.ErrorContains(t, err, "cannot be understood")
			} else {
				require.NoError(t, err, name)
			}
		}
	}
}
