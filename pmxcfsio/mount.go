package pmxcfsio

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Mount is the file operations a cluster file system is used by. Names are
// from its root. Errors hold the errno. A call may hang for as long as it
// likes; several may be under way at once.
type Mount interface {
	// Lstat does not follow a symlink.
	Lstat(name string) (Info, error)
	// ReadFile opens, asks for the attributes, reads to the end and closes: a
	// virtual file is made when somebody asks for its attributes.
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
	Mode    os.FileMode
	Size    int64
	ModTime int64 // seconds since 1970
}

// fileMode and folderMode are the modes pmxcfs gives whatever is made in it.
const (
	fileMode   = 0o640
	folderMode = 0o755
)

// systemMount is system calls below a root.
type systemMount struct{ root string }

func (m systemMount) path(name string) string { return filepath.Join(m.root, name) }

func (m systemMount) Lstat(name string) (Info, error) {
	st, err := os.Lstat(m.path(name))
	if err != nil {
		return Info{}, err
	}
	return Info{Mode: st.Mode(), Size: st.Size(), ModTime: st.ModTime().Unix()}, nil
}

// readAtOnce is how much one read asks for at least, so that a list that
// pmxcfs generates comes in one piece where it can (max_read of FUSE is
// 128 KiB).
const readAtOnce = 128 << 10

func (m systemMount) ReadFile(name string) (data []byte, err error) {
	file, err := os.OpenFile(m.path(name), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	st, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if st.IsDir() {
		return nil, unix.EISDIR
	}
	size := min(max(st.Size()+1, 4<<10), MaxFileSize+1)
	for data = make([]byte, 0, size); ; {
		if len(data) == cap(data) {
			data = append(data, make([]byte, readAtOnce)...)[:len(data)]
		}
		n, err := file.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if errors.Is(err, io.EOF) {
			return data, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (m systemMount) ReadDir(name string) ([]string, error) {
	dir, err := os.Open(m.path(name))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return dir.Readdirnames(-1)
}

func (m systemMount) Create(name string, data []byte) error {
	file, err := os.OpenFile(m.path(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	if _, err = file.Write(data); err != nil {
		_ = file.Close() // the error of the write says more
		return &stageError{stageWrite, err}
	}
	if err := file.Close(); err != nil {
		return &stageError{stageClose, err}
	}
	return nil
}

func (m systemMount) Rename(from, to string) error {
	return unix.Rename(m.path(from), m.path(to))
}

func (m systemMount) Unlink(name string) error { return unix.Unlink(m.path(name)) }
func (m systemMount) Mkdir(name string) error  { return unix.Mkdir(m.path(name), folderMode) }
func (m systemMount) Rmdir(name string) error  { return unix.Rmdir(m.path(name)) }

func (m systemMount) Utime(name string, mtime int64) error {
	times := []unix.Timespec{{}, unix.NsecToTimespec(mtime * int64(time.Second))}
	return unix.UtimesNanoAt(unix.AT_FDCWD, m.path(name), times, unix.AT_SYMLINK_NOFOLLOW)
}
