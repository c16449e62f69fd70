package crm

import (
	"fmt"
	"strings"

	"pveha/internal/ha"
)

// Edge is one allowed change of a service's state. From is "" for a service
// that is new to the manager.
type Edge struct {
	From, To ha.ServiceState
	Why      string
}

// Lifecycle is every change of a service's state that may happen. The
// manager refuses any other.
//
// The edges that leave Fence for anything but Recovery come from a node that
// dies while it is in maintenance: its service is marked for fencing and then
// handled once more as if it were started, because a node in maintenance may
// still hand over its services. The next pass of the same round marks it
// again, so that it is fenced all the same.
var Lifecycle = []Edge{
	{From: "", To: ha.RequestStart, Why: "configured and wanted started"},
	{From: "", To: ha.RequestStop, Why: "configured and wanted stopped or disabled: it may be running"},

	{From: ha.Stopped, To: ha.RequestStart, Why: "wanted started"},
	{From: ha.Stopped, To: ha.Migrate, Why: "command migrate"},
	{From: ha.Stopped, To: ha.Relocate, Why: "command relocate"},
	{From: ha.Stopped, To: ha.Fence, Why: "its node is lost and it is not disabled"},
	{From: ha.Stopped, To: ha.Freeze, Why: "its LRM restarts, or the stack is disarmed"},

	{From: ha.RequestStart, To: ha.Started, Why: "stays where it is"},
	{From: ha.RequestStart, To: ha.RequestStartBalance, Why: "another node fits better"},
	{From: ha.RequestStart, To: ha.Freeze, Why: "the stack is disarmed"},

	{From: ha.RequestStartBalance, To: ha.Started, Why: "moved, or moving failed, and wanted started"},
	{From: ha.RequestStartBalance, To: ha.RequestStop, Why: "moved, or moving failed, and no longer wanted started"},
	{From: ha.RequestStartBalance, To: ha.Error, Why: "its guest is on another node than it should be"},
	{From: ha.RequestStartBalance, To: ha.Fence, Why: "its node is lost"},
	{From: ha.RequestStartBalance, To: ha.Freeze, Why: "the stack is disarmed"},

	{From: ha.Started, To: ha.RequestStop, Why: "wanted stopped or disabled, or command stop"},
	{From: ha.Started, To: ha.Migrate, Why: "another node fits better, or command migrate"},
	{From: ha.Started, To: ha.Relocate, Why: "another node fits better, or command relocate"},
	{From: ha.Started, To: ha.Fence, Why: "its node is lost"},
	{From: ha.Started, To: ha.Freeze, Why: "its LRM restarts, or the stack is disarmed"},
	{From: ha.Started, To: ha.Error, Why: "its start failed for good"},

	{From: ha.RequestStop, To: ha.Stopped, Why: "the LRM stopped it"},
	{From: ha.RequestStop, To: ha.Error, Why: "the LRM could not stop it"},
	{From: ha.RequestStop, To: ha.Fence, Why: "its node is lost"},
	{From: ha.RequestStop, To: ha.Freeze, Why: "its LRM restarts, or the stack is disarmed"},

	{From: ha.Migrate, To: ha.Started, Why: "moved, or moving failed, and wanted started"},
	{From: ha.Migrate, To: ha.RequestStop, Why: "moved, or moving failed, and no longer wanted started"},
	{From: ha.Migrate, To: ha.Error, Why: "its guest is on another node than it should be"},
	{From: ha.Migrate, To: ha.Fence, Why: "its node is lost"},

	{From: ha.Relocate, To: ha.Started, Why: "moved, or moving failed, and wanted started"},
	{From: ha.Relocate, To: ha.RequestStop, Why: "moved, or moving failed, and no longer wanted started"},
	{From: ha.Relocate, To: ha.Error, Why: "its guest is on another node than it should be"},
	{From: ha.Relocate, To: ha.Fence, Why: "its node is lost"},

	{From: ha.Fence, To: ha.Recovery, Why: "its node was fenced"},
	{From: ha.Fence, To: ha.Migrate, Why: "its node died in maintenance, another node fits"},
	{From: ha.Fence, To: ha.Relocate, Why: "its node died in maintenance, another node fits"},
	{From: ha.Fence, To: ha.RequestStop, Why: "its node died in maintenance, no longer wanted started"},
	{From: ha.Fence, To: ha.Error, Why: "its node died in maintenance, its start had failed for good"},

	{From: ha.Recovery, To: ha.Started, Why: "got a new node, wanted started"},
	{From: ha.Recovery, To: ha.RequestStop, Why: "got a new node, no longer wanted started"},
	{From: ha.Recovery, To: ha.Stopped, Why: "no node found, and disabled by a person"},

	{From: ha.Freeze, To: ha.Started, Why: "its LRM is active again, wanted started"},
	{From: ha.Freeze, To: ha.RequestStop, Why: "its LRM is active again, no longer wanted started"},

	{From: ha.Error, To: ha.Stopped, Why: "disabled by a person"},
	{From: ha.Error, To: ha.Fence, Why: "found on the wrong node when that node was already lost"},
}

var declared = func() map[[2]ha.ServiceState]bool {
	m := make(map[[2]ha.ServiceState]bool, len(Lifecycle))
	for _, e := range Lifecycle {
		m[[2]ha.ServiceState{e.From, e.To}] = true
	}
	return m
}()

// enter is the only writer of a service's state: next replaces the record as a
// whole, so that what should survive has to be named.
func (m *Manager) enter(sid ha.SID, s *ha.ServiceStatus, next ha.ServiceStatus) error {
	if !declared[[2]ha.ServiceState{s.State, next.State}] {
		return fmt.Errorf("service '%s' must not change from '%s' to '%s'", sid, s.State, next.State)
	}
	if m.cfg.OnChange != nil {
		m.cfg.OnChange(sid, s.State, next.State)
	}
	next.UID = m.cfg.NewUID(next.State)
	*s = next
	return nil
}

// param is a value given with a change of state; its log line shows it.
type param struct{ key, value string }

func onNode(node string) param         { return param{"node", node} }
func toTarget(node string) param       { return param{"target", node} }
func withTimeout(seconds string) param { return param{"timeout", seconds} }

// move changes the state of a service. Only its node, its failed nodes and its
// maintenance node survive, and what the params give (in the order of their
// keys).
func (m *Manager) move(sid ha.SID, s *ha.ServiceStatus, to ha.ServiceState, ps ...param) error {
	from := s.State
	next := ha.ServiceStatus{
		State:           to,
		Node:            s.Node,
		FailedNodes:     s.FailedNodes,
		MaintenanceNode: s.MaintenanceNode,
	}
	var shown []string
	for _, p := range ps {
		switch p.key {
		case "node":
			next.Node = p.value
		case "target":
			next.Target = p.value
		case "timeout":
			next.Timeout = p.value
		}
		shown = append(shown, p.key+" = "+p.value)
	}
	if err := m.enter(sid, s, next); err != nil {
		return err
	}
	m.updateUsage(sid, s)
	text := fmt.Sprintf("service '%s': state changed from '%s' to '%s'", sid, from, to)
	if shown != nil {
		text += "  (" + strings.Join(shown, ", ") + ")"
	}
	m.log(ha.LevelInfo, sid, "%s", text)
	return nil
}
