package crm

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/crm/usage"
	"pveha/internal/ha"
)

var histories = flag.Int("histories", 1000, "how many random histories of a cluster the model test plays")

// model plays a random history of a cluster: nodes are cut off, die and come
// back, orders fail in every way, people give commands and change the
// configuration, the master dies, calls of its environment fail. In every round
// it holds the CRM to what must never happen, and in the end, when all is well
// again, to what must happen.
//
// An agent lock and its watchdog are modelled as they work: a node that cannot
// refresh its lock is reset after 70 seconds, the lock is free after 120. A
// node whose LRM has no lock has no watchdog either; the model takes its power
// instead of cutting it off, because what it runs is not protected then.
type model struct {
	*lrms
	t    testing.TB
	seed uint64
	*rand.Rand
	crm *CRM

	lockedUntil map[string]ha.Epoch // agent locks
	holding     map[string]bool     // LRMs that have their lock
	dead        map[string]ha.Epoch // nodes without power, since when
	fenced      map[string]bool     // nodes whose lock the master got in this round

	state    map[ha.SID]ha.ServiceState // as the changes told
	rescued  map[ha.SID]string          // services in recovery, with the fenced node
	place    map[ha.SID]string          // node of each service, as it was written
	orders   map[string]string          // content by UID
	calm     bool                       // all is well
	disarmed bool                       // as it was written last
	failAt   int                        // call of this round that fails, 0 for none
}

const modelNodes = 5

func newModel(t testing.TB, seed uint64) *model {
	var nodes []string
	for i := range modelNodes {
		nodes = append(nodes, fmt.Sprintf("node%d", i+1))
	}
	f := newFake(nodes...)
	f.quiet = true
	m := &model{
		lrms: newLRMs(f), t: t, seed: seed, Rand: rand.New(rand.NewPCG(seed, 1)),
		lockedUntil: map[string]ha.Epoch{}, holding: map[string]bool{}, dead: map[string]ha.Epoch{}, fenced: map[string]bool{},
		state: map[ha.SID]ha.ServiceState{}, rescued: map[ha.SID]string{}, place: map[ha.SID]string{}, orders: map[string]string{},
	}
	f.agentLock = m.takeAgentLock
	f.onWrite = m.written
	f.onLog = m.logged
	f.onSteal = func(sid ha.SID, from string) {
		m.mustf(m.rescued[sid] == from, "%s is taken from %s, which was not fenced for it", sid, from)
	}
	m.outcome = m.randomOutcome
	for range 2 + m.IntN(5) {
		m.addGuest()
	}
	m.lead(nodes[0])
	return m
}

func (m *model) mustf(ok bool, format string, args ...any) {
	if !ok {
		m.t.Helper()
		m.t.Fatalf("seed %d, time %d: %s", m.seed, m.now, fmt.Sprintf(format, args...))
	}
}

// lead starts a CRM on a node, that becomes master.
func (m *model) lead(node string) {
	m.node, m.watchdog = node, nil
	cfg := m.config()
	cfg.OnChange = m.changed
	m.crm = New(m.fake, cfg)
	// What the last master did not write did not happen.
	clear(m.state)
	if m.manager != nil {
		for sid, s := range m.manager.ServiceStatus {
			m.state[sid] = s.State
		}
	}
}

// changed holds a change of state to the lifecycle, and to the proof that a
// fenced node is dead.
func (m *model) changed(sid ha.SID, from, to ha.ServiceState) {
	m.mustf(m.state[sid] == from, "%s changes from %s, but was in %s", sid, from, m.state[sid])
	m.mustf(slices.ContainsFunc(Lifecycle, func(e Edge) bool { return e.From == from && e.To == to }),
		"%s changes from %s to %s", sid, from, to)
	m.state[sid] = to
	if from == "" {
		return
	}
	node := m.crm.manager.services[sid].Node
	if to == ha.Recovery {
		m.mustf(m.fenced[node], "%s goes to recovery without the lock of %s", sid, node)
		m.rescued[sid] = node
	}
	if from == ha.Recovery {
		m.mustf(m.rescued[sid] == node, "%s leaves its recovery on %s, which was not fenced", sid, node)
	}
}

