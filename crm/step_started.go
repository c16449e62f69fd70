package crm

import (
	"fmt"
	"strings"

	"pveha/internal/ha"
)

// stepStarted is the long step: leave the node if it is lost, obey the
// configuration, obey a command, judge what the LRM reports, find the best
// place.
func (m *Manager) stepStarted(r *round, sid ha.SID, s *ha.ServiceStatus, cfg ha.ServiceConfig, res *ha.Result) error {
	wasRunning := s.Running
	gone, err := m.leaveLostNode(r, sid, s)
	if gone || err != nil {
		return err
	}
	switch cfg.State {
	case ha.RequestStarted:
	case ha.RequestDisabled, ha.RequestStopped:
		return m.move(sid, s, ha.RequestStop)
	case ha.RequestIgnored, ha.RequestEnabled:
		fallthrough
	default:
		m.logUnknownRequest(sid, cfg)
		return nil
	}
	if s.Cmd != nil {
		return m.obeyStarted(sid, s)
	}
	pref, failed, err := m.judge(sid, s, cfg, res)
	if failed || err != nil {
		return err
	}
	renew := res != nil
	if m.extra && wasRunning && s.Running {
		// The LRM looked and found the service running, as it was. Were the
		// order renewed at once, the LRM would look again at once, and so on.
		renew = false
	}
	return m.settlePlace(sid, s, cfg, renew, pref)
}

// leaveLostNode marks the service for fencing when its node is lost. It
// returns false when the service goes on: its node is online, or in
// maintenance, which the service may still leave by itself.
func (m *Manager) leaveLostNode(r *round, sid ha.SID, s *ha.ServiceStatus) (gone bool, err error) {
	if m.nodes.Online(s.Node) {
		return false, nil
	}
	if m.lost(r, s.Node) {
		if err := m.move(sid, s, ha.Fence); err != nil {
			return true, err
		}
	}
	if m.nodes.State(s.Node) != ha.NodeMaintenance {
		return true, nil
	}
	s.MaintenanceNode = s.Node // to come back to
	return false, nil
}

// judge acts on the result of the LRM's start of the service. It says whether
// the service has to look for another node, and whether it failed for good.
func (m *Manager) judge(sid ha.SID, s *ha.ServiceStatus, cfg ha.ServiceConfig, res *ha.Result) (preference, bool, error) {
	if res == nil {
		return stay, false, nil
	}
	switch res.ExitCode {
	case ha.ExitSuccess:
		if s.FailedNodes != nil {
			m.log(ha.LevelInfo, sid, "relocation policy successful for '%s' on node '%s', failed nodes: %s",
				sid, s.Node, strings.Join(s.FailedNodes, ", "))
		}
		s.FailedNodes = nil
		s.Running = true
		return stay, false, nil

	case ha.ExitError, ha.ExitWrongNode:
		s.Running = false
		s.FailedNodes = append(s.FailedNodes, s.Node)
		if len(s.FailedNodes) <= cfg.MaxRelocate {
			m.log(ha.LevelWarning, sid, "starting service %s on node '%s' failed, relocating service.", sid, s.Node)
			return another, false, nil
		}
		m.log(ha.LevelErr, sid, "recovery policy for service %s failed, entering error state. Failed nodes: %s",
			sid, strings.Join(s.FailedNodes, ", "))

	case ha.ExitTryAgain, ha.ExitUnknownServiceType, ha.ExitUnknownCommand,
		ha.ExitInvalidParameter, ha.ExitUnknownService, ha.ExitIgnored, ha.ExitNotRun:
		fallthrough
	default:
		s.FailedNodes = append(s.FailedNodes, s.Node)
		m.log(ha.LevelErr, sid, "service '%s' got unrecoverable error (exit code %d)", sid, res.ExitCode)
	}
	return stay, true, m.move(sid, s, ha.Error)
}

// settlePlace sends a started service to the node where it should be, or arms
// it anew where it is.
func (m *Manager) settlePlace(sid ha.SID, s *ha.ServiceStatus, cfg ha.ServiceConfig, renew bool, pref preference) error {
	node := m.placement().choose(sid, cfg, pref)
	if node != "" && node != s.Node {
		m.dropMaintenanceNode(sid, s, node)
		task, text := ha.Relocate, fmt.Sprintf("relocate service '%s' to node '%s'", sid, node)
		if sid.Type() == "vm" {
			task, text = ha.Migrate, fmt.Sprintf("migrate service '%s' to node '%s' (running)", sid, node)
		}
		m.log(ha.LevelInfo, sid, "%s", text)
		return m.move(sid, s, task, onNode(s.Node), toTarget(node))
	}
	if pref == another && node == "" {
		m.log(ha.LevelWarning, sid, "Start Error Recovery: Tried all available nodes for service '%s',"+
			" retry start on current node. Tried nodes: %s", sid, strings.Join(s.FailedNodes, ", "))
	}
	if s.MaintenanceNode != "" && s.Node == s.MaintenanceNode && m.nodes.Online(s.Node) {
		// It never left: the whole cluster went down with the policy
		// 'migrate', or there was no other node.
		m.log(ha.LevelInfo, sid, "service '%s': clearing stale maintenance node '%s' setting (is current node)",
			sid, s.MaintenanceNode)
		s.MaintenanceNode = ""
	}
	if renew {
		// A new order lets the LRM start the service again when it dies; only
		// after the result of the last one was taken, so that none is lost.
		s.UID = m.cfg.NewUID(s.State)
	}
	return nil
}

// dropMaintenanceNode forgets where the service wanted to return to: it
// returns now, or it was sent elsewhere meanwhile.
func (m *Manager) dropMaintenanceNode(sid ha.SID, s *ha.ServiceStatus, node string) {
	fallback := s.MaintenanceNode
	switch {
	case fallback == "":
		return
	case node == fallback:
		m.log(ha.LevelInfo, sid, "moving service '%s' back to '%s', node came back from maintenance.", sid, fallback)
	case s.Node != fallback:
		m.log(ha.LevelInfo, sid, "dropping maintenance fallback node '%s' for '%s'", fallback, sid)
	default:
		return
	}
	s.MaintenanceNode = ""
}
