package whatif

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"pveha/crm"
	"pveha/internal/ha"
)

// Report is what would become of the services if nodes failed. Its JSON form
// is what scripts read.
type Report struct {
	Failed []string `json:"failed"` // the nodes, sorted
	// Quorate says that more than half of the nodes are left. Without quorum
	// nothing is recovered.
	Quorate  bool       `json:"quorate"`
	Seconds  int64      `json:"seconds"` // until everything has settled, as far as the master decides it
	Services []Change   `json:"services"`
	Nodes    []NodeLoad `json:"nodes"` // every node that is left
}

// Change is a service that the failure moves, or stops.
type Change struct {
	SID   ha.SID          `json:"sid"`
	From  string          `json:"from"`
	To    string          `json:"to"` // "" when no node may have it
	State ha.ServiceState `json:"state"`
	// Lost says that the service is wanted started and would not run.
	Lost bool `json:"lost"`
	// Blocked tells for each node that is left why the service cannot go
	// there, when it can go nowhere.
	Blocked []string `json:"blocked,omitempty"`
}

// NodeLoad is what the configurations of the guests on a node add up to,
// before and after, and what there is.
type NodeLoad struct {
	Node      string  `json:"node"`
	Guests    int     `json:"guests"`
	MemBefore uint64  `json:"mem_before"` // bytes
	MemAfter  uint64  `json:"mem_after"`
	MemSize   uint64  `json:"mem_size"` // 0: not known
	CPUBefore float64 `json:"cpu_before"`
	CPUAfter  float64 `json:"cpu_after"`
	CPUSize   float64 `json:"cpu_size"` // cores, 0: not known
}

// MemFits reports whether the memory of the guests that come fits.
func (l NodeLoad) MemFits() bool {
	return l.MemSize == 0 || l.MemAfter <= l.MemSize || l.MemAfter <= l.MemBefore
}

// CPUFits reports whether the cores of the guests that come fit.
func (l NodeLoad) CPUFits() bool {
	return l.CPUSize == 0 || l.CPUAfter <= l.CPUSize || l.CPUAfter <= l.CPUBefore
}

// OK reports whether every service would run and every guest fit.
func (r *Report) OK() bool {
	return r.Quorate &&
		!slices.ContainsFunc(r.Services, func(c Change) bool { return c.Lost }) &&
		!slices.ContainsFunc(r.Nodes, func(l NodeLoad) bool { return !l.MemFits() || !l.CPUFits() })
}

// The run ends when nothing changed for settledRounds rounds of the master. A
// node is fenced after 60 seconds, which is six of them.
const (
	settledRounds = 9
	maxRounds     = 360 // an hour
)

// Fail works out what would become of the services if the nodes failed now,
// all at once.
func (s *Snapshot) Fail(nodes ...string) (*Report, error) {
	failed := slices.Compact(slices.Sorted(slices.Values(nodes)))
	for _, node := range failed {
		if _, ok := s.members[node]; !ok {
			return nil, fmt.Errorf("node '%s' is no member of the cluster", node)
		}
	}
	w := newWorld(s)
	for _, node := range failed {
		w.down[node] = true
	}
	r := &Report{Failed: failed, Quorate: w.quorumLeft()}
	if r.Quorate {
		settledAt, err := w.run()
		if err != nil {
			return nil, err
		}
		r.Seconds = int64(settledAt - s.now)
	}
	var err error
	if r.Services, err = w.changes(); err != nil {
		return nil, err
	}
	r.Nodes = w.loads()
	return r, nil
}

// quorumLeft counts votes: one a node, as the cluster's default is.
func (w *world) quorumLeft() bool {
	online := 0
	for node, m := range w.members {
		if m.Online && !w.down[node] {
			online++
		}
	}
	return online > len(w.members)/2
}

