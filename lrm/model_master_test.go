package lrm_test

import (
	"fmt"
	"slices"

	"pveha/internal/ha"
)

// master is the CRM and the other nodes: a simple one that changes its mind
// often, but never forgets to fence. It always has quorum.
type master struct {
	ms        *ha.ManagerStatus // being worked on
	published *ha.ManagerStatus // as it can be read
	written   *ha.LRMStatus     // the last status of the local node
	sids      []ha.SID          // of all services, sorted
	uids      int
	offline   ha.Epoch            // since when the node is not online; 0: it is
	arrivals  map[ha.SID]ha.Epoch // when a guest on its way here arrives
}

func (h *history) newMaster() {
	h.ms = &ha.ManagerStatus{
		NodeStatus:    map[string]ha.NodeState{here: ha.NodeOnline},
		ServiceStatus: map[ha.SID]*ha.ServiceStatus{},
		NodeRequest:   map[string]ha.NodeRequest{},
	}
	h.arrivals = map[ha.SID]ha.Epoch{}
	h.written = &ha.LRMStatus{Mode: ha.ModeActive}
	for i := range 1 + h.rnd.IntN(4) {
		sid := ha.SID(fmt.Sprintf("vm:%d", 100+i))
		node := here
		if h.one(3) {
			node = elsewhere
		}
		h.sids = append(h.sids, sid)
		h.place(sid, node)
		h.ms.ServiceStatus[sid] = &ha.ServiceStatus{State: ha.Started, Node: node, UID: h.uid()}
	}
	h.published = h.ms.Clone()
}

func (h *history) uid() string {
	h.uids++
	return fmt.Sprint("uid", h.uids)
}

// order gives a service a new state.
func (h *history) order(sid ha.SID, state ha.ServiceState, node, target string) {
	h.note("master: %s %s %s %s", sid, state, node, target)
	h.ms.ServiceStatus[sid] = &ha.ServiceStatus{State: state, Node: node, Target: target, UID: h.uid()}
}

func (h *history) masterRound() {
	h.administrator()
	online := h.up && h.quorate
	switch {
	case online:
		h.offline = 0
	case h.offline == 0:
		h.offline = h.now
	}
	nodes := h.ms.NodeStatus
	switch {
	case nodes[here] == ha.NodeFence:
	case !online:
		nodes[here] = ha.NodeUnknown
	case h.written.Mode == ha.ModeMaintenance:
		nodes[here] = ha.NodeMaintenance
	default:
		nodes[here] = ha.NodeOnline
	}
	h.manageServices()
	h.fence()
	h.published = h.ms.Clone()
}

// administrator is what people ask for.
func (h *history) administrator() {
	if !h.storm {
		return
	}
	ms := h.ms
	switch {
	case h.one(40):
		on := !ms.NodeRequest[here].Maintenance
		ms.NodeRequest[here] = ha.NodeRequest{Maintenance: on}
		h.note("master: maintenance %v", on)
	case ms.Disarm == nil && h.one(60):
		mode := ha.DisarmFreeze
		if h.one(2) {
			mode = ha.DisarmIgnore
		}
		ms.Disarm = &ha.Disarm{Mode: mode, State: ha.Disarming}
		h.note("master: disarm %s", mode)
	case ms.Disarm != nil && h.one(6):
		ms.Disarm = nil
		h.note("master: arm")
	case h.one(100):
		ms.NodeStatus[here] = ha.NodeFence
		h.note("master: the node is to be fenced")
		for _, sid := range h.sids {
			if s := ms.ServiceStatus[sid]; s.Node == here && recoverable(s.State) {
				s.State = ha.Fence
				h.note("master: %s fence", sid)
			}
		}
	}
}

// recoverable reports whether a service in this state is recovered when its
// node is lost.
func recoverable(state ha.ServiceState) bool {
	return slices.Contains([]ha.ServiceState{ha.Started, ha.RequestStop, ha.Migrate, ha.Relocate}, state)
}

// manageServices is a step of every service. While the stack is being disarmed
// those that move come to their end, and then all stay as they are.
func (h *history) manageServices() {
	moving := func(sid ha.SID) bool {
		state := h.ms.ServiceStatus[sid].State
		return state == ha.Migrate || state == ha.Relocate || state == ha.Fence
	}
	disarm := h.ms.Disarm
	deferred := slices.ContainsFunc(h.sids, moving)
	for _, sid := range h.sids {
		s := h.ms.ServiceStatus[sid]
		switch {
		case disarm == nil || moving(sid):
			h.stepService(sid, s)
		case !deferred && disarm.Mode == ha.DisarmFreeze && s.State != ha.Freeze && s.State != ha.Error:
			h.order(sid, ha.Freeze, s.Node, "")
		}
	}
}

