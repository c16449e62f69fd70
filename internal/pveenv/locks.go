package pveenv

import (
	"pveha/crm/nodestate"
	"pveha/internal/ha"
	"pveha/pmxcfsio"
)

// heldLock is a cluster-wide lock with the lines that tell of its fate.
type heldLock struct {
	node *node
	name string
	lock *pmxcfsio.Lock
	held bool
}

func (n *node) lock(name string) *heldLock {
	return &heldLock{node: n, name: name, lock: n.fs.NodeLock(name)}
}

// take takes the lock or refreshes it.
func (l *heldLock) take() bool {
	err := l.lock.Take(l.node.ctx)
	got := err == nil
	switch {
	case got && !l.held:
		l.node.log(ha.LevelInfo, "successfully acquired lock '%s'", l.name)
	case !got && l.held:
		l.node.log(ha.LevelErr, "lost lock '%s - %v", l.name, err) // the quote is missing in the original, too
	}
	l.held = got
	return got
}

// release gives the lock back if this process holds it.
func (l *heldLock) release() bool {
	err := l.lock.Release(l.node.ctx)
	l.held = false
	return err == nil
}

// ManagerLock takes the manager lock or refreshes it.
func (c *CRM) ManagerLock() bool {
	wasHeld := c.manager.held
	got := c.manager.take()
	if !got {
		c.commands = limbo{}
	}
	c.fence.lock(c.manager.name, wasHeld, got)
	return got
}

// ReleaseManagerLock gives the manager lock back if this node holds it.
func (c *CRM) ReleaseManagerLock() bool {
	c.commands = limbo{}
	return c.manager.release()
}

// ManagerLockKept reports whether another node is known to have the manager
// lock and to refresh it. When it gives the lock back, the watch tells.
func (c *CRM) ManagerLockKept() bool { return c.manager.lock.Kept() }

// AgentLock takes the agent lock of a node.
func (c *CRM) AgentLock(node string) bool {
	if c.agents[node] == nil {
		c.agents[node] = c.lock(pmxcfsio.AgentLock(node))
	}
	return c.agents[node].take()
}

// returnAgentLocks gives back the locks that were taken to fence nodes which are
// members again. As long as this node has the lock of another, the LRM there
// cannot have it, and guests that are moved there run without a watchdog; but to
// this node the lock would prove at once that the other is dead.
func (c *CRM) returnAgentLocks(members map[string]nodestate.Member) {
	for _, node := range sortedKeys(c.agents) {
		lock := c.agents[node]
		if node == c.cfg.Node || !members[node].Online || lock.lock.Left() == 0 {
			continue
		}
		if lock.release() {
			c.log(ha.LevelInfo, "node '%s' is back, released lock '%s'", node, lock.name)
		}
	}
}

// TakeAgentLock takes the lock of the local node, or refreshes it.
func (l *LRM) TakeAgentLock() bool {
	wasHeld := l.agent.held
	got := l.agent.take()
	l.fence.lock(l.agent.name, wasHeld, got)
	return got
}

// ReleaseAgentLock gives the lock back if this process holds it.
func (l *LRM) ReleaseAgentLock() bool { return l.agent.release() }
