package usage

import (
	"errors"
	"fmt"
	"math"

	"pveha/crm/usage/topsis"
	"pveha/internal/ha"
)

// Weighted measures the load of a node by the CPU and memory of its guests.
type Weighted struct {
	nodes
	kind     string // "static" or "dynamic", as in the messages
	measured bool   // dynamic: the nodes' own figures hold what runs
	criteria topsis.Criteria

	onNode []nodeLoad // in the order of names
	stats  map[ha.SID]Service
	placed map[ha.SID]resource
}

var _ Usage = (*Weighted)(nil)

// nodeLoad is a node with what its guests add to it.
type nodeLoad struct {
	base   load     // by its own figures
	guests load     // base and the guests that count on top of it
	cpu    exactSum // of guests
}

// resource is a service that puts load on nodes.
type resource struct {
	current, target int // index of the node; target is none where it does not move
	counted         bool
	stats           ServiceStats
}

const none = -1

// NewStatic returns the usage of nodes by the configurations of the guests:
// every guest in place counts with all it may use. It fails when the size of a
// node is not known; what the caller falls back to then is Basic.
//
// services must not be modified as long as the Usage is in use.
func NewStatic(names []string, stats map[string]NodeStats, services map[ha.SID]Service) (*Weighted, error) {
	return newWeighted("static", false, names, stats, services)
}

// NewDynamic returns the usage of nodes by their own figures: a guest that runs
// is part of them, and one that is about to start counts on top with all it
// may use, when a node is wanted for another. Otherwise like NewStatic.
func NewDynamic(names []string, stats map[string]NodeStats, services map[ha.SID]Service) (*Weighted, error) {
	return newWeighted("dynamic", true, names, stats, services)
}

func newWeighted(
	kind string, measured bool,
	names []string, stats map[string]NodeStats, services map[ha.SID]Service,
) (*Weighted, error) {
	criteria, err := topsis.NewCriteria(loadCriteria...)
	if err != nil {
		return nil, err
	}
	w := &Weighted{
		nodes: newNodes(names), kind: kind, measured: measured, criteria: criteria,
		stats: services, placed: make(map[ha.SID]resource, len(services)),
	}
	w.onNode = make([]nodeLoad, len(w.names))
	for i, name := range w.names {
		s, ok := stats[name]
		if !ok {
			return nil, fmt.Errorf("did not get %s node usage information for '%s'", kind, name)
		}
		base, err := s.load(measured)
		if err != nil {
			return nil, fmt.Errorf("%s node usage information for '%s' %w", kind, name, err)
		}
		n := &w.onNode[i]
		n.base, n.guests = base, base
		n.cpu.add(base.cpu)
	}
	return w, nil
}

// load returns the load of the node, without any guests unless it is measured.
// A node of unknown size cannot be compared with others: its load would be
// infinite or no number, and so would every score and the imbalance.
func (s NodeStats) load(measured bool) (load, error) {
	l := load{maxCPU: math.Trunc(s.MaxCPU), maxMem: s.MaxMem}
	if measured {
		l.cpu, l.mem = s.CPU, s.Mem
	}
	switch {
	case !isFinite(l.cpu) || !isFinite(l.maxCPU):
		return load{}, errors.New("has invalid cpu figures")
	case l.maxCPU <= 0:
		return load{}, errors.New("missing cpu count")
	case l.maxMem == 0:
		return load{}, errors.New("missing memory")
	}
	return l, nil
}

// Add implements Usage. A service that is there already is an error.
func (w *Weighted) Add(sid ha.SID, p Placement) error {
	if p.Current == "" {
		p.Current, p.Target = p.Target, "" // as good as there
	}
	if p.Current == "" {
		return nil
	}
	r, err := w.resource(sid, p)
	if err != nil {
		return fmt.Errorf("unable to add service '%s' - %w", sid, err)
	}
	w.placed[sid] = r
	w.count(&r, 1)
	return nil
}

// Remove implements Usage.
func (w *Weighted) Remove(sid ha.SID) {
	if r, ok := w.placed[sid]; ok {
		delete(w.placed, sid)
		w.count(&r, -1)
	}
}

// resource makes up what Add adds.
func (w *Weighted) resource(sid ha.SID, p Placement) (resource, error) {
	stats, err := w.statsOf(sid)
	if err != nil {
		return resource{}, err
	}
	if _, ok := w.placed[sid]; ok {
		return resource{}, fmt.Errorf("resource '%s' already exists", sid)
	}
	r := resource{target: none, counted: !w.measured || !p.Running, stats: stats}
	var known bool
	r.current, known = w.index[p.Current]
	if p.Target == "" {
		if !known {
			return resource{}, fmt.Errorf("current node for resource '%s' does not exist", sid)
		}
		return r, nil
	}
	if p.Target == p.Current {
		return resource{}, fmt.Errorf("resource '%s' has the same current and target node", sid)
	}
	target, targetKnown := w.index[p.Target]
	if !known || !targetKnown {
		return resource{}, fmt.Errorf("nodes for resource '%s' do not exist", sid)
	}
	r.target = target
	return r, nil
}

// statsOf returns the statistics of a guest. By static ones it always uses all
// it may use.
func (w *Weighted) statsOf(sid ha.SID) (ServiceStats, error) {
	s := w.stats[sid].Stats
	switch missing := w.stats[sid].Missing; {
	case s != nil:
	case missing != "":
		return ServiceStats{}, fmt.Errorf("error: missing field `%s`", missing)
	default:
		return ServiceStats{}, fmt.Errorf("did not get %s service usage information for '%s'", w.kind, sid)
	}
	stats := *s
	if !w.measured {
		stats.CPU, stats.Mem = stats.MaxCPU, stats.MaxMem
	}
	if !stats.isFinite() {
		return ServiceStats{}, fmt.Errorf("%s service usage information for '%s' has invalid cpu figures", w.kind, sid)
	}
	return stats, nil
}

// count adds the guest to the load of its nodes, or takes it away again.
func (w *Weighted) count(r *resource, sign int) {
	if !r.counted {
		return
	}
	w.onNode[r.current].count(&r.stats, sign)
	if r.target != none {
		w.onNode[r.target].count(&r.stats, sign)
	}
}

func (n *nodeLoad) count(s *ServiceStats, sign int) {
	n.cpu.add(float64(sign) * n.base.startCPU(*s))
	n.guests.cpu = n.cpu.value()
	n.guests.mem += uint64(sign) * s.MaxMem // in whole numbers, so exact as well
}
