package sim

import (
	"fmt"
	"maps"
	"slices"

	"pveha/cfgparse/hacfg"
	"pveha/crm"
	"pveha/crm/usage"
	"pveha/internal/ha"
)

// The files of a scenario folder. Only cmdlist has to be there.
const (
	fileCommands      = "cmdlist"
	fileHardware      = "hardware_status"
	fileServices      = "service_config"
	fileManagerStatus = "manager_status"
	fileRules         = "rules_config"
	fileGroups        = "groups"
	fileFence         = "fence.cfg"
	fileDatacenter    = "datacenter.cfg"
	fileStaticStats   = "static_service_stats"
	fileDynamicStats  = "dynamic_service_stats"
	prefixGuests      = "service_status_" // and the node's name: what runs there at the start
)

// Scenario is a cluster at the start and what happens to it.
type Scenario struct {
	Name  string
	Steps [][]Command // carried out one step after the other, some rounds apart or at their times

	extended bool     // it has commands that the Perl stack's simulator does not have
	lastTime ha.Epoch // of a step that has one
	nodes    map[string]nodeSetup
	services map[ha.SID]*guest
	manager  *ha.ManagerStatus
	rules    []byte
	groups   []byte // nil: no such file
	running  map[string]map[ha.SID]bool

	scheduling     crm.Scheduling
	shutdownPolicy ha.ShutdownPolicy
	maxWorkers     int // 0: orders are carried out within the round
	staticStats    map[ha.SID]serviceFigures
	dynamicStats   map[ha.SID]serviceFigures
}

// nodeSetup is a node's entry in hardware_status.
type nodeSetup struct {
	power, network bool
	maxCPU, maxMem *float64 // cores and bytes; nil when not given
	version        string
	shutdown       string // "", "reboot" or "shutdown"
	cfsRW          bool   // the cluster file system can be read and written
	cfsUpdate      bool   // its state can be brought up to date
}

// guest is a configured service and its guest.
type guest struct {
	ha.ServiceConfig
	lock     string         // of the guest's configuration; "" for none
	failures map[string]int // tries that fail on purpose, by action; see fail
}

// serviceFigures is what a statistics file says of a guest, in cores and bytes.
type serviceFigures struct{ cpu, mem *float64 }

// Defaults of the simulator, for what a scenario leaves out.
const (
	defaultNodeCPU    = 24.0
	defaultNodeMem    = 131072.0 * mebi
	defaultServiceCPU = 4.0
	defaultServiceMem = 4096.0 * mebi
	defaultUsedCPU    = 2.0
	defaultUsedMem    = 2048.0 * mebi
	defaultVersion    = "9.0.0~2"

	mebi = 1 << 20
)

// Parse reads the files of a scenario folder, by name.
func Parse(name string, files map[string][]byte) (*Scenario, error) {
	s := &Scenario{
		Name:           name,
		running:        map[string]map[ha.SID]bool{},
		scheduling:     crm.DefaultScheduling(),
		shutdownPolicy: ha.PolicyConditional,
	}
	p := parser{files: files, s: s}
	for _, read := range []func() error{
		p.hardware, p.services, p.managerStatus, p.configs, p.datacenter, p.statistics, p.guests, p.commands,
	} {
		if err := read(); err != nil {
			return nil, err
		}
		if p.err != nil {
			return nil, p.err
		}
	}
	return s, nil
}

// Nodes returns the names of the scenario's nodes, sorted.
func (s *Scenario) Nodes() []string { return slices.Sorted(maps.Keys(s.nodes)) }

// Ends reports whether the scenario says when it ends.
func (s *Scenario) Ends() bool {
	if len(s.Steps) == 0 {
		return false
	}
	last := s.Steps[len(s.Steps)-1]
	return len(last) > 0 && last[len(last)-1].Verb == VerbEnd
}

type parser struct {
	files map[string][]byte
	s     *Scenario
	err   error // the first value that is not what it should be
}

func (p *parser) hardware() error {
	p.s.nodes = map[string]nodeSetup{}
	if _, ok := p.files[fileHardware]; !ok {
		cpu, mem := defaultNodeCPU, defaultNodeMem
		for _, node := range []string{"node1", "node2", "node3"} {
			p.s.nodes[node] = nodeSetup{maxCPU: &cpu, maxMem: &mem, cfsRW: true, cfsUpdate: true}
		}
		return nil
	}
	var raw map[string]struct {
		Power    string                       `json:"power"`
		Network  string                       `json:"network"`
		MaxCPU   lenient                      `json:"maxcpu"`
		MaxMem   lenient                      `json:"maxmem"`
		Version  string                       `json:"pve-manager-version"`
		Shutdown string                       `json:"shutdown"`
		CFS      struct{ RW, Update lenient } `json:"cfs"`
	}
	if err := p.json(fileHardware, &raw); err != nil {
		return err
	}
	if len(raw) == 0 {
		return fmt.Errorf("%s: no node in it", fileHardware)
	}
	for _, node := range slices.Sorted(maps.Keys(raw)) {
		h, of := raw[node], "node "+node+": "
		p.check(fileHardware, oneOf(of+"power", h.Power, "on", "off"))
		p.check(fileHardware, oneOf(of+"network", h.Network, "on", "off"))
		if h.Shutdown != "" {
			p.check(fileHardware, oneOf(of+"shutdown", h.Shutdown, string(VerbReboot), string(VerbShutdown)))
		}
		p.s.nodes[node] = nodeSetup{
			power: h.Power == "on", network: h.Network == "on",
			maxCPU:  p.number(fileHardware, of+"maxcpu", h.MaxCPU),
			maxMem:  p.number(fileHardware, of+"maxmem", h.MaxMem),
			version: h.Version, shutdown: h.Shutdown,
			cfsRW:     p.truth(fileHardware, of+"cfs rw", h.CFS.RW, true),
			cfsUpdate: p.truth(fileHardware, of+"cfs update", h.CFS.Update, true),
		}
	}
	return nil
}

