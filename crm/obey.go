package crm

import (
	"strconv"
	"strings"

	"pveha/internal/ha"
)

// The tasks a service can be told by a CRM command.
const (
	taskMigrate  = "migrate"
	taskRelocate = "relocate"
	taskStop     = "stop"
)

// takeCmd returns the command that waits for the service, and removes it.
func takeCmd(s *ha.ServiceStatus) (task, arg string) {
	if len(s.Cmd) > 0 {
		task = s.Cmd[0]
	}
	if len(s.Cmd) > 1 {
		arg = s.Cmd[1]
	}
	s.Cmd = nil
	return task, arg
}

// obeyStopped carries out the command of a stopped service.
func (m *Manager) obeyStopped(sid ha.SID, s *ha.ServiceStatus) (moved bool, err error) {
	task, arg := takeCmd(s)
	switch task {
	case taskMigrate, taskRelocate:
		if !m.mayMove(sid, s, task, arg) {
			return false, nil
		}
		return true, m.move(sid, s, ha.ServiceState(task), onNode(s.Node), toTarget(arg))
	case taskStop:
		m.log(ha.LevelInfo, sid, "ignore service '%s' %s request - service already stopped", sid, task)
	default:
		m.log(ha.LevelErr, sid, "unknown command '%s' for service '%s'", task, sid)
	}
	return false, nil
}

// obeyStarted carries out the command of a started service.
func (m *Manager) obeyStarted(sid ha.SID, s *ha.ServiceStatus) error {
	task, arg := takeCmd(s)
	switch task {
	case taskMigrate, taskRelocate:
		if !m.mayMove(sid, s, task, arg) {
			return nil
		}
		m.log(ha.LevelInfo, sid, "%s service '%s' to node '%s'", task, sid, arg)
		return m.move(sid, s, ha.ServiceState(task), onNode(s.Node), toTarget(arg))
	case taskStop:
		return m.obeyStop(sid, s, arg)
	default:
		m.log(ha.LevelErr, sid, "unknown command '%s' for service '%s'", task, sid)
		return nil
	}
}

// obeyStop stops the service and sets its configuration to stopped, so that it
// stays so.
func (m *Manager) obeyStop(sid ha.SID, s *ha.ServiceStatus, timeout string) error {
	if isZero(timeout) {
		m.log(ha.LevelInfo, sid, "request immediate service hard-stop for service '%s'", sid)
	} else {
		m.log(ha.LevelInfo, sid, "request graceful stop with timeout '%s' for service '%s'", timeout, sid)
	}
	// First the configuration: were it to stay at started, the stopped service
	// would be started again. The command waits until it can be written, and
	// holds up no other service.
	if err := m.env.UpdateServices(map[ha.SID]ServiceChange{sid: {State: ha.RequestStopped}}); err != nil {
		m.complain(ha.LevelErr, sid, "stopping service '%s' failed, trying again: %v", sid, err)
		s.Cmd = []string{taskStop, timeout}
		return nil
	}
	return m.move(sid, s, ha.RequestStop, withTimeout(timeout))
}

// isZero reports whether a timeout begins with no number, or with zero: the
// guest is stopped at once then.
func isZero(timeout string) bool {
	number := timeout
	if end := strings.IndexFunc(timeout, func(r rune) bool { return !strings.ContainsRune("+-.0123456789", r) }); end >= 0 {
		number = timeout[:end]
	}
	seconds, err := strconv.ParseFloat(number, 64)
	return err != nil || seconds == 0
}

// mayMove tells whether a service can be moved to target, and says why not.
func (m *Manager) mayMove(sid ha.SID, s *ha.ServiceStatus, task, target string) bool {
	if !m.nodes.Online(target) {
		m.log(ha.LevelErr, sid, "ignore service '%s' %s request - node '%s' not online", sid, task, target)
		return false
	}
	if s.Node == target {
		m.log(ha.LevelInfo, sid, "ignore service '%s' %s request - service already on node '%s'", sid, task, target)
		return false
	}
	return true
}
