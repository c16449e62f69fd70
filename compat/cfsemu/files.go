package cfsemu

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Attr are the attributes of a file, folder or link. The owner is 0, the group
// [GroupID].
type Attr struct {
	Mode  uint32 // st_mode: type and permissions
	Size  int64
	Nlink uint32
	Mtime time.Time // atime and ctime too; whole seconds
}

// IsDir reports whether it is a folder.
func (a Attr) IsDir() bool { return a.Mode&syscall.S_IFMT == syscall.S_IFDIR }

// Writable reports whether the owner's write bit is set: of the link "local"
// that is what tells of quorum.
func (a Attr) Writable() bool { return a.Mode&syscall.S_IWUSR != 0 }

// attr is what stat shows; it makes the text of a virtual file.
func (n *Node) attr(name string) (Attr, syscall.Errno) {
	if target, ok := n.linkTarget(name); ok {
		a := Attr{Mode: syscall.S_IFLNK | 0o555, Size: int64(len(target)), Nlink: 1, Mtime: time.Unix(0, 0)}
		if n.quorate {
			a.Mode |= 0o200
		}
		return a, 0
	}
	if mode, ok := virtualModes[name]; ok {
		text := n.refresh(name)
		return Attr{Mode: syscall.S_IFREG | mode, Size: int64(len(text)), Nlink: 1, Mtime: time.Unix(0, 0)}, 0
	}
	e := n.tree.lookup(name)
	if e == nil {
		return Attr{}, syscall.ENOENT
	}
	if name == "" {
		return Attr{Mode: syscall.S_IFDIR | 0o755, Nlink: 2, Mtime: time.Unix(0, 0)}, 0
	}
	a := Attr{Mode: syscall.S_IFREG | 0o440, Size: e.size, Nlink: 1, Mtime: time.Unix(int64(e.mtime), 0)}
	if e.folder {
		a.Mode, a.Nlink = syscall.S_IFDIR|0o555, 2
	}
	if n.quorate {
		a.Mode |= 0o200
	}
	if private(name) {
		a.Mode &^= 0o077
	}
	return a, 0
}

// Stat is lstat.
func (n *Node) Stat(name string) (Attr, error) {
	var a Attr
	err := n.do(OpStat, name, func(name string, _ faultHit) (errno syscall.Errno) {
		a, errno = n.attr(name)
		return errno
	})
	return a, err
}

// Readlink returns the target of a link.
func (n *Node) Readlink(name string) (string, error) {
	var target string
	err := n.do(OpReadlink, name, func(name string, _ faultHit) syscall.Errno {
		var ok bool
		if target, ok = n.linkTarget(name); !ok {
			return n.noLink(name)
		}
		return 0
	})
	return target, err
}

func (n *Node) noLink(name string) syscall.Errno {
	if _, errno := n.attr(name); errno != 0 {
		return errno
	}
	return syscall.EINVAL
}

// An Entry is a name in a folder.
type Entry struct {
	Name string
	Mode uint32 // the type bits of st_mode; 0 for what pmxcfs tells no type of
}

// Entries returns what is in a folder, by name.
func (n *Node) Entries(name string) ([]Entry, error) {
	var found []Entry
	err := n.do(OpList, name, func(name string, _ faultHit) syscall.Errno {
		if target, ok := n.linkTarget(name); ok {
			name = target
		}
		e := n.tree.lookup(name)
		switch {
		case e == nil && special(name):
			return syscall.ENOTDIR
		case e == nil:
			return syscall.ENOENT
		case !e.folder:
			return syscall.ENOTDIR
		}
		found = e.list(name == "")
		return 0
	})
	return found, err
}

