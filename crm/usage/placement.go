package usage

import "pveha/internal/ha"

// Placement tells on which nodes a service puts load. A node is "" where there
// is none.
type Placement struct {
	Current string
	Target  string // of a service that moves
	Running bool   // it runs now, and does not merely wait for its start
}

// PlacementOf returns the nodes that the service uses in its state, as far as
// they are online.
func PlacementOf(s *ha.ServiceStatus, online func(node string) bool) Placement {
	var onNode, onTarget bool
	switch s.State {
	case ha.Stopped, ha.RequestStart:
	case ha.Started, ha.RequestStop, ha.Fence, ha.Freeze, ha.Error, ha.Recovery:
		onNode = true
	case ha.Migrate, ha.Relocate:
		onNode, onTarget = true, true
	case ha.RequestStartBalance:
		onTarget = true
	}

	var p Placement
	if onNode && online(s.Node) {
		p.Current = s.Node
	}
	if onTarget && s.Target != "" && online(s.Target) {
		p.Target = s.Target
	}
	if s.State == ha.Started {
		p.Running = s.Running
	} else {
		// Only a started service is known to run or not. The others hold on
		// to what they have.
		p.Running = p.Current != ""
	}
	return p
}

// Service is what is known of a guest without the CRM's help. It stands in for
// the state of guests outside of HA, and its statistics serve all guests.
type Service struct {
	Node    string
	State   ha.RequestState // RequestStarted when it runs
	Running bool
	Stats   *ServiceStats // nil when nothing is known, or too little
	Missing string        // of statistics that are there: the figure that is not
}

// Placement returns the node that a guest outside of HA uses, if it is online.
// Where such a guest moves is not known.
func (s *Service) Placement(online func(node string) bool) Placement {
	if s.State != ha.RequestStarted || !online(s.Node) {
		return Placement{}
	}
	return Placement{Current: s.Node, Running: s.Running}
}
