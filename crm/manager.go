package crm

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"pveha/cfgparse/hacfg"
	"pveha/crm/nodestate"
	"pveha/crm/rules"
	"pveha/crm/usage"
	"pveha/internal/ha"
)

// Manager is the part of the CRM that decides; it lives as long as the CRM is
// master.
type Manager struct {
	env Env
	cfg Config

	nodes    *nodestate.Tracker
	services map[ha.SID]*ha.ServiceStatus
	sorted   []ha.SID          // of services; nil after one came or went
	status   *ha.ManagerStatus // what of the written status is not in nodes and services

	scheduling   Scheduling
	nodesChanged bool // since the rules were compiled
	rules        *rules.Compiled
	compiled     ruleInputs
	usage        usage.Usage

	fencedAt   map[string]ha.Epoch // when this master began to fence a node
	unprovable map[string]bool     // nodes that are lost and cannot be fenced, as the log says already

	imbalancedRounds int // full rounds in a row with too high an imbalance; not kept over a change of master
	groupRounds      int // full rounds until the next try to migrate groups to rules
	fullyDisarmed    bool

	progress func()          // the round has come a step further
	holds    func() bool     // the lock was there when last asked for
	written  []byte          // the text of the status as this master wrote it last, without its time
	changed  ha.Epoch        // when another text was written, or may have been
	extra    bool            // this round is one that an event brought
	said     map[string]bool // complaints since the last full round began
}

// newManager takes over from the last master what cannot be found out anew.
func newManager(env Env, cfg Config) (*Manager, error) {
	old, err := env.ReadManagerStatus()
	if err != nil {
		return nil, err
	}
	old = old.Clone()
	m := &Manager{
		env:      env,
		cfg:      cfg,
		services: old.ServiceStatus,
		status: &ha.ManagerStatus{
			MasterNode:  env.NodeName(),
			NodeRequest: old.NodeRequest,
			Disarm:      old.Disarm,
		},
		fencedAt:    map[string]ha.Epoch{},
		unprovable:  map[string]bool{},
		groupRounds: groupFirstTry,
		progress:    func() {},
		holds:       func() bool { return true },
		said:        map[string]bool{},
	}
	if m.services == nil {
		m.services = map[ha.SID]*ha.ServiceStatus{}
	}
	m.nodes = nodestate.New(nodestate.Config{Now: env.Monotonic, Log: env.Log}, old.NodeStatus)
	if err := m.readScheduling(); err != nil {
		return nil, err
	}
	return m, nil
}

// round is what one round reads once and then goes by.
type round struct {
	services map[ha.SID]ha.ServiceConfig
	results  map[string]ha.Result // of all LRMs, by UID
	modes    map[string]ha.LRMMode
	waiting  map[string]bool // nodes whose LRM waits for its lock
	only     map[ha.SID]bool // when not nil: the services to work on
}

// Round is one full round of the master: read, decide, write manager_status.
// After an error the status in memory may be ahead of the written one; the next
// round goes on from memory.
func (m *Manager) Round() error {
	clear(m.said)
	return m.round(false)
}

// ExtraRound is a round that an event brought between full ones. It decides as
// they do, and leaves to them what happens once a round and not because of
// something: counting, the routine renewal of orders that were carried out, and
// a status that has not changed. What it has to complain of is told once.
func (m *Manager) ExtraRound() error { return m.round(true) }

func (m *Manager) round(extra bool) error {
	m.extra = extra
	members, err := m.env.Members()
	if err != nil {
		return err
	}
	// Kept over a round that fails, which has taken in the nodes already.
	m.nodesChanged = m.nodesChanged || m.nodes.Changed(members)
	r, err := m.readLRMs()
	if err != nil {
		return err
	}
	if err := m.nodes.Update(members, r.modes); err != nil {
		return err
	}
	if !m.nodes.Operational(m.env.NodeName()) {
		m.complain(ha.LevelInfo, "", "master seems offline")
		return nil
	}
	if err := m.readConfig(r); err != nil {
		return err
	}
	if err := m.takeCommands(r); err != nil {
		return err
	}
	if m.status.Disarm != nil {
		done, err := m.disarm(r)
		if done || err != nil {
			return err
		}
	} else {
		m.balance()
	}
	m.fullyDisarmed = false
	if err := m.settle(r); err != nil {
		return err
	}
	return m.writeStatus()
}

