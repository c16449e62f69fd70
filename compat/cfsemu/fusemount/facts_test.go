package fusemount_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"pveha/compat/cfsemu"
	"pveha/compat/cfsemu/fusemount"
)

const noError = syscall.Errno(0)

func errno(t *testing.T, want syscall.Errno, err error, what ...any) {
	t.Helper()
	if want == noError {
		require.NoError(t, err, what...)
		return
	}
	require.ErrorIs(t, err, want, what...)
}

func (b *bed) write(node int, name, text string) {
	b.t.Helper()
	require.NoError(b.t, os.WriteFile(b.path(node, name), []byte(text), 0o640))
}

// writeBeside writes without the kernel, which tells of a closed descriptor
// late: the writer's own would count as open for a moment.
func (b *bed) writeBeside(node int, name, text string) {
	b.t.Helper()
	require.NoError(b.t, b.cluster.Nodes()[node-1].Write(name, []byte(text)))
}

func (b *bed) read(node int, name string) string {
	b.t.Helper()
	data, err := os.ReadFile(b.path(node, name))
	require.NoError(b.t, err)
	return string(data)
}

// readUnseen reads without looking at the attributes.
func readUnseen(t *testing.T, path string) string {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(fd)
	return pread(t, fd)
}

func pread(t *testing.T, fd int) string {
	t.Helper()
	buf := make([]byte, 1<<17)
	n, err := unix.Pread(fd, buf, 0)
	require.NoError(t, err)
	return string(buf[:n])
}

func utime(path string, seconds int64) error {
	return unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{{Sec: seconds}, {Sec: seconds}}, 0)
}

// Facts 2, through the kernel.
func TestLayoutThroughTheKernel(t *testing.T) {
	b := newBed(t, 0, cfsemu.Timing{})
	for name, mode := range map[string]uint32{
		"": 0o40755, ".version": 0o100440, ".debug": 0o100640, "corosync.conf": 0o100640, "local": 0o120755,
		"nodes": 0o40755, "priv": 0o40700, "nodes/node1/priv": 0o40700,
	} {
		var st unix.Stat_t
		require.NoError(t, unix.Lstat(b.path(1, name), &st))
		require.Equal(t, mode, st.Mode, name)
		require.EqualValues(t, 0, st.Uid)
		require.EqualValues(t, cfsemu.GroupID, st.Gid)
		require.EqualValues(t, 4096, st.Blksize)
		require.Equal(t, []unix.Timespec{st.Atim, st.Atim}, []unix.Timespec{st.Mtim, st.Ctim})
		require.Zero(t, st.Mtim.Nsec)
	}
	names, err := os.ReadDir(b.path(2, ""))
	require.NoError(t, err)
	require.Len(t, names, 14)
	target, err := os.Readlink(b.path(2, "local"))
	require.NoError(t, err)
	require.Equal(t, "nodes/node2", target)
	b.write(2, "local/lrm_status", "{}")
	require.Equal(t, "{}", b.read(1, "nodes/node2/lrm_status"))
	line := "/dev/fuse " + b.path(1, "") + " fuse rw,nosuid,nodev,relatime,user_id=0,group_id=0,default_permissions,allow_other 0 0\n"
	mounts, err := os.ReadFile("/proc/self/mounts")
	require.NoError(t, err)
	require.Contains(t, string(mounts), line)
}

// Facts 2: others may not read, www-data may.
func TestLayoutForOtherUsers(t *testing.T) {
	b := newBed(t, 0, cfsemu.Timing{})
	for dir := b.mounts.Path(""); dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) {
		require.NoError(t, os.Chmod(dir, 0o755))
	}
	b.write(1, "priv/key", "k")
	for _, test := range []struct {
		uid, gid int
		name     string
		want     syscall.Errno
	}{
		{65534, 65534, "corosync.conf", syscall.EACCES},
		{65534, 65534, "priv/key", syscall.EACCES},
		{33, 33, "corosync.conf", noError},
		{33, 33, ".version", noError},
		{33, 33, "priv/key", syscall.EACCES},
	} {
		errno(t, test.want, asUser(test.uid, test.gid, b.path(1, test.name)), "%d:%d %s", test.uid, test.gid, test.name)
	}
}

