package ha

import (
	"encoding/json"
	"maps"
	"slices"
)

// ManagerStatus is the content of ha/manager_status. The CRM that holds the
// manager lock writes it, everybody reads it.
type ManagerStatus struct {
	MasterNode    string
	Timestamp     Epoch // time of writing
	NodeStatus    map[string]NodeState
	ServiceStatus map[SID]*ServiceStatus
	NodeRequest   map[string]NodeRequest
	Disarm        *Disarm // nil: the stack is armed

	Extra map[string]json.RawMessage // keys this version does not know
}

// NodeRequest is what a person asked for a node.
type NodeRequest struct {
	Maintenance bool

	Extra map[string]json.RawMessage
}

// Disarm is the request to suspend the HA stack, and how far it has come.
type Disarm struct {
	Mode  DisarmMode
	State DisarmState

	Extra map[string]json.RawMessage
}

// ServiceStatus is the CRM's record of one service.
type ServiceStatus struct {
	State ServiceState
	Node  string // where the service is
	UID   string // names this order to the LRM; its result carries the same

	Target          string   // where it moves to; with Migrate, Relocate, RequestStartBalance
	Cmd             []string // command waiting for the service: task and its argument; nil for none
	Running         bool     // the LRM reported a successful start; meaningful in Started only
	FailedNodes     []string // nodes on which the start failed, in order; nil for none
	MaintenanceNode string   // node to go back to after its maintenance
	Timeout         string   // seconds of a stop command, as it was given; "" for none

	Extra map[string]json.RawMessage // keys this version does not know
}

// Clone returns a copy that shares nothing with s.
func (s *ServiceStatus) Clone() *ServiceStatus {
	c := *s
	c.Cmd = slices.Clone(s.Cmd)
	c.FailedNodes = slices.Clone(s.FailedNodes)
	c.Extra = maps.Clone(s.Extra)
	return &c
}

// Clone returns a copy that shares nothing with m.
func (m *ManagerStatus) Clone() *ManagerStatus {
	c := *m
	c.NodeStatus = maps.Clone(m.NodeStatus)
	c.NodeRequest = maps.Clone(m.NodeRequest)
	for node, r := range c.NodeRequest {
		r.Extra = maps.Clone(r.Extra)
		c.NodeRequest[node] = r
	}
	c.Extra = maps.Clone(m.Extra)
	if m.Disarm != nil {
		d := *m.Disarm
		d.Extra = maps.Clone(d.Extra)
		c.Disarm = &d
	}
	if m.ServiceStatus != nil {
		c.ServiceStatus = make(map[SID]*ServiceStatus, len(m.ServiceStatus))
		for sid, s := range m.ServiceStatus {
			c.ServiceStatus[sid] = s.Clone()
		}
	}
	return &c
}
