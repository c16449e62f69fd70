package crm

import "pveha/internal/ha"

// queueMotion tells a service, and with it those that have to stay together
// with it, to move to target. A partner that has to stay apart and is or will
// be there forbids it.
func (m *Manager) queueMotion(task string, sid ha.SID, target, line string) {
	for _, other := range m.rules.Separate(sid) {
		s := m.services[other]
		if s == nil || s.Node != "" && s.Node != target || s.Target != "" && s.Target != target {
			continue
		}
		m.log(ha.LevelErr, sid,
			"crm command '%s' error - service '%s' on node '%s' in negative affinity with service '%s'",
			line, other, target, sid)
		return
	}
	m.log(ha.LevelInfo, sid, "got crm command: %s", line)
	m.services[sid].Cmd = []string{task, target}

	for _, other := range m.rules.Together(sid) {
		s := m.services[other]
		if s == nil || s.Node == target || s.Target == target {
			continue
		}
		m.log(ha.LevelInfo, other,
			"crm command '%s' - %s service '%s' to node '%s' (service '%s' in positive affinity with service '%s')",
			line, task, other, target, other, sid)
		s.Cmd = []string{task, target}
	}
}

// anyMotion reports whether any service moves or is about to.
func (m *Manager) anyMotion() bool {
	for _, s := range m.services {
		if s.State == ha.Migrate || s.State == ha.Relocate {
			return true
		}
		if len(s.Cmd) > 0 && (s.Cmd[0] == taskMigrate || s.Cmd[0] == taskRelocate) {
			return true
		}
	}
	return false
}