// asUser opens a file with another user's rights, on a thread that ends.
func asUser(uid, gid int, path string) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() { // which would not end
			defer runtime.UnlockOSThread()
			result <- asUser(uid, gid, path)
			return
		}
		if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0); errno != 0 {
			result <- errno
			return
		}
		if err := unix.Setfsgid(gid); err != nil {
			result <- err
			return
		}
		if err := unix.Setfsuid(uid); err != nil {
			result <- err
			return
		}
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Close(fd)
		}
		result <- err
	}()
	return <-result
}

// Of pmxcfs the kernel keeps names and attributes for a second. Here it is long
// where a test shows that they are kept, so that a slow machine does not matter,
// and short where it shows that they are dropped.
const (
	long  = time.Hour
	short = 20 * time.Millisecond
)

// soon wants something to become true when the kernel's time is over.
func soon(t *testing.T, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, 10*time.Second, short/2)
}

// Facts 3.2 and 1.1: a virtual file is made by stat; the kernel asks for the
// attributes again after every read, and for the name when its time is over.
func TestVirtualFilesThroughTheKernel(t *testing.T) {
	b := newBed(t, long, cfsemu.Timing{})
	path := b.path(1, cfsemu.VersionFile)
	stale := b.read(1, cfsemu.VersionFile)
	kept, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(kept)
	b.write(2, "user.cfg", "x")
	require.Equal(t, stale, readUnseen(t, path), "open and read: the text of the last stat")
	fresh := b.read(1, cfsemu.VersionFile)
	require.NotEqual(t, stale, fresh, "open, fstat and read")
	b.write(2, "user.cfg", "xx")
	require.Equal(t, fresh, pread(t, kept), "kept and read: stale for ever")
	var st unix.Stat_t
	require.NoError(t, unix.Fstat(kept, &st))
	require.Contains(t, pread(t, kept), `"user.cfg": 5,`, "kept, fstat and read")
	require.NoError(t, unix.Fstat(kept, &st))
	b.write(2, "user.cfg", "xxx")
	require.NoError(t, unix.Fstat(kept, &st))
	require.Contains(t, pread(t, kept), `"user.cfg": 5,`, "nobody read since the last fstat")
}

func TestVirtualFilesAreLookedUpAnew(t *testing.T) {
	b := newBed(t, short, cfsemu.Timing{})
	before := b.read(1, cfsemu.VersionFile)
	b.write(2, "user.cfg", "x")
	soon(t, func() bool { return readUnseen(t, b.path(1, cfsemu.VersionFile)) != before })
}

// Facts 5.2, 1.2 and 1.3: names and attributes are kept; content, lists, mkdir
// and exclusive creation are not.
func TestNamesAreKept(t *testing.T) {
	require.Equal(t, time.Second, fusemount.MeasuredCache)
	b := newBed(t, long, cfsemu.Timing{})
	b.write(1, "ha/f", "one")
	require.NoError(t, os.Mkdir(b.path(1, "ha/d"), 0o755))
	look := func(name string) (os.FileInfo, error) { return os.Lstat(b.path(2, name)) }
	info, err := look("ha/f")
	require.NoError(t, err)
	require.EqualValues(t, 3, info.Size())
	_, err = look("ha/d")
	require.NoError(t, err)
	_, err = look("ha/none")
	require.ErrorIs(t, err, os.ErrNotExist)

	b.write(1, "ha/f", "three")
	info, err = look("ha/f")
	require.NoError(t, err)
	require.EqualValues(t, 3, info.Size(), "an old size")
	require.Equal(t, "three", readUnseen(t, b.path(2, "ha/f")), "but no old content")

	b.write(1, "ha/none", "")
	_, err = look("ha/none")
	require.NoError(t, err, "what appears is seen at once")

	require.NoError(t, os.Remove(b.path(1, "ha/d")))
	_, err = look("ha/d")
	require.NoError(t, err, "gone, but still shown")
	require.NoError(t, os.Mkdir(b.path(2, "ha/d"), 0o755), "mkdir asks")

	require.NoError(t, os.Remove(b.path(1, "ha/f")))
	names, err := os.ReadDir(b.path(2, "ha"))
	require.NoError(t, err)
	require.False(t, slices.ContainsFunc(names, func(e os.DirEntry) bool { return e.Name() == "f" }), "lists ask")
	_, err = os.ReadFile(b.path(2, "ha/f"))
	errno(t, syscall.ENOENT, err, "so does open")
	errno(t, syscall.ENOENT, create(b.path(2, "ha/f"), unix.O_TRUNC), "O_CREAT of what was just removed")
	require.NoError(t, create(b.path(2, "ha/f"), unix.O_EXCL), "with O_EXCL")
}