func (h *history) stepService(sid ha.SID, s *ha.ServiceStatus) {
	switch {
	case s.Node != here:
		h.stepElsewhere(sid, s)
	case h.offline == 0:
		h.stepHere(sid, s)
	case h.now-h.offline >= fenceDelay && recoverable(s.State):
		h.note("master: %s fence", sid)
		s.State = ha.Fence
	}
}

// stepElsewhere may bring a service here. A service on its way arrives even
// when the node does not take any new one.
func (h *history) stepElsewhere(sid ha.SID, s *ha.ServiceStatus) {
	if at, underWay := h.arrivals[sid]; underWay {
		if h.now < at {
			return
		}
		delete(h.arrivals, sid)
		h.order(sid, ha.Started, h.configs[sid].Node, "")
		return
	}
	if s.State != ha.Started {
		h.order(sid, ha.Started, elsewhere, "")
		return
	}
	takes := h.offline == 0 && h.written.Mode == ha.ModeActive && h.ms.NodeStatus[here] == ha.NodeOnline
	if !h.storm || !takes {
		return
	}
	switch h.rnd.IntN(10) {
	case 0:
		h.order(sid, ha.Migrate, elsewhere, here)
		h.arrivals[sid] = h.now + 1 + ha.Epoch(h.rnd.IntN(25))
	case 1:
		h.place(sid, here)
		h.order(sid, ha.Started, here, "")
	}
}

// moveIn is the arrival of guests.
func (h *history) moveIn() {
	for _, sid := range h.sids {
		if h.arrivals[sid] == h.now && h.up && h.quorate {
			h.saw("moved in")
			h.note("%s is moved in", sid)
			h.place(sid, here)
			h.guests[sid] = &guest{late: h.leaving != ""}
		}
	}
}

func (h *history) stepHere(sid ha.SID, s *ha.ServiceStatus) {
	result, done := h.written.Results[s.UID]
	good := done && result.ExitCode == ha.ExitSuccess
	mode := h.written.Mode
	freezes := mode == ha.ModeRestart && (s.State == ha.Started || s.State == ha.Stopped || s.State == ha.RequestStop)
	switch {
	case freezes:
		h.order(sid, ha.Freeze, here, "")
	case s.State == ha.Freeze && mode == ha.ModeActive:
		h.order(sid, ha.Started, here, "")
	case s.State == ha.Started:
		h.stepStarted(sid, done, good)
	case (s.State == ha.Migrate || s.State == ha.Relocate) && done:
		h.order(sid, ha.Started, h.configs[sid].Node, "")
	case s.State == ha.RequestStop && good:
		h.order(sid, ha.Stopped, here, "")
	case s.State == ha.RequestStop && done:
		h.order(sid, ha.Error, here, "")
	case s.State == ha.Stopped && h.one(5):
		h.order(sid, ha.Started, here, "")
	case s.State == ha.Error && h.one(10):
		h.order(sid, ha.RequestStop, here, "")
	}
}

func (h *history) stepStarted(sid ha.SID, done, good bool) {
	leave := h.ms.NodeStatus[here] == ha.NodeMaintenance
	wish := -1
	if h.storm {
		wish = h.rnd.IntN(15)
	}
	switch {
	case leave && h.one(2), wish == 0:
		state := ha.Migrate
		if h.one(2) {
			state = ha.Relocate
		}
		h.order(sid, state, here, elsewhere)
	case wish == 1:
		h.order(sid, ha.RequestStop, here, "")
	case good:
		h.ms.ServiceStatus[sid].UID = h.uid() // started again should it go down
		h.ms.ServiceStatus[sid].Running = true
	case done && h.one(2):
		h.order(sid, ha.Relocate, here, elsewhere)
	case done:
		h.order(sid, ha.Error, here, "")
	}
}

// fence recovers services elsewhere as soon as the agent lock proves that
// nothing runs here.
func (h *history) fence() {
	var lost []ha.SID
	for _, sid := range h.sids {
		if s := h.ms.ServiceStatus[sid]; s.Node == here && s.State == ha.Fence {
			lost = append(lost, sid)
		}
	}
	if len(lost) > 0 {
		h.ms.NodeStatus[here] = ha.NodeFence
	}
	if h.ms.NodeStatus[here] != ha.NodeFence || !h.take(elsewhere) {
		return
	}
	h.note("master: fenced")
	h.ms.NodeStatus[here] = ha.NodeUnknown
	for _, sid := range lost {
		g := h.guests[sid]
		h.check(g == nil || !g.owed, "%s is recovered while it runs here", sid)
		h.saw("recovered")
		delete(h.guests, sid)
		h.place(sid, elsewhere)
		h.order(sid, ha.Started, elsewhere, "")
	}
}
