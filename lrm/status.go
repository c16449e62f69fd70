package lrm

import (
	"maps"

	"pveha/internal/ha"
)

// readManager takes over what the master wrote last: the orders, and what is
// requested of this node.
func (l *LRM) readManager() bool {
	ms, err := l.env.ReadManagerStatus()
	if err != nil {
		l.log(ha.LevelErr, "", "updating service status from manager failed: %v", err)
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

// writeStatus tells the master state, mode and results. It returns false when
// that was not possible.
func (l *LRM) writeStatus() bool {
	if !l.env.Quorate() {
		return false
	}
	err := l.env.WriteLRMStatus(&ha.LRMStatus{
		State:     l.state,
		Mode:      l.mode,
		Timestamp: l.env.Now(),
		Results:   maps.Clone(l.results),
	})
	if err != nil {
		l.log(ha.LevelErr, "", "unable to write lrm status file - %v", err)
		return false
	}
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

// hasServices reports whether any service is on this node, in whatever state.
func (l *LRM) hasServices() bool {
	for _, s := range l.services {
		if s.Node == l.env.NodeName() {
			return true
		}
	}
	return false
}
