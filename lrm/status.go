package lrm

import (
	"bytes"
	"maps"

	"pveha/internal/ha"
)

// readManager takes over what the master wrote last: the orders, and what is
// requested of this node.
func (l *LRM) readManager() bool {
	ms, err := l.env.ReadManagerStatus()
	if err != nil {
		l.complain(ha.LevelErr, "", "updating service status from manager failed: %v", err)
		return false
	}
	node := l.env.NodeName()
	l.services = ms.ServiceStatus
	l.nodeState = ms.NodeStatus[node]
	if l.stopping {
		return true // the mode now tells how it stops
	}
	switch {
	case ms.NodeRequest[node].Maintenance:
		l.mode = ha.ModeMaintenance
	case ms.Disarm != nil:
		l.mode = ha.ModeDisarm
	case l.mode == ha.ModeMaintenance || l.mode == ha.ModeDisarm:
		l.mode = ha.ModeActive
	}
	return true
}

// lastStatus is the status that was written last.
type lastStatus struct {
	content []byte   // but for its time; nil when nobody knows what is there
	at      ha.Epoch // by the clock that nobody sets
	ahead   ha.Epoch // by how much the wall clock was ahead of that one
}

// clockSlack is by how much the difference of two clocks in whole seconds may
// change without one of them being set.
const clockSlack = 2

// announce writes the first status of the process, or leaves that to when the
// lock is held that has to be held first.
func (l *LRM) announce() bool {
	if l.hold {
		if !l.readManager() {
			return false
		}
		if l.unguarded() {
			return true
		}
	}
	l.process.statusWritten = l.publish()
	return l.process.statusWritten
}

// unguarded reports whether services are frozen here which the master would thaw
// if it were told of the LRM as it is, and which no lock protects.
func (l *LRM) unguarded() bool {
	return l.hold && l.mode == ha.ModeActive && !l.holdsLock() && l.frozenServices() > 0
}

// writeStatus tells the master state, mode and results when they have changed,
// and so often that nobody takes the LRM for dead.
func (l *LRM) writeStatus() {
	if l.unguarded() {
		return
	}
	last := l.written
	now := l.env.Monotonic()
	step := l.env.Now() - now - last.ahead
	changed := last.content == nil || !bytes.Equal(last.content, l.content()) ||
		step > clockSlack || step < -clockSlack // its time would look old, or to come
	// Were it not written in this round, it would be in the next full one.
	due := l.full && now+l.roundTime()-last.at > l.refresh
	if changed || due {
		l.publish()
	}
}

func (l *LRM) status() *ha.LRMStatus {
	return &ha.LRMStatus{State: l.state, Mode: l.mode, Results: maps.Clone(l.results)}
}

func (l *LRM) content() []byte { return l.status().Encode() }

// publish writes the status. It returns false when that was not possible.
func (l *LRM) publish() bool {
	if !l.env.Quorate() {
		return false
	}
	l.written = lastStatus{}
	now := l.env.Monotonic()
	status := l.status()
	status.Timestamp = l.env.Now()
	ahead := status.Timestamp - now
	if err := l.env.WriteLRMStatus(status); err != nil {
		l.complain(ha.LevelErr, "", "unable to write lrm status file - %v", err)
		return false
	}
	l.written = lastStatus{content: l.content(), at: now, ahead: ahead}
	return true
}

// fenceRequested reports whether the master wants this node fenced.
func (l *LRM) fenceRequested() bool {
	return l.nodeState == ha.NodeFence || ha.CountFencedServices(l.services, l.env.NodeName()) > 0
}

// activeServices returns how many services keep this node busy.
func (l *LRM) activeServices() int {
	return ha.CountActiveServices(l.services, l.env.NodeName())
}

// frozenServices returns how many services of this node are frozen.
func (l *LRM) frozenServices() int {
	n := 0
	for _, s := range l.services {
		if s.Node == l.env.NodeName() && s.State == ha.Freeze {
			n++
		}
	}
	return n
}

// hasServices reports whether any service is on this node, in whatever state.
func (l *LRM) hasServices() bool {
	for _, s := range l.services {
		if s.Node == l.env.NodeName() {
			return true
		}
	}
	return false
}
