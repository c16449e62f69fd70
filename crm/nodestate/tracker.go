// Package nodestate follows the state of the cluster's nodes: which are online,
// which have been gone for so long that their services must be taken away from
// them, and the fencing that makes this safe.
//
// A node goes through these states:
//
//	unknown      member  -> online
//	             no longer configured -> gone
//	online       asks for maintenance -> maintenance
//	             not a member -> unknown
//	maintenance  member that asks for it no longer -> online
//	             neither member nor asking -> unknown
//	gone         member -> online
//	             after ForgetDelay -> forgotten
//
// Any state goes to fence by FenceNode, and from there to unknown once the node
// is known to be dead. Nothing else leaves fence.
package nodestate

import (
	"fmt"
	"maps"
	"slices"

	"pveha/internal/ha"
)

const (
	// FenceDelay is how long a node must have been offline before its services
	// go to fencing, in seconds. A short outage of its network must not cost a
	// node.
	FenceDelay = 60
	// ForgetDelay is how long a node that left the cluster is remembered, in
	// seconds. It might come back by then.
	ForgetDelay = 3600
)

// Config is what a Tracker needs of the world.
type Config struct {
	// Now is the time by which delays are measured. Only differences count; a
	// clock that is not set in between keeps a step of the wall clock from
	// fencing a node early or late.
	Now func() ha.Epoch
	Log func(ha.Entry)
}

// Member is a node that is configured in the cluster.
type Member struct {
	Online bool // in the quorate partition
}

// Tracker holds the state of every node.
type Tracker struct {
	cfg    Config
	states map[string]ha.NodeState
	// lastOnline is when a node was last seen online, or else first asked for
	// while it was not. It is not part of the status: a new master gives every
	// node the whole delay again.
	lastOnline map[string]ha.Epoch
}

// New returns a Tracker that starts with the given states, usually those of the
// last manager status.
func New(cfg Config, initial map[string]ha.NodeState) *Tracker {
	t := &Tracker{
		cfg:        cfg,
		states:     make(map[string]ha.NodeState, len(initial)),
		lastOnline: map[string]ha.Epoch{},
	}
	maps.Copy(t.states, initial)
	return t
}

// Remember takes over when nodes were last seen online by somebody who was no
// master then, in the time of [Config.Now]. What the tracker saw itself counts
// for more.
func (t *Tracker) Remember(seen Sightings) {
	for node, at := range seen {
		if _, known := t.lastOnline[node]; !known {
			t.lastOnline[node] = at
		}
	}
}

// Sightings is when each node was last seen online.
type Sightings map[string]ha.Epoch

// Update takes in who is online now. A node that was never seen online counts
// from the first look at it, as in a Tracker; one that left the cluster is
// forgotten.
func (s Sightings) Update(members map[string]Member, now ha.Epoch) {
	for node, member := range members {
		if _, known := s[node]; member.Online || !known {
			s[node] = now
		}
	}
	maps.DeleteFunc(s, func(node string, _ ha.Epoch) bool {
		_, ok := members[node]
		return !ok
	})
}

// State returns the state of a node, NodeUnknown for one never heard of.
func (t *Tracker) State(node string) ha.NodeState {
	if s, ok := t.states[node]; ok {
		return s
	}
	return ha.NodeUnknown
}

// Online reports whether services may be started on the node.
func (t *Tracker) Online(node string) bool { return t.State(node) == ha.NodeOnline }

// Operational reports whether the node works, be it in maintenance.
func (t *Tracker) Operational(node string) bool {
	s := t.State(node)
	return s == ha.NodeOnline || s == ha.NodeMaintenance
}

// Nodes returns every node that has a state, sorted.
func (t *Tracker) Nodes() []string { return slices.Sorted(maps.Keys(t.states)) }

// OnlineNodes returns the nodes on which services may be started, sorted.
func (t *Tracker) OnlineNodes() []string {
	return slices.DeleteFunc(t.Nodes(), func(node string) bool { return !t.Online(node) })
}

// Statuses returns a copy of all states, to be written to the manager status.
func (t *Tracker) Statuses() map[string]ha.NodeState { return maps.Clone(t.states) }

