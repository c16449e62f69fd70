package playground

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"pveha/cfgparse/hacfg"
	"pveha/internal/ha"
)

// Names of the files of a live cluster, below /etc/pve.
const (
	liveResources  = "resources.cfg"
	liveGroups     = "groups.cfg"
	liveRules      = "rules.cfg"
	liveFence      = "fence.cfg"
	liveDatacenter = "datacenter.cfg"
	liveManager    = "manager_status"
	liveLRM        = "lrm_status"
	liveMembers    = ".members"
)

// importer makes the start of a session from copies of a live cluster's files.
type importer struct {
	notes     []string
	manager   *ha.ManagerStatus // nil: not given
	resources *hacfg.Resources
	nodes     map[string]bool
	places    map[ha.SID]string // of guests whose configuration was given
	static    map[ha.SID]map[string]float64
	out       map[string]any // files to encode
	raw       Files          // files to take over as they are
}

// Import makes the files of a scenario from copies of a live cluster's files
// by their path, of which the end counts: resources.cfg, manager_status,
// nodes/NODE/lrm_status (or lrm_status_NODE), the other files of HA, and the
// configuration of guests. The notes say what was left out or guessed. In the
// cluster that comes out, nodes that were online boot, and the guests on them
// run already.
func Import(files Files) (Files, []string, error) {
	im := &importer{
		nodes: map[string]bool{}, places: map[ha.SID]string{}, static: map[ha.SID]map[string]float64{},
		out: map[string]any{}, raw: Files{},
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := im.file(name, files[name]); err != nil {
			return nil, im.notes, fmt.Errorf("%s: %w", name, err)
		}
	}
	if im.resources == nil {
		return nil, im.notes, fmt.Errorf("%s is missing: without it no guest is under HA", liveResources)
	}
	if len(im.nodes) == 0 {
		return nil, im.notes, fmt.Errorf("no node is known: add %s, %s or nodes/NODE/%s", liveManager, liveMembers, liveLRM)
	}
	if len(im.nodes) > maxNodes {
		return nil, im.notes, fmt.Errorf("the cluster has %d nodes, and %d can be simulated", len(im.nodes), maxNodes)
	}
	im.services()
	im.hardware()
	out, err := encodeFiles(im.out)
	if err != nil {
		return nil, im.notes, err
	}
	maps.Copy(out, im.raw)
	return out, im.notes, nil
}

func (im *importer) note(format string, args ...any) {
	im.notes = append(im.notes, fmt.Sprintf(format, args...))
}