func (p *parser) managerStatus() error {
	raw, ok := p.files[fileManagerStatus]
	if !ok {
		p.s.manager = &ha.ManagerStatus{}
		return nil
	}
	var err error
	p.s.manager, err = ha.ParseManagerStatus(fileManagerStatus, raw)
	return err
}

// configs checks the files in the formats of the real cluster. What their
// parsers only warn of is no error: the stack goes on without it, too.
func (p *parser) configs() error {
	p.s.rules = p.files[fileRules]
	p.s.groups = p.files[fileGroups]
	if raw, ok := p.files[fileFence]; ok {
		if _, _, err := hacfg.ParseFence(fileFence, raw); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) guests() error {
	for _, node := range p.s.Nodes() {
		p.s.running[node] = map[ha.SID]bool{}
		name := prefixGuests + node
		if _, ok := p.files[name]; !ok {
			continue
		}
		var raw map[ha.SID]lenient
		if err := p.json(name, &raw); err != nil {
			return err
		}
		for _, sid := range slices.Sorted(maps.Keys(raw)) {
			p.s.running[node][sid] = p.truth(name, string(sid), raw[sid], false)
		}
	}
	return nil
}

func (p *parser) statistics() error {
	s := p.s
	s.staticStats = map[ha.SID]serviceFigures{}
	if _, ok := p.files[fileStaticStats]; ok {
		if err := p.figures(fileStaticStats, "maxcpu", "maxmem", s.staticStats); err != nil {
			return err
		}
	} else {
		cpu, mem := defaultServiceCPU, defaultServiceMem
		for sid := range s.services {
			s.staticStats[sid] = serviceFigures{cpu: &cpu, mem: &mem}
		}
	}
	s.dynamicStats = map[ha.SID]serviceFigures{}
	if _, ok := p.files[fileDynamicStats]; ok {
		return p.figures(fileDynamicStats, "cpu", "mem", s.dynamicStats)
	}
	cpu, mem := defaultUsedCPU, defaultUsedMem
	for sid := range s.staticStats {
		s.dynamicStats[sid] = serviceFigures{cpu: &cpu, mem: &mem}
	}
	return nil
}

func (p *parser) figures(file, cpu, mem string, into map[ha.SID]serviceFigures) error {
	var raw map[ha.SID]map[string]lenient
	if err := p.json(file, &raw); err != nil {
		return err
	}
	for _, sid := range slices.Sorted(maps.Keys(raw)) {
		of := string(sid) + ": "
		into[sid] = serviceFigures{
			cpu: p.number(file, of+cpu, raw[sid][cpu]),
			mem: p.number(file, of+mem, raw[sid][mem]),
		}
	}
	return nil
}

func (p *parser) datacenter() error {
	if _, ok := p.files[fileDatacenter]; !ok {
		return nil
	}
	var raw struct {
		MaxWorkers lenient `json:"max_workers"`
		HA         struct {
			ShutdownPolicy *string `json:"shutdown_policy"`
		} `json:"ha"`
		CRS struct {
			Mode             *string `json:"ha"`
			RebalanceOnStart lenient `json:"ha-rebalance-on-start"`
			AutoRebalance    lenient `json:"ha-auto-rebalance"`
			Threshold        lenient `json:"ha-auto-rebalance-threshold"`
			Method           *string `json:"ha-auto-rebalance-method"`
			Hold             lenient `json:"ha-auto-rebalance-hold-duration"`
			Margin           lenient `json:"ha-auto-rebalance-margin"`
		} `json:"crs"`
	}
	if err := p.json(fileDatacenter, &raw); err != nil {
		return err
	}
	p.s.maxWorkers = p.count(fileDatacenter, "max_workers", raw.MaxWorkers, 0)
	if raw.HA.ShutdownPolicy != nil {
		p.s.shutdownPolicy = ha.ShutdownPolicy(*raw.HA.ShutdownPolicy)
	}
	sched, crs := &p.s.scheduling, raw.CRS
	if crs.Mode != nil && *crs.Mode != "" {
		sched.Mode = crm.SchedulerMode(*crs.Mode)
	}
	auto := &sched.AutoRebalance
	sched.RebalanceOnStart = p.truth(fileDatacenter, "ha-rebalance-on-start", crs.RebalanceOnStart, false)
	auto.Enabled = p.truth(fileDatacenter, "ha-auto-rebalance", crs.AutoRebalance, false)
	if n := p.number(fileDatacenter, "ha-auto-rebalance-threshold", crs.Threshold); n != nil {
		auto.Threshold = *n
	}
	if crs.Method != nil {
		auto.Method = usage.Method(*crs.Method)
	}
	auto.Hold = p.count(fileDatacenter, "ha-auto-rebalance-hold-duration", crs.Hold, auto.Hold)
	if n := p.number(fileDatacenter, "ha-auto-rebalance-margin", crs.Margin); n != nil {
		auto.Margin = *n
	}
	return nil
}
