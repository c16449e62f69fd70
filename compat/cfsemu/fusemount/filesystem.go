package fusemount

import (
	"errors"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"pveha/compat/cfsemu"
)

// filesystem answers the kernel's requests for one mount of one node.
type filesystem struct {
	fuse.RawFileSystem
	node  *cfsemu.Node
	cache time.Duration
	// warming is set until the mount is shown: the root answers by itself then,
	// since the node may let every call hang.
	warming atomic.Bool

	paths *paths

	mu      sync.Mutex
	folders map[uint64][]cfsemu.Entry // open ones, by handle
	handles uint64
}

func newFilesystem(node *cfsemu.Node, cache time.Duration) *filesystem {
	return &filesystem{
		RawFileSystem: fuse.NewDefaultRawFileSystem(),
		node:          node, cache: cache, paths: newPaths(), folders: map[uint64][]cfsemu.Entry{},
	}
}

// String is the name of the file system in messages.
func (f *filesystem) String() string { return "pmxcfs" }

func status(err error) fuse.Status {
	var errno syscall.Errno
	switch {
	case err == nil:
		return fuse.OK
	case errors.As(err, &errno):
		return fuse.Status(errno)
	}
	return fuse.EIO
}

// at runs an operation on the path of an inode, once more where the inode was
// moved from under it.
func (f *filesystem) at(id uint64, operation func(path string) error) fuse.Status {
	for {
		path, ok := f.paths.path(id)
		if !ok {
			return fuse.ENOENT
		}
		err := operation(path)
		if err != nil && errors.Is(err, syscall.ENOENT) {
			if now, ok := f.paths.path(id); ok && now != path {
				continue
			}
		}
		return status(err)
	}
}

func fillAttr(out *fuse.Attr, id uint64, a cfsemu.Attr) {
	seconds := uint64(a.Mtime.Unix())
	*out = fuse.Attr{
		Ino: id, Size: uint64(a.Size), Blocks: (uint64(a.Size) + 4095) / 4096,
		Atime: seconds, Mtime: seconds, Ctime: seconds,
		Mode: a.Mode, Nlink: a.Nlink, Owner: fuse.Owner{Uid: 0, Gid: cfsemu.GroupID}, Blksize: 4096,
	}
}

// entry answers a request that makes a name known to the kernel.
func (f *filesystem) entry(parent uint64, name string, out *fuse.EntryOut) fuse.Status {
	path, ok := f.paths.child(parent, name)
	if !ok {
		return fuse.ENOENT
	}
	a, err := f.node.Stat(path)
	if err != nil {
		return status(err)
	}
	id, ok := f.paths.lookup(parent, name)
	if !ok {
		return fuse.ENOENT
	}
	out.NodeId = id
	out.SetEntryTimeout(f.cache)
	out.SetAttrTimeout(f.cache)
	fillAttr(&out.Attr, id, a)
	return fuse.OK
}

// Lookup implements fuse.RawFileSystem.
func (f *filesystem) Lookup(_ <-chan struct{}, header *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	return f.entry(header.NodeId, name, out)
}

// Forget implements fuse.RawFileSystem.
func (f *filesystem) Forget(id, lookups uint64) { f.paths.forget(id, lookups) }

// GetAttr implements fuse.RawFileSystem.
func (f *filesystem) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	return f.attr(in.NodeId, out)
}

func (f *filesystem) attr(id uint64, out *fuse.AttrOut) fuse.Status {
	if id == rootID && f.warming.Load() {
		fillAttr(&out.Attr, id, cfsemu.Attr{Mode: syscall.S_IFDIR | 0o755, Nlink: 2, Mtime: time.Unix(0, 0)})
		return fuse.OK
	}
	return f.at(id, func(path string) error {
		a, err := f.node.Stat(path)
		if err == nil {
			out.SetTimeout(f.cache)
			fillAttr(&out.Attr, id, a)
		}
		return err
	})
}

// SetAttr implements fuse.RawFileSystem. The steps come in libfuse's order;
// times count only where both are set.
func (f *filesystem) SetAttr(_ <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	code := fuse.OK
	step := func(bits uint32, operation func(path string) error) {
		if code.Ok() && in.Valid&bits != 0 {
			code = f.at(in.NodeId, operation)
		}
	}
	step(fuse.FATTR_MODE, func(path string) error { return f.node.Chmod(path, in.Mode) })
	step(fuse.FATTR_UID|fuse.FATTR_GID, func(path string) error {
		uid, gid := -1, -1
		if in.Valid&fuse.FATTR_UID != 0 {
			uid = int(in.Uid)
		}
		if in.Valid&fuse.FATTR_GID != 0 {
			gid = int(in.Gid)
		}
		return f.node.Chown(path, uid, gid)
	})
	step(fuse.FATTR_SIZE, func(path string) error { return f.node.Truncate(path, int64(in.Size)) })
	if in.Valid&fuse.FATTR_ATIME != 0 {
		step(fuse.FATTR_MTIME, func(path string) error {
			if in.Valid&fuse.FATTR_MTIME_NOW != 0 {
				return f.node.Touch(path)
			}
			return f.node.Utime(path, time.Unix(int64(in.Mtime), 0))
		})
	}
	if !code.Ok() {
		return code
	}
	return f.attr(in.NodeId, out)
}

// Readlink implements fuse.RawFileSystem.
func (f *filesystem) Readlink(_ <-chan struct{}, header *fuse.InHeader) (out []byte, code fuse.Status) {
	code = f.at(header.NodeId, func(path string) error {
		target, err := f.node.Readlink(path)
		out = []byte(target)
		return err
	})
	return out, code
}

// StatFs implements fuse.RawFileSystem.
func (f *filesystem) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	s, err := f.node.Statfs()
	*out = fuse.StatfsOut{
		Blocks: s.Blocks, Bfree: uint64(s.Bfree), Bavail: uint64(s.Bfree), Files: s.Files, Ffree: uint64(s.Ffree),
		Bsize: s.Bsize, NameLen: s.NameMax,
	}
	return status(err)
}

// OpenDir implements fuse.RawFileSystem. libfuse asks the file system nothing.
func (f *filesystem) OpenDir(_ <-chan struct{}, _ *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.handles++
	out.Fh = f.handles
	f.folders[out.Fh] = nil
	return fuse.OK
}

// ReadDir implements fuse.RawFileSystem: a list is made at its beginning.
func (f *filesystem) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	if in.Offset == 0 {
		code := f.at(in.NodeId, func(path string) error {
			entries, err := f.node.Entries(path)
			f.mu.Lock()
			defer f.mu.Unlock()
			dots := []cfsemu.Entry{{Name: ".", Mode: syscall.S_IFDIR}, {Name: "..", Mode: syscall.S_IFDIR}}
			f.folders[in.Fh] = append(dots, entries...)
			return err
		})
		if !code.Ok() {
			return code
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	entries := f.folders[in.Fh]
	for i := in.Offset; i < uint64(len(entries)); i++ {
		if !out.AddDirEntry(fuse.DirEntry{Name: entries[i].Name, Mode: entries[i].Mode, Off: i + 1}) {
			break
		}
	}
	return fuse.OK
}

// ReleaseDir implements fuse.RawFileSystem.
func (f *filesystem) ReleaseDir(in *fuse.ReleaseIn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.folders, in.Fh)
}
