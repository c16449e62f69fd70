package sim

import "pveha/internal/ha"

// lockLifetime is how long a lock of the cluster file system lives without a
// refresh, in seconds.
const lockLifetime = 120

const managerLock = "ha_manager_lock"

func agentLock(node string) string { return "ha_agent_" + node + "_lock" }

type lock struct {
	holder string
	since  ha.Epoch // last refresh
}

// take takes a lock, or refreshes it. Without quorum nothing is given.
func (e *env) take(name string) bool {
	if !e.Quorate() {
		return false
	}
	locks := e.cluster.cfs.locks
	held := locks[name]
	switch {
	case held == nil || e.now-held.since > lockLifetime:
		e.info("got lock '" + name + "'")
	case held.holder != e.node.name:
		return false
	}
	locks[name] = &lock{holder: e.node.name, since: e.now}
	return true
}

// release gives a lock back. A lock that nobody refreshes any more needs no
// release, and one of another node gets none.
func (e *env) release(name string) bool {
	if !e.Quorate() {
		return false
	}
	locks := e.cluster.cfs.locks
	held := locks[name]
	switch {
	case held == nil:
		return false
	case e.now-held.since > lockLifetime:
		return true
	case held.holder != e.node.name:
		return false
	}
	delete(locks, name)
	return true
}

// ManagerLock takes or refreshes the lock of the master. A try for a lock
// costs a second.
func (e *env) ManagerLock() bool {
	got := e.take(managerLock)
	e.Sleep(1)
	return got
}

// ReleaseManagerLock gives the lock of the master back.
func (e *env) ReleaseManagerLock() bool { return e.release(managerLock) }

// ManagerLockKept is never known: the simulated cluster file system tells of
// no change, so that tries are all there is.
func (e *env) ManagerLockKept() bool { return false }

// AgentLock takes the lock of a node's LRM.
func (e *env) AgentLock(node string) bool {
	got := e.take(agentLock(node))
	e.Sleep(1)
	return got
}

// TakeAgentLock takes or refreshes the lock of the local LRM.
func (e *env) TakeAgentLock() bool { return e.AgentLock(e.node.name) }

// ReleaseAgentLock gives the lock of the local LRM back.
func (e *env) ReleaseAgentLock() bool { return e.release(agentLock(e.node.name)) }
