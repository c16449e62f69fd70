package playground

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	"pveha/compat/sim"
	"pveha/internal/ha"
)

// Frame is what changed with one round, or with commands between two rounds.
// The first frame of a history holds everything.
type Frame struct {
	Round  int               `json:"round"`
	At     ha.Epoch          `json:"at"`
	End    ha.Epoch          `json:"end"` // of the round, if nobody cuts it
	State  *ClusterView      `json:"cluster,omitempty"`
	Nodes  []sim.NodeDetail  `json:"nodes,omitempty"`
	Pulse  map[string]Pulse  `json:"pulse,omitempty"` // by node
	Guests []sim.GuestDetail `json:"guests,omitempty"`
	Gone   []ha.SID          `json:"gone,omitempty"`
	Log    [][4]any          `json:"log,omitempty"` // time, level, from, text
	Marks  []Mark            `json:"marks,omitempty"`
}

// Pulse is when a node's LRM refreshed its lock and a client its watchdog
// last, -1 for never. Under the name "" stands the lock of the master. It
// changes with every round.
type Pulse [2]ha.Epoch

// ClusterView is what concerns no single node.
type ClusterView struct {
	sim.ClusterDetail
	Rules    []RuleView  `json:"rules"`
	Groups   []GroupView `json:"groups"`
	Problems []string    `json:"problems"` // of the files of rules and groups
	Script   int         `json:"script"`   // steps of the start's own commands that are still to come
	Halted   string      `json:"halted"`   // why the simulation cannot go on
}

// MarkKind is a kind of event in the timeline.
type MarkKind string

// The kinds of events.
const (
	MarkCommand  MarkKind = "command"  // a person did something
	MarkState    MarkKind = "state"    // a service's state changed
	MarkWatchdog MarkKind = "watchdog" // a node was reset by its watchdog
)

// Mark is an event in the timeline.
type Mark struct {
	At   ha.Epoch        `json:"at"`
	Kind MarkKind        `json:"kind"`
	SID  ha.SID          `json:"sid,omitempty"`
	Node string          `json:"node,omitempty"`
	From ha.ServiceState `json:"from,omitempty"`
	To   ha.ServiceState `json:"to,omitempty"`
	Text string          `json:"text,omitempty"`
}

func (p *play) onLine(l sim.Line) {
	p.lines = append(p.lines, l)
	if node, ok := strings.CutPrefix(l.Text, "execute power "); ok && l.From == "watchdog" {
		p.marks = append(p.marks, Mark{At: l.At, Kind: MarkWatchdog, Node: strings.TrimSuffix(node, " off")})
	}
}

func (p *play) onChange(sid ha.SID, from, to ha.ServiceState) {
	p.marks = append(p.marks, Mark{At: p.cluster.Now(), Kind: MarkState, SID: sid, From: from, To: to})
}

// frame is the state of the cluster with what was logged since the last call;
// the history finds out what changed.
func (p *play) frame() *Frame {
	d := p.cluster.Detail()
	f := &Frame{
		Round: p.rounds, At: d.Now, End: p.cluster.RoundEnd(), Guests: d.Guests, Marks: p.marks,
		Pulse: make(map[string]Pulse, len(d.Nodes)),
	}
	if !p.open {
		f.End = f.At
	}
	for i := range d.Nodes {
		n := &d.Nodes[i]
		pulse := Pulse{-1, -1}
		if n.Lock != nil {
			pulse[0] = n.Lock.Since
			n.Lock.Since = 0
		}
		if n.Watchdog != nil {
			pulse[1] = *n.Watchdog
			n.Watchdog = nil
		}
		f.Pulse[n.Name] = pulse
	}
	f.Nodes = d.Nodes
	if l := d.Cluster.ManagerLock; l != nil {
		f.Pulse[""] = Pulse{l.Since, -1}
		l.Since = 0
	}
	for _, l := range p.lines {
		f.Log = append(f.Log, [4]any{l.At, strings.TrimSpace(l.Level), l.From, l.Text})
	}
	p.lines, p.marks = nil, nil
	f.State = p.clusterView(d.Cluster, nodeNames(d.Nodes))
	return f
}

