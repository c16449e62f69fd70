package whatif

import (
	"fmt"
	"maps"
	"slices"

	"pveha/cfgparse/hacfg"
	"pveha/crm"
	"pveha/crm/nodestate"
	"pveha/crm/usage"
	"pveha/internal/ha"
)

// Source is a cluster to take a picture of. It can only be read. A [crm.Env]
// is one.
type Source interface {
	crm.Settings
	crm.Stats

	Now() ha.Epoch
	NodeName() string
	Members() (map[string]nodestate.Member, error)
	NodeVersion(node string) (string, error)
	ReadManagerStatus() (*ha.ManagerStatus, error)
	ReadLRMStatus(node string) (*ha.LRMStatus, error)
	Services() (map[ha.SID]ha.ServiceConfig, string, error)
	Rules() (*hacfg.Rules, error)
	Groups() (*hacfg.Groups, error)
}

// Snapshot is a picture of a cluster at one moment. It never changes: every
// question works on a copy.
type Snapshot struct {
	now      ha.Epoch
	node     string
	members  map[string]nodestate.Member
	versions map[string]string

	status *ha.ManagerStatus
	lrms   map[string]*ha.LRMStatus

	services   map[ha.SID]ha.ServiceConfig
	digest     string
	rules      *hacfg.Rules
	groups     *hacfg.Groups
	scheduling crm.Scheduling

	stats statistics
}

// statistics are what schedulers go by. An error is kept, for the scheduler
// that needs the figures: without them it falls back to another.
type statistics struct {
	basic, static, dynamic          map[ha.SID]usage.Service
	basicErr, staticErr, dynamicErr error
	staticNodes, dynamicNodes       map[string]usage.NodeStats
	staticNodesErr, dynamicNodesErr error
}

// Take takes a picture.
func Take(src Source) (*Snapshot, error) {
	s := &Snapshot{now: src.Now(), node: src.NodeName(), versions: map[string]string{}, lrms: map[string]*ha.LRMStatus{}}
	members, err := src.Members()
	if err != nil {
		return nil, fmt.Errorf("read the members of the cluster: %w", err)
	}
	s.members = maps.Clone(members)
	status, err := src.ReadManagerStatus()
	if err != nil {
		return nil, fmt.Errorf("read the manager status: %w", err)
	}
	s.status = status.Clone()
	for _, node := range s.nodes() {
		lrm, err := src.ReadLRMStatus(node)
		if err != nil {
			return nil, fmt.Errorf("read the LRM status of node '%s': %w", node, err)
		}
		s.lrms[node] = lrm.Clone()
		// A version that is not known only keeps groups from being replaced.
		s.versions[node], _ = src.NodeVersion(node)
	}
	if err := s.takeConfig(src); err != nil {
		return nil, err
	}
	s.stats.basic, s.stats.basicErr = src.BasicServices()
	s.stats.static, s.stats.staticErr = src.StaticServices()
	s.stats.staticNodes, s.stats.staticNodesErr = src.StaticNodes()
	if s.scheduling.Mode == crm.SchedulerDynamic {
		s.stats.dynamic, s.stats.dynamicErr = src.DynamicServices()
		s.stats.dynamicNodes, s.stats.dynamicNodesErr = src.DynamicNodes()
	}
	return s, nil
}

func (s *Snapshot) takeConfig(src Source) error {
	services, digest, err := src.Services()
	if err != nil {
		return fmt.Errorf("read the services: %w", err)
	}
	s.services, s.digest = maps.Clone(services), digest
	rules, err := src.Rules()
	if err != nil {
		return fmt.Errorf("read the rules: %w", err)
	}
	s.rules = cloneRules(rules)
	groups, err := src.Groups()
	if err != nil {
		return fmt.Errorf("read the groups: %w", err)
	}
	s.groups = cloneGroups(groups)
	if s.scheduling, err = src.Scheduling(); err != nil {
		return fmt.Errorf("read the settings of the datacenter: %w", err)
	}
	return nil
}

// nodes returns every node that is a member or that the master knows, sorted.
func (s *Snapshot) nodes() []string {
	all := map[string]bool{}
	for node := range s.members {
		all[node] = true
	}
	for node := range s.status.NodeStatus {
		all[node] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// Explain tells why a service is where it is.
func (s *Snapshot) Explain(sid ha.SID) (*crm.Explanation, error) {
	return crm.Explain(newWorld(s), sid)
}

// Those who ask for rules may change them.
func cloneRules(r *hacfg.Rules) *hacfg.Rules {
	c := *r
	c.ByID = make(map[string]*hacfg.Rule, len(r.ByID))
	for id, rule := range r.ByID {
		copied := *rule
		copied.Resources, copied.Nodes = maps.Clone(rule.Resources), maps.Clone(rule.Nodes)
		c.ByID[id] = &copied
	}
	return &c
}

func cloneGroups(g *hacfg.Groups) *hacfg.Groups {
	c := *g
	c.ByID = make(map[string]*hacfg.Group, len(g.ByID))
	for id, group := range g.ByID {
		copied := *group
		copied.Nodes = slices.Clone(group.Nodes)
		c.ByID[id] = &copied
	}
	return &c
}
