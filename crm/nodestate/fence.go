package nodestate

import (
	"fmt"
	"maps"
	"slices"

	"pveha/internal/ha"
)

// Fencer is what the fencing step needs.
type Fencer interface {
	// AgentLock tries to take the agent lock of the node. Having it proves
	// that the node is dead: it stopped refreshing the lock so long ago that
	// its watchdog has reset it.
	AgentLock(node string) (bool, error)
	// ReadManagerStatus returns the manager status as it was last written.
	ReadManagerStatus() (*ha.ManagerStatus, error)
	// Notify tells people.
	Notify(FenceNotification)
}

// FenceNode goes one step towards a fenced node, and reports whether it is one
// now. The first step puts it in state fence. Every step tries to take its
// agent lock; with that it becomes unknown, and its services may be recovered.
// Until then the step has to be repeated.
func (t *Tracker) FenceNode(node string, fencer Fencer) (bool, error) {
	if t.State(node) != ha.NodeFence {
		t.move(node, ha.NodeFence)
		t.notify(fencer, node, prefixStart, fmt.Sprintf("Try to fence node '%s'", node))
	}
	got, err := fencer.AgentLock(node)
	if err != nil {
		return false, fmt.Errorf("taking the agent lock of node '%s' to fence it: %w", node, err)
	}
	if !got {
		return false, nil
	}
	text := fmt.Sprintf("fencing: acknowledged - got agent lock for node '%s'", node)
	t.log(ha.LevelInfo, node, "%s", text)
	t.move(node, ha.NodeUnknown)
	t.notify(fencer, node, prefixSuccess, text)
	return true, nil
}

// The prefixes of the subject of a notification.
const (
	prefixStart   = "FENCE"
	prefixSuccess = "SUCCEED"
)

// NotificationTemplate names the template of a FenceNotification among those
// of the cluster's notification system.
const NotificationTemplate = "fencing"

// FenceNotification tells that a node is fenced. Its JSON form is the data of
// the template.
type FenceNotification struct {
	Prefix     string         `json:"fence-prefix"` // "FENCE", or "SUCCEED" when it is done
	Subject    string         `json:"fence-status"` // one line
	Success    bool           `json:"is-success"`
	FailedNode string         `json:"failed-node"`
	MasterNode string         `json:"master-node"`
	Timestamp  ha.Epoch       `json:"fence-timestamp"` // of the manager status
	Nodes      []NodeEntry    `json:"nodes"`           // sorted
	Resources  []ServiceEntry `json:"resources"`       // sorted
}

// NodeEntry is a node in a FenceNotification.
type NodeEntry struct {
	Node   string       `json:"node"`
	Status ha.NodeState `json:"status"`
}

// ServiceEntry is a service in a FenceNotification.
type ServiceEntry struct {
	SID     ha.SID          `json:"resource"`
	State   ha.ServiceState `json:"state"`
	Node    string          `json:"node"`
	Running bool            `json:"running"`
}

// Fields returns the metadata by which the notification system matches rules.
func (n *FenceNotification) Fields() map[string]string {
	return map[string]string{"type": "fencing", "hostname": n.FailedNode}
}

// notify sends the notification with the state of the cluster as it was last
// written. When that cannot be read people still have to know of the fencing,
// and the fencing must go on.
func (t *Tracker) notify(fencer Fencer, node, prefix, subject string) {
	status, err := fencer.ReadManagerStatus()
	if err != nil {
		t.log(ha.LevelWarning, node,
			"notification about fencing node '%s' lacks the state of the cluster - %v", node, err)
	}
	if err != nil || status == nil {
		status = &ha.ManagerStatus{}
	}
	n := FenceNotification{
		Prefix:     prefix,
		Subject:    subject,
		Success:    prefix == prefixSuccess,
		FailedNode: node,
		MasterNode: status.MasterNode,
		Timestamp:  status.Timestamp,
		Nodes:      []NodeEntry{},
		Resources:  []ServiceEntry{},
	}
	for _, name := range slices.Sorted(maps.Keys(status.NodeStatus)) {
		n.Nodes = append(n.Nodes, NodeEntry{Node: name, Status: status.NodeStatus[name]})
	}
	for _, sid := range slices.Sorted(maps.Keys(status.ServiceStatus)) {
		s := status.ServiceStatus[sid]
		n.Resources = append(n.Resources, ServiceEntry{SID: sid, State: s.State, Node: s.Node, Running: s.Running})
	}
	fencer.Notify(n)
}