func nodeNames(nodes []sim.NodeDetail) []string {
	names := make([]string, len(nodes))
	for i, n := range nodes {
		names[i] = n.Name
	}
	return names
}

func (p *play) clusterView(d sim.ClusterDetail, nodes []string) *ClusterView {
	v := &ClusterView{ClusterDetail: d, Script: p.cluster.StepsLeft(), Halted: p.halted}
	rules, groups := p.cluster.Config()
	v.Rules, v.Groups, v.Problems = viewConfig(rules, groups, nodes)
	return v
}

// maxHistory is how much of its past a session shows, in bytes of its frames
// as JSON. What is older is still in the recording.
const maxHistory = 24 << 20

// state is the cluster as a page has it that saw every frame.
type state struct {
	last   *Frame // for its round, its times, its pulse and what concerns no single node
	nodes  map[string]sim.NodeDetail
	guests map[ha.SID]sim.GuestDetail
}

// history holds the frames of a session, each as a page gets it.
type history struct {
	base   state // before the first of frames
	now    state
	frames []*Frame
	sizes  []int
	size   int
}

func newHistory(first *Frame) *history {
	h := &history{}
	for _, s := range []*state{&h.base, &h.now} {
		*s = state{nodes: map[string]sim.NodeDetail{}, guests: map[ha.SID]sim.GuestDetail{}}
		s.apply(first)
	}
	return h
}

func (s *state) apply(f *Frame) {
	last := *f
	if last.State == nil && s.last != nil {
		last.State = s.last.State
	}
	if last.Pulse == nil && s.last != nil {
		last.Pulse = s.last.Pulse
	}
	last.Nodes, last.Guests, last.Gone = nil, nil, nil
	s.last = &last
	for _, n := range f.Nodes {
		s.nodes[n.Name] = n
	}
	for _, g := range f.Guests {
		s.guests[g.SID] = g
	}
	for _, sid := range f.Gone {
		delete(s.guests, sid)
	}
}

// whole is a frame with everything.
func (s *state) whole() *Frame {
	f := *s.last
	for _, name := range slices.Sorted(maps.Keys(s.nodes)) {
		f.Nodes = append(f.Nodes, s.nodes[name])
	}
	for _, sid := range slices.Sorted(maps.Keys(s.guests)) {
		f.Guests = append(f.Guests, s.guests[sid])
	}
	return &f
}

// add reduces a frame with everything to what changed, keeps it and returns it
// as JSON.
func (h *history) add(f *Frame) []byte {
	seen := make(map[ha.SID]bool, len(f.Guests))
	for _, g := range f.Guests {
		seen[g.SID] = true
	}
	for _, sid := range slices.Sorted(maps.Keys(h.now.guests)) {
		if !seen[sid] {
			f.Gone = append(f.Gone, sid)
		}
	}
	f.Guests = slices.DeleteFunc(f.Guests, func(g sim.GuestDetail) bool {
		old, known := h.now.guests[g.SID]
		return known && reflect.DeepEqual(old, g)
	})
	f.Nodes = slices.DeleteFunc(f.Nodes, func(n sim.NodeDetail) bool {
		return reflect.DeepEqual(h.now.nodes[n.Name], n)
	})
	if reflect.DeepEqual(h.now.last.State, f.State) {
		f.State = nil
	}
	if maps.Equal(h.now.last.Pulse, f.Pulse) {
		f.Pulse = nil
	}
	h.now.apply(f)
	data := encodeFrame(f)
	h.frames, h.sizes, h.size = append(h.frames, f), append(h.sizes, len(data)), h.size+len(data)
	for h.size > maxHistory && len(h.frames) > 1 {
		h.base.apply(h.frames[0])
		h.size -= h.sizes[0]
		h.frames, h.sizes = h.frames[1:], h.sizes[1:]
	}
	return data
}

// encodeFrame cannot fail: a frame holds text and numbers.
func encodeFrame(f *Frame) []byte {
	data, err := json.Marshal(f)
	if err != nil {
		panic(err)
	}
	return data
}