// file takes in one file.
func (im *importer) file(name string, data []byte) error {
	parts := strings.Split(path.Clean(strings.ReplaceAll(name, `\`, "/")), "/")
	base, node := parts[len(parts)-1], ""
	if i := slices.Index(parts, "nodes"); i >= 0 && i+1 < len(parts)-1 {
		node = parts[i+1]
	}
	for _, prefix := range []string{liveLRM + "_", liveLRM + "."} {
		if rest, ok := strings.CutPrefix(base, prefix); ok {
			base, node = liveLRM, rest
		}
	}
	var problems []hacfg.Problem
	switch {
	case base == liveResources:
		im.resources, problems = hacfg.ParseResources(name, data)
	case base == liveGroups:
		_, problems = hacfg.ParseGroups(name, data)
		im.raw[fileGroups] = data
	case base == liveRules:
		_, problems = hacfg.ParseRules(name, data)
		im.raw[fileRules] = data
	case base == liveFence:
		im.raw[fileFence] = data
	case base == liveDatacenter:
		var dc *hacfg.Datacenter
		dc, problems = hacfg.ParseDatacenter(name, data)
		im.out[fileDatacenter] = datacenterJSON(dc)
	case base == liveManager:
		return im.managerStatus(name, data)
	case base == liveLRM:
		return im.lrmStatus(name, node, data)
	case base == liveMembers:
		return im.members(data)
	case node != "" && len(parts) > 1 && strings.HasSuffix(base, ".conf"):
		im.guest(parts[len(parts)-2], strings.TrimSuffix(base, ".conf"), node, data)
	default:
		im.note("%s is not a file of HA and was left out", name)
	}
	for i := range problems {
		im.note("%s", problems[i].Error())
	}
	return nil
}

func (im *importer) managerStatus(name string, data []byte) error {
	ms, err := ha.ParseManagerStatus(name, data)
	if err != nil {
		return err
	}
	im.manager = ms
	for node, state := range ms.NodeStatus {
		if state != ha.NodeGone {
			im.nodes[node] = true
		}
	}
	if ms.MasterNode != "" {
		im.nodes[ms.MasterNode] = true
	}
	return nil
}

func (im *importer) lrmStatus(name, node string, data []byte) error {
	if node == "" {
		return errors.New("of which node? Give it as nodes/NODE/lrm_status or lrm_status_NODE")
	}
	status, err := ha.ParseLRMStatus(name, data)
	if err != nil {
		return err
	}
	im.nodes[node] = true
	if status.Mode != ha.ModeActive && status.Mode != "" {
		im.note("the LRM of %s was in mode '%s'; here it starts anew", node, status.Mode)
	}
	return nil
}

func (im *importer) members(data []byte) error {
	var members struct {
		Nodes map[string]json.RawMessage `json:"nodelist"`
	}
	if err := json.Unmarshal(data, &members); err != nil {
		return err
	}
	for node := range members.Nodes {
		im.nodes[node] = true
	}
	return nil
}

// guest takes in where a guest is and what it may use.
func (im *importer) guest(folder, id, node string, data []byte) {
	kind := map[string]string{"qemu-server": "vm", "lxc": "ct"}[folder]
	sid, err := ha.ParseSID(kind + ":" + id)
	if kind == "" || err != nil {
		im.note("%s/%s.conf on %s is not the configuration of a guest", folder, id, node)
		return
	}
	im.nodes[node] = true
	im.places[sid] = node
	values := map[string]float64{"cores": 1, "sockets": 1, "memory": 512}
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "[") {
			break // snapshots follow
		}
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if _, wanted := values[key]; !wanted {
			continue
		}
		if n, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil && n > 0 && n < 1e9 {
			values[key] = n
		}
	}
	im.static[sid] = map[string]float64{
		"maxcpu": values["cores"] * values["sockets"], "maxmem": values["memory"] * (1 << 20),
	}
}

// services decides where each guest is, and which of them run.
func (im *importer) services() {
	services := map[ha.SID]map[string]any{}
	static, dynamic := map[ha.SID]map[string]float64{}, map[ha.SID]map[string]float64{}
	running := map[string]map[ha.SID]int{}
	first := slices.Sorted(maps.Keys(im.nodes))[0]
	for _, sid := range slices.Sorted(maps.Keys(im.resources.ByID)) {
		r := im.resources.ByID[sid]
		cfg := r.Service()
		node, state := im.places[sid], ha.ServiceState("")
		if im.manager != nil && im.manager.ServiceStatus[sid] != nil {
			s := im.manager.ServiceStatus[sid]
			state = s.State
			if node == "" {
				node = s.Node
			}
		}
		if node == "" {
			node = first
			im.note("where %s is was not given: it is put on %s", sid, first)
		}
		services[sid] = map[string]any{
			"node": node, "state": cfg.State, "failback": cfg.Failback,
			"max_restart": cfg.MaxRestart, "max_relocate": cfg.MaxRelocate,
		}
		if cfg.Group != "" {
			services[sid]["group"] = cfg.Group
		}
		static[sid] = im.static[sid]
		if static[sid] == nil {
			static[sid] = map[string]float64{"maxcpu": guestCPU, "maxmem": guestMem}
		}
		dynamic[sid] = map[string]float64{"cpu": static[sid]["maxcpu"] / 4, "mem": static[sid]["maxmem"] / 2}
		switch state {
		case ha.Started, ha.Migrate, ha.Freeze, ha.RequestStop:
			if running[node] == nil {
				running[node] = map[ha.SID]int{}
			}
			running[node][sid] = 1
		case ha.Stopped, ha.RequestStart, ha.RequestStartBalance, ha.Fence, ha.Recovery, ha.Relocate, ha.Error, "":
		}
	}
	im.out[fileServices], im.out[fileStatic], im.out[fileDynamic] = services, static, dynamic
	for node := range im.nodes {
		if running[node] != nil && im.online(node) {
			im.out[prefixStatus+node] = running[node]
		}
	}
}

// online reports whether the master saw a node online. Without a master's word
// every node is.
func (im *importer) online(node string) bool {
	if im.manager == nil {
		return true
	}
	state, known := im.manager.NodeStatus[node]
	return !known || state == ha.NodeOnline || state == ha.NodeMaintenance
}

func (im *importer) hardware() {
	hardware := map[string]any{}
	power := []string{}
	for _, node := range slices.Sorted(maps.Keys(im.nodes)) {
		hardware[node] = map[string]any{"power": "off", "network": "off", "maxcpu": nodeCPU, "maxmem": nodeMem}
		if im.online(node) {
			power = append(power, "power "+node+" on")
		} else {
			im.note("%s was in state '%s': it stays off", node, im.manager.NodeStatus[node])
		}
	}
	im.out[fileHardware] = hardware
	im.out[fileCommands] = [][]string{power}
	if im.manager != nil {
		im.manager.Timestamp = 0
		im.raw[fileManager] = im.manager.Encode()
	}
	if im.out[fileDatacenter] == nil {
		im.out[fileDatacenter] = datacenterJSON(&hacfg.Datacenter{})
	}
}

// datacenterJSON writes the settings in the form of the simulation.
func datacenterJSON(dc *hacfg.Datacenter) map[string]any {
	workers := dc.MaxWorkers
	if workers == 0 {
		workers = hacfg.DefaultMaxWorkers
	}
	out := map[string]any{"max_workers": workers}
	if dc.HA.ShutdownPolicy != "" {
		out["ha"] = map[string]any{"shutdown_policy": dc.HA.ShutdownPolicy}
	}
	if crs := dc.CRS; crs != nil {
		values := map[string]any{}
		set := func(key string, given bool, value any) {
			if given {
				values[key] = value
			}
		}
		set("ha", crs.Mode != "", crs.Mode)
		set("ha-rebalance-on-start", crs.RebalanceOnStart != nil, crs.RebalanceOnStart)
		set("ha-auto-rebalance", crs.AutoRebalance != nil, crs.AutoRebalance)
		set("ha-auto-rebalance-threshold", crs.Threshold != nil, crs.Threshold)
		set("ha-auto-rebalance-method", crs.Method != "", crs.Method)
		set("ha-auto-rebalance-hold-duration", crs.HoldDuration != nil, crs.HoldDuration)
		set("ha-auto-rebalance-margin", crs.Margin != nil, crs.Margin)
		out["crs"] = values
	}
	return out
}
