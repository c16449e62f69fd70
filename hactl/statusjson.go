package hactl

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"pveha/cfgparse/hacfg"
	"pveha/internal/ha"
	"pveha/pmxcfsio"
)

// StatusVersion is the version of the form of [StatusReport]. It changes when
// something in it changes its meaning or goes; what is added does not count.
const StatusVersion = 1

// StatusReport is what "status --json" prints.
type StatusReport struct {
	Version int    `json:"version"` // StatusVersion
	Node    string `json:"node"`    // where the command ran
	Time    int64  `json:"time"`    // of the report, in seconds since 1970
	Quorate bool   `json:"quorate"` // this node is in the quorate partition

	Master   *MasterReport   `json:"master"` // null: there never was one
	Fencing  FencingReport   `json:"fencing"`
	Nodes    []NodeReport    `json:"nodes"`    // sorted by name
	Services []ServiceReport `json:"services"` // sorted by ID
	// PendingCommands are those for the CRM that it has not taken yet, in
	// order.
	PendingCommands []string `json:"pending_commands"`
}

// MasterReport is about the CRM that is, or was last, the master.
type MasterReport struct {
	Node string `json:"node"`
	// State is active, idle, or why its status cannot be relied on: "old
	// timestamp - dead?", "detected time drift!".
	State     string `json:"state"`
	Timestamp int64  `json:"timestamp"` // of its status, in seconds since 1970
	// CRS says what the load of nodes is measured by: basic, static, dynamic.
	CRS string `json:"crs"`
}

// FencingReport is about the fencing of nodes.
type FencingReport struct {
	State        string `json:"state"`                   // armed, standby, disarming, disarmed
	ResourceMode string `json:"resource_mode,omitempty"` // freeze or ignore, while disarmed
	CRMWatchdog  string `json:"crm_watchdog"`            // active, standby, released
}

// NodeReport is about a node and its LRM.
type NodeReport struct {
	Node  string `json:"node"`
	State string `json:"state"` // as the CRM sees it: online, maintenance, unknown, fence, gone
	// LRM is the state of the LRM as "status" shows it; "unknown" if its
	// status cannot be read.
	LRM            string `json:"lrm"`
	LRMState       string `json:"lrm_state,omitempty"` // as it wrote it
	LRMMode        string `json:"lrm_mode,omitempty"`  // as it wrote it
	Watchdog       string `json:"watchdog,omitempty"`  // active, standby, released
	Timestamp      int64  `json:"timestamp,omitempty"` // of the LRM's status, in seconds since 1970
	Maintenance    bool   `json:"maintenance_requested"`
	ActiveServices int    `json:"active_services"` // that keep the node busy
}

// ServiceReport is about a service.
type ServiceReport struct {
	SID   ha.SID `json:"sid"`
	Node  string `json:"node,omitempty"` // where it is; absent if nobody knows
	State string `json:"state"`          // as "status" shows it
	// CRMState is the state in the manager's status; absent when the manager
	// does not know the service yet.
	CRMState        string   `json:"crm_state,omitempty"`
	RequestState    string   `json:"request_state,omitempty"` // absent: not configured any more
	Running         bool     `json:"running"`
	Target          string   `json:"target,omitempty"`
	FailedNodes     []string `json:"failed_nodes,omitempty"` // on which the start failed, in order
	MaintenanceNode string   `json:"maintenance_node,omitempty"`
	Group           string   `json:"group,omitempty"`
	Failback        bool     `json:"failback"`
	MaxRestart      int      `json:"max_restart"`
	MaxRelocate     int      `json:"max_relocate"`
	Comment         string   `json:"comment,omitempty"`
}

