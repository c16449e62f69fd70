package sim

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"pveha/cfgparse/hacfg"
	"pveha/crm"
	"pveha/internal/ha"
)

var (
	// errNotMounted is what a node gets whose cluster file system fails.
	errNotMounted = errors.New("cfs connection refused - not mounted?")
	// errReadOnly is what a node gets that writes without quorum.
	errReadOnly = errors.New("cfs is read-only - no quorum?")
)

// cfs is the content of the cluster file system, the same for all nodes.
type cfs struct {
	wire     bool
	manager  *ha.ManagerStatus
	lrms     map[string]*ha.LRMStatus
	commands string // queue of CRM commands, one a line
	rules    []byte
	groups   []byte // nil: no such file
	locks    map[string]*lock

	guests   map[ha.SID]*guest
	snapshot map[ha.SID]ha.ServiceConfig // of guests; nil after a change

	staticStats  map[ha.SID]serviceFigures
	dynamicStats map[ha.SID]serviceFigures
}

func newCFS(s *Scenario, opts Options) *cfs {
	f := &cfs{
		wire:         opts.Wire,
		manager:      s.manager,
		lrms:         map[string]*ha.LRMStatus{},
		rules:        s.rules,
		groups:       s.groups,
		locks:        map[string]*lock{},
		guests:       map[ha.SID]*guest{},
		staticStats:  maps.Clone(s.staticStats),
		dynamicStats: maps.Clone(s.dynamicStats),
	}
	for sid, g := range s.services {
		c := *g
		f.guests[sid] = &c
	}
	return f
}

// guest returns a configured guest to change.
func (f *cfs) guest(sid ha.SID) (*guest, error) {
	g := f.guests[sid]
	if g == nil {
		return nil, fmt.Errorf("no such service '%s'", sid)
	}
	f.snapshot = nil
	return g, nil
}

func (f *cfs) services() map[ha.SID]ha.ServiceConfig {
	if f.snapshot == nil {
		f.snapshot = make(map[ha.SID]ha.ServiceConfig, len(f.guests))
		for sid, g := range f.guests {
			f.snapshot[sid] = g.ServiceConfig
		}
	}
	return f.snapshot
}

// place moves a guest's configuration.
func (f *cfs) place(sid ha.SID, from, to string) error {
	g, err := f.guest(sid)
	if err != nil {
		return err
	}
	if g.Node != from {
		return fmt.Errorf("current_node for '%s' does not match (%s != %s)", sid, from, g.Node)
	}
	g.Node = to
	return nil
}

// mounted fails while the node cannot use the cluster file system.
func (e *env) mounted() error {
	if !e.node.cfsRW {
		return errNotMounted
	}
	return nil
}

// writable fails while the node cannot write to the cluster file system.
func (e *env) writable() error {
	if err := e.mounted(); err != nil {
		return err
	}
	if !e.Quorate() {
		return errReadOnly
	}
	return nil
}

// ReadManagerStatus returns what the master wrote last.
func (e *env) ReadManagerStatus() (*ha.ManagerStatus, error) {
	if err := e.mounted(); err != nil {
		return nil, err
	}
	return e.cluster.cfs.manager, nil
}

// WriteManagerStatus replaces the manager status.
func (e *env) WriteManagerStatus(s *ha.ManagerStatus) error {
	if err := e.writable(); err != nil {
		return err
	}
	f := e.cluster.cfs
	if !f.wire {
		f.manager = s.Clone()
		return nil
	}
	var err error
	f.manager, err = ha.ParseManagerStatus(fileManagerStatus, s.Encode())
	return err
}

// ReadLRMStatus returns what the LRM of a node wrote last.
func (e *env) ReadLRMStatus(node string) (*ha.LRMStatus, error) {
	if err := e.mounted(); err != nil {
		return nil, err
	}
	if s := e.cluster.cfs.lrms[node]; s != nil {
		return s, nil
	}
	return &ha.LRMStatus{}, nil
}

