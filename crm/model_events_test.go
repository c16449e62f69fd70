package crm

import (
	"fmt"
	"maps"
	"slices"

	"pveha/crm/usage"
	"pveha/internal/ha"
)

// modelEvents are what can happen to the cluster before a round. One of them is
// chosen by weight.
var modelEvents = []struct {
	name   string
	weight int
	happen func(m *model)
}{
	{"nothing", 12, func(*model) {}},
	{"a node is cut off", 3, (*model).cut},
	{"a node loses its power", 2, func(m *model) {
		if node := m.anyMember(); m.mayLose(node) {
			m.die(node)
		}
	}},
	{"nodes come back", 4, (*model).comeBack},
	{"a command", 6, func(m *model) { m.commands += m.command() + "\n" }},
	{"a guest is added", 2, (*model).addGuest},
	{"a guest is removed", 1, func(m *model) {
		if sid := m.anyGuest(); sid != "" && len(m.services) > 2 {
			delete(m.services, sid)
			delete(m.running, sid) // it goes on without HA
			m.edits++
		}
	}},
	{"another state is wanted", 4, func(m *model) {
		if sid := m.anyGuest(); sid != "" {
			m.want(sid, pick(m, []ha.RequestState{
				ha.RequestStarted, ha.RequestStarted, ha.RequestStopped, ha.RequestDisabled, ha.RequestIgnored,
			}))
		}
	}},
	{"the rules change", 2, (*model).changeRules},
	{"the scheduling changes", 2, func(m *model) {
		m.scheduling.Mode = pick(m, []SchedulerMode{SchedulerBasic, SchedulerStatic, SchedulerDynamic})
		m.scheduling.RebalanceOnStart = m.IntN(2) == 0
		m.scheduling.AutoRebalance = AutoRebalance{
			Enabled: m.IntN(2) == 0, Threshold: 0.1, Hold: 1, Margin: 0.05,
			Method: pick(m, []usage.Method{usage.BruteForce, usage.TOPSIS}),
		}
	}},
	{"the stack is disarmed", 1, func(m *model) {
		m.commands += pick(m, []string{"disarm-ha freeze\n", "disarm-ha ignore\n"})
	}},
	{"the stack is armed", 2, func(m *model) { m.commands += "arm-ha\n" }},
	{"a person moves guests", 2, (*model).moveByHand},
	{"an LRM restarts", 2, func(m *model) {
		node := m.anyMember()
		mode := ha.ModeRestart
		if m.lrms.lrms[node].Mode == mode {
			mode = ha.ModeActive
		}
		m.lrms.lrms[node] = &ha.LRMStatus{State: ha.LRMActive, Mode: mode, Results: m.lrms.lrms[node].Results}
	}},
	{"a call fails", 6, func(m *model) { m.failAt = 1 + m.IntN(40) }},
	{"the master resigns", 1, func(m *model) { m.crm.RequestShutdown() }},
	{"the master dies", 1, func(m *model) {
		if m.mayLose(m.node) {
			m.die(m.node)
		}
	}},
}

// event lets one thing happen.
func (m *model) event(seen map[string]int) {
	m.failAt = 0
	total := 0
	for _, e := range modelEvents {
		total += e.weight
	}
	at := m.IntN(total)
	for _, e := range modelEvents {
		if at -= e.weight; at < 0 {
			seen[e.name]++
			e.happen(m)
			return
		}
	}
}

func (m *model) anyGuest() ha.SID {
	if len(m.services) == 0 {
		return ""
	}
	return pick(m, slices.Sorted(maps.Keys(m.services)))
}

// cut separates a node from the cluster. What it runs goes on until its
// watchdog fires; without a lock it has none.
func (m *model) cut() {
	node := m.anyMember()
	switch {
	case !m.mayLose(node):
	case m.holding[node]:
		m.members[node] = false
	default:
		m.die(node)
	}
}

func (m *model) comeBack() {
	for node := range m.members {
		m.members[node] = true
	}
	clear(m.dead)
}

func (m *model) command() string {
	node := fmt.Sprintf("node%d", 1+m.IntN(modelNodes+1)) // one too many
	sid := string(m.anyGuest())
	return pick(m, []string{
		"migrate " + sid + " " + node, "migrate " + sid + " " + node, "relocate " + sid + " " + node,
		"stop " + sid + " 0", "stop " + sid + " 60",
		"enable-node-maintenance " + node, "disable-node-maintenance " + node, "disable-node-maintenance " + node,
		"migrate", "",
	})
}

func (m *model) changeRules() {
	all := ""
	for _, sid := range slices.Sorted(maps.Keys(m.services)) {
		if m.IntN(2) == 0 {
			all += string(sid) + ","
		}
	}
	if all == "" {
		all = "vm:1,"
	}
	all = all[:len(all)-1]
	m.rules = pick(m, []string{
		"",
		"node-affinity: home\n\tresources " + all + "\n\tnodes node1:2,node2:1,node3\n",
		"node-affinity: only\n\tresources " + all + "\n\tnodes node1,node2\n\tstrict 1\n",
		"resource-affinity: near\n\tresources " + all + "\n\taffinity positive\n",
		"resource-affinity: apart\n\tresources " + all + "\n\taffinity negative\n",
	})
}

// moveByHand is what people may do while the stack is disarmed and ignores what
// they do.
func (m *model) moveByHand() {
	if m.manager == nil || m.manager.Disarm == nil || m.manager.Disarm.Mode != ha.DisarmIgnore {
		return
	}
	for _, sid := range slices.Sorted(maps.Keys(m.services)) {
		from, to := m.services[sid].Node, m.anyMember()
		if from == to || !m.members[from] || m.IntN(2) == 0 {
			continue
		}
		runs := slices.Contains(m.running[sid], from)
		m.halt(sid, from)
		m.move(sid, from, to)
		if runs {
			m.running[sid] = append(m.running[sid], to)
		}
	}
}