// written checks the status that the LRMs get to see.
func (m *model) written(s *ha.ManagerStatus) {
	for sid, service := range s.ServiceStatus {
		if _, configured := m.services[sid]; service.Node == "" && !configured {
			continue // deleted while the stack was disarmed, and about to be forgotten
		}
		m.mustf(m.sizes[service.Node].MaxCPU > 0, "%s is on '%s'", sid, service.Node)
		if was := m.place[sid]; was != "" && was != service.Node {
			at := m.services[sid].Node
			m.mustf(at == service.Node || at == "", "%s changes from %s to %s, but its guest is on %s", sid, was, service.Node, at)
		}
		m.place[sid] = service.Node
		m.checkOrder(sid, service)
	}
	maps.DeleteFunc(m.place, func(sid ha.SID, _ string) bool { return s.ServiceStatus[sid] == nil })
	maps.DeleteFunc(m.state, func(sid ha.SID, _ ha.ServiceState) bool { return s.ServiceStatus[sid] == nil })
	was := m.disarmed
	m.disarmed = s.Disarm != nil
	if was || m.disarmed {
		return // services come and go when it is armed
	}
	for sid, cfg := range m.services {
		m.mustf(cfg.State == ha.RequestIgnored || s.ServiceStatus[sid] != nil, "%s is lost", sid)
	}
}

// checkOrder demands that a name of an order means one thing for ever.
func (m *model) checkOrder(sid ha.SID, s *ha.ServiceStatus) {
	switch s.State {
	case ha.Started, ha.RequestStop, ha.Migrate, ha.Relocate, ha.RequestStartBalance:
	case ha.Stopped, ha.RequestStart, ha.Fence, ha.Recovery, ha.Freeze, ha.Error:
		return // no LRM reports on these
	}
	content := fmt.Sprintf("%s %s %s %s %s", sid, s.State, s.Node, s.Target, s.Timeout)
	was, known := m.orders[s.UID]
	m.mustf(!known || was == content, "order %s was %q and is %q", s.UID, was, content)
	m.orders[s.UID] = content
}

func (m *model) logged(e ha.Entry) {
	if text, unexpected := strings.CutPrefix(e.Text, "got unexpected error - "); unexpected {
		m.mustf(strings.Contains(text, errDown.Error()) || strings.Contains(text, "rename of"), "%s", e.Text)
	}
}

// round is one round of the master, of the LRMs and of the locks.
func (m *model) round() {
	for _, node := range slices.Sorted(maps.Keys(m.holding)) {
		if m.holding[node] && m.now >= m.lockedUntil[node]-50 { // 70 seconds after its last refresh
			m.die(node)
		}
	}
	if !m.members[m.node] || m.crm.State() != ha.CRMMaster {
		m.lead(m.anyLeader())
	}
	clear(m.fenced)
	first := len(m.calls)
	m.fault = func(n int, _ string) (before, after error) {
		switch {
		case m.failAt == 0 || n != first+m.failAt:
			return nil, nil
		case m.failAt%2 == 0:
			return errDown, nil
		default:
			return nil, errDown
		}
	}
	start := m.now
	alive, err := m.crm.Iterate()
	m.mustf(err == nil, "%v", err)
	if !alive {
		m.lead(m.anyLeader())
	}
	m.now = max(m.now, start+masterRoundTime)
	m.fault = nil
	for _, node := range slices.Sorted(maps.Keys(m.members)) {
		m.work(node)
	}
	for sid, nodes := range m.running {
		m.mustf(len(nodes) <= 1, "%s runs on %v", sid, nodes)
	}
}

// work lets an LRM take or refresh its lock and obey.
func (m *model) work(node string) {
	if !m.members[node] || m.manager == nil {
		return
	}
	active := ha.CountActiveServices(m.manager.ServiceStatus, node) > 0 && m.manager.Disarm == nil
	marked := m.manager.NodeStatus[node] == ha.NodeFence || ha.CountFencedServices(m.manager.ServiceStatus, node) > 0
	switch {
	case marked && m.holding[node]:
		return // it waits for its watchdog
	case !active:
		if m.holding[node] {
			m.holding[node], m.lockedUntil[node] = false, 0
		}
	case m.holding[node] || !marked && m.now >= m.lockedUntil[node]:
		m.holding[node], m.lockedUntil[node] = true, m.now+120
	}
	silent := !m.calm && m.IntN(60) == 0 && m.mayLose(node) // it dies before it can report
	reported := m.lrms.lrms[node]
	m.obey(node, m.holding[node])
	if silent {
		m.lrms.lrms[node] = reported
		m.die(node)
	}
}

// takeAgentLock is the master's try.
func (m *model) takeAgentLock(node string) bool {
	if m.now < m.lockedUntil[node] {
		return false
	}
	m.lockedUntil[node] = m.now + 120
	m.holding[node] = false
	m.fenced[node] = true
	return true
}