// FullyDisarmed reports whether every LRM has given up its lock, so that the
// master needs no watchdog.
func (m *Manager) FullyDisarmed() bool { return m.fullyDisarmed }

// maxPasses is far more than any service takes through its lifecycle.
const maxPasses = 100

// settle steps every service and fences nodes until nothing changes any more:
// a service may go through several states in one round. One that never comes to
// rest must not hold up the round for ever, and keep the watchdog alive by what
// looks like progress.
func (m *Manager) settle(r *round) error {
	for range maxPasses {
		stepped, err := m.stepServices(r)
		if err != nil {
			return err
		}
		fenced, err := m.fenceNodes()
		if err != nil {
			return err
		}
		if !stepped && !fenced {
			return nil
		}
	}
	m.log(ha.LevelErr, "", "services do not come to rest, going on in the next round")
	return nil
}

func (m *Manager) stepServices(r *round) (changed bool, err error) {
	for _, sid := range m.sids() {
		if r.only != nil && !r.only[sid] {
			continue
		}
		s := m.services[sid]
		before := s.State
		if err := m.step(r, sid, s); err != nil {
			return changed, err
		}
		if err := m.freezeForRestart(r, sid, s); err != nil {
			return changed, err
		}
		if s.State != before {
			changed = true
		}
		m.progress()
	}
	return changed, nil
}

// readLRMs collects the results and modes of the LRMs of all known nodes.
func (m *Manager) readLRMs() (*round, error) {
	r := &round{results: map[string]ha.Result{}, modes: map[string]ha.LRMMode{}, waiting: map[string]bool{}}
	for _, node := range m.nodes.Nodes() {
		status, err := m.env.ReadLRMStatus(node)
		if err != nil {
			return nil, err
		}
		m.progress()
		r.modes[node] = status.Mode
		r.waiting[node] = status.State == ha.LRMWaitForAgentLock
		if status.Mode == "" {
			r.modes[node] = ha.ModeActive
		}
		for uid, result := range status.Results {
			if _, dup := r.results[uid]; !dup {
				r.results[uid] = result
			}
		}
	}
	return r, nil
}

func (m *Manager) readConfig(r *round) error {
	if err := m.readScheduling(); err != nil {
		return err
	}
	if err := m.migrateGroups(); err != nil {
		return err
	}
	services, digest, err := m.env.Services()
	if err != nil {
		return err
	}
	r.services = maps.Clone(services)
	if r.services == nil {
		r.services = map[ha.SID]ha.ServiceConfig{}
	}
	groups, err := m.env.Groups()
	if err != nil {
		return err
	}
	if m.status.Disarm == nil {
		if err := m.syncServices(r); err != nil {
			return err
		}
	}
	if err := m.rebuildUsage(); err != nil {
		return err
	}
	return m.compileRules(r, groups, digest)
}

// syncServices adds what is newly configured and forgets what is not
// configured any more.
func (m *Manager) syncServices(r *round) error {
	var added, stale []ha.SID
	for sid, cfg := range r.services {
		if m.services[sid] == nil && cfg.State != ha.RequestIgnored {
			added = append(added, sid)
		}
	}
	for sid := range m.services {
		if cfg, ok := r.services[sid]; !ok || cfg.State == ha.RequestIgnored {
			stale = append(stale, sid)
		}
	}
	slices.Sort(added)
	for _, sid := range added {
		cfg := r.services[sid]
		m.log(ha.LevelInfo, sid, "adding new service '%s' on node '%s'", sid, cfg.Node)
		// It may be running already: asking for a stop or start finds out,
		// and does not move it.
		state := ha.RequestStop
		if cfg.State == ha.RequestStarted {
			state = ha.RequestStart
		}
		s := &ha.ServiceStatus{}
		if err := m.enter(sid, s, ha.ServiceStatus{State: state, Node: cfg.Node}); err != nil {
			return err
		}
		m.services[sid], m.sorted = s, nil
	}
	// Backward, as the recorded log of the one case with two of them has it; the
	// Perl stack's own order is a hash's, and differs between its runs.
	slices.Sort(stale)
	for _, sid := range slices.Backward(stale) {
		reason := "no config"
		if _, ok := r.services[sid]; ok {
			reason = "ignored state requested"
		}
		m.log(ha.LevelInfo, sid, "removing stale service '%s' (%s)", sid, reason)
		delete(m.services, sid)
		m.sorted = nil
	}
	return nil
}

