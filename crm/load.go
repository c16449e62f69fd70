package crm

import (
	"fmt"
	"slices"

	"pveha/crm/usage"
	"pveha/internal/ha"
)

// rebuildUsage works out anew what every service and every guest outside of HA
// uses on which node.
func (m *Manager) rebuildUsage() error {
	u, guests, err := m.scheduler()
	if err != nil {
		return err
	}
	m.usage = u
	for _, sid := range m.sids() {
		m.addUsage(sid, m.services[sid])
	}
	var others []ha.SID // outside of HA
	for sid := range guests {
		if m.services[sid] == nil {
			others = append(others, sid)
		}
	}
	slices.Sort(others)
	for _, sid := range others {
		g := guests[sid]
		m.add(sid, g.Placement(m.usage.Contains))
	}
	return nil
}

// scheduler builds the scheduler that is configured, without any service. When
// that one lacks its figures, the basic one takes its place: counting services
// always works.
func (m *Manager) scheduler() (usage.Usage, map[ha.SID]usage.Service, error) {
	mode := m.scheduling.Mode
	var u usage.Usage
	var guests map[ha.SID]usage.Service
	var err error
	switch mode {
	case SchedulerStatic:
		u, guests, err = m.staticScheduler()
	case SchedulerDynamic:
		u, guests, err = m.dynamicScheduler()
	case SchedulerBasic:
	default:
		m.complain(ha.LevelWarning, "", "got unknown scheduler mode '%s', using 'basic'", mode)
	}
	if err != nil {
		m.complain(ha.LevelWarning, "", "fallback to 'basic' scheduler mode, init for '%s' failed - %v", mode, err)
	}
	if u == nil || err != nil {
		guests, err = m.env.BasicServices()
		u = usage.NewBasic(m.nodes.OnlineNodes())
	}
	return u, guests, err
}

func (m *Manager) staticScheduler() (usage.Usage, map[ha.SID]usage.Service, error) {
	guests, err := m.env.StaticServices()
	if err != nil {
		return nil, nil, err
	}
	nodes, err := m.env.StaticNodes()
	if err != nil {
		return nil, nil, fmt.Errorf("did not get static node usage information - %w", err)
	}
	u, err := usage.NewStatic(m.nodes.OnlineNodes(), nodes, guests)
	return u, guests, err
}

func (m *Manager) dynamicScheduler() (usage.Usage, map[ha.SID]usage.Service, error) {
	guests, err := m.env.DynamicServices()
	if err != nil {
		return nil, nil, err
	}
	nodes, err := m.env.DynamicNodes()
	if err != nil {
		return nil, nil, fmt.Errorf("did not get dynamic node usage information - %w", err)
	}
	u, err := usage.NewDynamic(m.nodes.OnlineNodes(), nodes, guests)
	return u, guests, err
}

func (m *Manager) addUsage(sid ha.SID, s *ha.ServiceStatus) {
	m.add(sid, usage.PlacementOf(s, m.usage.Contains))
}

func (m *Manager) add(sid ha.SID, p usage.Placement) {
	if err := m.usage.Add(sid, p); err != nil {
		m.complain(ha.LevelWarning, sid, "%v", err)
	}
}

// updateUsage follows a change of the service's state.
func (m *Manager) updateUsage(sid ha.SID, s *ha.ServiceStatus) {
	m.usage.Remove(sid)
	m.addUsage(sid, s)
}
