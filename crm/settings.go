package crm

import "pveha/internal/ha"

// readScheduling takes over the cluster's scheduling settings and says when
// the mode changed. A mode other than basic is said at the start, too.
func (m *Manager) readScheduling() error {
	s, err := m.env.Scheduling()
	if err != nil {
		return err
	}
	old := m.scheduling.Mode
	m.scheduling = s
	switch {
	case old == s.Mode:
	case old != "":
		m.log(ha.LevelInfo, "", "switching scheduler mode from '%s' to '%s'", old, s.Mode)
	case s.Mode != SchedulerBasic:
		m.log(ha.LevelInfo, "", "using scheduler mode '%s'", s.Mode)
	}
	return nil
}
