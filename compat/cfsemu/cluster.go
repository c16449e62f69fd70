package cfsemu

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Cluster is a set of nodes that share a file system. It is safe for
// concurrent use.
type Cluster struct {
	cfg   Config
	nodes []*Node // by ID

	mu      sync.Mutex
	now     time.Time // of what is happening
	events  []event   // by time, then in the order they were asked for
	seq     uint64
	closed  bool
	changed chan struct{} // closed when something happened that calls wait for
	waiters int
	forming *formation // the rings are about to be formed anew
	faults  []*activeFault
	faultID int

	telling sync.WaitGroup // front ends are being told of a crash
}

// event is something that happens at a time to come.
type event struct {
	at  time.Time
	run func()
}

// formation is the work of corosync between two memberships.
type formation struct{ at time.Time }

// New makes a cluster whose nodes are all running, in one ring, and have
// quorum.
func New(cfg Config) (*Cluster, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	c := &Cluster{cfg: cfg, now: cfg.Clock.Now(), changed: make(chan struct{})}
	for i, name := range cfg.Nodes {
		ip, ok := cfg.IPs[name]
		if !ok {
			ip = netip.AddrFrom4([4]byte{10, 77, byte((i + 1) >> 8), byte(i + 1)})
		}
		c.nodes = append(c.nodes, &Node{c: c, name: name, id: i + 1, ip: ip.String(), state: StateRunning, corosync: !cfg.Local})
	}
	first := c.firstTree()
	for _, n := range c.nodes {
		n.tree = first.clone()
		n.load()
	}
	c.form()
	return c, nil
}

// firstTree is what the nodes find on their disks.
func (c *Cluster) firstTree() *tree {
	t := newTree()
	mtime := uint32(c.now.Unix())
	if !c.cfg.Local {
		_ = t.create(corosyncConf, 0, mtime)
		_ = t.write(corosyncConf, 0, mtime, []byte(c.corosyncText()), 0, true)
	}
	if c.cfg.Bare {
		return t
	}
	folders := []string{"priv", "ha", "nodes"}
	for _, n := range c.nodes {
		folder := "nodes/" + n.name
		folders = append(folders, folder, folder+"/qemu-server", folder+"/lxc", folder+"/openvz", folder+"/priv")
	}
	for _, name := range folders {
		_, _ = t.mkdir(name, 0, mtime)
	}
	return t
}

// Close ends every waiting call with an error and tells the front ends to go.
// The cluster answers nothing from then on.
func (c *Cluster) Close() error {
	c.mu.Lock()
	c.closed = true
	c.broadcast()
	var ends []Frontend
	for _, n := range c.nodes {
		ends = append(ends, n.frontends...)
		n.frontends = nil
	}
	c.mu.Unlock()
	c.telling.Wait()
	var first error
	for _, f := range ends {
		if err := f.Stopped(true); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// Nodes returns the nodes in the order of their IDs.
func (c *Cluster) Nodes() []*Node { return slices.Clone(c.nodes) }

// Node returns the node of a name, or nil.
func (c *Cluster) Node(name string) *Node {
	for _, n := range c.nodes {
		if n.name == name {
			return n
		}
	}
	return nil
}

func (c *Cluster) find(name string) (*Node, error) {
	if n := c.Node(name); n != nil {
		return n, nil
	}
	names := make([]string, len(c.nodes))
	for i, n := range c.nodes {
		names[i] = n.name
	}
	return nil, fmt.Errorf("cfsemu: no node is named %q, the nodes are %s", name, strings.Join(names, ", "))
}

// Clock returns the cluster's clock.
func (c *Cluster) Clock() Clock { return c.cfg.Clock }

// schedule lets run happen at a time.
func (c *Cluster) schedule(at time.Time, run func()) {
	i, _ := slices.BinarySearchFunc(c.events, at, func(e event, at time.Time) int {
		if e.at.After(at) {
			return 1
		}
		return -1 // behind those of the same time
	})
	c.events = slices.Insert(c.events, i, event{at, run})
	c.broadcast() // who waits must look at the time anew
}

// settle lets happen what has become due. Every call begins with it.
func (c *Cluster) settle() {
	now := c.cfg.Clock.Now()
	for len(c.events) > 0 && !c.events[0].at.After(now) {
		e := c.events[0]
		c.events = c.events[1:]
		if e.at.After(c.now) {
			c.now = e.at
		}
		e.run()
	}
	c.now = now
}

// broadcast wakes all waiting calls.
func (c *Cluster) broadcast() {
	if c.waiters > 0 {
		close(c.changed)
		c.changed = make(chan struct{})
	}
}

// wait gives up the lock until done holds or, where until is not zero, that
// time has come. It returns at once when the cluster is closed.
func (c *Cluster) wait(until time.Time, done func() bool) {
	for !c.closed && !done() {
		if !until.IsZero() && !until.After(c.now) {
			return
		}
		next := until
		if len(c.events) > 0 && (next.IsZero() || c.events[0].at.Before(next)) {
			next = c.events[0].at
		}
		c.pause(next)
		c.settle()
	}
}

// pause waits without the lock for a change or for a time.
func (c *Cluster) pause(next time.Time) {
	var fired <-chan time.Time
	if !next.IsZero() {
		timer, stop := c.cfg.Clock.Timer(next.Sub(c.cfg.Clock.Now()))
		defer stop()
		if !next.After(c.cfg.Clock.Now()) {
			return // the clock was moved meanwhile
		}
		fired = timer
	}
	changed := c.changed
	c.waiters++
	c.mu.Unlock()
	select {
	case <-changed:
	case <-fired:
	}
	c.mu.Lock()
	c.waiters--
}
