package pmxcfsio

import (
	"errors"
	"io/fs"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// Mount is the file operations a cluster file system is used by. Names are
// from its root. Errors hold the errno. A call may hang for as long as it
// likes; several may be under way at once.
type Mount interface {
	// Lstat does not follow a symlink.
	Lstat(name string) (Info, error)
	// Present reports whether there is anything of this name, as of now and not
	// as the kernel remembers it.
	Present(name string) (bool, error)
	// ReadFile opens, asks for the attributes, reads to the end and closes: a
	// virtual file is made when somebody asks for its attributes. What is read
	// may be put together of an old and a new file, but the first 124 KiB are
	// of one.
	ReadFile(name string) ([]byte, error)
	// ReadDir returns the names in a folder, in any order.
	ReadDir(name string) ([]string, error)
	// Create makes a file that does not exist yet, and writes and closes it.
	// After an error, a part of it may be there.
	Create(name string, data []byte) error
	Rename(from, to string) error
	// Unlink removes a file, Rmdir an empty folder.
	Unlink(name string) error
	Mkdir(name string) error
	Rmdir(name string) error
	// Utime sets the times to whole seconds since 1970.
	Utime(name string, mtime int64) error
}

// Info is what is known of a file without reading it. The kernel keeps it for
// up to a second, so that a change by another node shows late.
type Info struct {
	Mode    fs.FileMode
	Size    int64
	ModTime int64 // seconds since 1970
}

// fileMode and folderMode are the modes pmxcfs gives whatever is made in it.
const (
	fileMode   = 0o640
	folderMode = 0o755
)

// systemMount is system calls below a root. They are made directly: package os
// asks the kernel whether each file it opens can be polled, which FUSE asks
// pmxcfs in turn.
type systemMount struct{ root string }

func (m systemMount) path(name string) string { return filepath.Join(m.root, name) }

// again repeats a call that a signal interrupted.
func again[T any](call func() (T, error)) (T, error) {
	for {
		value, err := call()
		if !errors.Is(err, unix.EINTR) {
			return value, err
		}
	}
}

func againOnly(call func() error) error {
	_, err := again(func() (struct{}, error) { return struct{}{}, call() })
	return err
}

func (m systemMount) Lstat(name string) (Info, error) {
	var st unix.Stat_t
	if err := againOnly(func() error { return unix.Lstat(m.path(name), &st) }); err != nil {
		return Info{}, err
	}
	mode := fs.FileMode(st.Mode & 0o777)
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		mode |= fs.ModeDir
	case unix.S_IFLNK:
		mode |= fs.ModeSymlink
	default:
		mode |= fs.ModeIrregular
	}
	return Info{Mode: mode, Size: st.Size, ModTime: st.Mtim.Sec}, nil
}

// Present makes the kernel ask anew for the attributes of what it remembers by
// this name.
func (m systemMount) Present(name string) (bool, error) {
	var st unix.Statx_t
	err := againOnly(func() error {
		return unix.Statx(unix.AT_FDCWD, m.path(name), unix.AT_SYMLINK_NOFOLLOW|unix.AT_STATX_FORCE_SYNC, unix.STATX_MTIME, &st)
	})
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	return err == nil, err
}

func (m systemMount) open(name string, flags int) (int, error) {
	return again(func() (int, error) { return unix.Open(m.path(name), flags|unix.O_CLOEXEC, fileMode) })
}

// pieceSize is how much of a file surely comes in one piece: FUSE asks pmxcfs
// for 32 pages at a time, and the buffer may begin in the midst of one. pmxcfs
// looks up the path for every piece, so that the next may be of another file.
const pieceSize = 31 * 4096

var readBuffers = sync.Pool{New: func() any { return new([pieceSize + 4096]byte) }}

// closeReader ends reading, after which an error tells nothing.
func closeReader(fd int) { _ = unix.Close(fd) }

func (m systemMount) ReadFile(name string) ([]byte, error) {
	fd, err := m.open(name, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer closeReader(fd)
	var st unix.Stat_t
	if err := againOnly(func() error { return unix.Fstat(fd, &st) }); err != nil {
		return nil, err
	}
	buffer, _ := readBuffers.Get().(*[pieceSize + 4096]byte)
	defer readBuffers.Put(buffer)
	var data []byte
	for {
		n, err := again(func() (int, error) { return unix.Read(fd, buffer[:]) })
		if err != nil {
			return nil, err
		}
		data = append(data, buffer[:n]...)
		if n < len(buffer) { // a file ends where a read comes short
			return data, nil
		}
	}
}

func (m systemMount) ReadDir(name string) (names []string, err error) {
	fd, err := m.open(name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer closeReader(fd)
	for buffer := make([]byte, 16<<10); ; {
		n, err := again(func() (int, error) { return unix.ReadDirent(fd, buffer) })
		if err != nil || n == 0 {
			return names, err
		}
		_, _, names = unix.ParseDirent(buffer[:n], -1, names)
	}
}

func (m systemMount) Create(name string, data []byte) error {
	fd, err := m.open(name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL)
	if err != nil {
		return err
	}
	for rest := data; len(rest) > 0; {
		n, err := again(func() (int, error) { return unix.Write(fd, rest) })
		if err != nil {
			_ = unix.Close(fd) // the error of the write says more
			return &stageError{stageWrite, err}
		}
		rest = rest[n:]
	}
	if err := unix.Close(fd); err != nil {
		return &stageError{stageClose, err}
	}
	return nil
}

func (m systemMount) Rename(from, to string) error {
	return againOnly(func() error { return unix.Rename(m.path(from), m.path(to)) })
}

func (m systemMount) Unlink(name string) error {
	return againOnly(func() error { return unix.Unlink(m.path(name)) })
}

// Mkdir is not repeated: whether the interrupted one took the lock is not
// known.
func (m systemMount) Mkdir(name string) error { return unix.Mkdir(m.path(name), folderMode) }

func (m systemMount) Rmdir(name string) error {
	return againOnly(func() error { return unix.Rmdir(m.path(name)) })
}

func (m systemMount) Utime(name string, mtime int64) error {
	times := []unix.Timespec{{}, {Sec: mtime}}
	return againOnly(func() error {
		return unix.UtimesNanoAt(unix.AT_FDCWD, m.path(name), times, unix.AT_SYMLINK_NOFOLLOW)
	})
}