// create opens a file with O_CREAT and closes it.
func create(path string, flags int) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC|flags, 0o640)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

func TestNamesAreDroppedInTime(t *testing.T) {
	b := newBed(t, short, cfsemu.Timing{})
	b.write(1, "f", "one")
	size := func() int64 {
		info, err := os.Lstat(b.path(2, "f"))
		if err != nil {
			return -1
		}
		return info.Size()
	}
	require.EqualValues(t, 3, size())
	b.write(1, "f", "three")
	soon(t, func() bool { return size() == 5 })
	require.NoError(t, os.Remove(b.path(1, "f")))
	soon(t, func() bool { return size() == -1 })
	b.write(1, "f", "")
	require.Zero(t, size())
	require.NoError(t, os.Remove(b.path(1, "f")))
	soon(t, func() bool { return create(b.path(2, "f"), unix.O_TRUNC) == nil })
}

// Facts 2 and 5: the write bit of the link "local" lags behind the quorum.
func TestQuorumIsSeenLate(t *testing.T) {
	b := newBed(t, long, cfsemu.Timing{})
	require.True(t, b.writable())
	require.NoError(t, b.cluster.Partition("node3"))
	require.True(t, b.writable(), "still")
	errno(t, syscall.EACCES, os.Mkdir(b.path(3, "d"), 0o755))
	fd, err := unix.Open(b.path(3, "corosync.conf"), unix.O_RDWR|unix.O_CLOEXEC, 0)
	require.NoError(t, err, "root may open what is read-only")
	_, err = unix.Write(fd, []byte("x"))
	errno(t, syscall.EACCES, err)
	require.NoError(t, unix.Close(fd))
}

// writable looks at the write bit that tells of quorum, on node 3.
func (b *bed) writable() bool {
	info, err := os.Lstat(b.path(3, "local"))
	require.NoError(b.t, err)
	return info.Mode().Perm()&0o200 != 0
}

func TestQuorumIsSeenInTime(t *testing.T) {
	b := newBed(t, short, cfsemu.Timing{})
	require.True(t, b.writable())
	require.NoError(t, b.cluster.Partition("node3"))
	soon(t, func() bool { return !b.writable() })
}

// Facts 5.3: changes by other nodes are not noticed by inotify.
func TestInotify(t *testing.T) {
	b := newBed(t, 0, cfsemu.Timing{})
	w, err := fsnotify.NewWatcher()
	require.NoError(t, err)
	defer w.Close()
	require.NoError(t, w.Add(b.path(1, "ha")))
	b.write(2, "ha/other", "x")
	b.write(1, "ha/mine", "x")
	event := <-w.Events
	require.Equal(t, b.path(1, "ha/mine"), event.Name, "the other node's came first and is not told")
	require.NoError(t, os.Rename(b.path(1, "ha/mine"), b.path(1, "ha/moved")))
	for event.Name != b.path(1, "ha/moved") {
		event = <-w.Events
	}
	require.True(t, event.Has(fsnotify.Create))
}

