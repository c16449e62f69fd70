package crm

import "pveha/internal/ha"

// takeCommands empties the queue of CRM commands and acts on them: commands
// for nodes and for the stack take effect here, those for services wait in the
// service's status until its next step.
func (m *Manager) takeCommands(r *round) error {
	queue, err := m.env.TakeCommands()
	if err != nil {
		return err
	}
	for _, line := range ha.CommandLines(queue) {
		cmd, err := ha.ParseCommand(line)
		if err != nil {
			m.log(ha.LevelErr, "", "unable to parse crm command: %s", line)
			continue
		}
		m.obey(r, cmd, line)
	}
	return nil
}

func (m *Manager) obey(r *round, cmd ha.Command, line string) {
	switch cmd.Kind {
	case ha.CommandMigrate, ha.CommandRelocate:
		m.obeyMove(cmd, line)
	case ha.CommandStop:
		s := m.services[cmd.SID]
		if s == nil {
			m.logNoService(cmd.SID, line)
			break
		}
		m.log(ha.LevelInfo, cmd.SID, "got crm command: %s", line)
		s.Cmd = []string{taskStop, cmd.Timeout}
	case ha.CommandEnableMaintenance:
		m.enableMaintenance(cmd.Node, line)
	case ha.CommandDisableMaintenance:
		m.disableMaintenance(cmd.Node)
	case ha.CommandDisarm:
		m.requestDisarm(cmd.Mode)
	case ha.CommandArm:
		m.arm(r)
	}
}

func (m *Manager) logNoService(sid ha.SID, line string) {
	m.log(ha.LevelErr, sid, "crm command error - no such service: %s", line)
}

func (m *Manager) obeyMove(cmd ha.Command, line string) {
	s := m.services[cmd.SID]
	switch {
	case s == nil:
		m.logNoService(cmd.SID, line)
	case !m.nodes.Online(cmd.Node):
		m.log(ha.LevelErr, cmd.SID, "crm command error - node not online: %s", line)
	case s.Node == cmd.Node:
		m.log(ha.LevelInfo, cmd.SID, "ignore crm command - service already on target node: %s", line)
	default:
		m.queueMotion(string(cmd.Kind), cmd.SID, cmd.Node, line)
	}
}

func (m *Manager) logNode(level ha.Level, node, text string) {
	m.env.Log(ha.Entry{Level: level, Node: node, Text: text})
}

func (m *Manager) enableMaintenance(node, line string) {
	state := m.nodes.State(node)
	switch {
	case m.status.Disarm != nil:
		m.logNode(ha.LevelWarning, node,
			"ignoring maintenance command for node "+node+" - HA stack is disarmed")
	case state == ha.NodeOnline:
		m.requestMaintenance(node, true)
	case state == ha.NodeMaintenance:
		m.logNode(ha.LevelInfo, node,
			"ignoring crm command - node "+node+" is already in maintenance state")
	default:
		m.logNode(ha.LevelErr, node, "crm command error - node not online: "+line)
	}
}

func (m *Manager) disableMaintenance(node string) {
	if state := m.nodes.State(node); state != ha.NodeMaintenance {
		m.logNode(ha.LevelWarning, node,
			"clearing maintenance of node "+node+" requested, but it's in state "+string(state))
	}
	m.requestMaintenance(node, false)
}

func (m *Manager) requestMaintenance(node string, on bool) {
	if m.status.NodeRequest == nil {
		m.status.NodeRequest = map[string]ha.NodeRequest{}
	}
	req := m.status.NodeRequest[node]
	req.Maintenance = on
	m.status.NodeRequest[node] = req
}
