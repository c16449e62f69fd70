package whatif

import (
	"errors"
	"maps"

	"pveha/cfgparse/hacfg"
	"pveha/crm"
	"pveha/crm/nodestate"
	"pveha/crm/usage"
	"pveha/internal/ha"
)

// world is a cluster in memory that begins as in a picture. Its nodes' LRMs do
// at once what they are told, and it always works.
type world struct {
	*Snapshot
	clock ha.Epoch

	status   *ha.ManagerStatus
	services map[ha.SID]ha.ServiceConfig
	lrms     map[string]*ha.LRMStatus
	down     map[string]bool // nodes that failed
	log      []ha.Entry
}

var _ crm.Env = (*world)(nil)

func newWorld(s *Snapshot) *world {
	w := &world{
		Snapshot: s,
		clock:    s.now,
		status:   s.status.Clone(),
		services: maps.Clone(s.services),
		lrms:     map[string]*ha.LRMStatus{},
		down:     map[string]bool{},
	}
	for node, lrm := range s.lrms {
		w.lrms[node] = lrm.Clone()
	}
	return w
}

// The clock moves when somebody waits.

func (w *world) Now() ha.Epoch       { return w.clock }
func (w *world) Monotonic() ha.Epoch { return w.clock }
func (w *world) Sleep(seconds int64) { w.clock += ha.Epoch(seconds) }

func (w *world) SleepUntil(t ha.Epoch) bool {
	w.clock = max(w.clock, t)
	return false
}

func (w *world) Log(e ha.Entry) { w.log = append(w.log, e) }

func (w *world) NodeName() string { return w.node }
func (w *world) Quorate() bool    { return true }
func (w *world) Refresh() bool    { return true }

func (w *world) Members() (map[string]nodestate.Member, error) {
	members := maps.Clone(w.members)
	for node := range w.down {
		if m, ok := members[node]; ok {
			m.Online = false
			members[node] = m
		}
	}
	return members, nil
}

func (w *world) NodeVersion(node string) (string, error) { return w.versions[node], nil }

func (w *world) ReadManagerStatus() (*ha.ManagerStatus, error) { return w.status, nil }

func (w *world) WriteManagerStatus(s *ha.ManagerStatus) error {
	w.status = s.Clone()
	return nil
}

func (w *world) ReadLRMStatus(node string) (*ha.LRMStatus, error) {
	if lrm := w.lrms[node]; lrm != nil {
		return lrm, nil
	}
	return &ha.LRMStatus{}, nil
}

// What people have asked for and no master has taken yet is not in the picture.

func (w *world) CommandsPending() (bool, error) { return false, nil }
func (w *world) TakeCommands() (string, error)  { return "", nil }

func (w *world) Services() (map[ha.SID]ha.ServiceConfig, string, error) {
	return w.services, w.digest, nil
}

func (w *world) UpdateServices(changes map[ha.SID]crm.ServiceChange) error {
	for sid, change := range changes {
		cfg, ok := w.services[sid]
		if !ok {
			continue
		}
		if change.State != "" {
			cfg.State = change.State
		}
		if change.Failback != nil {
			cfg.Failback = *change.Failback
		}
		if change.DeleteGroup {
			cfg.Group = ""
		}
		w.services[sid] = cfg
	}
	return nil
}

// errGroupsStay keeps groups as they are: the rules made from them in every
// round place services just the same.
var errGroupsStay = errors.New("groups are not replaced in a picture")

func (w *world) Rules() (*hacfg.Rules, error)   { return cloneRules(w.rules), nil }
func (w *world) WriteRules(*hacfg.Rules) error  { return errGroupsStay }
func (w *world) Groups() (*hacfg.Groups, error) { return cloneGroups(w.groups), nil }
func (w *world) DeleteGroups() error            { return errGroupsStay }

// Scheduling leaves out automatic rebalancing while time passes: it depends on
// what was so for some rounds, and on what guests will use elsewhere, and a
// picture knows neither.
func (w *world) Scheduling() (crm.Scheduling, error) {
	s := w.scheduling
	if len(w.down) > 0 {
		s.AutoRebalance.Enabled = false
	}
	return s, nil
}

func (w *world) ManagerLock() bool        { return true }
func (w *world) ReleaseManagerLock() bool { return true }
func (w *world) ManagerLockKept() bool    { return false }

// lockLifetime is how long a lock outlives its last refresh, in seconds.
const lockLifetime = 120

// AgentLock is free where nobody has been left to refresh it for its lifetime.
func (w *world) AgentLock(node string) bool {
	return !w.members[node].Online || w.down[node] && w.clock-w.now > lockLifetime
}

func (w *world) OpenWatchdog() (ha.Watchdog, error) { return quietWatchdog{}, nil }

type quietWatchdog struct{}

func (quietWatchdog) Update() error { return nil }
func (quietWatchdog) Close() error  { return nil }

func (w *world) RemoveLocks(ha.SID, []string, string) (string, error) { return "", nil }

func (w *world) Steal(sid ha.SID, _, to string) error {
	w.place(sid, to)
	return nil
}

func (w *world) place(sid ha.SID, node string) {
	cfg := w.services[sid]
	cfg.Node = node
	w.services[sid] = cfg
}

func (w *world) BasicServices() (map[ha.SID]usage.Service, error) {
	return maps.Clone(w.stats.basic), w.stats.basicErr
}

func (w *world) StaticServices() (map[ha.SID]usage.Service, error) {
	return maps.Clone(w.stats.static), w.stats.staticErr
}

func (w *world) DynamicServices() (map[ha.SID]usage.Service, error) {
	return maps.Clone(w.stats.dynamic), w.stats.dynamicErr
}

func (w *world) StaticNodes() (map[string]usage.NodeStats, error) {
	return maps.Clone(w.stats.staticNodes), w.stats.staticNodesErr
}

func (w *world) DynamicNodes() (map[string]usage.NodeStats, error) {
	return maps.Clone(w.stats.dynamicNodes), w.stats.dynamicNodesErr
}

func (w *world) Notify(nodestate.FenceNotification) {}