// ruleInputs are the digests of what the compiled rules were made from.
type ruleInputs struct {
	rules, groups, services string
}

// compileRules turns rules and groups into the form the placement works with,
// when any of what they depend on has changed.
func (m *Manager) compileRules(r *round, groups *hacfg.Groups, digest string) error {
	rs, err := m.env.Rules()
	if err != nil {
		return err
	}
	rules.FailbackFromGroups(groups, r.services)
	in := ruleInputs{rules: rs.Digest, groups: groups.Digest, services: digest}
	if m.rules != nil && !m.nodesChanged && in == m.compiled {
		return nil
	}
	rules.MigrateGroups(rs, groups, r.services)
	nodes := m.nodes.Nodes()
	for _, message := range rules.Transform(rs, nodes) {
		m.complain(ha.LevelInfo, "", "%s", message)
	}
	m.rules = rules.Compile(rs, nodes)
	m.compiled = in
	m.nodesChanged = false
	return nil
}

var errLockLost = errors.New("manager lock was lost in this round, status is not written")

// writeStatus writes the status: in a full round always, for people take one
// that is older than 30 seconds for that of a dead master, else when it has
// changed.
func (m *Manager) writeStatus() error {
	m.progress()
	if !m.holds() {
		// Another master may have written a newer one.
		return errLockLost
	}
	m.status.NodeStatus = m.nodes.Statuses()
	m.status.ServiceStatus = m.services
	m.status.Timestamp = 0
	text := m.status.Encode()
	same := bytes.Equal(m.written, text)
	if same && m.extra {
		return nil
	}
	m.status.Timestamp = m.env.Now()
	err := m.env.WriteManagerStatus(m.status)
	if !same {
		m.changed = m.env.Monotonic() // an error does not tell that nothing was written
	}
	if err != nil {
		return err
	}
	m.written = text
	return nil
}

// fencing reports whether a node waits to be fenced.
func (m *Manager) fencing() bool {
	return slices.ContainsFunc(m.nodes.Nodes(), func(node string) bool {
		return m.nodes.State(node) == ha.NodeFence
	})
}

// sids returns the IDs of all managed services, sorted. Callers must not change
// the list; it is asked for in every phase of a round.
func (m *Manager) sids() []ha.SID {
	if m.sorted == nil {
		m.sorted = slices.Sorted(maps.Keys(m.services))
	}
	return m.sorted
}

// complain logs what holds until somebody does something about it, and is said
// in every full round until then. Extra rounds say it only when it is new.
func (m *Manager) complain(level ha.Level, sid ha.SID, format string, args ...any) {
	if text := fmt.Sprintf(format, args...); m.isNews(text) {
		m.log(level, sid, "%s", text)
	}
}

// complainNode is complain for what is about a node.
func (m *Manager) complainNode(level ha.Level, node, text string) {
	if m.isNews(text) {
		m.logNode(level, node, text)
	}
}

func (m *Manager) isNews(text string) bool {
	news := !m.extra || !m.said[text]
	m.said[text] = true
	return news
}

func (m *Manager) log(level ha.Level, sid ha.SID, format string, args ...any) {
	m.env.Log(ha.Entry{Level: level, SID: sid, Text: fmt.Sprintf(format, args...)})
}
