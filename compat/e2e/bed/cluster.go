package bed

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"pveha/compat/cfsemu"
	"pveha/compat/cfsemu/fusemount"
	"pveha/compat/cfsemu/ipcserve"
)

// Config describes a cluster.
type Config struct {
	Dir    string   // where everything of it lives; the name of no other cluster's
	Root   string   // the root of a small Debian: see root.sh
	Nspawn string   // the unpacked package systemd-container
	Layers []string // folders laid over the root, the first one uppermost
	Nodes  []string
	Log    func(format string, args ...any)
}

// Cluster is some nodes, the switch between them, their cluster file system and
// the folder that all share.
type Cluster struct {
	config Config
	tag    string // begins the names of everything that the machine has once
	nodes  []*Node

	Files  *cfsemu.Cluster
	mounts *fusemount.Mounts
	ipc    *ipcserve.Servers
	Ledger *Ledger

	down     atomic.Bool
	mu       sync.Mutex
	problems []error
}

// clusters counts those of this process.
var clusters atomic.Int32

// watchers is how many inotify instances a machine with many nodes needs: each
// systemd takes several, and all of them are the same user's.
const watchers = 8192

// raiseLimits lets this machine have many nodes.
func raiseLimits() error {
	const file = "/proc/sys/fs/inotify/max_user_instances"
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if limit, err := strconv.Atoi(strings.TrimSpace(string(data))); err != nil || limit >= watchers {
		return err
	}
	return os.WriteFile(file, []byte(strconv.Itoa(watchers)), 0o644)
}

// New makes a cluster with every node off.
func New(config Config) (c *Cluster, err error) {
	c = &Cluster{config: config, tag: fmt.Sprintf("ha%x-%d", os.Getpid()&0xfff, clusters.Add(1))}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	if err := raiseLimits(); err != nil {
		return c, err
	}
	if c.Ledger, err = NewLedger(c.path("shared")); err != nil {
		return c, err
	}
	if err := ip("link add " + c.bridge() + " type bridge"); err != nil {
		return c, err
	}
	if err := ip("link set " + c.bridge() + " up"); err != nil {
		return c, err
	}
	for i, name := range config.Nodes {
		n := &Node{Name: name, cluster: c, index: i + 1, dir: c.path(name)}
		c.nodes = append(c.nodes, n)
		if err := n.prepare(); err != nil {
			return c, fmt.Errorf("prepare %s: %w", name, err)
		}
	}
	err = c.mount()
	return c, err
}

// mount starts the cluster file system: a mount and a socket for each node. The
// folder is a mount of its own, so that mounts that come and go in it do so
// inside the nodes as well.
func (c *Cluster) mount() error {
	addresses := map[string]netip.Addr{}
	for _, n := range c.nodes {
		addresses[n.Name] = netip.MustParseAddr(n.Address())
	}
	files, err := cfsemu.New(cfsemu.Config{
		Nodes: c.config.Nodes, Name: "e2e", IPs: addresses, Timing: cfsemu.MeasuredTiming(),
		Journal: func(node string) { c.Node(node).writeDatabase() },
	})
	if err != nil {
		return err
	}
	c.Files = files
	dir := c.path("pve")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount %s: %w", dir, err)
	}
	if err := unix.Mount("", dir, "", unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("share %s: %w", dir, err)
	}
	c.mounts, err = fusemount.Mount(files, fusemount.Config{Dir: dir, Cache: fusemount.MeasuredCache})
	if err != nil {
		return err
	}
	namespaces := map[string]string{}
	for _, n := range c.nodes {
		namespaces[n.Name] = "/run/netns/" + n.scope()
	}
	c.ipc, err = ipcserve.Serve(files, ipcserve.Config{NetNS: namespaces})
	return err
}

func (c *Cluster) path(parts ...string) string {
	return filepath.Join(append([]string{c.config.Dir}, parts...)...)
}

func (c *Cluster) bridge() string { return c.tag + "b" }

// hosts is the file with the addresses of all nodes.
func (c *Cluster) hosts() string {
	var text strings.Builder
	text.WriteString("127.0.0.1 localhost\n")
	for i, name := range c.config.Nodes {
		fmt.Fprintf(&text, "10.99.0.%d %s\n", i+1, name)
	}
	return text.String()
}

// Node returns a node by its name. There must be one.
func (c *Cluster) Node(name string) *Node {
	for _, n := range c.nodes {
		if n.Name == name {
			return n
		}
	}
	panic("no node " + name)
}

// Nodes returns all nodes.
func (c *Cluster) Nodes() []*Node { return c.nodes }

// PowerOn boots every node, all at once.
func (c *Cluster) PowerOn() error {
	results := make([]error, len(c.nodes))
	var all sync.WaitGroup
	for i, n := range c.nodes {
		all.Go(func() { results[i] = c.boot(n) })
	}
	all.Wait()
	return errors.Join(results...)
}

// boot starts a node, and with it its part of the cluster file system.
func (c *Cluster) boot(n *Node) error {
	if c.Files.Node(n.Name).State() != cfsemu.StateRunning {
		if err := c.Files.PowerOn(n.Name); err != nil {
			return err
		}
	}
	return n.PowerOn()
}

// Boot switches a node on again.
func (c *Cluster) Boot(name string) error { return c.boot(c.Node(name)) }

// powerLost ends the cluster file system of a node that lost its power.
func (c *Cluster) powerLost(n *Node) {
	if err := c.Files.PowerOff(n.Name); err != nil && !c.closing() {
		c.problem(fmt.Errorf("%s goes off: %w", n.Name, err))
	}
}

// shutDown ends the cluster file system of a node that went down in order, as
// its service manager does: it says goodbye.
func (c *Cluster) shutDown(n *Node) {
	err := c.Files.StopCorosync(n.Name)
	if c.Files.Node(n.Name).State() == cfsemu.StateRunning {
		err = errors.Join(err, c.Files.Stop(n.Name))
	}
	if err != nil && !c.closing() {
		c.problem(fmt.Errorf("%s shuts down: %w", n.Name, err))
	}
}

// Cut cuts a node off from the others: cluster network and cable.
func (c *Cluster) Cut(name string) error {
	return errors.Join(c.Files.Partition(name), c.Node(name).Link(false))
}

// Mend undoes Cut.
func (c *Cluster) Mend(name string) error {
	return errors.Join(c.Node(name).Link(true), c.Files.Heal(name))
}

func (c *Cluster) closing() bool { return c.down.Load() }

func (c *Cluster) problem(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.problems = append(c.problems, err)
}

// Problems are what went wrong with the bed itself.
func (c *Cluster) Problems() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Join(c.problems...)
}

// Close takes everything away but the files in the cluster's folder.
func (c *Cluster) Close() error {
	c.down.Store(true)
	var problems []error
	for _, n := range c.nodes {
		problems = append(problems, n.remove())
	}
	if c.ipc != nil {
		problems = append(problems, c.ipc.Close())
	}
	if c.mounts != nil {
		problems = append(problems, c.mounts.Close())
	}
	if err := unix.Unmount(c.path("pve"), unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		problems = append(problems, err)
	}
	problems = append(problems, ip("link del "+c.bridge()))
	return errors.Join(problems...)
}

// Eventually asks every 50 ms until the answer is yes.
func Eventually(limit time.Duration, ask func() (bool, error)) error {
	var err error
	for deadline := time.Now().Add(limit); ; time.Sleep(50 * time.Millisecond) {
		var ok bool
		if ok, err = ask(); ok && err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return errors.Join(fmt.Errorf("not within %s", limit), err)
		}
	}
}
