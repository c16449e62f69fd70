package cfsemu

import (
	"maps"
	"slices"
	"strings"
	"syscall"
)

// entry is a file or a folder of one replica of the tree. The data of a file
// is never changed in place, so replicas share it.
type entry struct {
	name    string
	folder  bool
	entries map[string]*entry // of a folder
	inode   uint64            // the tree's version when the entry was made
	version uint64            // the tree's version when it was changed last
	writer  int               // ID of the node that changed it last
	mtime   uint32
	size    int64
	// data is nil for an empty file. A file of a size above 0 without data is
	// one that was grown by truncate from nothing, which pmxcfs does not
	// survive being read.
	data []byte
}

// stamp tells states of a lock directory apart, as pmxcfs's checksum does.
type stamp struct {
	inode, version uint64
	writer         int
	mtime          uint32
}

func (e *entry) stamp() stamp { return stamp{e.inode, e.version, e.writer, e.mtime} }

func (e *entry) poisoned() bool { return !e.folder && e.size > 0 && e.data == nil }

func (e *entry) clone() *entry {
	c := *e
	if e.folder {
		c.entries = make(map[string]*entry, len(e.entries))
		for name, child := range e.entries {
			c.entries[name] = child.clone()
		}
	}
	return &c
}

func (e *entry) walk(visit func(*entry)) {
	visit(e)
	for _, name := range slices.Sorted(maps.Keys(e.entries)) {
		e.entries[name].walk(visit)
	}
}

func newFolder(name string) *entry {
	return &entry{name: name, folder: true, entries: map[string]*entry{}}
}

// tree is one replica of the files.
type tree struct {
	root *entry // its version, mtime and writer are those of the last change
}

func newTree() *tree { return &tree{root: newFolder("")} }

func (t *tree) clone() *tree { return &tree{root: t.root.clone()} }

func (t *tree) same(o *tree) bool { return t.root.stamp() == o.root.stamp() }

// newer reports whether t wins over o when nodes meet again.
func (t *tree) newer(o *tree) bool {
	if t.root.version != o.root.version {
		return t.root.version > o.root.version
	}
	return t.root.mtime > o.root.mtime
}

// lookup returns nil where there is nothing.
func (t *tree) lookup(name string) *entry {
	e := t.root
	for part := range strings.SplitSeq(name, "/") {
		if part == "" {
			continue
		}
		if e = e.entries[part]; e == nil {
			return nil
		}
	}
	return e
}

func splitPath(name string) (folder, base string) {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		return name[:i], name[i+1:]
	}
	return "", name
}

// parent finds the folder name is, or would be, in.
func (t *tree) parent(name string) (folder *entry, base string, errno syscall.Errno) {
	dir, base := splitPath(name)
	folder = t.lookup(dir)
	switch {
	case folder == nil:
		return nil, "", syscall.ENOENT
	case !folder.folder:
		return nil, "", syscall.ENOTDIR
	case base == "", base == ".", base == "..":
		return nil, "", syscall.EACCES
	}
	return folder, base, 0
}

// touch counts a change of the tree and signs it.
func (t *tree) touch(writer int, mtime uint32) {
	t.root.version++
	t.root.writer = writer
	t.root.mtime = mtime
}

func (t *tree) sign(e *entry, mtime uint32) {
	e.version, e.writer, e.mtime = t.root.version, t.root.writer, mtime
}

func (t *tree) mkdir(name string, writer int, mtime uint32) (*entry, syscall.Errno) {
	folder, base, errno := t.parent(name)
	if errno != 0 {
		return nil, errno
	}
	if folder.entries[base] != nil {
		return nil, syscall.EEXIST
	}
	t.touch(writer, mtime)
	e := newFolder(base)
	e.inode = t.root.version
	t.sign(e, mtime)
	folder.entries[base] = e
	return e, 0
}

func (t *tree) create(name string, writer int, mtime uint32) syscall.Errno {
	folder, base, errno := t.parent(name)
	if errno != 0 {
		return errno
	}
	if e := folder.entries[base]; e != nil {
		if e.folder {
			return syscall.ENOTDIR
		}
		return syscall.EEXIST
	}
	t.touch(writer, mtime)
	e := &entry{name: base, inode: t.root.version}
	t.sign(e, mtime)
	folder.entries[base] = e
	return 0
}

