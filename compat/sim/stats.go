package sim

import (
	"fmt"
	"maps"
	"slices"

	"pveha/crm/usage"
	"pveha/internal/ha"
)

// BasicServices returns the guests without figures.
func (e *env) BasicServices() (map[ha.SID]usage.Service, error) {
	return e.cluster.guestStats(nil), nil
}

// StaticServices returns the guests with what they are configured to use.
func (e *env) StaticServices() (map[ha.SID]usage.Service, error) {
	return e.cluster.guestStats(func(sid ha.SID, s *usage.Service) {
		f := e.cluster.cfs.staticStats[sid]
		switch {
		case f.cpu == nil:
			s.Missing = "maxcpu"
		case f.mem == nil:
			s.Missing = "maxmem"
		default:
			s.Stats = &usage.ServiceStats{MaxCPU: *f.cpu, MaxMem: uint64(*f.mem)}
		}
	}), nil
}

// DynamicServices returns the guests with what they use.
func (e *env) DynamicServices() (map[ha.SID]usage.Service, error) {
	c := e.cluster
	services := c.guestStats(func(sid ha.SID, s *usage.Service) {
		limit, used := c.cfs.staticStats[sid], c.cfs.dynamicStats[sid]
		if limit.cpu == nil || limit.mem == nil || used.cpu == nil || used.mem == nil {
			return
		}
		s.Stats = &usage.ServiceStats{
			CPU: *used.cpu, MaxCPU: *limit.cpu,
			Mem: uint64(*used.mem), MaxMem: uint64(*limit.mem),
		}
	})
	for _, sid := range slices.Sorted(maps.Keys(services)) {
		s := services[sid].Stats
		if s == nil {
			return nil, fmt.Errorf("no usage figures for '%s'", sid)
		}
		if s.CPU > s.MaxCPU {
			c.logf(ha.LevelWarning, logHardware, "overcommitted cpu on '%s'", sid)
		}
		if s.Mem > s.MaxMem {
			c.logf(ha.LevelWarning, logHardware, "overcommitted mem on '%s'", sid)
		}
	}
	return services, nil
}

// guestStats returns the guests, with the figures that a function fills in.
func (c *Cluster) guestStats(fill func(ha.SID, *usage.Service)) map[ha.SID]usage.Service {
	all := make(map[ha.SID]usage.Service, len(c.cfs.guests))
	for sid, g := range c.cfs.guests {
		s := usage.Service{Node: g.Node, State: g.State, Running: g.State == ha.RequestStarted}
		if fill != nil {
			fill(sid, &s)
		}
		all[sid] = s
	}
	return all
}

// StaticNodes returns the size of the nodes, with zeros for what is not known.
func (e *env) StaticNodes() (map[string]usage.NodeStats, error) {
	all := map[string]usage.NodeStats{}
	for name, n := range e.cluster.nodes {
		var s usage.NodeStats
		if n.maxCPU != nil {
			s.MaxCPU = *n.maxCPU
		}
		if n.maxMem != nil {
			s.MaxMem = uint64(*n.maxMem)
		}
		all[name] = s
	}
	return all, nil
}

// DynamicNodes returns the size of the nodes and what the guests that run on
// them use.
func (e *env) DynamicNodes() (map[string]usage.NodeStats, error) {
	services, err := e.DynamicServices()
	if err != nil {
		return nil, err
	}
	c := e.cluster
	all := map[string]usage.NodeStats{}
	for name, n := range c.nodes {
		s := usage.NodeStats{MaxCPU: defaultNodeCPU, MaxMem: defaultNodeMem}
		if n.maxCPU != nil {
			s.MaxCPU = *n.maxCPU
		}
		if n.maxMem != nil {
			s.MaxMem = uint64(*n.maxMem)
		}
		all[name] = s
	}
	for _, sid := range slices.Sorted(maps.Keys(services)) {
		at := services[sid].Node
		if n := c.nodes[at]; n == nil || !n.running[sid] {
			continue
		}
		s := all[at]
		s.CPU += services[sid].Stats.CPU
		s.Mem += services[sid].Stats.Mem
		all[at] = s
		if s.CPU > s.MaxCPU {
			c.logf(ha.LevelWarning, logHardware, "overcommitted cpu on '%s'", at)
		}
		if s.Mem > s.MaxMem {
			c.logf(ha.LevelWarning, logHardware, "overcommitted mem on '%s'", at)
		}
	}
	return all, nil
}
