package cfsemu

import "syscall"

// lockTimer is what one node knows of the age of a lock: when, by its own
// wall clock, it learnt of the state the lock is in.
type lockTimer struct {
	seen  uint32
	stamp stamp
}

// startLock restarts the lock's 120 seconds on this node.
func (n *Node) startLock(name string, e *entry) {
	n.locks[name] = lockTimer{n.wall(), e.stamp()}
}

// expired reports whether the lock is stale by this node's clock. Asking about
// a lock it has no timer for starts one.
func (n *Node) expired(name string, s stamp) bool {
	now := n.wall()
	t, ok := n.locks[name]
	if !ok || t.stamp != s {
		n.locks[name] = lockTimer{now, s}
		return false
	}
	return now > t.seen && now-t.seen > uint32(LockLifetime.Seconds())
}

// restartLocks gives every lock another 120 seconds, which pmxcfs does when it
// starts and when it received updates from a group it joined: it looks old
// timers up by a name they are not stored by.
func (n *Node) restartLocks() {
	n.locks = map[string]lockTimer{}
	folder := n.tree.lookup(lockFolder)
	if folder == nil {
		return
	}
	for name, e := range folder.entries {
		if e.folder {
			n.startLock(lockFolder+"/"+name, e)
		}
	}
}

// applyUnlock answers the messages of utime(0, 0). The request is decided by
// the node with the lowest ID in the group alone; the unlock that follows is
// obeyed by everybody.
func (n *Node) applyUnlock(m *message, writer int) {
	e := n.tree.lookup(m.path)
	if e == nil || !e.folder || !mayBeLock(m.path) || e.stamp() != m.lock {
		return
	}
	if m.kind == msgUnlock {
		_ = n.applyDelete(m.path, writer, m.sent) // not empty: it stays, and nobody is told
		return
	}
	if len(n.group) == 0 || n.group[0] != n || !n.expired(m.path, m.lock) {
		return
	}
	c := n.c
	unlock := func() {
		if n.state == StateRunning && n.quorate && len(n.group) > 0 {
			c.post(&message{kind: msgUnlock, from: n, sent: n.wall(), path: m.path, lock: m.lock})
		}
	}
	if c.cfg.Timing.Unlock <= 0 {
		unlock()
		return
	}
	c.schedule(c.now.Add(c.cfg.Timing.Unlock), unlock)
}

// utime sends what a process's utime becomes: for a lock and time 0 a request
// to drop it, and always the change of time, which a lock refuses.
func (n *Node) utime(name string, mtime uint32) syscall.Errno {
	e := n.tree.lookup(name)
	unlock := e != nil && e.folder && mtime == 0 && mayBeLock(name)
	if unlock && n.c.cfg.Local && n.expired(name, e.stamp()) {
		return n.applyDelete(name, n.writer(), n.wall())
	}
	var messages []*message
	if unlock {
		messages = append(messages, &message{kind: msgUnlockRequest, path: name, lock: e.stamp()})
	}
	return n.change(append(messages, &message{kind: msgUtime, path: name, mtime: mtime})...)
}
