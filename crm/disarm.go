package crm

import "pveha/internal/ha"

// requestDisarm starts to suspend the HA stack.
func (m *Manager) requestDisarm(mode ha.DisarmMode) {
	if d := m.status.Disarm; d != nil {
		m.log(ha.LevelNotice, "", "ignoring disarm-ha command - already in disarm state (%s)", d.State)
		return
	}
	m.log(ha.LevelInfo, "", "got crm command: disarm-ha %s", mode)
	if mode == ha.DisarmIgnore {
		for _, sid := range m.sids() {
			m.log(ha.LevelInfo, sid, "disarm: suspending HA tracking for service '%s'", sid)
		}
	}
	m.status.Disarm = &ha.Disarm{Mode: mode, State: ha.Disarming}
}

// arm ends the suspension.
func (m *Manager) arm(r *round) {
	d := m.status.Disarm
	if d == nil {
		m.log(ha.LevelNotice, "", "ignoring arm-ha command - HA stack is not disarmed")
		return
	}
	m.log(ha.LevelInfo, "", "got crm command: arm-ha")
	if d.Mode == ha.DisarmIgnore {
		m.followManualMoves(r)
	}
	m.status.Disarm = nil
}

// followManualMoves takes over the places of the guests: people may have
// moved them while nobody looked. A service whose node is fenced follows when
// that is done: its new node must not be fenced in place of the old one.
func (m *Manager) followManualMoves(r *round) {
	for _, sid := range m.sids() {
		s := m.services[sid]
		cfg, ok := r.services[sid]
		if !ok || cfg.Node == s.Node || s.State == ha.Fence || s.State == ha.Recovery {
			continue
		}
		m.log(ha.LevelInfo, sid, "service '%s': updating node '%s' => '%s' (changed while disarmed)",
			sid, s.Node, cfg.Node)
		s.Node = cfg.Node
		s.UID = m.cfg.NewUID(s.State) // what the old node reports does not count for the new one
	}
}

// disarm carries the suspension on. While a service is in a state that must
// not be left half-way, it returns false and limits the round to such
// services; nothing new is begun. Otherwise the round is over.
func (m *Manager) disarm(r *round) (done bool, err error) {
	d := m.status.Disarm
	if d.Mode != ha.DisarmFreeze && d.Mode != ha.DisarmIgnore {
		m.complain(ha.LevelErr, "", "unknown disarm-mode '%s', ignoring", d.Mode)
		return true, nil
	}
	if r.only = m.deferDisarm(); r.only != nil {
		return false, nil
	}
	for _, sid := range m.sids() {
		if err := m.suspend(sid, m.services[sid], r.services[sid], d.Mode); err != nil {
			return true, err
		}
	}
	if d.State != ha.Disarmed && m.allLRMsDisarmed(r) {
		m.log(ha.LevelInfo, "", "all LRMs disarmed, HA stack is now fully disarmed")
		d.State = ha.Disarmed
	}
	// Once reached it stays: a node that comes back catches up by itself.
	m.fullyDisarmed = d.State == ha.Disarmed
	return true, m.writeStatus()
}

// deferDisarm returns the services that are being fenced, recovered or moved,
// nil when there are none.
func (m *Manager) deferDisarm() map[ha.SID]bool {
	var busy map[ha.SID]bool
	for _, sid := range m.sids() {
		state := m.services[sid].State
		level := ha.LevelInfo
		switch state {
		case ha.Fence, ha.Recovery:
			level = ha.LevelWarning
		case ha.Migrate, ha.Relocate:
		case ha.Stopped, ha.RequestStop, ha.RequestStart, ha.RequestStartBalance,
			ha.Started, ha.Freeze, ha.Error:
			continue
		default:
			continue
		}
		m.complain(level, sid, "deferring disarm - service '%s' is in '%s' state", sid, state)
		if busy == nil {
			busy = map[ha.SID]bool{}
		}
		busy[sid] = true
	}
	return busy
}

// suspend takes one service out of the lifecycle. What was going on with it is
// forgotten, so that it starts afresh when the stack is armed again; only the
// node to return to after maintenance is kept.
func (m *Manager) suspend(sid ha.SID, s *ha.ServiceStatus, cfg ha.ServiceConfig, mode ha.DisarmMode) error {
	kept := ha.ServiceStatus{State: s.State, Node: s.Node, UID: s.UID, MaintenanceNode: s.MaintenanceNode}
	if mode == ha.DisarmIgnore {
		if s.Target != "" || s.Timeout != "" {
			// What is left is another order: a report on the old one must not
			// count for it.
			kept.UID = m.cfg.NewUID(s.State)
		}
		*s = kept
		return nil
	}
	switch s.State {
	case ha.Started, ha.Stopped, ha.RequestStop, ha.RequestStart, ha.RequestStartBalance:
		m.log(ha.LevelInfo, sid, "disarm: freezing service '%s' (was '%s')", sid, s.State)
		if s.State == ha.RequestStartBalance && cfg.Node == s.Target {
			kept.Node = s.Target // moved already, and nobody reads the report any more
		}
		kept.State = ha.Freeze
		return m.enter(sid, s, kept)
	case ha.Freeze, ha.Error:
	case ha.Fence, ha.Recovery, ha.Migrate, ha.Relocate: // waited for, see deferDisarm
	}
	return nil
}

func (m *Manager) allLRMsDisarmed(r *round) bool {
	for _, node := range m.nodes.OnlineNodes() {
		if r.modes[node] != ha.ModeDisarm {
			return false
		}
	}
	return true
}
