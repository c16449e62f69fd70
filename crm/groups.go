package crm

import (
	"errors"
	"fmt"
	"maps"

	"pveha/cfgparse/hacfg"
	"pveha/crm/rules"
	"pveha/internal/ha"
)

// HA groups are the forerunner of node affinity rules. As long as a cluster
// has groups, every round works with rules made from them; as soon as every
// node can read rules, the master replaces the groups for good.
const (
	groupFirstTry   = 3          // full rounds after taking over, for the nodes to settle
	groupRetry      = 6          // full rounds between two tries
	rulesMinVersion = "9.0.0~16" // first pve-manager version that reads rules
)

func (m *Manager) logGroups(level ha.Level, format string, args ...any) {
	m.log(level, "", format, args...)
}

// migrateGroups tries to replace groups by rules, when there are groups and it
// is time.
func (m *Manager) migrateGroups() error {
	groups, err := m.env.Groups()
	if err != nil {
		return err
	}
	if len(groups.ByID)+len(groups.Broken) == 0 || m.extra {
		return nil
	}
	m.groupRounds--
	if m.groupRounds > 0 {
		return nil
	}
	m.groupRounds = groupRetry
	m.logGroups(ha.LevelNotice, "start ha group migration...")
	if err := m.replaceGroups(); err != nil {
		m.logGroups(ha.LevelErr, "abort ha groups migration: %v", err)
		m.logGroups(ha.LevelErr, "ha groups migration failed")
		m.logGroups(ha.LevelNotice, "retry ha groups migration in %d rounds (~ %d seconds)",
			groupRetry, groupRetry*masterRoundTime)
		return nil
	}
	m.logGroups(ha.LevelNotice, "ha groups migration successful")
	return nil
}

// replaceGroups writes the rules first and deletes the groups last, so that a
// failure in between leaves both, which is the same as before.
func (m *Manager) replaceGroups() error {
	if err := m.canReplaceGroups(); err != nil {
		return err
	}
	services, _, err := m.env.Services()
	if err != nil {
		return err
	}
	groups, err := m.env.Groups()
	if err != nil {
		return err
	}
	rs, err := m.env.Rules()
	if err != nil {
		return err
	}
	rules.MigrateGroups(rs, groups, services)
	if err := m.env.WriteRules(rs); err != nil {
		return err
	}
	m.logGroups(ha.LevelNotice, "ha groups migration: migration to rules config successful")

	if err := m.env.UpdateServices(groupChanges(groups, services)); err != nil {
		return err
	}
	m.logGroups(ha.LevelNotice, "ha groups migration: migration to resources config successful")

	if err := m.env.DeleteGroups(); err != nil {
		return err
	}
	m.logGroups(ha.LevelNotice, "ha groups migration: group config deletion successful")
	return nil
}

// groupChanges takes the group out of every service that has one, and keeps
// what the group said about failback.
func groupChanges(groups *hacfg.Groups, services map[ha.SID]ha.ServiceConfig) map[ha.SID]ServiceChange {
	changed := maps.Clone(services)
	rules.FailbackFromGroups(groups, changed)
	changes := map[ha.SID]ServiceChange{}
	for sid, cfg := range changed {
		if cfg.Group == "" {
			continue
		}
		change := ServiceChange{DeleteGroup: true}
		if !cfg.Failback {
			change.Failback = new(bool)
		}
		changes[sid] = change
	}
	return changes
}

// canReplaceGroups demands that every node is up, idle or active, and new
// enough to read rules.
func (m *Manager) canReplaceGroups() error {
	if !m.env.Quorate() {
		return errors.New("cluster is not quorate")
	}
	nodes := m.nodes.Nodes()
	if len(nodes) == 0 {
		return errors.New("node list is empty")
	}
	for _, node := range nodes {
		if err := m.nodeReadsRules(node); err != nil {
			return err
		}
		m.progress()
	}
	return nil
}

func (m *Manager) nodeReadsRules(node string) error {
	if node == "" {
		return errors.New("node with empty name")
	}
	state := m.nodes.State(node)
	m.logGroups(ha.LevelNotice, "ha groups migration: node '%s' is in state '%s'", node, state)
	if state != ha.NodeOnline {
		return fmt.Errorf("node '%s' is not online", node)
	}
	lrm, err := m.env.ReadLRMStatus(node)
	if err != nil {
		return err
	}
	if lrm.State == "" || lrm.Mode == "" {
		return fmt.Errorf("could not retrieve state for lrm '%s'", node)
	}
	m.logGroups(ha.LevelNotice, "ha groups migration: lrm '%s' is in state '%s' and mode '%s'",
		node, lrm.State, lrm.Mode)
	idle := lrm.State == ha.LRMWaitForAgentLock && ha.CountActiveServices(m.services, node) == 0
	if lrm.State != ha.LRMActive && !idle {
		return fmt.Errorf("lrm '%s' is not in state 'active' or 'idle'", node)
	}
	if lrm.Mode != ha.ModeActive {
		return fmt.Errorf("lrm '%s' is not in mode 'active'", node)
	}
	version, err := m.env.NodeVersion(node)
	if err != nil {
		return err
	}
	if version == "" {
		return fmt.Errorf("could not retrieve version from node '%s'", node)
	}
	m.logGroups(ha.LevelNotice, "ha groups migration: node '%s' has version '%s'", node, version)
	if !ha.HasMinVersion(version, rulesMinVersion) {
		return fmt.Errorf("node '%s' needs at least pve-manager version '%s'", node, rulesMinVersion)
	}
	return nil
}
