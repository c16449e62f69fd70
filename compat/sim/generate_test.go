package sim

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"pveha/internal/ha"
)

// generator makes up a scenario: a cluster, faults and orders in any order, and
// in the end everything is healed and left alone for a while.
type generator struct {
	*rand.Rand
	nodes  []string
	guests map[ha.SID]string // configured services, by node at the start
	busy   map[string]bool   // nodes that were told to go down or to restart their LRM
	news   int               // services added so far
	mode   string            // of scheduling
}

// generate returns the files of the scenario of a seed.
func generate(seed uint64) folder {
	g := &generator{
		Rand:   rand.New(rand.NewPCG(seed, 1)),
		guests: map[ha.SID]string{},
		busy:   map[string]bool{},
	}
	files := folder{fileHardware: g.hardware(), fileServices: g.services()}
	if g.chance(50) {
		files[fileRules] = g.rules()
	}
	files[fileDatacenter] = g.datacenter()
	files[fileCommands] = g.commands()
	return files
}

func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

func pick[T any](g *generator, from ...T) T { return from[g.IntN(len(from))] }

func text(v any) string {
	data, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		panic(err)
	}
	return string(data)
}

func (g *generator) hardware() string {
	all := map[string]any{}
	for i := range pick(g, 3, 3, 3, 4, 5) {
		name := fmt.Sprintf("node%d", i+1)
		g.nodes = append(g.nodes, name)
		all[name] = map[string]any{"power": "off", "network": "off", "maxcpu": pick(g, 8, 16), "maxmem": pick(g, 32, 64) << 30}
	}
	return text(all)
}

func (g *generator) services() string {
	all := map[ha.SID]any{}
	for i := range 1 + g.IntN(7) {
		sid := ha.SID(fmt.Sprintf("%s:%d", pick(g, "vm", "vm", "vm", "ct"), 101+i))
		if g.chance(12) { // fails on purpose, some for a while and some for good
			sid = ha.SID(fmt.Sprintf("fa:%d%d%d%s", i+1, pick(g, 0, 1, 2, 9), pick(g, 0, 0, 1), pick(g, "", "", "1", "0012")))
		}
		g.guests[sid] = pick(g, g.nodes...)
		s := map[string]any{"node": g.guests[sid], "state": pick(g, "started", "started", "started", "stopped", "disabled", "ignored")}
		if g.chance(30) {
			s["max_restart"], s["max_relocate"] = g.IntN(3), g.IntN(3)
		}
		if g.chance(20) {
			s["failback"] = g.IntN(2)
		}
		all[sid] = s
	}
	return text(all)
}

func (g *generator) sids() []ha.SID { return slices.Sorted(maps.Keys(g.guests)) }

func (g *generator) rules() string {
	var b strings.Builder
	for i := range 1 + g.IntN(3) {
		sids := g.sids()
		g.Shuffle(len(sids), func(a, b int) { sids[a], sids[b] = sids[b], sids[a] })
		members := make([]string, 0, len(sids))
		for _, sid := range sids[:min(len(sids), 1+g.IntN(3))] {
			members = append(members, string(sid))
		}
		if g.chance(50) {
			home := pick(g, g.nodes...)
			fmt.Fprintf(&b, "node-affinity: n%d\n\tnodes %s:%d,%s\n\tstrict %d\n", i, home, g.IntN(3), pick(g, g.nodes...), g.IntN(2))
		} else {
			fmt.Fprintf(&b, "resource-affinity: r%d\n\taffinity %s\n", i, pick(g, "positive", "negative"))
		}
		fmt.Fprintf(&b, "\tresources %s\n\n", strings.Join(members, ","))
	}
	return b.String()
}

func (g *generator) datacenter() string {
	g.mode = pick(g, "basic", "basic", "static", "dynamic")
	return text(map[string]any{
		"ha":  map[string]any{"shutdown_policy": pick(g, "conditional", "freeze", "failover", "migrate")},
		"crs": map[string]any{"ha": g.mode, "ha-rebalance-on-start": g.IntN(2), "ha-auto-rebalance": g.IntN(2)},
	})
}