// run lets a master work until nothing changes any more, and returns when the
// last change was. The node asked from may be among those that failed: the
// master is another then.
func (w *world) run() (ha.Epoch, error) {
	local := *w.Snapshot
	local.node = w.survivor()
	w.Snapshot = &local

	settled := w.clock
	orders := 0
	master := crm.New(w, crm.Config{
		NewUID: func(ha.ServiceState) string {
			orders++
			return "whatif-" + strconv.Itoa(orders)
		},
		OnChange: func(ha.SID, ha.ServiceState, ha.ServiceState) { settled = w.clock },
	})
	for quiet := 0; quiet < settledRounds; {
		if w.clock-w.now > maxRounds*10 {
			break
		}
		before := settled
		if _, err := master.Iterate(); err != nil {
			return 0, err
		}
		if w.work() {
			settled = w.clock
		}
		quiet++
		if settled != before || w.fencing() {
			quiet = 0
		}
	}
	return settled, nil
}

// fencing reports whether a node that failed is not known to be dead yet.
func (w *world) fencing() bool {
	for _, s := range w.status.ServiceStatus {
		if w.down[s.Node] && s.State != ha.Recovery && s.State != ha.Error && s.State != ha.Freeze && s.State != ha.Stopped {
			return true
		}
	}
	return false
}

func (w *world) survivor() string {
	for _, node := range w.nodes() {
		if w.members[node].Online && !w.down[node] {
			return node
		}
	}
	return w.node
}

// work lets every LRM that is left carry out its orders. It reports whether
// any guest moved.
func (w *world) work() (moved bool) {
	for _, node := range slices.Sorted(maps.Keys(w.lrms)) {
		if w.down[node] || !w.members[node].Online {
			continue
		}
		moved = w.obey(node) || moved
	}
	return moved
}

func (w *world) obey(node string) (moved bool) {
	results := map[string]ha.Result{}
	for sid, s := range w.status.ServiceStatus {
		if s.Node != node || s.UID == "" {
			continue
		}
		switch s.State {
		case ha.Started, ha.RequestStop:
		case ha.Migrate, ha.Relocate, ha.RequestStartBalance:
			w.place(sid, s.Target)
			moved = true
		case ha.Stopped, ha.RequestStart, ha.Fence, ha.Recovery, ha.Freeze, ha.Error:
			continue
		}
		results[s.UID] = ha.Result{SID: sid, State: s.State, ExitCode: ha.ExitSuccess}
	}
	w.lrms[node].Results = results
	return moved
}

// changes lists the services that are elsewhere than before, and those that
// would not run, by service ID.
func (w *world) changes() ([]Change, error) {
	var changes []Change
	for _, sid := range slices.Sorted(maps.Keys(w.Snapshot.status.ServiceStatus)) {
		before, after := w.Snapshot.status.ServiceStatus[sid], w.status.ServiceStatus[sid]
		if after == nil {
			continue
		}
		c := Change{SID: sid, From: before.Node, To: after.Node, State: after.State}
		lost := w.nowhere(after)
		if lost {
			c.To = ""
			c.Lost = w.Snapshot.services[sid].State == ha.RequestStarted
		}
		if c.From == c.To {
			continue
		}
		if lost && w.quorumLeft() {
			blocked, err := w.blocked(sid)
			if err != nil {
				return nil, err
			}
			c.Blocked = blocked
		}
		changes = append(changes, c)
	}
	return changes, nil
}

// nowhere reports whether a service has no place any more. One that is stopped
// or in error keeps its place, also on a node that failed.
func (w *world) nowhere(s *ha.ServiceStatus) bool {
	switch s.State {
	case ha.Recovery:
		return true
	case ha.Stopped, ha.Error:
		return false
	case ha.RequestStart, ha.RequestStartBalance, ha.Started, ha.RequestStop,
		ha.Fence, ha.Migrate, ha.Relocate, ha.Freeze:
	}
	return w.down[s.Node]
}

// blocked asks what speaks against each node that is left.
func (w *world) blocked(sid ha.SID) ([]string, error) {
	e, err := crm.Explain(w, sid)
	if err != nil {
		return nil, err
	}
	var blocked []string
	for _, v := range e.Nodes {
		if w.down[v.Node] {
			continue
		}
		for _, text := range v.Says {
			blocked = append(blocked, v.Node+": "+text)
		}
	}
	return blocked, nil
}
