package lrm

import (
	"fmt"

	"pveha/internal/ha"
)

// RequestShutdown makes the daemon end: at once when it has no services, else
// as the state of the node and the shutdown policy say. Only the first call
// counts.
func (l *LRM) RequestShutdown() {
	if l.stopping {
		return
	}
	clear(l.said)        // what follows is no part of a round
	l.shutdownErrors = 0 // what an earlier shutdown could not stop is not this one's
	if l.services == nil {
		l.readManager() // there was no round yet: learn what runs here
	}
	shutdown, reboot := l.nodeShutdown()
	policy := l.shutdownPolicy()
	if shutdown {
		l.log(ha.LevelInfo, "", "got shutdown request with shutdown policy '%s'", policy)
	}
	plan := l.plan(policy, reboot)
	if shutdown && plan != ha.ModeMaintenance {
		// Whatever becomes of them, the services must stop before the node
		// does.
		l.queueStops()
	}
	switch {
	case shutdown:
		l.announceShutdown(policy, plan, reboot)
	case l.mode == ha.ModeMaintenance:
		l.log(ha.LevelInfo, "", "Restarting LRM in maintenance mode may be delayed until all services are moved")
	default:
		l.log(ha.LevelInfo, "", "restart LRM, freeze all services")
		l.mode = ha.ModeRestart
	}
	l.stopping = true
	if !l.publish() {
		l.log(ha.LevelErr, "", "unable to update lrm status file - not quorate?")
	}
}

func (l *LRM) nodeShutdown() (shutdown, reboot bool) {
	shutdown, reboot, err := l.env.NodeShutdown()
	if err != nil {
		// A restart freezes the services, which is safe in either case.
		l.log(ha.LevelErr, "", "unable to find out whether the node shuts down, assuming a restart of the daemon: %v", err)
		return false, false
	}
	return shutdown, reboot
}

func (l *LRM) shutdownPolicy() ha.ShutdownPolicy {
	policy, err := l.env.ShutdownPolicy()
	if err != nil {
		l.log(ha.LevelErr, "", "unable to get HA settings from datacenter.cfg - %v", err)
		return ha.PolicyConditional
	}
	return policy
}

// plan returns the mode in which the LRM leaves when the node shuts down.
func (l *LRM) plan(policy ha.ShutdownPolicy, reboot bool) ha.LRMMode {
	switch policy {
	case ha.PolicyFreeze:
		return ha.ModeRestart
	case ha.PolicyFailover:
		return ha.ModeShutdown
	case ha.PolicyMigrate:
		return ha.ModeMaintenance
	case ha.PolicyConditional:
	default:
		l.log(ha.LevelErr, "", "unknown shutdown policy '%s', fall back to conditional", policy)
	}
	if reboot {
		return ha.ModeRestart
	}
	return ha.ModeShutdown
}

// queueStops queues a stop of every service of this node, behind the order
// that is being carried out for it.
func (l *LRM) queueStops() {
	for sid, s := range l.services {
		if s.Node != l.env.NodeName() {
			continue
		}
		if j := l.queue[sid]; j != nil && j.running {
			j.thenStop = true
			continue
		}
		l.enqueue(ownStop(sid))
	}
}

// ownStop is a stop that the master did not order.
func ownStop(sid ha.SID) Order { return Order{SID: sid, State: ha.RequestStop} }

func (l *LRM) announceShutdown(policy ha.ShutdownPolicy, plan ha.LRMMode, reboot bool) {
	what := "shutdown"
	if reboot {
		what = "reboot"
	}
	manual := l.mode == ha.ModeMaintenance
	var text string
	switch {
	case manual && plan == ha.ModeMaintenance:
		text = what + " LRM, ignore maintenance policy, already in maintenance mode"
	case manual:
		text = fmt.Sprintf("%s LRM, ignore %s policy as manual maintenance mode is enabled", what, policy)
	case plan == ha.ModeMaintenance:
		text = what + " LRM, doing maintenance, removing this node from active list"
	case plan == ha.ModeRestart:
		text = what + " LRM, stop and freeze all services"
	default:
		text = "shutdown LRM, stop all services"
	}
	l.log(ha.LevelInfo, "", "%s", text)
	if !manual {
		l.mode = plan
	}
}