func (m *model) die(node string) {
	m.members[node] = false
	m.dead[node] = m.now
	m.holding[node] = false
	m.reset(node)
}

// mayLose keeps a majority of the nodes.
func (m *model) mayLose(node string) bool {
	online := 0
	for _, ok := range m.members {
		if ok {
			online++
		}
	}
	return m.members[node] && online > modelNodes/2+1
}

// settle makes all well again and gives the cluster time.
func (m *model) settle() {
	m.calm, m.outcome, m.failAt = true, nil, 0
	m.rules, m.groups, m.scheduling = "", "", DefaultScheduling()
	m.commands = "arm-ha\n"
	for node := range m.members {
		m.members[node] = true
		m.commands += "disable-node-maintenance " + node + "\n"
		if mode := m.lrms.lrms[node].Mode; mode == ha.ModeRestart {
			m.lrms.lrms[node] = &ha.LRMStatus{Mode: ha.ModeActive}
		}
	}
	const patience = 50 // rounds: a fence delay, the life of a lock, and what follows
	for range patience {
		m.round()
		if m.settled() == "" {
			return
		}
	}
	m.mustf(false, "%s", m.settled())
}

// settled says what is not as it should be.
func (m *model) settled() string {
	for _, sid := range slices.Sorted(maps.Keys(m.services)) {
		cfg := m.services[sid]
		s := m.manager.ServiceStatus[sid]
		switch {
		case cfg.State == ha.RequestIgnored:
			continue
		case s == nil:
			return fmt.Sprintf("%s is not managed", sid)
		case s.State == ha.Error && cfg.State != ha.RequestDisabled:
			continue // a person has to look at it
		case s.Node != cfg.Node:
			return fmt.Sprintf("%s is on %s, its guest on %s", sid, s.Node, cfg.Node)
		case cfg.State == ha.RequestStarted && (s.State != ha.Started || !slices.Equal(m.running[sid], []string{s.Node})):
			return fmt.Sprintf("%s is %s on %s and runs on %v", sid, s.State, s.Node, m.running[sid])
		case cfg.State != ha.RequestStarted && s.State != ha.Stopped:
			return fmt.Sprintf("%s is %s", sid, s.State)
		}
	}
	return ""
}

func (m *model) anyMember() string {
	var members []string
	for _, node := range slices.Sorted(maps.Keys(m.members)) {
		if m.members[node] {
			members = append(members, node)
		}
	}
	return pick(m, members)
}

// anyLeader is a node that can be master. The rounds of one that is marked for
// fencing end before they do anything, as in the Perl stack.
func (m *model) anyLeader() string {
	node := m.anyMember()
	for tries := 0; m.manager != nil && m.manager.NodeStatus[node] == ha.NodeFence && tries < 100; tries++ {
		node = m.anyMember()
	}
	return node
}

func pick[T any](m *model, from []T) T { return from[m.IntN(len(from))] }

// randomOutcome lets one order in six fail.
func (m *model) randomOutcome(ha.SID, ha.ServiceState) ha.ExitCode {
	if m.IntN(6) > 0 {
		return ha.ExitSuccess
	}
	return pick(m, []ha.ExitCode{ha.ExitError, ha.ExitError, ha.ExitWrongNode, ha.ExitInvalidParameter, ha.ExitIgnored, ha.ExitNotRun})
}

func (m *model) addGuest() {
	sid := ha.SID(fmt.Sprintf("%s:%d", pick(m, []string{"vm", "ct"}), 100+m.IntN(20)))
	if _, ok := m.services[sid]; ok {
		return
	}
	m.configure(sid, ha.ServiceConfig{
		Node: m.anyMember(), State: pick(m, []ha.RequestState{ha.RequestStarted, ha.RequestStarted, ha.RequestStopped}),
		Failback: m.IntN(2) == 0, MaxRelocate: m.IntN(3),
	})
	m.figures[sid] = usage.ServiceStats{CPU: 1, MaxCPU: 2, Mem: 1 << 30, MaxMem: 4 << 30}
}

func TestRandomHistories(t *testing.T) {
	const parts = 4
	for part := range parts {
		t.Run(fmt.Sprint(part), func(t *testing.T) {
			t.Parallel()
			seen := map[string]int{}
			for seed := part; seed < *histories; seed += parts {
				m := newModel(t, uint64(seed))
				for range 20 + m.IntN(20) {
					m.event(seen)
					m.round()
				}
				m.settle()
			}
			for _, e := range modelEvents {
				require.NotZero(t, seen[e.name], e.name)
			}
		})
	}
}