func (e *entry) list(top bool) []Entry {
	var found []Entry
	if top {
		for _, name := range specialNames() {
			found = append(found, Entry{Name: name})
		}
	}
	for name, child := range e.entries {
		switch {
		case top && special(name):
		case child.folder:
			found = append(found, Entry{name, syscall.S_IFDIR})
		default:
			found = append(found, Entry{name, syscall.S_IFREG})
		}
	}
	slices.SortFunc(found, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return found
}

// List returns the names in a folder, sorted.
func (n *Node) List(name string) ([]string, error) {
	found, err := n.Entries(name)
	names := make([]string, len(found))
	for i, e := range found {
		names[i] = e.Name
	}
	return names, err
}

// Open checks that a file can be opened: pmxcfs only asks whether it is there.
func (n *Node) Open(name string) error {
	return n.do(OpOpen, name, func(name string, _ faultHit) syscall.Errno {
		if special(name) {
			return 0
		}
		if n.tree.lookup(name) == nil {
			return syscall.ENOENT
		}
		return 0
	})
}

// ReadAt returns up to size bytes of a file. Of a virtual file it is the text
// made by the last Stat of it on this node.
func (n *Node) ReadAt(name string, offset int64, size int) ([]byte, error) {
	var data []byte
	err := n.do(OpRead, name, func(name string, hit faultHit) syscall.Errno {
		content, errno := n.content(name)
		if errno != 0 {
			return errno
		}
		if content == nil { // what pmxcfs does not survive being read
			n.crash()
			return syscall.ECONNABORTED
		}
		if hit.limit >= 0 && hit.limit < int64(len(content)) {
			content = content[:hit.limit]
		}
		if offset < int64(len(content)) {
			end := min(int64(len(content)), offset+int64(size))
			data = bytes.Clone(content[offset:end])
		}
		return 0
	})
	return data, err
}

// content is nil without an error for a file whose data is missing.
func (n *Node) content(name string) ([]byte, syscall.Errno) {
	if _, ok := virtualModes[name]; ok {
		return []byte(n.texts[name]), 0
	}
	e := n.tree.lookup(name)
	switch {
	case e == nil:
		return nil, syscall.ENOENT
	case e.folder:
		return nil, syscall.EISDIR
	case e.poisoned():
		return nil, 0
	case e.data == nil:
		return []byte{}, 0
	}
	return e.data, 0
}

// Read returns the whole content as a process gets it that opens, looks at and
// reads a file.
func (n *Node) Read(name string) ([]byte, error) {
	if _, err := n.Stat(name); err != nil {
		return nil, err
	}
	if err := n.Open(name); err != nil {
		return nil, err
	}
	data, err := n.ReadAt(name, 0, math.MaxInt32)
	if data == nil && err == nil {
		data = []byte{}
	}
	return data, err
}

// Chmod allows the modes that files have anyway.
func (n *Node) Chmod(name string, mode uint32) error {
	return n.do(OpChmod, name, func(name string, _ faultHit) syscall.Errno {
		allowed := uint32(0o640)
		if private(name) {
			allowed = 0o600
		}
		if mode&0o7777 != allowed {
			return syscall.EPERM
		}
		return 0
	})
}

// Chown allows the owner and the group that files have anyway; -1 leaves one
// as it is.
func (n *Node) Chown(name string, uid, gid int) error {
	return n.do(OpChown, name, func(_ string, _ faultHit) syscall.Errno {
		if uid > 0 || uid < -1 || gid != -1 && gid != GroupID {
			return syscall.EPERM
		}
		return 0
	})
}

// Statfs is what pmxcfs tells of its size. It does not hold to it: Bfree goes
// below 0.
type Statfs struct {
	Bsize, NameMax uint32
	Blocks         uint64
	Bfree          int64
	Files          uint64
	Ffree          int64
}

// Statfs returns the size of the file system.
func (n *Node) Statfs() (Statfs, error) {
	var s Statfs
	err := n.do(OpStatfs, "", func(string, faultHit) syscall.Errno {
		files, used := n.tree.usage()
		s = Statfs{
			Bsize: blockSize, NameMax: 256, Blocks: blocks, Files: maxInodes,
			Bfree: blocks - (used+blockSize-1)/blockSize, Ffree: maxInodes - int64(files),
		}
		return 0
	})
	return s, err
}