// WriteLRMStatus replaces the status of the local LRM.
func (e *env) WriteLRMStatus(s *ha.LRMStatus) error {
	if err := e.writable(); err != nil {
		return err
	}
	f := e.cluster.cfs
	if !f.wire {
		f.lrms[e.node.name] = s.Clone()
		return nil
	}
	var err error
	f.lrms[e.node.name], err = ha.ParseLRMStatus("lrm_status", s.Encode())
	return err
}

// CommandsPending reports whether any CRM command waits.
func (e *env) CommandsPending() (bool, error) {
	if err := e.mounted(); err != nil {
		return false, err
	}
	return e.cluster.cfs.commands != "", nil
}

// TakeCommands empties the queue.
func (e *env) TakeCommands() (string, error) {
	if err := e.writable(); err != nil {
		return "", err
	}
	queue := e.cluster.cfs.commands
	e.cluster.cfs.commands = ""
	return queue, nil
}

// Services returns the configured services. The simulated configuration has no
// digest.
func (e *env) Services() (map[ha.SID]ha.ServiceConfig, string, error) {
	if err := e.mounted(); err != nil {
		return nil, "", err
	}
	return e.cluster.cfs.services(), "", nil
}

// UpdateServices changes the configuration, all or nothing.
func (e *env) UpdateServices(changes map[ha.SID]crm.ServiceChange) error {
	if err := e.writable(); err != nil {
		return err
	}
	f := e.cluster.cfs
	for _, sid := range slices.Sorted(maps.Keys(changes)) {
		if f.guests[sid] == nil {
			return fmt.Errorf("no such resource '%s'", sid)
		}
	}
	for sid, change := range changes {
		g := f.guests[sid]
		if change.State != "" {
			g.State = change.State
		}
		if change.Failback != nil {
			g.Failback = *change.Failback
		}
		if change.DeleteGroup {
			g.Group = ""
		}
	}
	f.snapshot = nil
	return nil
}

// Rules returns the affinity rules.
func (e *env) Rules() (*hacfg.Rules, error) {
	if err := e.mounted(); err != nil {
		return nil, err
	}
	r, _ := hacfg.ParseRules(fileRules, e.cluster.cfs.rules)
	return r, nil
}

// WriteRules replaces the affinity rules.
func (e *env) WriteRules(r *hacfg.Rules) error {
	if err := e.writable(); err != nil {
		return err
	}
	raw, err := r.Write()
	if err != nil {
		return err
	}
	e.cluster.cfs.rules = raw
	return nil
}

// Groups returns the groups.
func (e *env) Groups() (*hacfg.Groups, error) {
	if err := e.mounted(); err != nil {
		return nil, err
	}
	g, _ := hacfg.ParseGroups(fileGroups, e.cluster.cfs.groups)
	return g, nil
}

// DeleteGroups deletes the file of the groups.
func (e *env) DeleteGroups() error {
	if err := e.writable(); err != nil {
		return err
	}
	if e.cluster.cfs.groups == nil {
		return errors.New("failed to remove group config: no such file")
	}
	e.cluster.cfs.groups = nil
	return nil
}

// RemoveLocks takes away a lock that is one of locks.
func (e *env) RemoveLocks(sid ha.SID, locks []string, _ string) (string, error) {
	if err := e.writable(); err != nil {
		return "", err
	}
	g, err := e.cluster.cfs.guest(sid)
	if err != nil {
		return "", err
	}
	for _, l := range locks {
		if g.lock == l {
			g.lock = ""
			return l, nil
		}
	}
	return "", nil
}

// Steal moves the configuration of a guest whose node was fenced.
func (e *env) Steal(sid ha.SID, from, to string) error {
	if err := e.writable(); err != nil {
		return err
	}
	return e.cluster.cfs.place(sid, from, to)
}
