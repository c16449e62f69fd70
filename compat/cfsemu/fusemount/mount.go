package fusemount

import (
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"pveha/compat/cfsemu"
)

// MeasuredCache is how long the kernel keeps names and attributes of pmxcfs.
const MeasuredCache = time.Second

// Config says how the mounts are made.
type Config struct {
	// Dir is the folder the mounts are made in: Dir/NAME for each node.
	Dir string
	// Cache is how long the kernel keeps names and attributes. Of pmxcfs it is
	// MeasuredCache; without, every look-up and stat reaches the emulation.
	Cache time.Duration
}

// Mounts are the mounts of a cluster.
type Mounts struct {
	cluster *cfsemu.Cluster
	dir     string
	nodes   map[string]*nodeMount
}

// Available returns nil where mounts can be made: the reason why not otherwise.
func Available() error {
	if os.Geteuid() != 0 {
		return errors.New("mounting needs root")
	}
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("/dev/fuse: %w", err)
	}
	return unix.Close(fd)
}

// Mount mounts every node of a cluster that runs, and lets mounts follow
// stops, crashes and starts of its pmxcfs from then on.
func Mount(c *cfsemu.Cluster, cfg Config) (*Mounts, error) {
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, err
	}
	m := &Mounts{cluster: c, dir: dir, nodes: map[string]*nodeMount{}}
	for _, n := range c.Nodes() {
		node := &nodeMount{node: n, dir: filepath.Join(dir, n.Name()), cache: cfg.Cache}
		m.nodes[n.Name()] = node
		if err := n.Attach(node); err != nil {
			return nil, errors.Join(err, m.Close())
		}
	}
	return m, nil
}

// Path returns the mount point of a node.
func (m *Mounts) Path(node string) string { return filepath.Join(m.dir, node) }

// Close closes the cluster and unmounts everything, dead mounts too, whoever
// uses them. It removes the mount points it made. It may be called again.
func (m *Mounts) Close() error {
	first := m.cluster.Close()
	for _, n := range m.nodes {
		if err := n.Stopped(true); err != nil && first == nil {
			first = err
		}
		n.mu.Lock()
		n.withdraw()
		n.mu.Unlock()
		if n.made {
			_ = os.Remove(n.dir) // not where somebody else put a file in it
		}
	}
	return first
}

// nodeMount is the mount of one node; it is a cfsemu.Frontend.
type nodeMount struct {
	node  *cfsemu.Node
	dir   string
	cache time.Duration
	made  bool // the mount point is ours

	mu      sync.Mutex
	mounted bool // dead or alive
	served  chan struct{}
	exposed *exposure
}

// Started implements cfsemu.Frontend.
func (m *nodeMount) Started() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.clear(); err != nil {
		return err
	}
	m.mounted = false
	m.wait()
	if err := os.Mkdir(m.dir, 0o755); err == nil {
		m.made = true
	} else if !errors.Is(err, os.ErrExist) {
		return err
	}
	if err := m.mount(); err != nil {
		return err
	}
	if m.exposed == nil {
		return nil
	}
	if err := m.exposed.show(m.dir, m.exposed.Target); err != nil {
		return fmt.Errorf("show %s in its namespace: %w", m.node.Name(), err)
	}
	return nil
}

// mount makes the mount, and shows it when all is done that needs answers:
// whoever looks up a name in it before the node runs waits for that, and lets
// nobody else look up another.
func (m *nodeMount) mount() error {
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("/dev/fuse: %w", err)
	}
	root, err := detached(fd)
	if err != nil {
		_ = unix.Close(fd)
		return fmt.Errorf("mount %s: %w", m.dir, err)
	}
	err = m.serve(fd, root)
	if err == nil {
		err = attach(root, m.dir)
	}
	_ = root.Close() // takes the mount along where it is not attached
	if err != nil {
		m.wait()
		return fmt.Errorf("mount %s: %w", m.dir, err)
	}
	m.mounted = true
	return nil
}

// serve answers the kernel through fd, which it takes, and has done with the
// first access to the mount when it returns.
func (m *nodeMount) serve(fd int, root *os.File) error {
	files := newFilesystem(m.node, m.cache)
	files.warming.Store(true)
	defer files.warming.Store(false)
	server, err := fuse.NewServer(files, fmt.Sprintf("/dev/fd/%d", fd), &fuse.MountOptions{
		DisableReadDirPlus:   true,
		DisableSplice:        true,
		DisabledCapabilities: fuse.CAP_AUTO_INVAL_DATA | fuse.CAP_PARALLEL_DIROPS | fuse.CAP_NO_OPEN_SUPPORT,
		MaxWrite:             cfsemu.WriteSize,
		Logger:               log.New(quiet{}, "", 0),
	})
	if err != nil { // the descriptor is the server's
		return fmt.Errorf("serve: %w", err)
	}
	served := make(chan struct{})
	m.served = served
	go func() {
		server.Serve()
		close(served)
	}()
	return refusePoll(root)
}

// quiet drops go-fuse's reports of answers that came after the end of a mount.
type quiet struct{}

func (quiet) Write(b []byte) (int, error) { return len(b), nil }

// Stopped implements cfsemu.Frontend.
func (m *nodeMount) Stopped(clean bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.mounted {
		m.wait()
		return nil
	}
	if err := m.abort(); err != nil {
		return err
	}
	if !clean {
		return nil // this may be a call through the mount itself
	}
	if m.exposed != nil {
		_ = m.exposed.hide(m.exposed.Target, unix.MNT_DETACH) // the namespace may have lost it already
	}
	if err := unix.Unmount(m.dir, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("unmount %s: %w", m.dir, err)
	}
	m.mounted = false
	m.wait()
	return nil
}

// abort cuts the connection to the kernel as the death of the process does:
// calls under way fail with ECONNABORTED, all others with ENOTCONN. The mount
// stays, because a descriptor keeps the forced unmount, which does it, from
// the rest of its work.
func (m *nodeMount) abort() error {
	fd, err := unix.Open(m.dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("mount of %s: %w", m.node.Name(), err)
	}
	err = unix.Unmount(m.dir, unix.MNT_FORCE)
	if closeErr := unix.Close(fd); closeErr != nil {
		return closeErr
	}
	if err != nil && !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.EINVAL) { // somebody else may have unmounted it
		return fmt.Errorf("cut the connection of %s: %w", m.dir, err)
	}
	return nil
}

// wait waits for the end of the last server.
func (m *nodeMount) wait() {
	if m.served != nil {
		<-m.served
		m.served = nil
	}
}
