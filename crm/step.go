package crm

import "pveha/internal/ha"

// step lets one service take at most one step of its lifecycle.
func (m *Manager) step(r *round, sid ha.SID, s *ha.ServiceStatus) error {
	cfg, configured := r.services[sid]
	switch {
	case !configured:
		cfg = ha.ServiceConfig{State: ha.RequestDisabled, Node: s.Node}
	case s.Node == "": // it has a place again, see stepStopped
		s.Node = cfg.Node
	}
	result, hasResult := r.results[s.UID]
	var res *ha.Result
	if hasResult && s.UID != "" {
		res = &result
	}

	switch s.State {
	case ha.Stopped:
		if !configured {
			cfg.Node = "" // with its configuration went its place
		}
		return m.stepStopped(r, sid, s, cfg)
	case ha.Started:
		return m.stepStarted(r, sid, s, cfg, res)
	case ha.RequestStart:
		return m.stepRequestStart(sid, s, cfg)
	case ha.Migrate, ha.Relocate, ha.RequestStartBalance:
		return m.stepMoving(r, sid, s, cfg, res)
	case ha.Fence:
		return nil // fenceNodes takes it from here
	case ha.Recovery:
		return m.stepRecovery(r, sid, s, cfg)
	case ha.RequestStop:
		return m.stepRequestStop(r, sid, s, res)
	case ha.Freeze:
		return m.stepFreeze(r, sid, s, cfg)
	case ha.Error:
		return m.stepError(sid, s, cfg)
	default: // written by a newer stack: no reason to leave the others alone
		m.complain(ha.LevelErr, sid, "unknown service state '%s'", s.State)
		return nil
	}
}

// wanted is the state in which a service ends up after it was moved, recovered
// or thawed.
func wanted(cfg ha.ServiceConfig) ha.ServiceState {
	if cfg.State == ha.RequestStarted {
		return ha.Started
	}
	return ha.RequestStop
}

func (m *Manager) stepStopped(r *round, sid ha.SID, s *ha.ServiceStatus, cfg ha.ServiceConfig) error {
	if s.Node != cfg.Node {
		// A node fenced during a migration leaves the guest on either side.
		m.log(ha.LevelInfo, sid, "fixup service '%s' location (%s => %s)", sid, s.Node, cfg.Node)
		s.Node = cfg.Node
	}
	if s.Cmd != nil {
		moved, err := m.obeyStopped(sid, s)
		if moved || err != nil {
			return err
		}
	}
	if cfg.State == ha.RequestDisabled {
		// No result is asked for here: the LRM stops a disabled service again
		// and again, in case no CRM is active.
		return nil
	}
	if m.lost(r, s.Node) && m.nodes.State(s.Node) != ha.NodeMaintenance {
		return m.move(sid, s, ha.Fence)
	}
	switch cfg.State {
	case ha.RequestStopped:
		return nil
	case ha.RequestStarted:
		return m.move(sid, s, ha.RequestStart, onNode(s.Node))
	case ha.RequestDisabled, ha.RequestIgnored, ha.RequestEnabled:
	}
	m.logUnknownRequest(sid, cfg)
	return nil
}

func (m *Manager) logUnknownRequest(sid ha.SID, cfg ha.ServiceConfig) {
	m.complain(ha.LevelErr, sid, "service '%s' - unknown state '%s' in service configuration", sid, cfg.State)
}

func (m *Manager) stepRequestStart(sid ha.SID, s *ha.ServiceStatus, cfg ha.ServiceConfig) error {
	if !m.scheduling.RebalanceOnStart {
		return m.move(sid, s, ha.Started, onNode(s.Node))
	}
	node := m.placement().choose(sid, cfg, best)
	which := "new"
	if node == s.Node {
		which = "current"
	}
	m.log(ha.LevelInfo, sid, "service %s: re-balance selected %s node %s for startup", sid, which, node)
	if node == s.Node {
		return m.move(sid, s, ha.Started, onNode(s.Node))
	}
	return m.move(sid, s, ha.RequestStartBalance, onNode(s.Node), toTarget(node))
}

func (m *Manager) stepMoving(r *round, sid ha.SID, s *ha.ServiceStatus, cfg ha.ServiceConfig, res *ha.Result) error {
	if res != nil {
		switch res.ExitCode {
		case ha.ExitSuccess:
			return m.move(sid, s, wanted(cfg), onNode(s.Target))
		case ha.ExitWrongNode:
			m.log(ha.LevelErr, sid, "service '%s' - migration failed: service registered on wrong node!", sid)
			if err := m.move(sid, s, ha.Error); err != nil {
				return err
			}
		case ha.ExitIgnored:
			m.log(ha.LevelInfo, sid,
				"service '%s' - rebalance-on-start request ignored - service already running", sid)
			if err := m.move(sid, s, wanted(cfg), onNode(s.Node)); err != nil {
				return err
			}
		case ha.ExitError, ha.ExitTryAgain, ha.ExitUnknownServiceType, ha.ExitUnknownCommand,
			ha.ExitInvalidParameter, ha.ExitUnknownService, ha.ExitNotRun:
			fallthrough
		default:
			m.log(ha.LevelErr, sid, "service '%s' - migration failed (exit code %d)", sid, res.ExitCode)
			return m.move(sid, s, wanted(cfg), onNode(s.Node))
		}
	}
	return m.fenceIfLost(r, sid, s)
}

func (m *Manager) stepRequestStop(r *round, sid ha.SID, s *ha.ServiceStatus, res *ha.Result) error {
	if res != nil {
		if res.ExitCode == ha.ExitSuccess {
			return m.move(sid, s, ha.Stopped)
		}
		m.log(ha.LevelErr, sid, "service '%s' stop failed (exit code %d)", sid, res.ExitCode)
		return m.move(sid, s, ha.Error)
	}
	return m.fenceIfLost(r, sid, s)
}

func (m *Manager) fenceIfLost(r *round, sid ha.SID, s *ha.ServiceStatus) error {
	if !m.lost(r, s.Node) {
		return nil
	}
	return m.move(sid, s, ha.Fence)
}

func (m *Manager) stepFreeze(r *round, sid ha.SID, s *ha.ServiceStatus, cfg ha.ServiceConfig) error {
	if r.modes[s.Node] != ha.ModeActive {
		return nil
	}
	if r.waiting[s.Node] && !m.nodes.Operational(s.Node) {
		// Its LRM was cut off before it had its lock: the service may run on
		// without a watchdog, and thawed it would be fenced by a lock that proves
		// nothing.
		return nil
	}
	return m.move(sid, s, wanted(cfg))
}

// freezeForRestart keeps the services of an LRM that restarts as they are.
func (m *Manager) freezeForRestart(r *round, sid ha.SID, s *ha.ServiceStatus) error {
	if r.modes[s.Node] != ha.ModeRestart {
		return nil
	}
	switch s.State {
	case ha.Started, ha.Stopped, ha.RequestStop:
		return m.move(sid, s, ha.Freeze)
	case ha.RequestStart, ha.RequestStartBalance, ha.Fence, ha.Recovery,
		ha.Migrate, ha.Relocate, ha.Freeze, ha.Error:
	}
	return nil
}

func (m *Manager) stepError(sid ha.SID, s *ha.ServiceStatus, cfg ha.ServiceConfig) error {
	if cfg.State != ha.RequestDisabled {
		return nil
	}
	s.FailedNodes = nil
	return m.move(sid, s, ha.Stopped)
}
