package crm

import (
	"maps"
	"slices"

	"pveha/internal/ha"
)

// lrms plays the LRMs of all nodes and the guests they handle. Each node reads
// the status as it was written, does what it says at once, and reports it.
type lrms struct {
	*fake
	running map[ha.SID][]string // nodes on which a guest runs; more than one is the worst case
	// outcome decides how an order ends, nil: with success.
	outcome func(sid ha.SID, order ha.ServiceState) ha.ExitCode
	moves   []string // what was moved and taken over, in order
}

func newLRMs(f *fake) *lrms { return &lrms{fake: f, running: map[ha.SID][]string{}} }

// obey lets the LRM of a node run for a round; whether it works is a question of
// its lock.
func (l *lrms) obey(node string, works bool) {
	if l.manager == nil || !l.members[node] {
		return
	}
	old := l.lrms[node]
	next := &ha.LRMStatus{State: ha.LRMActive, Mode: ha.ModeActive, Results: map[string]ha.Result{}}
	if !works {
		next.State = ha.LRMWaitForAgentLock
	}
	switch {
	case l.manager.NodeRequest[node].Maintenance:
		next.Mode = ha.ModeMaintenance
	case l.manager.Disarm != nil:
		next.State, next.Mode = ha.LRMWaitForAgentLock, ha.ModeDisarm
	case old.Mode == ha.ModeRestart || old.Mode == ha.ModeShutdown: // until a test ends it
		next.Mode = old.Mode
	}
	l.lrms[node] = next
	for _, sid := range slices.Sorted(maps.Keys(l.manager.ServiceStatus)) {
		s := l.manager.ServiceStatus[sid]
		if s.Node != node {
			continue
		}
		if result, done := old.Results[s.UID]; done {
			next.Results[s.UID] = result
			continue
		}
		if next.State != ha.LRMActive {
			continue
		}
		if code, ordered := l.carryOut(node, sid, s); ordered {
			next.Results[s.UID] = ha.Result{SID: sid, State: s.State, ExitCode: code}
		}
	}
}

// carryOut does what the status of a service orders.
func (l *lrms) carryOut(node string, sid ha.SID, s *ha.ServiceStatus) (code ha.ExitCode, ordered bool) {
	switch s.State {
	case ha.Started, ha.RequestStop, ha.Migrate, ha.Relocate, ha.RequestStartBalance:
	case ha.Stopped, ha.RequestStart, ha.Fence, ha.Recovery, ha.Freeze, ha.Error:
		return 0, false
	default:
		return 0, false
	}
	at, configured := l.services[sid]
	switch {
	case s.Target == "" && s.State != ha.Started && s.State != ha.RequestStop:
		return ha.ExitNotRun, true
	case configured && s.Target == at.Node && s.Target != "":
		return ha.ExitSuccess, true // moved already
	case !configured || at.Node != node:
		return ha.ExitWrongNode, true
	case s.Target != "" && !l.members[s.Target]:
		return ha.ExitError, true
	}
	if l.outcome != nil {
		if code := l.outcome(sid, s.State); code != ha.ExitSuccess {
			return code, true
		}
	}
	return l.act(node, sid, s), true
}

func (l *lrms) act(node string, sid ha.SID, s *ha.ServiceStatus) ha.ExitCode {
	runs := slices.Contains(l.running[sid], node)
	switch s.State {
	case ha.Started:
		if !runs {
			l.running[sid] = append(l.running[sid], node)
		}
	case ha.RequestStop:
		l.halt(sid, node)
	case ha.RequestStartBalance:
		if runs {
			return ha.ExitIgnored
		}
		l.move(sid, node, s.Target)
	case ha.Migrate, ha.Relocate:
		l.halt(sid, node)
		l.move(sid, node, s.Target)
		if runs && s.State == ha.Migrate {
			l.running[sid] = append(l.running[sid], s.Target)
		}
	case ha.Stopped, ha.RequestStart, ha.Fence, ha.Recovery, ha.Freeze, ha.Error:
	}
	return ha.ExitSuccess
}

func (l *lrms) halt(sid ha.SID, node string) {
	l.running[sid] = slices.DeleteFunc(l.running[sid], func(n string) bool { return n == node })
}

// move takes the guest's configuration to another node.
func (l *lrms) move(sid ha.SID, from, to string) {
	cfg := l.services[sid]
	cfg.Node = to
	l.services[sid] = cfg
	l.moves = append(l.moves, "move "+string(sid)+" from "+from+" to "+to)
}

// reset is what a watchdog does to a node, and what its death comes to.
func (l *lrms) reset(node string) {
	for sid := range l.running {
		l.halt(sid, node)
	}
}
