package cfsemu

import (
	"fmt"
	"slices"
	"syscall"
	"time"
)

// A State is what pmxcfs on a node does.
type State string

// The states of pmxcfs on a node.
const (
	StateRunning  State = "running"
	StateStarting State = "starting" // mounted; calls hang until it runs
	StateStopped  State = "stopped"  // the mount point is an ordinary folder
	StateCrashed  State = "crashed"  // the mount is there and dead
)

// A Frontend shows a node to processes. It is told when pmxcfs on it comes and
// goes. Its methods are called without any lock of the cluster.
type Frontend interface {
	// Started makes the node reachable. An error keeps pmxcfs from starting.
	Started() error
	// Stopped ends that: cleanly, or as the kernel leaves it when the process
	// is killed. It may be called in a state where there is nothing to end.
	Stopped(clean bool) error
}

// Attach adds a front end to the node and starts it where the node runs.
func (n *Node) Attach(f Frontend) error {
	n.c.mu.Lock()
	n.frontends = append(n.frontends, f)
	running := n.state == StateRunning || n.state == StateStarting
	n.c.mu.Unlock()
	if running {
		return f.Started()
	}
	return nil
}

// Start starts pmxcfs on a node after a stop or a crash. It returns when the
// mount is there; calls through it hang for Timing.Start.
func (c *Cluster) Start(name string) error {
	n, err := c.find(name)
	if err != nil {
		return err
	}
	c.telling.Wait()
	c.mu.Lock()
	c.settle()
	before := n.state
	if before == StateRunning || before == StateStarting {
		c.mu.Unlock()
		return fmt.Errorf("cfsemu: pmxcfs on %s is running already", name)
	}
	n.state = StateStarting
	run := n.run
	ends := slices.Clone(n.frontends)
	c.mu.Unlock()
	for i, f := range ends {
		if err := f.Started(); err != nil {
			for _, started := range ends[:i] {
				_ = started.Stopped(before == StateStopped) // the first error is the news
			}
			c.mu.Lock()
			if n.run == run {
				n.state = before
			}
			c.mu.Unlock()
			return fmt.Errorf("cfsemu: pmxcfs on %s does not start: %w", name, err)
		}
	}
	c.mu.Lock()
	c.settle()
	if state := n.state; n.run != run {
		c.mu.Unlock()
		_ = n.tellStopped(state) // those that were told before they had started
		return fmt.Errorf("cfsemu: pmxcfs on %s was ended while it started", name)
	}
	defer c.mu.Unlock()
	c.joinWhenReady(n)
	return nil
}

// joinWhenReady makes a started pmxcfs a member when it is ready.
func (c *Cluster) joinWhenReady(n *Node) {
	at, run := c.now.Add(c.cfg.Timing.Start), n.run
	if !at.After(c.now) {
		c.join(n)
		return
	}
	c.schedule(at, func() {
		if n.state == StateStarting && n.run == run {
			c.join(n)
		}
	})
}

// join makes a started pmxcfs a member.
func (c *Cluster) join(n *Node) {
	n.state = StateRunning
	n.load()
	if c.cfg.Local {
		c.form()
		return
	}
	n.quorate = n.corosync && 2*len(n.ring) > len(c.nodes)
	c.regroup()
	c.broadcast()
}

// load begins a new life of pmxcfs with what is on the node's disk: all that
// it held in memory is gone.
func (n *Node) load() {
	c := n.c
	n.started = int64(n.wall())
	n.counters = map[string]uint32{}
	for _, name := range countedPaths {
		n.counters[name] = 0
	}
	n.tree.root.walk(func(e *entry) {
		if e.poisoned() {
			e.size = 0
		}
	})
	n.recordReload()
	n.guests = guestList{}
	n.guests.rebuild(n.tree)
	n.restartLocks()
	n.kv, n.otherKV = kvStore{}, map[int]kvStore{}
	n.ips, n.online = map[int]string{}, map[int]bool{}
	n.rrd, n.rrdText = map[string]rrdEntry{}, nil
	n.texts = map[string]string{}
	n.vmlist, n.debug = "", false
	n.queue, n.waiting, n.lastDue, n.group = nil, nil, time.Time{}, nil
	n.clinfo, n.confVersion = 0, 0
	if !c.cfg.Local {
		n.clinfo, n.confVersion = 1, uint64(len(c.nodes))
		n.readCorosyncConf()
	}
	n.log = clusterLog{}
	n.log.insert(n.newEntry("root", "cluster", n.pid(), 6, "starting cluster log"))
}

// pid is a made-up ID of the process.
func (n *Node) pid() uint32 { return uint32(1000*n.id + n.run%1000) }

// Stop ends pmxcfs on a node as systemctl does. The mount point is an ordinary
// folder afterwards; calls under way fail.
func (c *Cluster) Stop(name string) error { return c.end(name, StateStopped) }

// Crash kills pmxcfs on a node. The dead mount stays until the next start.
func (c *Cluster) Crash(name string) error { return c.end(name, StateCrashed) }

func (c *Cluster) end(name string, state State) error {
	n, err := c.find(name)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.settle()
	if n.state != StateRunning && n.state != StateStarting {
		c.mu.Unlock()
		return fmt.Errorf("cfsemu: pmxcfs on %s is not running: it is %s", name, n.state)
	}
	c.leave(n, state)
	c.mu.Unlock()
	return n.tellStopped(state)
}

// leave takes a dying pmxcfs out of its group, which corosync tells the others
// of at once.
func (c *Cluster) leave(n *Node, state State) {
	n.state = state
	n.run++
	n.dropQueue(syscall.ECONNABORTED)
	n.failWaiting(syscall.ECONNABORTED)
	n.group = nil
	c.regroup()
	c.broadcast()
}

// crash is what a call does that pmxcfs does not survive. The front ends are
// told beside it, because the call came through one of them.
func (n *Node) crash() {
	n.c.leave(n, StateCrashed)
	n.c.telling.Go(func() { _ = n.tellStopped(StateCrashed) }) // the caller learns from the errno
}

func (n *Node) tellStopped(state State) error {
	n.c.mu.Lock()
	ends := slices.Clone(n.frontends)
	n.c.mu.Unlock()
	var first error
	for _, f := range ends {
		if err := f.Stopped(state == StateStopped); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// PowerOff ends a node without a goodbye to anybody: pmxcfs and corosync.
func (c *Cluster) PowerOff(name string) error {
	n, err := c.find(name)
	if err != nil {
		return err
	}
	if err := c.KillCorosync(name); err != nil {
		return err
	}
	c.mu.Lock()
	running := n.state == StateRunning || n.state == StateStarting
	c.mu.Unlock()
	if !running {
		return nil
	}
	return c.Crash(name)
}

// PowerOn starts corosync and pmxcfs after PowerOff.
func (c *Cluster) PowerOn(name string) error {
	if err := c.StartCorosync(name); err != nil {
		return err
	}
	return c.Start(name)
}

// SetDelay makes changes reach a node by d after the others. Its own
// changes wait for that too, since they come back to it in order.
func (c *Cluster) SetDelay(name string, d time.Duration) error {
	n, err := c.find(name)
	if err != nil {
		return err
	}
	if d < 0 {
		return fmt.Errorf("cfsemu: a node cannot hear of changes %s early", -d)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	n.delay = d
	return nil
}

// StepClock moves the wall clock of one node by d. Delays are measured by the
// cluster's clock and do not change.
func (c *Cluster) StepClock(name string, d time.Duration) error {
	n, err := c.find(name)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	n.skew += d
	return nil
}
