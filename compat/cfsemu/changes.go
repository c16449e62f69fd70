package cfsemu

import (
	"errors"
	"syscall"
	"time"
)

// exists is what the kernel's look-up finds before it asks pmxcfs for a change.
func (n *Node) exists(name string) (Attr, bool) {
	a, errno := n.attr(name)
	return a, errno == 0
}

// Create makes an empty file, as open(O_CREAT|O_EXCL).
func (n *Node) Create(name string) error {
	return n.do(OpCreate, name, func(name string, _ faultHit) syscall.Errno {
		if _, there := n.exists(name); there {
			return syscall.EEXIST
		}
		return n.change(&message{kind: msgCreate, path: name})
	})
}

// WriteAt writes a piece of a file, at most [WriteSize] bytes, as the kernel
// cuts them. It returns how many bytes it wrote.
func (n *Node) WriteAt(name string, data []byte, offset int64) (int, error) {
	written := 0
	err := n.do(OpWrite, name, func(name string, hit faultHit) syscall.Errno {
		if _, ok := virtualModes[name]; ok {
			var errno syscall.Errno
			written, errno = n.writeVirtual(name, data, offset)
			return errno
		}
		if hit.limit >= 0 && hit.limit < int64(len(data)) {
			data = data[:hit.limit]
		}
		if len(data) == 0 {
			return 0 // the kernel sends no such write
		}
		stored := append([]byte(nil), data[:min(len(data), WriteSize)]...)
		errno := n.change(&message{kind: msgWrite, path: name, data: stored, offset: uint32(offset)})
		if errno == 0 {
			written = len(stored)
		}
		return errno
	})
	return written, err
}

// Truncate sets the size of a file. The size is a number of 32 bits.
func (n *Node) Truncate(name string, size int64) error {
	return n.do(OpTruncate, name, func(name string, _ faultHit) syscall.Errno {
		if _, ok := virtualModes[name]; ok {
			if name == DebugFile {
				return 0
			}
			return syscall.EIO
		}
		a, there := n.exists(name)
		if !there {
			return syscall.ENOENT
		}
		if a.IsDir() {
			return syscall.EISDIR
		}
		return n.change(&message{kind: msgWrite, path: name, offset: uint32(size), cut: true})
	})
}

// Write makes or empties a file and fills it, as open(O_CREAT|O_TRUNC), write
// and close do: not in one step.
func (n *Node) Write(name string, data []byte) error {
	_, err := n.Stat(name)
	switch {
	case err == nil:
		err = n.Truncate(name, 0)
	case errors.Is(err, syscall.ENOENT):
		err = n.Create(name)
	}
	for offset := 0; err == nil && offset < len(data); {
		var written int
		written, err = n.WriteAt(name, data[offset:], int64(offset))
		if err == nil && written == 0 {
			err = syscall.EIO
		}
		offset += written
	}
	return err
}

// Replace writes a file beside name and renames it over it.
func (n *Node) Replace(name string, data []byte) error {
	temporary := name + ".tmp.1"
	if err := n.Write(temporary, data); err != nil {
		return err
	}
	return n.Rename(temporary, name)
}

// Mkdir makes a folder; right below priv/lock it takes a lock.
func (n *Node) Mkdir(name string) error {
	return n.do(OpMkdir, name, func(name string, _ faultHit) syscall.Errno {
		if _, there := n.exists(name); there {
			return syscall.EEXIST
		}
		return n.change(&message{kind: msgMkdir, path: name})
	})
}

// Rmdir removes an empty folder. Of a lock it asks for no owner.
func (n *Node) Rmdir(name string) error {
	return n.do(OpRmdir, name, func(name string, _ faultHit) syscall.Errno {
		a, there := n.exists(name)
		switch {
		case !there:
			return syscall.ENOENT
		case !a.IsDir():
			return syscall.ENOTDIR
		case name == "":
			return syscall.EBUSY
		}
		return n.change(&message{kind: msgDelete, path: name})
	})
}

// Unlink removes a file.
func (n *Node) Unlink(name string) error {
	return n.do(OpUnlink, name, func(name string, _ faultHit) syscall.Errno {
		a, there := n.exists(name)
		switch {
		case !there:
			return syscall.ENOENT
		case a.IsDir():
			return syscall.EISDIR
		case special(name):
			return syscall.EACCES
		}
		return n.change(&message{kind: msgDelete, path: name})
	})
}

// Rename moves a file or an empty folder.
func (n *Node) Rename(from, to string) error {
	return n.do(OpRename, to, func(to string, _ faultHit) syscall.Errno {
		from := n.resolve(from)
		a, there := n.exists(from)
		if !there {
			return syscall.ENOENT
		}
		if from == to {
			return 0
		}
		if b, there := n.exists(to); there {
			switch {
			case a.IsDir() && !b.IsDir():
				return syscall.ENOTDIR
			case !a.IsDir() && b.IsDir():
				return syscall.EISDIR
			}
		}
		if special(from) || special(to) || from == "" {
			return syscall.EACCES
		}
		return n.change(&message{kind: msgRename, path: from, to: to})
	})
}

// Utime sets the time of a file or folder to a second of 32 bits. Of a lock it
// is the refresh; the time 0 asks for a stale one to be dropped.
func (n *Node) Utime(name string, mtime time.Time) error {
	return n.do(OpUtime, name, func(name string, _ faultHit) syscall.Errno {
		return n.setTime(name, uint32(mtime.Unix()))
	})
}

// Touch is Utime with the node's own clock.
func (n *Node) Touch(name string) error {
	return n.do(OpUtime, name, func(name string, _ faultHit) syscall.Errno {
		return n.setTime(name, n.wall())
	})
}

func (n *Node) setTime(name string, mtime uint32) syscall.Errno {
	if _, there := n.exists(name); !there {
		return syscall.ENOENT
	}
	if special(name) || name == "" {
		return syscall.EACCES
	}
	return n.utime(name, mtime)
}