func (g *generator) commands() string {
	steps := [][]string{g.each("power NODE on")}
	for range 2 + g.IntN(5) {
		var step []string
		for range pick(g, 1, 1, 1, 2, 3) {
			step = append(step, g.command()...)
		}
		steps = append(steps, step)
	}
	return text(append(steps, g.heal()...))
}

// each returns a command for every node.
func (g *generator) each(form string) []string {
	var all []string
	for _, node := range g.nodes {
		all = append(all, strings.ReplaceAll(form, "NODE", node))
	}
	return all
}

// heal returns the steps that end every fault and every request. A node that
// was told to go down is switched off for good first.
func (g *generator) heal() [][]string {
	var off []string
	for _, node := range g.nodes {
		if g.busy[node] {
			off = append(off, "power "+node+" off")
		}
	}
	mend := slices.Concat(g.each("power NODE on"), g.each("network NODE on"), g.each("cfs NODE rw work"),
		g.each("cfs NODE update work"), g.each("crm NODE start"), []string{"crm node1 arm-ha"},
		g.each("crm NODE disable-node-maintenance"))
	for _, sid := range g.sids() {
		mend = append(mend, fmt.Sprintf("service %s unlock", sid))
	}
	return [][]string{off, mend}
}

// command returns what happens next, which may be nothing.
func (g *generator) command() []string {
	node := pick(g, g.nodes...)
	if g.chance(45) {
		return g.order(node)
	}
	if g.busy[node] {
		return nil
	}
	switch what := pick(g, "network", "network", "network", "power", "power", "cfs", "skip", "delay", "down", "restart", "crm"); what {
	case "network", "power":
		return []string{fmt.Sprintf("%s %s %s", what, node, pick(g, "on", "off", "off"))}
	case "cfs":
		return []string{fmt.Sprintf("cfs %s %s %s", node, pick(g, "rw", "update"), pick(g, "work", "fail", "fail"))}
	case "skip":
		return []string{fmt.Sprintf("skip-round %s %d", pick(g, "crm", "lrm"), 1+g.IntN(4))}
	case "delay":
		return []string{fmt.Sprintf("delay %d", pick(g, 30, 80, 150, 250))}
	case "down":
		g.busy[node] = true
		return []string{pick(g, "reboot ", "shutdown ") + node}
	case "restart":
		g.busy[node] = true
		return []string{"restart-lrm " + node}
	default:
		return []string{fmt.Sprintf("crm %s %s", node, pick(g, "stop", "start"))}
	}
}

// order returns what a person may want.
func (g *generator) order(node string) []string {
	if g.chance(12) {
		return []string{fmt.Sprintf("crm %s %s-node-maintenance", node, pick(g, "enable", "disable"))}
	}
	if g.chance(12) {
		what := pick(g, "disarm-ha freeze", "disarm-ha ignore", "arm-ha", "arm-ha")
		return []string{"crm " + node + " " + what}
	}
	if g.chance(8) && g.mode == "basic" {
		g.news++
		sid := ha.SID(fmt.Sprintf("vm:%d", 200+g.news))
		g.guests[sid] = node
		return []string{fmt.Sprintf("service %s add %s", sid, node)}
	}
	if len(g.guests) == 0 {
		return nil
	}
	sid := pick(g, g.sids()...)
	switch pick(g, "state", "state", "move", "move", "stop", "lock", "delete") {
	case "state":
		return []string{fmt.Sprintf("service %s %s", sid, pick(g, "started", "started", "stopped", "disabled", "ignored"))}
	case "move":
		return []string{fmt.Sprintf("service %s %s %s", sid, pick(g, "migrate", "relocate"), node)}
	case "stop":
		return []string{fmt.Sprintf("service %s stop %d", sid, pick(g, 0, 30))}
	case "lock":
		return []string{fmt.Sprintf("service %s %s", sid, pick(g, "lock", "unlock"))}
	default:
		delete(g.guests, sid)
		return []string{fmt.Sprintf("service %s delete", sid)}
	}
}