// write stores data at offset. With cut the file ends behind it.
func (t *tree) write(name string, writer int, mtime uint32, data []byte, offset uint32, cut bool) syscall.Errno {
	if int64(offset)+int64(len(data)) > MaxFileSize {
		return syscall.EFBIG
	}
	folder, base, errno := t.parent(name)
	if errno != 0 {
		return errno
	}
	e := folder.entries[base]
	switch {
	case e == nil:
		return syscall.ENOENT
	case e.folder:
		return syscall.ENOTDIR
	}
	t.touch(writer, mtime)
	t.sign(e, mtime)
	size := int64(offset) + int64(len(data))
	if e.data == nil && len(data) == 0 {
		e.size = size // where it grows, this is the poison
		return 0
	}
	if e.data != nil && size <= e.size && !cut {
		size = e.size
	}
	stored := make([]byte, size)
	copy(stored, e.data)
	copy(stored[offset:], data)
	if size == 0 {
		stored = nil
	}
	e.size, e.data = size, stored
	return 0
}

func (t *tree) utime(name string, writer int, mtime uint32) (*entry, syscall.Errno) {
	folder, base, errno := t.parent(name)
	if errno != 0 {
		return nil, errno
	}
	e := folder.entries[base]
	if e == nil {
		return nil, syscall.ENOENT
	}
	if isLock(name, e) && (mtime < e.mtime || e.writer != writer) {
		return nil, syscall.EACCES
	}
	t.touch(writer, mtime)
	t.sign(e, mtime)
	return e, 0
}

func (t *tree) remove(name string, writer int, mtime uint32) (*entry, syscall.Errno) {
	folder, base := t.lookupParent(name)
	if folder == nil || folder.entries[base] == nil {
		return nil, syscall.ENOENT
	}
	e := folder.entries[base]
	if len(e.entries) > 0 {
		return nil, syscall.ENOTEMPTY
	}
	t.touch(writer, mtime)
	delete(folder.entries, base)
	return e, 0
}

func (t *tree) lookupParent(name string) (folder *entry, base string) {
	dir, base := splitPath(name)
	return t.lookup(dir), base
}

// rename moves an entry. The target goes first, as in pmxcfs: where the
// source then cannot leave its place, the target is lost all the same.
func (t *tree) rename(from, to string, writer int, mtime uint32) (*entry, syscall.Errno) {
	source, fromBase := t.lookupParent(from)
	if source == nil || source.entries[fromBase] == nil {
		return nil, syscall.ENOENT
	}
	e := source.entries[fromBase]
	target, toBase, errno := t.parent(to)
	if errno != 0 {
		return nil, errno
	}
	if old := target.entries[toBase]; old != nil {
		if len(old.entries) > 0 {
			return nil, syscall.ENOTEMPTY
		}
		delete(target.entries, toBase)
	}
	if len(e.entries) > 0 {
		return nil, syscall.ENOTEMPTY
	}
	delete(source.entries, fromBase)
	t.touch(writer, mtime)
	moved := *e
	moved.name = toBase
	t.sign(&moved, mtime)
	target.entries[toBase] = &moved
	return &moved, 0
}

// usage counts files and bytes for statfs.
func (t *tree) usage() (files int, bytes int64) {
	t.root.walk(func(e *entry) {
		files++
		bytes += e.size
	})
	return files, bytes
}

const lockFolder = "priv/lock"

// isLock reports whether e, at name, is a lock: a folder right inside the
// folder of locks.
func isLock(name string, e *entry) bool {
	dir, _ := splitPath(name)
	return dir == lockFolder && e.folder
}

// mayBeLock reports whether renames and unlock requests treat the folder at
// name as a lock, which includes deeper ones.
func mayBeLock(name string) bool {
	return strings.HasPrefix(name, lockFolder+"/") && len(name) > len(lockFolder)+1
}

// private reports whether a path is for root's eyes alone.
func private(name string) bool {
	if name == "priv" || strings.HasPrefix(name, "priv/") {
		return true
	}
	rest, ok := strings.CutPrefix(name, "nodes/")
	if !ok {
		return false
	}
	_, inside, ok := strings.Cut(rest, "/")
	return ok && (inside == "priv" || strings.HasPrefix(inside, "priv/"))
}