// Changed reports whether nodes came to the cluster or left it since the last
// Update.
func (t *Tracker) Changed(members map[string]Member) bool {
	for node := range members {
		if t.states[node] == "" {
			return true
		}
	}
	for node := range t.states {
		if _, ok := members[node]; !ok {
			return true
		}
	}
	return false
}

// OfflineForLongOrStartClock reports whether the node has been offline for
// FenceDelay. It has an effect: when it was never seen online, nor asked for
// before, the delay starts with this call. A node that is online never is
// offline for long and starts no clock.
func (t *Tracker) OfflineForLongOrStartClock(node string) bool {
	return t.offlineFor(node, FenceDelay)
}

// Away is for how many seconds a node has not been seen online, as far as known.
func (t *Tracker) Away(node string) ha.Epoch {
	since, known := t.lastOnline[node]
	if !known {
		return 0
	}
	return t.cfg.Now() - since
}

func (t *Tracker) offlineFor(node string, delay ha.Epoch) bool {
	if t.Online(node) {
		return false
	}
	now := t.cfg.Now()
	since, running := t.lastOnline[node]
	if !running {
		t.lastOnline[node] = now
		return false
	}
	return now-since >= delay
}

// Update follows the membership of the cluster and the modes of the LRMs; a
// mode that is missing counts as ha.ModeUnknown. On an error, which names a
// state that does not exist, the nodes before that one in order have changed
// already.
func (t *Tracker) Update(members map[string]Member, modes map[string]ha.LRMMode) error {
	for _, node := range slices.Sorted(maps.Keys(members)) {
		if !members[node].Online {
			continue
		}
		t.lastOnline[node] = t.cfg.Now()
		if err := t.updateOnline(node, modes[node]); err != nil {
			return err
		}
	}
	for _, node := range t.Nodes() {
		member, configured := members[node]
		if member.Online {
			continue
		}
		if err := t.updateOffline(node, configured, modes[node]); err != nil {
			return err
		}
	}
	return nil
}

// updateOnline takes in that the node is in the quorate partition.
func (t *Tracker) updateOnline(node string, mode ha.LRMMode) error {
	switch state := t.State(node); state {
	case ha.NodeOnline:
		if mode == ha.ModeMaintenance {
			t.move(node, ha.NodeMaintenance)
		}
	case ha.NodeMaintenance:
		if mode != ha.ModeMaintenance {
			t.move(node, ha.NodeOnline)
		}
	case ha.NodeUnknown, ha.NodeGone:
		t.move(node, ha.NodeOnline)
	case ha.NodeFence: // back or not, it has to be fenced first
	default:
		return invalidState(node, state)
	}
	return nil
}

// updateOffline takes in that the node is not in the quorate partition. It may
// still run guests.
func (t *Tracker) updateOffline(node string, configured bool, mode ha.LRMMode) error {
	switch state := t.State(node); state {
	case ha.NodeOnline:
		t.move(node, ha.NodeUnknown)
	case ha.NodeMaintenance:
		// As long as it asks for maintenance it may reboot without being
		// fenced.
		if mode != ha.ModeMaintenance {
			t.move(node, ha.NodeUnknown)
		}
	case ha.NodeUnknown:
		if !configured {
			t.move(node, ha.NodeGone)
		}
	case ha.NodeFence: // until it is fenced
	case ha.NodeGone:
		if t.offlineFor(node, ForgetDelay) {
			t.forget(node)
		}
	default:
		return invalidState(node, state)
	}
	return nil
}

func invalidState(node string, state ha.NodeState) error {
	return fmt.Errorf("detected unknown node state '%s' of node '%s'", state, node)
}

// move is the only writer of a node's state.
func (t *Tracker) move(node string, to ha.NodeState) {
	from := t.State(node)
	t.states[node] = to
	t.log(ha.LevelInfo, node, "node '%s': state changed from '%s' => '%s'", node, from, to)
}

func (t *Tracker) forget(node string) {
	delete(t.lastOnline, node)
	delete(t.states, node)
	t.log(ha.LevelNotice, node, "deleting gone node '%s', not a cluster member anymore.", node)
}

func (t *Tracker) log(level ha.Level, node, format string, args ...any) {
	t.cfg.Log(ha.Entry{Level: level, Node: node, Text: fmt.Sprintf(format, args...)})
}
