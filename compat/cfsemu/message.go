package cfsemu

import (
	"slices"
	"syscall"
	"time"
)

// A messageKind is a kind of the messages by which nodes change the tree.
type messageKind string

const (
	msgWrite         messageKind = "write"
	msgCreate        messageKind = "create"
	msgMkdir         messageKind = "mkdir"
	msgDelete        messageKind = "delete"
	msgRename        messageKind = "rename"
	msgUtime         messageKind = "utime"
	msgUnlockRequest messageKind = "unlock request"
	msgUnlock        messageKind = "unlock"
)

// message is one change, delivered to every node of the group in one order.
type message struct {
	kind   messageKind
	from   *Node
	sent   uint32 // the sender's wall clock
	path   string
	to     string // of a rename
	data   []byte
	offset uint32
	cut    bool
	mtime  uint32
	lock   stamp // of the unlocks
	call   *call // the call that waits for it, if any
}

// call is a change that a process waits for.
type call struct {
	messages []*message // the last one's result is the call's
	seq      uint64     // by the order of asking
	done     bool
	errno    syscall.Errno
}

// fail ends a call, unless it has ended.
func (c *call) fail(errno syscall.Errno) {
	if !c.done {
		c.errno, c.done = errno, true
	}
}

type delivery struct {
	msg *message
	due time.Time
}

// send hands messages of one node to everybody in its group, one right behind
// the other. Where nothing is delayed they are delivered before send returns.
func (c *Cluster) send(messages ...*message) {
	group := slices.Clone(messages[0].from.group)
	for _, n := range group {
		due := c.now.Add(c.cfg.Timing.Message + n.delay)
		if n.lastDue.After(due) {
			due = n.lastDue
		}
		n.lastDue = due
		for _, m := range messages {
			n.queue = append(n.queue, delivery{m, due})
		}
		if due.After(c.now) {
			c.schedule(due, n.drain)
		}
	}
	for _, n := range group {
		n.drain()
	}
}

// post sends a message that nobody waits for, after what has to wait.
func (c *Cluster) post(m *message) {
	if m.from.blocked() {
		c.seq++
		m.from.waiting = append(m.from.waiting, &call{messages: []*message{m}, seq: c.seq})
		return
	}
	c.send(m)
}

// drain applies what has reached the node. A message that leads to another
// comes back here; the outer call goes on with it.
func (n *Node) drain() {
	if n.draining {
		return
	}
	n.draining = true
	defer func() { n.draining = false }()
	for len(n.queue) > 0 && !n.queue[0].due.After(n.c.now) {
		m := n.queue[0].msg
		n.queue = n.queue[1:]
		n.deliver(m)
	}
}

// flush applies all that is under way to the node, as corosync does before
// it tells of another membership.
func (n *Node) flush() {
	for i := range n.queue {
		n.queue[i].due = n.c.now
	}
	n.lastDue = time.Time{}
	n.drain()
}

// dropQueue forgets what is under way to a node that will not hear of it.
func (n *Node) dropQueue(errno syscall.Errno) {
	for _, d := range n.queue {
		if d.msg.call != nil && d.msg.from == n {
			d.msg.call.fail(errno)
		}
	}
	n.queue, n.lastDue = nil, time.Time{}
}

func (n *Node) deliver(m *message) {
	errno := syscall.EPERM
	if n.quorate {
		errno = n.apply(m)
	}
	if errno == 0 && n.c.cfg.Journal != nil {
		n.c.cfg.Journal(n.name)
	}
	if m.call != nil && m.from == n {
		m.call.fail(errno)
	}
	n.c.broadcast()
}

// apply changes the node's replica, its counters and its lock timers. Every
// node does the same to the same messages.
func (n *Node) apply(m *message) syscall.Errno {
	writer := m.from.writer()
	switch m.kind {
	case msgWrite:
		return n.applyWrite(m, writer)
	case msgCreate:
		id, at, isGuest := guestAt(m.path)
		if isGuest && n.guests.elsewhere(id, at) {
			return syscall.EEXIST
		}
		if errno := n.tree.create(m.path, writer, m.sent); errno != 0 {
			return errno
		}
		n.record(m.path)
		if isGuest {
			n.guests.register(id, at)
		}
	case msgMkdir:
		e, errno := n.tree.mkdir(m.path, writer, m.sent)
		if errno != 0 {
			return errno
		}
		if dir, _ := splitPath(m.path); dir == lockFolder {
			n.startLock(m.path, e)
		}
	case msgDelete:
		return n.applyDelete(m.path, writer, m.sent)
	case msgRename:
		return n.applyRename(m, writer)
	case msgUtime:
		e, errno := n.tree.utime(m.path, writer, m.mtime)
		if errno != 0 {
			return errno
		}
		n.record(m.path)
		if isLock(m.path, e) {
			n.startLock(m.path, e)
		}
	case msgUnlockRequest, msgUnlock:
		n.applyUnlock(m, writer)
	}
	return 0
}

func (n *Node) applyWrite(m *message, writer int) syscall.Errno {
	id, at, isGuest := guestAt(m.path)
	if isGuest && n.guests.elsewhere(id, at) {
		return syscall.EEXIST
	}
	if errno := n.tree.write(m.path, writer, m.sent, m.data, m.offset, m.cut); errno != 0 {
		return errno
	}
	n.record(m.path)
	if isGuest {
		n.guests.register(id, at)
	}
	if m.path == corosyncConf {
		n.readCorosyncConf()
	}
	return 0
}

// applyDelete forgets a guest by the name of what goes, be it a folder: pmxcfs
// drops a guest from its list when a folder of that name is removed.
func (n *Node) applyDelete(name string, writer int, mtime uint32) syscall.Errno {
	e, errno := n.tree.remove(name, writer, mtime)
	if errno != 0 {
		return errno
	}
	if e.folder {
		delete(n.locks, name)
	}
	n.record(name)
	if id, _, ok := guestAt(name); ok {
		n.guests.remove(id)
	}
	return 0
}

func (n *Node) applyRename(m *message, writer int) syscall.Errno {
	e := n.tree.lookup(m.path)
	if e == nil {
		return syscall.ENOENT
	}
	fromID, _, fromGuest := guestAt(m.path)
	toID, at, toGuest := guestAt(m.to)
	if !e.folder && toGuest && n.guests.elsewhere(toID, at) && (!fromGuest || fromID != toID) {
		return syscall.EEXIST
	}
	if e.folder && mayBeLock(m.path) {
		return syscall.EACCES
	}
	moved, errno := n.tree.rename(m.path, m.to, writer, m.sent)
	if errno != 0 {
		return errno
	}
	n.record(m.path)
	n.record(m.to)
	if moved.folder {
		return 0
	}
	if fromGuest {
		n.guests.remove(fromID)
	}
	if toGuest {
		n.guests.register(toID, at)
	}
	if m.to == corosyncConf {
		n.readCorosyncConf()
	}
	return 0
}
