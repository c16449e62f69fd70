package sim

import (
	"maps"
	"slices"
	"strings"

	"pveha/crm"
	"pveha/internal/ha"
)

// Detail is all that can be known of the cluster at one time: of its daemons,
// its cluster file system and its hardware. Nothing in it is shared with the
// cluster.
type Detail struct {
	Now     ha.Epoch
	Cluster ClusterDetail
	Nodes   []NodeDetail  // sorted by name
	Guests  []GuestDetail // sorted by service ID
}

// ClusterDetail is what concerns no single node.
type ClusterDetail struct {
	Master      string       `json:"master"`
	Quorate     bool         `json:"quorate"`
	ManagerLock *LockDetail  `json:"managerLock"` // nil: nobody ever took it, or it was given back
	Disarm      DisarmDetail `json:"disarm"`
	Queue       []string     `json:"queue"` // CRM commands that no master has taken yet
	Settings    Settings     `json:"settings"`
}

// LockDetail is a lock of the cluster file system. It is lost 120 seconds after
// its last refresh.
type LockDetail struct {
	Holder string   `json:"holder"`
	Since  ha.Epoch `json:"since"` // last refresh
}

// DisarmDetail is how far disarming has come; both are "" when armed.
type DisarmDetail struct {
	Mode  ha.DisarmMode  `json:"mode"`
	State ha.DisarmState `json:"state"`
}

// Settings are what datacenter.cfg says of HA.
type Settings struct {
	Scheduling     crm.Scheduling    `json:"scheduling"`
	ShutdownPolicy ha.ShutdownPolicy `json:"shutdownPolicy"`
	MaxWorkers     int               `json:"maxWorkers"` // 0: orders are carried out within the round
}

// NodeDetail is one node.
type NodeDetail struct {
	Name        string       `json:"name"`
	Power       bool         `json:"power"`
	Network     bool         `json:"network"`
	Version     string       `json:"version"`
	Shutdown    string       `json:"shutdown"`    // "reboot" or "shutdown" while it goes down
	CFSRW       bool         `json:"cfsRW"`       // the cluster file system can be read and written
	CFSUpdate   bool         `json:"cfsUpdate"`   // its state can be brought up to date
	CRM         ha.CRMState  `json:"crm"`         // "" when the daemon does not run
	LRM         ha.LRMState  `json:"lrm"`         // likewise
	Mode        ha.LRMMode   `json:"mode"`        // of the LRM
	State       ha.NodeState `json:"state"`       // what the master thinks of it
	Maintenance bool         `json:"maintenance"` // a person asked for it
	Lock        *LockDetail  `json:"lock"`        // of its LRM
	Watchdog    *ha.Epoch    `json:"watchdog"`    // when the oldest client of its watchdog was heard last; nil: none
	Running     int          `json:"running"`     // guests
	Orders      int          `json:"orders"`      // being carried out by its LRM
	CPU         float64      `json:"cpu"`         // cores used by the guests that run
	MaxCPU      float64      `json:"maxcpu"`
	Mem         float64      `json:"mem"` // bytes
	MaxMem      float64      `json:"maxmem"`
}

// GuestDetail is one configured service with its guest.
type GuestDetail struct {
	SID         ha.SID          `json:"sid"`
	Wanted      ha.RequestState `json:"wanted"`
	State       ha.ServiceState `json:"state"`  // "" when no master knows it yet
	Node        string          `json:"node"`   // where its configuration is
	Target      string          `json:"target"` // where it moves to
	Runs        []string        `json:"runs"`   // nodes on which it runs: none, or one if all is well
	Failed      []string        `json:"failed"` // nodes on which the start failed
	Home        string          `json:"home"`   // node to go back to after its maintenance
	Command     string          `json:"command"`
	Lock        string          `json:"lock"`
	Fail        map[string]int  `json:"fail"` // tries that are to fail, by action; -1: all
	Group       string          `json:"group"`
	Failback    bool            `json:"failback"`
	MaxRestart  int             `json:"maxRestart"`
	MaxRelocate int             `json:"maxRelocate"`
	CPU         float64         `json:"cpu"`
	MaxCPU      float64         `json:"maxcpu"`
	Mem         float64         `json:"mem"`
	MaxMem      float64         `json:"maxmem"`
}

// Detail returns the state of the cluster.
func (c *Cluster) Detail() Detail {
	d := Detail{Now: c.now, Cluster: c.clusterDetail()}
	for _, name := range c.names {
		d.Nodes = append(d.Nodes, c.nodeDetail(c.nodes[name]))
	}
	for _, sid := range slices.Sorted(maps.Keys(c.cfs.guests)) {
		d.Guests = append(d.Guests, c.guestDetail(sid))
	}
	return d
}