// Facts 6.1 and 6.2, as the kernel answers.
func TestFileOperationsThroughTheKernel(t *testing.T) {
	b := newBed(t, 0, cfsemu.Timing{})
	b.write(1, "f", "abc")
	f := b.path(1, "f")
	fd, err := unix.Open(f, unix.O_RDWR|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(fd)
	for _, test := range []struct {
		what string
		call func() error
		want []syscall.Errno
	}{
		{"symlink", func() error { return unix.Symlink("f", b.path(1, "l")) }, []syscall.Errno{syscall.ENOSYS}},
		{"mkfifo", func() error { return unix.Mkfifo(b.path(1, "p"), 0o600) }, []syscall.Errno{syscall.ENOSYS}},
		{"mknod of a file", func() error { return unix.Mknod(b.path(1, "n"), unix.S_IFREG|0o600, 0) }, []syscall.Errno{noError}},
		// The kernel's answer to a file system without links changed.
		{"link", func() error { return unix.Link(f, b.path(1, "l")) }, []syscall.Errno{syscall.EPERM, syscall.ENOSYS}},
		{"setxattr", func() error { return unix.Setxattr(f, "user.a", []byte("b"), 0) }, []syscall.Errno{syscall.ENOTSUP}},
		{"fsync", func() error { return unix.Fsync(fd) }, []syscall.Errno{noError}},
		{"chmod 0640", func() error { return unix.Chmod(f, 0o640) }, []syscall.Errno{noError}},
		{"chmod 0644", func() error { return unix.Chmod(f, 0o644) }, []syscall.Errno{syscall.EPERM}},
		{"chown 0:33", func() error { return unix.Chown(f, 0, 33) }, []syscall.Errno{noError}},
		{"chown 0:-1", func() error { return unix.Chown(f, 0, -1) }, []syscall.Errno{noError}},
		{"chown 1:33", func() error { return unix.Chown(f, 1, 33) }, []syscall.Errno{syscall.EPERM}},
		{"truncate of .version", func() error { return os.WriteFile(b.path(1, ".version"), nil, 0o600) }, []syscall.Errno{syscall.EIO}},
		{"unlink of .version", func() error { return unix.Unlink(b.path(1, ".version")) }, []syscall.Errno{syscall.EACCES}},
		{"rename over .version", func() error { return unix.Rename(f, b.path(1, ".version")) }, []syscall.Errno{syscall.EACCES}},
		{"rename across nodes", func() error { return unix.Rename(f, b.path(2, "f")) }, []syscall.Errno{syscall.EXDEV}},
		{"rename of a file over a folder", func() error { return unix.Rename(f, b.path(1, "ha")) }, []syscall.Errno{syscall.EISDIR}},
		{"rename of a folder over a file", func() error { return unix.Rename(b.path(1, "ha"), f) }, []syscall.Errno{syscall.ENOTDIR}},
		{"rename of a full folder", func() error { return unix.Rename(b.path(1, "nodes/node1"), b.path(1, "x")) }, []syscall.Errno{syscall.ENOTEMPTY}},
		{"exchange", func() error {
			return unix.Renameat2(unix.AT_FDCWD, f, unix.AT_FDCWD, b.path(1, "n"), unix.RENAME_EXCHANGE)
		}, []syscall.Errno{syscall.EINVAL}},
		{"rmdir of a full folder", func() error { return unix.Rmdir(b.path(1, "nodes")) }, []syscall.Errno{syscall.ENOTEMPTY}},
		{"truncate beyond 1 MiB", func() error { return unix.Truncate(f, cfsemu.MaxFileSize+1) }, []syscall.Errno{syscall.EFBIG}},
		{"a name of 300 bytes", func() error { return os.Mkdir(b.path(1, strings.Repeat("x", 300)), 0o755) }, []syscall.Errno{noError}},
		{"socket", func() error { return bindSocket(b.path(1, "s")) }, []syscall.Errno{syscall.ENOSYS}},
		{"shared map", func() error {
			_, err := unix.Mmap(fd, 0, 3, unix.PROT_READ, unix.MAP_SHARED)
			return err
		}, []syscall.Errno{syscall.ENODEV}},
	} {
		err := test.call()
		require.True(t, slices.ContainsFunc(test.want, func(want syscall.Errno) bool {
			return want == noError && err == nil || want != noError && errors.Is(err, want)
		}), "%s: %v, want one of %v", test.what, err, test.want)
	}
	n, err := unix.Pwrite(fd, make([]byte, cfsemu.MaxFileSize+1), 0)
	require.NoError(t, err)
	require.Equal(t, cfsemu.MaxFileSize, n)
	_, err = unix.Pwrite(fd, []byte("x"), cfsemu.MaxFileSize)
	errno(t, syscall.EFBIG, err)
	var s unix.Statfs_t
	require.NoError(t, unix.Statfs(b.path(1, ""), &s))
	require.Equal(t, []int64{32768, 4096, 262144, 256}, []int64{int64(s.Blocks), s.Bsize, int64(s.Files), s.Namelen})
}

func bindSocket(path string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	dir, err := os.Open(filepath.Dir(path)) // the path may be too long for a socket
	if err != nil {
		return err
	}
	defer dir.Close()
	return unix.Bind(fd, &unix.SockaddrUnix{Name: fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path))})
}

