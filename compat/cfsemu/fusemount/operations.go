package fusemount

import (
	"slices"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// below runs an operation on the path of a name in a folder.
func (f *filesystem) below(parent uint64, name string, operation func(path string) error) fuse.Status {
	path, ok := f.paths.child(parent, name)
	if !ok {
		return fuse.ENOENT
	}
	return status(operation(path))
}

// Mkdir implements fuse.RawFileSystem.
func (f *filesystem) Mkdir(_ <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	if code := f.below(in.NodeId, name, f.node.Mkdir); !code.Ok() {
		return code
	}
	return f.entry(in.NodeId, name, out)
}

// Mknod implements fuse.RawFileSystem: plain files are all there are.
func (f *filesystem) Mknod(_ <-chan struct{}, in *fuse.MknodIn, name string, out *fuse.EntryOut) fuse.Status {
	if in.Mode&syscall.S_IFMT != syscall.S_IFREG {
		return fuse.ENOSYS
	}
	if code := f.below(in.NodeId, name, f.node.Create); !code.Ok() {
		return code
	}
	return f.entry(in.NodeId, name, out)
}

// Create implements fuse.RawFileSystem.
func (f *filesystem) Create(_ <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	if code := f.below(in.NodeId, name, f.node.Create); !code.Ok() {
		return code
	}
	if code := f.entry(in.NodeId, name, &out.EntryOut); !code.Ok() {
		return code
	}
	f.paths.opened(out.NodeId)
	return fuse.OK
}

// Open implements fuse.RawFileSystem. Nothing of an opened file is kept by the
// kernel.
func (f *filesystem) Open(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	code := f.at(in.NodeId, f.node.Open)
	if code.Ok() {
		out.OpenFlags = fuse.FOPEN_DIRECT_IO
		f.paths.opened(in.NodeId)
	}
	return code
}

// Release implements fuse.RawFileSystem: the last descriptor takes a file
// along that was moved aside for it.
func (f *filesystem) Release(_ <-chan struct{}, in *fuse.ReleaseIn) {
	hidden, ok := f.paths.closed(in.NodeId)
	if !ok {
		return
	}
	if err := f.node.Unlink(hidden); err == nil {
		f.paths.remove(f.paths.placeOf(in.NodeId))
	}
}

// Read implements fuse.RawFileSystem.
func (f *filesystem) Read(_ <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	var data []byte
	code := f.at(in.NodeId, func(path string) (err error) {
		data, err = f.node.ReadAt(path, int64(in.Offset), min(int(in.Size), len(buf)))
		return err
	})
	if !code.Ok() {
		return nil, code
	}
	return fuse.ReadResultData(data), code
}

// Writev implements fuse.RawFileSystem.
func (f *filesystem) Writev(_ <-chan struct{}, in *fuse.WriteIn, data [][]byte) (written uint32, code fuse.Status) {
	all := slices.Concat(data...)
	code = f.at(in.NodeId, func(path string) error {
		n, err := f.node.WriteAt(path, all, int64(in.Offset))
		written = uint32(n)
		return err
	})
	return written, code
}

// Flush implements fuse.RawFileSystem: there is nothing to flush.
func (f *filesystem) Flush(<-chan struct{}, *fuse.FlushIn) fuse.Status { return fuse.ENOSYS }

// Unlink implements fuse.RawFileSystem.
func (f *filesystem) Unlink(_ <-chan struct{}, header *fuse.InHeader, name string) fuse.Status {
	target, release := f.paths.hold(header.NodeId, name)
	defer release()
	if f.paths.isOpen(target) {
		return f.hide(header.NodeId, name, target)
	}
	code := f.below(header.NodeId, name, f.node.Unlink)
	if code.Ok() {
		f.paths.remove(place{header.NodeId, name})
	}
	return code
}

// Rmdir implements fuse.RawFileSystem.
func (f *filesystem) Rmdir(_ <-chan struct{}, header *fuse.InHeader, name string) fuse.Status {
	_, release := f.paths.hold(header.NodeId, name)
	defer release()
	code := f.below(header.NodeId, name, f.node.Rmdir)
	if code.Ok() {
		f.paths.remove(place{header.NodeId, name})
	}
	return code
}

// Rename implements fuse.RawFileSystem. A target that a process of this node
// holds open is moved aside first, and for that moment there is none.
func (f *filesystem) Rename(_ <-chan struct{}, in *fuse.RenameIn, oldName, newName string) fuse.Status {
	if in.Flags != 0 {
		return fuse.EINVAL
	}
	_, release := f.paths.hold(in.NodeId, oldName)
	defer release()
	target, releaseTarget := f.paths.hold(in.Newdir, newName)
	defer releaseTarget()
	from, ok := f.paths.child(in.NodeId, oldName)
	if !ok {
		return fuse.ENOENT
	}
	if f.paths.isOpen(target) {
		if code := f.hide(in.Newdir, newName, target); !code.Ok() {
			return code
		}
	}
	code := f.below(in.Newdir, newName, func(to string) error { return f.node.Rename(from, to) })
	if code.Ok() {
		f.paths.rename(place{in.NodeId, oldName}, place{in.Newdir, newName}, false)
	}
	return code
}

// hide renames an open file beside itself.
func (f *filesystem) hide(parent uint64, name string, target *inode) fuse.Status {
	from, ok := f.paths.child(parent, name)
	if !ok {
		return fuse.ENOENT
	}
	hidden := f.paths.hiddenName(target.id)
	code := f.below(parent, hidden, func(to string) error { return f.node.Rename(from, to) })
	if code.Ok() {
		f.paths.rename(place{parent, name}, place{parent, hidden}, true)
	}
	return code
}
