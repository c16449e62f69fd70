package crm

import (
	"fmt"
	"maps"
	"slices"

	"pveha/crm/usage"
	"pveha/internal/ha"
)

// balance starts one migration when the nodes have been loaded unevenly for
// long enough and that migration would improve it by enough.
func (m *Manager) balance() {
	opts := m.scheduling.AutoRebalance
	if !opts.Enabled || m.extra || m.anyMotion() {
		return // the hold is a time, given in rounds of ten seconds
	}
	switch m.scheduling.Mode {
	case SchedulerStatic, SchedulerDynamic:
	case SchedulerBasic:
		return
	default:
		return
	}
	imbalance := m.usage.Imbalance()
	if imbalance <= opts.Threshold {
		m.imbalancedRounds = 0
		return
	}
	m.imbalancedRounds++
	if m.imbalancedRounds < opts.Hold {
		return
	}
	m.imbalancedRounds = 0

	found, ok, err := m.usage.BestMigration(opts.Method, m.candidates())
	if err != nil {
		m.log(ha.LevelWarning, "", "%v", err)
	}
	if !ok || (imbalance-found.Imbalance)/imbalance < opts.Margin {
		return
	}
	sid, target := found.SID, found.Target
	task := taskRelocate
	if sid.Type() == "vm" {
		task = taskMigrate
	}
	m.log(ha.LevelInfo, sid, "auto rebalance - %s %s to %s (expected change for imbalance from %.2f to %.2f)",
		task, sid, target, imbalance, found.Imbalance)
	m.queueMotion(task, sid, target, fmt.Sprintf("%s %s %s", task, sid, target))
}

// candidates returns every bundle of services that can move, with the nodes it
// may move to.
func (m *Manager) candidates() []usage.Candidate {
	bundles := m.bundles()
	place := m.placement().places
	var found []usage.Candidate
	for _, leader := range slices.Sorted(maps.Keys(bundles)) {
		_, preferred := m.rules.NodeAffinity(leader, m.usage.Nodes())
		nodes := m.rules.ResourceAffinity(leader, place).KeepApart(preferred)
		nodes = without(nodes, []string{m.services[leader].Node})
		if len(nodes) == 0 {
			continue
		}
		found = append(found, usage.Candidate{Leader: leader, Resources: bundles[leader], Nodes: nodes})
	}
	return found
}

// bundles returns the started services in groups that have to stay together
// and do, by their first member. A group of which one member moves, or whose
// members are not on one node yet, is left out.
func (m *Manager) bundles() map[ha.SID][]ha.SID {
	found := map[ha.SID][]ha.SID{}
	for _, sid := range m.sids() {
		if m.services[sid].State != ha.Started {
			continue
		}
		if members, ok := m.bundle(sid); ok {
			found[members[0]] = members
		}
	}
	return found
}

func (m *Manager) bundle(sid ha.SID) (members []ha.SID, ok bool) {
	members = []ha.SID{sid}
	node := m.services[sid].Node
	together := true
	for _, other := range m.rules.Together(sid) {
		s := m.services[other]
		if s == nil {
			continue
		}
		if s.State == ha.Migrate || s.State == ha.Relocate {
			return nil, false
		}
		if s.State != ha.Started {
			continue
		}
		together = together && s.Node == node
		members = append(members, other)
	}
	slices.Sort(members)
	return members, together
}