func (c *Cluster) clusterDetail() ClusterDetail {
	_, quorate := c.online()
	d := ClusterDetail{
		Master:      c.cfs.manager.MasterNode,
		Quorate:     quorate,
		ManagerLock: c.lockDetail(managerLock),
		Queue:       strings.FieldsFunc(c.cfs.commands, func(r rune) bool { return r == '\n' }),
		Settings:    Settings{c.scheduling, c.shutdownPolicy, c.maxWorkers},
	}
	if disarm := c.cfs.manager.Disarm; disarm != nil {
		d.Disarm = DisarmDetail{disarm.Mode, disarm.State}
	}
	return d
}

func (c *Cluster) lockDetail(name string) *LockDetail {
	l := c.cfs.locks[name]
	if l == nil {
		return nil
	}
	return &LockDetail{Holder: l.holder, Since: l.since}
}

func (c *Cluster) nodeDetail(n *node) NodeDetail {
	ms := c.cfs.manager
	d := NodeDetail{
		Name: n.name, Power: n.power, Network: n.network, Version: n.version, Shutdown: n.shutdown,
		CFSRW: n.cfsRW, CFSUpdate: n.cfsUpdate,
		State: ms.NodeStatus[n.name], Maintenance: ms.NodeRequest[n.name].Maintenance,
		Lock: c.lockDetail(agentLock(n.name)), Orders: len(n.workers),
		MaxCPU: defaultNodeCPU, MaxMem: defaultNodeMem,
	}
	if d.Version == "" {
		d.Version = defaultVersion
	}
	if d.State == "" {
		d.State = ha.NodeUnknown
	}
	if n.crm != nil {
		d.CRM = n.crm.State()
	}
	if n.lrm != nil {
		d.LRM, d.Mode = n.lrm.State(), n.lrm.Mode()
	}
	for _, w := range n.watchdogs {
		if updated := w.updated; d.Watchdog == nil || updated < *d.Watchdog {
			d.Watchdog = &updated
		}
	}
	if n.maxCPU != nil {
		d.MaxCPU = *n.maxCPU
	}
	if n.maxMem != nil {
		d.MaxMem = *n.maxMem
	}
	for _, sid := range slices.Sorted(maps.Keys(n.running)) {
		if n.running[sid] && c.cfs.guests[sid] != nil {
			d.Running++
			used := c.cfs.dynamicStats[sid]
			d.CPU += valueOr(used.cpu, 0)
			d.Mem += valueOr(used.mem, 0)
		}
	}
	return d
}

func valueOr(v *float64, without float64) float64 {
	if v == nil {
		return without
	}
	return *v
}

func (c *Cluster) guestDetail(sid ha.SID) GuestDetail {
	g := c.cfs.guests[sid]
	limit, used := c.cfs.staticStats[sid], c.cfs.dynamicStats[sid]
	d := GuestDetail{
		SID: sid, Wanted: g.State, Node: g.Node, Lock: g.lock, Fail: g.failures, Group: g.Group,
		Failback: g.Failback, MaxRestart: g.MaxRestart, MaxRelocate: g.MaxRelocate,
		CPU: valueOr(used.cpu, 0), MaxCPU: valueOr(limit.cpu, 0),
		Mem: valueOr(used.mem, 0), MaxMem: valueOr(limit.mem, 0),
	}
	if s := c.cfs.manager.ServiceStatus[sid]; s != nil {
		d.State, d.Target, d.Home = s.State, s.Target, s.MaintenanceNode
		d.Failed, d.Command = slices.Clone(s.FailedNodes), strings.Join(s.Cmd, " ")
	}
	for _, name := range c.names {
		if c.nodes[name].running[sid] {
			d.Runs = append(d.Runs, name)
		}
	}
	return d
}

// Config returns the files of the affinity rules and of the groups; groups is
// nil when there is no such file.
func (c *Cluster) Config() (rules, groups []byte) {
	return slices.Clone(c.cfs.rules), slices.Clone(c.cfs.groups)
}

// Explain tells why a service is where it is, as a master that took over now
// would see it.
func (c *Cluster) Explain(sid ha.SID) (*crm.Explanation, error) {
	c.muted = true
	defer func() { c.muted = false }()
	name := c.cfs.manager.MasterNode
	if c.nodes[name] == nil {
		name = c.names[0]
	}
	// A node whose file system works, whatever the scenario has done to others.
	onlooker := &node{name: name, nodeSetup: nodeSetup{power: true, network: true, cfsRW: true, cfsUpdate: true}}
	return crm.Explain(&env{cluster: c, node: onlooker, daemon: daemonCRM, now: c.now}, sid)
}

// NodeNames returns the names of the nodes, sorted.
func (c *Cluster) NodeNames() []string { return slices.Clone(c.names) }
