package crm

import (
	"pveha/crm/nodestate"
	"pveha/internal/ha"
)

// fencer lets the node states take agent locks and tell people.
type fencer struct{ m *Manager }

func (f fencer) AgentLock(node string) (bool, error) {
	return f.m.mayBeDead(node) && f.m.env.AgentLock(node), nil
}

func (f fencer) ReadManagerStatus() (*ha.ManagerStatus, error) { return f.m.env.ReadManagerStatus() }

func (f fencer) Notify(n nodestate.FenceNotification) { f.m.env.Notify(n) }

// lost reports whether the services of a node have to be fenced and recovered:
// it has been offline for long enough, and its agent lock can prove that it is
// dead. (It starts the clock of a node that is asked for the first time.)
//
// The lock proves nothing about a node whose LRM gave it back to disarm and has
// not come back since: no watchdog resets that node, so its guests may run on
// where nobody sees them. Starting them elsewhere would corrupt their disks.
func (m *Manager) lost(r *round, node string) bool {
	if !m.nodes.OfflineForLongOrStartClock(node) {
		delete(m.unprovable, node)
		return false
	}
	if r.modes[node] != ha.ModeDisarm || m.cfg.DisarmedLockProves {
		return true
	}
	if !m.unprovable[node] {
		m.unprovable[node] = true
		m.env.Log(ha.Entry{
			Level: ha.LevelWarning, Node: node,
			Text: "node '" + node + "' is lost, but was disarmed: its services may still run, and are not recovered until it is back",
		})
	}
	return false
}

// fenceNodes tries to fence every node that has to be, and hands the services
// of those that are fenced to recovery.
func (m *Manager) fenceNodes() (changed bool, err error) {
	fenced := map[string]bool{}
	for _, sid := range m.sids() {
		s := m.services[sid]
		if s.State != ha.Fence {
			continue
		}
		done, tried := fenced[s.Node]
		if !tried {
			if done, err = m.fence(s.Node); err != nil {
				return changed, err
			}
			m.progress()
			fenced[s.Node] = done
		}
		if !done {
			continue
		}
		if err := m.move(sid, s, ha.Recovery); err != nil {
			return changed, err
		}
		changed = true
	}
	for _, node := range m.nodes.Nodes() {
		if _, tried := fenced[node]; tried || m.nodes.State(node) != ha.NodeFence {
			continue
		}
		// Its services were taken away by a person: the node must not stay in
		// this state for ever.
		m.complainNode(ha.LevelNotice, node,
			"node '"+node+"' in fence state but no services to-fence! admin interference?!")
		done, err := m.fence(node)
		if err != nil {
			return changed, err
		}
		changed = changed || done
	}
	return changed, nil
}

// awayToDie is for how long a node has to be away before a free lock is believed,
// in seconds. The watchdog of a node that is cut off needs up to 92 after the last
// refresh of its lock. The lock lives for 120, so that waiting costs nothing; but
// pmxcfs counts those by the wall clock of one node, and where that is set
// forward the lock is free too early.
const awayToDie = 100

// fencedToDie is the same for a node that came back after it was to be fenced,
// from then on: its LRM reads that within a round.
const fencedToDie = 110

// mayBeDead reports whether a node that this master fences has had the time to
// die. The Perl stack goes by the lock alone.
func (m *Manager) mayBeDead(node string) bool {
	since, own := m.fencedAt[node]
	return !m.cfg.Prompt || !own || m.nodes.Away(node) >= awayToDie || m.env.Monotonic()-since >= fencedToDie
}

func (m *Manager) fence(node string) (bool, error) {
	if m.nodes.State(node) != ha.NodeFence {
		m.fencedAt[node] = m.env.Monotonic()
	}
	return m.nodes.FenceNode(node, fencer{m})
}

// removableLocks are the guest locks that the reset of a node makes void: the
// work they protected died with it.
var removableLocks = []string{
	"backup", "mounted", "migrate", "clone", "rollback", "snapshot",
	"snapshot-delete", "suspending", "suspended",
}

// stepRecovery finds a new node for a service whose node was fenced. It tries
// again in every round until there is one.
func (m *Manager) stepRecovery(r *round, sid ha.SID, s *ha.ServiceStatus, cfg ha.ServiceConfig) error {
	fenced := s.Node
	if cfg.Node != fenced {
		// The guest left before its node died, and only the report of that was
		// lost; or a master took it and died. There is nothing to steal.
		m.log(ha.LevelInfo, sid, "fixup service '%s' location (%s => %s)", sid, fenced, cfg.Node)
		return m.move(sid, s, wanted(cfg), onNode(cfg.Node))
	}
	node := m.placement().choose(sid, cfg, best)
	if node == "" {
		m.complain(ha.LevelErr, sid,
			"recovering service '%s' from fenced node '%s' failed, no recovery node found", sid, fenced)
		if cfg.State == ha.RequestDisabled {
			// Out of the recovery without a stop: the service runs nowhere.
			s.FailedNodes = nil
			return m.move(sid, s, ha.Stopped)
		}
		return nil
	}
	if node == fenced { // rules allow no other, and it is back
		m.complain(ha.LevelInfo, sid, "recover service '%s' to previous failed and fenced node '%s' again", sid, node)
	} else {
		m.complain(ha.LevelInfo, sid, "recover service '%s' from fenced node '%s' to node '%s'", sid, fenced, node)
	}
	if err := m.takeOver(sid, fenced, node); err != nil {
		// One guest that cannot be moved must not stop the recovery of the
		// others; the next round tries again.
		m.complain(ha.LevelErr, sid, "recovering service '%s' from fenced node '%s' failed: %v", sid, fenced, err)
		return nil
	}
	if c, ok := r.services[sid]; ok {
		c.Node = node
		r.services[sid] = c
	}
	return m.move(sid, s, wanted(cfg), onNode(node))
}

// takeOver moves the guest's configuration from the fenced node to another,
// without the locks that would keep it from starting there.
func (m *Manager) takeOver(sid ha.SID, from, to string) error {
	lock, err := m.env.RemoveLocks(sid, removableLocks, from)
	if err != nil {
		return err
	}
	if lock != "" {
		m.log(ha.LevelWarning, sid,
			"removed leftover lock '%s' from recovered service '%s' to allow its start.", lock, sid)
	}
	return m.env.Steal(sid, from, to)
}