// Facts 6.2: file locks hold inside a node only.
func TestFileLocks(t *testing.T) {
	b := newBed(t, 0, cfsemu.Timing{})
	b.write(1, "f", "")
	open := func(node int) int {
		fd, err := unix.Open(b.path(node, "f"), unix.O_RDWR|unix.O_CLOEXEC, 0)
		require.NoError(t, err)
		t.Cleanup(func() { _ = unix.Close(fd) })
		return fd
	}
	one, same, other := open(1), open(1), open(2)
	require.NoError(t, unix.Flock(one, unix.LOCK_EX|unix.LOCK_NB))
	errno(t, syscall.EAGAIN, unix.Flock(same, unix.LOCK_EX|unix.LOCK_NB))
	require.NoError(t, unix.Flock(other, unix.LOCK_EX|unix.LOCK_NB))
	for _, fd := range []int{one, same, other} {
		require.NoError(t, unix.Close(fd))
	}
}

// Facts 4.1 and 6.2: times through the kernel, and which one means now.
func TestTimesThroughTheKernel(t *testing.T) {
	b := newBed(t, 0, cfsemu.Timing{})
	require.NoError(t, os.Mkdir(b.path(1, "priv/lock"), 0o700))
	lock := "priv/lock/l"
	require.NoError(t, os.Mkdir(b.path(1, lock), 0o700))
	mtime := func() int64 {
		info, err := os.Stat(b.path(2, lock))
		require.NoError(t, err)
		return info.ModTime().Unix()
	}
	now := start.Unix()
	require.Equal(t, now, mtime())
	b.clock.Advance(10 * time.Second)
	require.NoError(t, utime(b.path(1, lock), now+5))
	require.Equal(t, now+5, mtime())
	errno(t, syscall.EACCES, utime(b.path(2, lock), now+6))
	errno(t, syscall.EACCES, utime(b.path(1, lock), now+4))
	require.NoError(t, unix.UtimesNanoAt(unix.AT_FDCWD, b.path(1, lock), nil, 0), "NULL is now")
	require.Equal(t, now+10, mtime())
	b.clock.Advance(121 * time.Second)
	errno(t, syscall.EACCES, utime(b.path(2, lock), 0))
	require.NoError(t, os.Mkdir(b.path(2, lock), 0o700), "stale")
	require.NoError(t, os.Remove(b.path(3, lock)), "anybody's rmdir")
	errno(t, syscall.ENOENT, utime(b.path(2, lock), now))
	b.write(1, "f", "")
	require.NoError(t, utime(b.path(1, "f"), 5_000_000_000))
	info, err := os.Stat(b.path(1, "f"))
	require.NoError(t, err)
	require.EqualValues(t, 705_032_704, info.ModTime().Unix())
}
