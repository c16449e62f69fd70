package fusemount

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"pveha/compat/cfsemu/nsthread"
)

// A Place is where a node's mount is shown as well: in another mount
// namespace.
type Place struct {
	Namespace string   // such as /proc/PID/ns/mnt of a container's first process
	Target    string   // the mount point there, such as /etc/pve
	Folders   []string // shown there under their own paths, which are made if missing
}

// exposure is a place whose namespace is held.
type exposure struct {
	Place
	namespace *os.File
}

// Expose shows the mount of a node in another place, and keeps to that over
// stops, crashes and starts: there too, the target is an ordinary folder after
// a stop and a dead mount after a crash. What was exposed of that node before
// is given up; its namespace may be gone.
func (m *Mounts) Expose(node string, place Place) error {
	n := m.nodes[node]
	if n == nil {
		return fmt.Errorf("no node is named %q", node)
	}
	file, err := os.Open(place.Namespace)
	if err != nil {
		return fmt.Errorf("mount namespace of %s: %w", node, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.withdraw()
	n.exposed = &exposure{place, file}
	err = n.exposed.showFolders()
	if err == nil && n.mounted {
		err = n.exposed.show(n.dir, place.Target)
	}
	if err != nil {
		n.withdraw()
		return fmt.Errorf("show %s in %s: %w", node, place.Namespace, err)
	}
	return nil
}

// Withdraw takes back what Expose did.
func (m *Mounts) Withdraw(node string) error {
	n := m.nodes[node]
	if n == nil {
		return fmt.Errorf("no node is named %q", node)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.withdraw()
	return nil
}

func (m *nodeMount) withdraw() {
	if m.exposed == nil {
		return
	}
	for _, target := range append([]string{m.exposed.Target}, m.exposed.Folders...) {
		_ = m.exposed.hide(target, unix.MNT_DETACH) // it may never have been there, or be gone
	}
	_ = m.exposed.namespace.Close()
	m.exposed = nil
}

// showFolders shows the folders that go with the mount.
func (e *exposure) showFolders() error {
	for _, folder := range e.Folders {
		err := e.inside(func() error { return os.MkdirAll(folder, 0o755) })
		if err == nil {
			err = e.show(folder, folder)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// show puts a copy of the mount at dir, or of the folder, at target.
func (e *exposure) show(dir, target string) error {
	tree, err := unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return fmt.Errorf("copy %s: %w", dir, err)
	}
	copied := os.NewFile(uintptr(tree), dir)
	defer copied.Close()
	return e.inside(func() error {
		if err := attach(copied, target); err != nil {
			return fmt.Errorf("mount on %s there: %w", target, err)
		}
		return nil
	})
}

// hide unmounts what is at target.
func (e *exposure) hide(target string, flags int) error {
	return e.inside(func() error { return unix.Unmount(target, flags) })
}

// dead reports whether a mount without a server is there.
func (e *exposure) dead() bool {
	isDead := false
	err := e.inside(func() error {
		isDead = dead(e.Target)
		return nil
	})
	return isDead && err == nil
}

// inside runs action in the namespace.
func (e *exposure) inside(action func() error) error {
	return nsthread.Run(e.namespace, nsthread.Mount, action)
}

// clear removes dead mounts as pmxcfs does when it starts; what somebody holds
// stays, and keeps it from starting.
func (m *nodeMount) clear() error {
	if m.exposed != nil && m.exposed.dead() {
		_ = m.exposed.hide(m.exposed.Target, unix.MNT_FORCE) // what counts is whether it is still there
		if m.exposed.dead() {
			return fmt.Errorf("fuse: failed to access mountpoint %s: %w", m.exposed.Target, unix.ENOTCONN)
		}
	}
	if dead(m.dir) {
		_ = unix.Unmount(m.dir, unix.MNT_FORCE) // likewise
		if dead(m.dir) {
			return fmt.Errorf("fuse: failed to access mountpoint %s: %w", m.dir, unix.ENOTCONN)
		}
	}
	return nil
}

// dead reports whether a mount without a server is at dir. It does not ask the
// kernel's cache, which answers for the root of such a mount for a while.
func dead(dir string) bool {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, dir, unix.AT_SYMLINK_NOFOLLOW|unix.AT_STATX_FORCE_SYNC, unix.STATX_BASIC_STATS, &st)
	return errors.Is(err, unix.ENOTCONN)
}
