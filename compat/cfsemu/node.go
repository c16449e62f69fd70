package cfsemu

import (
	"strings"
	"syscall"
	"time"
)

// Node is one machine of a [Cluster]. Its methods are the system calls of a
// process on it below the mount point, and they return what those do: an error
// is a syscall.Errno. A name is a path below the mount point, with or without a
// slash in front; the links at the top are followed.
//
// After a clean stop of pmxcfs every name is missing (ENOENT), after a crash
// every call is ENOTCONN.
type Node struct {
	c    *Cluster
	name string
	id   int
	ip   string

	// Of the machine.
	state     State
	run       int // counts the ends of pmxcfs
	corosync  bool
	side      int // nodes of one side reach one another
	skew      time.Duration
	delay     time.Duration
	frontends []Frontend

	// Of corosync and the group of pmxcfs processes.
	ring     []*Node // as formed last, by ID
	group    []*Node // those of it that run pmxcfs
	quorate  bool
	busyOnce bool // the first call after a stop of corosync gets EBUSY
	waiting  []*call
	leaving  []*call // refused, which shows a moment later
	queue    []delivery
	lastDue  time.Time
	draining bool

	// Of pmxcfs.
	tree        *tree
	locks       map[string]lockTimer
	guests      guestList
	started     int64
	clinfo      uint32
	confVersion uint64
	counters    map[string]uint32
	kv          kvStore
	otherKV     map[int]kvStore
	online      map[int]bool
	ips         map[int]string
	rrd         map[string]rrdEntry
	rrdText     *string
	rrdMade     uint32
	log         clusterLog
	debug       bool
	texts       map[string]string // of the virtual files, as stat made them last
	vmlist      string
	vmlistOf    uint32
}

// Name returns the name of the node.
func (n *Node) Name() string { return n.name }

// ID returns the number of the node in the cluster.
func (n *Node) ID() int { return n.id }

// State returns what pmxcfs on the node does.
func (n *Node) State() State {
	n.c.mu.Lock()
	defer n.c.mu.Unlock()
	n.c.settle()
	return n.state
}

// Quorate reports whether the node has quorum.
func (n *Node) Quorate() bool {
	n.c.mu.Lock()
	defer n.c.mu.Unlock()
	n.c.settle()
	return n.quorate
}

// Online returns the nodes that .members of this node shows as online.
func (n *Node) Online() []string {
	n.c.mu.Lock()
	defer n.c.mu.Unlock()
	n.c.settle()
	var names []string
	for _, m := range n.c.nodes {
		if n.online[m.id] {
			names = append(names, m.name)
		}
	}
	return names
}

// Now returns the node's wall clock, in whole seconds of the Unix epoch.
func (n *Node) Now() int64 {
	n.c.mu.Lock()
	defer n.c.mu.Unlock()
	n.c.settle()
	return n.c.now.Add(n.skew).Unix()
}

func (n *Node) wall() uint32 { return uint32(n.c.now.Add(n.skew).Unix()) }

// writer is what the node signs changes with.
func (n *Node) writer() int {
	if n.c.cfg.Local {
		return 0
	}
	return n.id
}

// resolve makes a path of the tree of a name: without slashes around it, and
// through a link at the top.
func (n *Node) resolve(name string) string {
	name = strings.Trim(name, "/")
	first, rest, below := strings.Cut(name, "/")
	if !below {
		return name
	}
	if target, ok := n.linkTarget(first); ok {
		return target + "/" + rest
	}
	return name
}

// ready waits until pmxcfs on the node answers, or fails as the kernel does.
func (n *Node) ready() syscall.Errno {
	n.c.wait(time.Time{}, func() bool { return n.state != StateStarting })
	switch {
	case n.c.closed, n.state == StateCrashed:
		return syscall.ENOTCONN
	case n.state == StateStopped:
		return syscall.ENOENT
	case n.state == StateStarting, n.state == StateRunning:
	}
	return 0
}

// do runs one system call: with the lock, after what is due, with the faults
// injected for it.
func (n *Node) do(op Op, name string, body func(name string, hit faultHit) syscall.Errno) error {
	c := n.c
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	name = n.resolve(name)
	if errno := n.ready(); errno != 0 {
		return errno
	}
	hit, errno := n.suffer(op, name)
	if errno == 0 {
		errno = body(name, hit)
	}
	if errno == 0 {
		errno = hit.after
	}
	if errno != 0 {
		return errno
	}
	return nil
}

// change sends messages that change the tree and waits for the result of the
// last one.
func (n *Node) change(messages ...*message) syscall.Errno {
	c := n.c
	last := messages[len(messages)-1]
	for _, m := range messages {
		m.from, m.sent = n, n.wall()
	}
	if c.cfg.Local {
		return n.apply(last)
	}
	if !n.quorate {
		if n.busyOnce {
			n.busyOnce = false
			return syscall.EBUSY
		}
		return syscall.EACCES
	}
	c.seq++
	waits := &call{messages: messages, seq: c.seq}
	last.call = waits
	if n.blocked() {
		n.waiting = append(n.waiting, waits)
	} else {
		c.send(messages...)
	}
	c.wait(time.Time{}, func() bool { return waits.done })
	if !waits.done {
		return syscall.ENOTCONN // the cluster was closed
	}
	return waits.errno
}
