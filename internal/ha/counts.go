package ha

// CountFencedServices returns how many services of node are in state Fence.
func CountFencedServices(services map[SID]*ServiceStatus, node string) int {
	n := 0
	for _, s := range services {
		if s.Node == node && s.State == Fence {
			n++
		}
	}
	return n
}

// CountActiveServices returns how many services keep the LRM of node busy: it
// has to act on them or to keep them running. A service that moves counts on
// its target too. Frozen and failed services are nobody's work, and one in
// RequestStart has no node yet.
func CountActiveServices(services map[SID]*ServiceStatus, node string) int {
	n := 0
	for _, s := range services {
		if s.Node != node && s.Target != node {
			continue
		}
		switch s.State {
		case Stopped, Freeze, Error, RequestStart, "":
		case RequestStop, RequestStartBalance, Started, Fence, Recovery, Migrate, Relocate:
			n++
		default: // written by a newer stack: better too careful
			n++
		}
	}
	return n
}
