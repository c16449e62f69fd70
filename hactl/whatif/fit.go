package whatif

import (
	"maps"
	"slices"

	"pveha/crm/usage"
	"pveha/internal/ha"
)

// loads adds up what the configurations of the guests ask for, on every node
// that is left. Guests outside of HA stay where they are.
func (w *world) loads() []NodeLoad {
	byNode := map[string]*NodeLoad{}
	for node, m := range w.members {
		if m.Online && !w.down[node] {
			size := w.stats.staticNodes[node]
			byNode[node] = &NodeLoad{Node: node, MemSize: size.MaxMem, CPUSize: size.MaxCPU}
		}
	}
	for sid, guest := range w.stats.static {
		before, after := w.places(sid, guest)
		var stats usage.ServiceStats
		if guest.Stats != nil {
			stats = *guest.Stats
		}
		if l := byNode[before]; l != nil {
			l.MemBefore += stats.MaxMem
			l.CPUBefore += stats.MaxCPU
		}
		if l := byNode[after]; l != nil {
			l.Guests++
			l.MemAfter += stats.MaxMem
			l.CPUAfter += stats.MaxCPU
		}
	}
	loads := make([]NodeLoad, 0, len(byNode))
	for _, node := range slices.Sorted(maps.Keys(byNode)) {
		loads = append(loads, *byNode[node])
	}
	return loads
}

// places returns the nodes that a guest runs on before and after, "" for one
// that does not run.
func (w *world) places(sid ha.SID, guest usage.Service) (before, after string) {
	if w.Snapshot.status.ServiceStatus[sid] == nil {
		if guest.Running || guest.State == ha.RequestStarted {
			return guest.Node, guest.Node
		}
		return "", ""
	}
	return runsOn(w.Snapshot.status.ServiceStatus[sid]), runsOn(w.status.ServiceStatus[sid])
}

func runsOn(s *ha.ServiceStatus) string {
	if s == nil {
		return ""
	}
	switch s.State {
	case ha.Started, ha.Migrate, ha.Relocate, ha.RequestStart, ha.RequestStop, ha.Freeze, ha.Fence:
		return s.Node
	case ha.RequestStartBalance:
		return s.Target
	case ha.Stopped, ha.Recovery, ha.Error:
	}
	return ""
}
