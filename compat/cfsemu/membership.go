package cfsemu

import (
	"fmt"
	"slices"
	"syscall"
	"time"
)

// Partition cuts the named nodes off the others. They still see one another.
// Nodes cut off by an earlier call stay cut off.
func (c *Cluster) Partition(names ...string) error {
	return c.relink(names, func(nodes []*Node) {
		side := 0
		for _, n := range c.nodes {
			side = max(side, n.side+1)
		}
		for _, n := range nodes {
			n.side = side
		}
		c.topologyChanged(c.cfg.Timing.Drop)
	})
}

// Heal connects the named nodes, all when none is named, to those that were
// never cut off.
func (c *Cluster) Heal(names ...string) error {
	if len(names) == 0 {
		for _, n := range c.nodes {
			names = append(names, n.name)
		}
	}
	return c.relink(names, func(nodes []*Node) {
		for _, n := range nodes {
			n.side = 0
		}
		c.topologyChanged(c.cfg.Timing.Heal)
	})
}

func (c *Cluster) relink(names []string, change func([]*Node)) error {
	if c.cfg.Local {
		return fmt.Errorf("cfsemu: nodes in local mode have no network")
	}
	nodes := make([]*Node, len(names))
	for i, name := range names {
		n, err := c.find(name)
		if err != nil {
			return err
		}
		nodes[i] = n
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	change(nodes)
	return nil
}

// StopCorosync ends corosync on a node as systemctl does: it says goodbye.
func (c *Cluster) StopCorosync(name string) error {
	return c.relink([]string{name}, func(nodes []*Node) {
		if n := nodes[0]; n.corosync {
			n.lostCorosync()
			n.busyOnce = true
			c.topologyChanged(0)
		}
	})
}

// KillCorosync ends corosync on a node without a goodbye.
func (c *Cluster) KillCorosync(name string) error {
	return c.relink([]string{name}, func(nodes []*Node) {
		if n := nodes[0]; n.corosync {
			n.lostCorosync()
			c.topologyChanged(c.cfg.Timing.Drop)
		}
	})
}

// StartCorosync starts corosync on a node; pmxcfs finds it by itself.
func (c *Cluster) StartCorosync(name string) error {
	return c.relink([]string{name}, func(nodes []*Node) {
		if n := nodes[0]; !n.corosync {
			n.corosync, n.busyOnce = true, false
			c.topologyChanged(c.cfg.Timing.Join)
		}
	})
}

// lostCorosync leaves the member list as it was: only quorum is known to be
// gone.
func (n *Node) lostCorosync() {
	n.corosync, n.quorate = false, false
	n.ring, n.group = nil, nil
	n.dropQueue(syscall.EACCES)
	n.failWaiting(syscall.EACCES)
}

// reach lists the nodes corosync would find now, by ID.
func (c *Cluster) reach(n *Node) []*Node {
	if !n.corosync {
		return nil
	}
	var found []*Node
	for _, m := range c.nodes {
		if m.corosync && m.side == n.side {
			found = append(found, m)
		}
	}
	return found
}

// blocked reports whether changes of n have to wait: somebody in its ring does
// not answer, and the ring without them is not formed yet.
func (n *Node) blocked() bool {
	if n.c.forming == nil || !n.corosync {
		return false
	}
	reach := n.c.reach(n)
	for _, m := range n.ring {
		if !slices.Contains(reach, m) {
			return true
		}
	}
	return false
}

// topologyChanged lets the rings form after a time; not earlier than what was
// under way already, and never when all is as it was.
func (c *Cluster) topologyChanged(after time.Duration) {
	same := true
	for _, n := range c.nodes {
		same = same && slices.Equal(n.ring, c.reach(n))
	}
	if same {
		c.forming = nil
		c.resume()
		c.broadcast()
		return
	}
	at := c.now.Add(after)
	if c.forming != nil && c.forming.at.After(at) {
		at = c.forming.at
	}
	f := &formation{at}
	c.forming = f
	if !at.After(c.now) {
		c.form()
		return
	}
	c.schedule(at, func() {
		if c.forming == f {
			c.form()
		}
	})
}

// form makes the rings what the network and the processes allow, and all that
// follows from it: quorum, groups, resynchronisation, waiting calls.
func (c *Cluster) form() {
	c.forming = nil
	for _, n := range c.nodes {
		if c.cfg.Local {
			n.quorate, n.group = n.state == StateRunning, nil
			continue
		}
		if !n.corosync {
			continue
		}
		n.flush()
		n.ring = c.reach(n)
		n.quorate = 2*len(n.ring) > len(c.nodes)
		if !n.quorate {
			n.refuseWaiting()
		}
	}
	c.regroup()
	c.resume()
	c.broadcast()
}

// refuseWaiting ends the calls under way on a node that lost its quorum: the
// first message is delivered and refused, the others never come back, which
// shows when pmxcfs has left its group.
func (n *Node) refuseWaiting() {
	if len(n.waiting) == 0 {
		return
	}
	first, others := n.waiting[0], n.waiting[1:]
	n.waiting = nil
	first.fail(syscall.EPERM)
	refuse := func() {
		for _, call := range others {
			call.fail(syscall.EBUSY)
		}
		n.c.broadcast()
	}
	if n.c.cfg.Timing.Leave <= 0 {
		refuse()
		return
	}
	n.leaving = others
	n.c.schedule(n.c.now.Add(n.c.cfg.Timing.Leave), func() {
		n.leaving = nil
		refuse()
	})
	n.c.broadcast()
}

// failWaiting ends all calls under way.
func (n *Node) failWaiting(errno syscall.Errno) {
	for _, call := range append(n.waiting, n.leaving...) {
		call.fail(errno)
	}
	n.waiting, n.leaving = nil, nil
	n.c.broadcast()
}

// resume sends what waited for the end of a membership change, in the order
// it was asked for.
func (c *Cluster) resume() {
	var calls []*call
	for _, n := range c.nodes {
		if n.quorate && !n.blocked() {
			calls = append(calls, n.waiting...)
			n.waiting = nil
		}
	}
	slices.SortFunc(calls, func(a, b *call) int { return int(a.seq) - int(b.seq) })
	for _, call := range calls {
		c.send(call.messages...)
	}
}

// regroup lets pmxcfs on every node see who else runs it in its ring. Who
// cannot be reached stays a member until the ring is formed anew.
func (c *Cluster) regroup() {
	if c.cfg.Local {
		return
	}
	var changed [][]*Node
	for _, n := range c.nodes {
		if n.state != StateRunning || !n.corosync {
			continue
		}
		group := n.members()
		if slices.Equal(group, n.group) {
			continue
		}
		n.flush()
		n.group = group
		n.clinfo++
		n.online = map[int]bool{}
		for _, m := range group {
			n.online[m.id] = true
		}
		known := slices.ContainsFunc(changed, func(g []*Node) bool { return slices.Equal(g, group) })
		if !known && !n.blocked() {
			changed = append(changed, group)
		}
	}
	for _, group := range changed {
		syncGroup(group)
	}
}

func (n *Node) members() []*Node {
	reach := n.c.reach(n)
	var group []*Node
	for _, m := range n.ring {
		alive := m.state == StateRunning
		if !slices.Contains(reach, m) {
			alive = slices.Contains(n.group, m)
		}
		if alive {
			group = append(group, m)
		}
	}
	return group
}

// syncGroup gives all members the newest tree among them, and each other's
// status.
func syncGroup(group []*Node) {
	leader := group[0]
	for _, n := range group[1:] {
		if n.tree.newer(leader.tree) {
			leader = n
		}
	}
	for _, n := range group {
		if n.tree.same(leader.tree) {
			continue
		}
		n.tree = leader.tree.clone()
		n.recordReload()
		n.guests.rebuild(n.tree)
		n.restartLocks()
		n.readCorosyncConf()
	}
	var entries []LogEntry
	for _, n := range group {
		entries = append(entries, n.log.entries...)
	}
	for _, n := range group {
		if len(group) > 1 {
			n.log.merge(entries)
		}
		for _, m := range group {
			m.setIP(n)
			if m != n {
				m.copyStatus(n)
			}
		}
	}
}

// setIP makes the address of another node known.
func (n *Node) setIP(other *Node) {
	if n.ips[other.id] != other.ip {
		n.ips[other.id] = other.ip
		n.clinfo++
	}
}

func (n *Node) copyStatus(other *Node) {
	for key, e := range other.kv {
		n.setOther(other, key, e.data)
	}
}

func (n *Node) setOther(other *Node, key string, data []byte) {
	if n.otherKV[other.id] == nil {
		n.otherKV[other.id] = kvStore{}
	}
	n.otherKV[other.id].set(key, data)
}