// statusJSON is "status --json".
func (q *Query) statusJSON(ctx context.Context) error {
	s, err := q.state(ctx)
	if err != nil {
		return err
	}
	resources, err := q.resources(ctx)
	if err != nil {
		return err
	}
	report := s.report(resources)
	commands, err := q.pendingCommands(ctx)
	if err != nil {
		return err
	}
	report.PendingCommands = append(report.PendingCommands, commands...)
	data, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return fmt.Errorf("cannot print the status: %w", err)
	}
	fmt.Fprintf(q.Stdio.Out, "%s\n", data)
	return nil
}

// report is the state of the cluster for programs.
func (s *clusterState) report(resources *hacfg.Resources) *StatusReport {
	r := &StatusReport{
		Version: StatusVersion, Node: s.node, Time: s.now.Unix(), Quorate: s.quorate,
		Fencing: s.fencingReport(), Nodes: []NodeReport{}, Services: []ServiceReport{}, PendingCommands: []string{},
	}
	if s.hasMaster() {
		r.Master = &MasterReport{
			Node: text(s.manager["master_node"]), State: s.masterState(),
			Timestamp: seconds(s.manager["timestamp"]), CRS: string(hacfg.SchedulerBasic),
		}
		if crs := s.settings.CRS; crs != nil && crs.Mode != "" {
			r.Master.CRS = string(crs.Mode)
		}
	}
	for _, node := range s.nodes() {
		r.Nodes = append(r.Nodes, s.nodeReport(node))
	}
	for _, line := range s.serviceList() {
		r.Services = append(r.Services, line.report(resources.ByID[line.sid]))
	}
	slices.SortFunc(r.Services, func(a, b ServiceReport) int { return cmp.Compare(a.SID, b.SID) })
	return r
}

func (s *clusterState) fencingReport() FencingReport {
	switch {
	case s.isDisarmed():
		r := FencingReport{
			State: cmpOr(s.disarm()["state"], "unknown"), ResourceMode: cmpOr(s.disarm()["mode"], "unknown"),
			CRMWatchdog: "active",
		}
		if r.State == string(ha.Disarmed) {
			r.CRMWatchdog = "released"
		}
		return r
	case s.isManaged():
		return FencingReport{State: "armed", CRMWatchdog: "active"}
	}
	return FencingReport{State: "standby", CRMWatchdog: "standby"}
}

func (s *clusterState) nodeReport(node string) NodeReport {
	lrm := s.lrm[node]
	r := NodeReport{
		Node: node, State: text(fields(s.manager["node_status"])[node]), LRM: "unknown",
		LRMState: text(lrm["state"]), LRMMode: text(lrm["mode"]), Timestamp: seconds(lrm["timestamp"]),
		Maintenance:    truth(fields(fields(s.manager["node_request"])[node])["maintenance"]),
		ActiveServices: s.activeServices(node),
	}
	if truth(lrm["timestamp"]) {
		r.LRM, r.Watchdog = s.lrmState(node)
	}
	return r
}

func (l serviceLine) report(resource *hacfg.Resource) ServiceReport {
	r := ServiceReport{
		SID: l.sid, Node: l.node, State: l.state, CRMState: text(l.status["state"]),
		Running: truth(l.status["running"]), Target: text(l.status["target"]),
		MaintenanceNode: text(l.status["maintenance_node"]),
	}
	if failed, ok := l.status["failed_nodes"].([]any); ok {
		for _, node := range failed {
			r.FailedNodes = append(r.FailedNodes, text(node))
		}
	}
	if l.config != nil {
		r.RequestState, r.Group, r.Failback = string(l.config.State), l.config.Group, l.config.Failback
		r.MaxRestart, r.MaxRelocate = l.config.MaxRestart, l.config.MaxRelocate
	}
	if resource != nil {
		r.Comment = resource.Comment
	}
	return r
}

// pendingCommands are the commands that the CRM has not taken yet.
func (q *Query) pendingCommands(ctx context.Context) ([]string, error) {
	data, err := q.read(ctx, pmxcfsio.CommandsFile)
	return ha.CommandLines(string(data)), err
}
