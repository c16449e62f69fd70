package hactl

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"pveha/cfgparse/hacfg"
	"pveha/internal/ha"
	"pveha/pmxcfsio"
)

// managerStatus reads the status of the manager, empty if there is none.
func (q *Query) managerStatus(ctx context.Context) (object, error) {
	data, err := q.read(ctx, pmxcfsio.ManagerStatusFile)
	if err != nil || len(data) == 0 {
		return object{}, err
	}
	value, err := readJSON(data)
	return fields(value), err
}

// lrmStatus reads the status of a node's LRM. A missing one is told, and has
// the mode "unknown".
//
// The results of orders are many, and left out unless they are wanted.
func (q *Query) lrmStatus(ctx context.Context, node string, withResults bool) (object, error) {
	name := pmxcfsio.LRMStatusFile(node)
	data, err := q.Cluster.Read(ctx, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		fmt.Fprintf(q.Stdio.Err, "unable to read file '%s'\n", path(name))
		return object{"mode": string(ha.ModeUnknown)}, nil
	case err != nil:
		return nil, fmt.Errorf("cannot read %s: %w", path(name), err)
	case len(data) == 0:
		return object{}, nil
	}
	skip := "results"
	if withResults {
		skip = ""
	}
	value, err := readJSONWithout(data, skip)
	return fields(value), err
}

// When a status is out of date, in seconds.
const (
	maxStatusAge   = 30 // older: its writer is gone
	maxStatusDrift = 2  // newer: clocks differ
)

const (
	freshStatus = "active"
	oldStatus   = "old timestamp - dead?"
	driftStatus = "detected time drift!"
)

// freshness says how old a status is.
func freshness(now time.Time, written any) string {
	switch age := now.Unix() - seconds(written); {
	case age > maxStatusAge:
		return oldStatus
	case age < -maxStatusDrift:
		return driftStatus
	}
	return freshStatus
}

// clusterState is everything that the status is made of.
type clusterState struct {
	node     string
	now      time.Time
	quorate  bool
	manager  object
	services map[ha.SID]ha.ServiceConfig
	settings *hacfg.Datacenter // nil where they do not matter
	lrm      map[string]object // by the nodes that the manager knows

	known map[ha.SID]*ha.ServiceStatus // of the manager; made when it is asked for
}

// state reads everything that the status is made of.
func (q *Query) state(ctx context.Context) (*clusterState, error) {
	s := &clusterState{node: q.Host.Node(), lrm: map[string]object{}}
	var err error
	if s.quorate, err = q.Cluster.Quorate(ctx); err != nil {
		return nil, fmt.Errorf("cannot ask for quorum: %w", err)
	}
	if s.manager, err = q.managerStatus(ctx); err != nil {
		return nil, err
	}
	resources, err := q.resources(ctx)
	if err != nil {
		return nil, err
	}
	if s.services, err = q.services(ctx, resources); err != nil {
		return nil, err
	}
	s.now = q.Clock.Now()
	if s.hasMaster() {
		if s.settings, err = config(ctx, q, pmxcfsio.DatacenterFile, hacfg.ParseDatacenter); err != nil {
			return nil, err
		}
	}
	for _, node := range s.nodes() {
		if s.lrm[node], err = q.lrmStatus(ctx, node, false); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// nodes are those that the manager knows, sorted.
func (s *clusterState) nodes() []string {
	return slices.Sorted(maps.Keys(fields(s.manager["node_status"])))
}

func (s *clusterState) hasMaster() bool {
	return s.manager["master_node"] != nil && s.manager["timestamp"] != nil
}

// status is the command "status".
func status(ctx context.Context, q *Query, p params) error {
	switch {
	case p.flag("json") && p.flag("watch"), p.flag("verbose") && (p.flag("json") || p.flag("watch")):
		return misuse("only one of --verbose, --json and --watch is possible")
	case p.flag("watch"):
		return q.watchStatus(ctx)
	case p.flag("json"):
		return q.statusJSON(ctx)
	}
	s, err := q.state(ctx)
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, line := range s.lines() {
		b.WriteString(line.kind + " " + line.text + "\n")
	}
	fmt.Fprint(q.Stdio.Out, b.String())
	if !p.flag("verbose") {
		return nil
	}
	return q.printState(ctx)
}

// printState prints the status files as they are.
func (q *Query) printState(ctx context.Context) error {
	fmt.Fprintln(q.Stdio.Out, "full cluster state:")
	manager, err := q.managerStatus(ctx)
	if err != nil {
		return err
	}
	quorate, err := q.Cluster.Quorate(ctx)
	if err != nil {
		return fmt.Errorf("cannot ask for quorum: %w", err)
	}
	if manager["node_status"] == nil {
		manager["node_status"] = object{}
	}
	// The Perl stack's false is the empty string.
	state := object{"manager_status": manager, "quorum": object{
		"node": q.Host.Node(), "quorate": strings.TrimSuffix(perlBool(quorate), "0"),
	}}
	lrm := object{}
	for _, node := range slices.Sorted(maps.Keys(fields(manager["node_status"]))) {
		if lrm[node], err = q.lrmStatus(ctx, node, true); err != nil {
			return err
		}
	}
	if len(lrm) > 0 {
		state["lrm_status"] = lrm
	}
	fmt.Fprint(q.Stdio.Out, prettyJSON(state))
	return nil
}

// statusLine is a line of the status.
type statusLine struct{ kind, text string }

// lines are the status as text.
func (s *clusterState) lines() []statusLine {
	quorum := "OK"
	if !s.quorate {
		quorum = fmt.Sprintf("No quorum on node '%s'!", s.node)
	}
	lines := []statusLine{{"quorum", quorum}}
	if s.hasMaster() {
		lines = append(lines, statusLine{"master", s.master()})
	}
	lines = append(lines, statusLine{"fencing", s.fencing()})
	for _, node := range s.nodes() {
		lines = append(lines, statusLine{"lrm", s.lrmText(node)})
	}
	for _, service := range s.serviceList() {
		lines = append(lines, statusLine{"service", fmt.Sprintf("%s (%s, %s)", service.sid, service.place(), service.state)})
	}
	return lines
}

// timeLayout is how times are shown.
const timeLayout = "Mon Jan _2 15:04:05 2006"

func (s *clusterState) time(written any) string {
	return time.Unix(seconds(written), 0).In(s.now.Location()).Format(timeLayout)
}

func (s *clusterState) disarm() object { return fields(s.manager["disarm"]) }

func (s *clusterState) isDisarmed() bool { return truth(s.manager["disarm"]) }

// master is what the status says of the master.
func (s *clusterState) master() string {
	out := fmt.Sprintf("%s (%s, %s)", text(s.manager["master_node"]), s.masterState(), s.time(s.manager["timestamp"]))
	if s.isDisarmed() {
		out += fmt.Sprintf(" - %s, resource mode: %s", text(s.disarm()["state"]), text(s.disarm()["mode"]))
	}
	if crs := s.settings.CRS; crs != nil && crs.Mode != "" && crs.Mode != hacfg.SchedulerBasic {
		out += fmt.Sprintf(" - %s load CRS", crs.Mode)
	}
	return out
}

// masterState is the state of the master in a few words. One that has nothing
// to do lets its status grow old.
func (s *clusterState) masterState() string {
	state := freshness(s.now, s.manager["timestamp"])
	if s.quorate && state != freshStatus && len(s.services) == 0 {
		return "idle"
	}
	return state
}

// isManaged tells whether a master is at work, which then holds a watchdog.
func (s *clusterState) isManaged() bool {
	return s.hasMaster() && freshness(s.now, s.manager["timestamp"]) == freshStatus
}

// fencing is what the status says of fencing.
func (s *clusterState) fencing() string {
	r := s.fencingReport()
	mode := ""
	if r.ResourceMode != "" {
		mode = ", resource mode: " + r.ResourceMode
	}
	return fmt.Sprintf("%s%s (CRM watchdog %s)", r.State, mode, r.CRMWatchdog)
}

// cmpOr is the text of a value, or another one where it is missing.
func cmpOr(value any, missing string) string {
	if value == nil {
		return missing
	}
	return text(value)
}

// lrmText is what the status says of the LRM of a node.
func (s *clusterState) lrmText(node string) string {
	lrm := s.lrm[node]
	if !truth(lrm["timestamp"]) {
		return node + " (unable to read lrm status)"
	}
	state, watchdog := s.lrmState(node)
	return fmt.Sprintf("%s (%s, watchdog %s, %s)", node, state, watchdog, s.time(lrm["timestamp"]))
}

// lrmState returns the state of a node's LRM in one word or a few, and that of
// its watchdog.
func (s *clusterState) lrmState(node string) (state, watchdog string) {
	lrm := s.lrm[node]
	age := freshness(s.now, lrm["timestamp"])
	mode, inner := ha.LRMMode(text(lrm["mode"])), ha.LRMState(text(lrm["state"]))
	if !truth(lrm["state"]) {
		inner = "unknown"
	}
	holds := inner == ha.LRMActive || inner == ha.LRMMaintenance
	switch {
	case age == freshStatus && holds:
		watchdog = "active"
	case mode == ha.ModeDisarm:
		watchdog = "released"
	default:
		watchdog = "standby"
	}
	switch {
	case age != freshStatus && (mode == ha.ModeMaintenance || mode == ha.ModeDisarm):
		return string(mode) + " mode", watchdog
	case age != freshStatus:
		return age, watchdog
	case truth(lrm["mode"]) && mode != ha.ModeActive:
		return string(mode) + " mode", watchdog
	case inner == ha.LRMWaitForAgentLock && s.activeServices(node) == 0:
		return "idle", watchdog
	}
	return string(inner), watchdog
}

// activeServices counts the services that keep a node busy.
func (s *clusterState) activeServices(node string) int {
	if s.known == nil {
		known := fields(s.manager["service_status"])
		s.known = make(map[ha.SID]*ha.ServiceStatus, len(known))
		for sid, value := range known {
			o := fields(value)
			s.known[ha.SID(sid)] = &ha.ServiceStatus{
				State: ha.ServiceState(text(o["state"])), Node: text(o["node"]), Target: text(o["target"]),
			}
		}
	}
	return ha.CountActiveServices(s.known, node)
}

// serviceLine is what the status says of a service.
type serviceLine struct {
	sid    ha.SID
	node   string // "" when nobody knows
	state  string
	status object // the manager's record, nil if it has none
	config *ha.ServiceConfig
}

func (l serviceLine) place() string {
	if l.node == "" {
		return "---"
	}
	return l.node
}

// serviceList are all services: those of the manager, then those that it does
// not know yet, each sorted.
func (s *clusterState) serviceList() []serviceLine {
	known := fields(s.manager["service_status"])
	var list []serviceLine
	for _, sid := range slices.Sorted(maps.Keys(known)) {
		list = append(list, s.service(ha.SID(sid), fields(known[sid])))
	}
	for _, sid := range slices.Sorted(maps.Keys(s.services)) {
		if known[string(sid)] == nil {
			list = append(list, s.service(sid, nil))
		}
	}
	return list
}

func (s *clusterState) service(sid ha.SID, status object) serviceLine {
	line := serviceLine{sid: sid, status: status}
	if config, ok := s.services[sid]; ok {
		line.config = &config
	}
	switch {
	case status != nil:
		line.node = text(status["node"])
	case line.config != nil:
		line.node = line.config.Node
	}
	line.state = verboseState(status, line.config)
	if s.isDisarmed() && text(s.disarm()["mode"]) == string(ha.DisarmIgnore) {
		line.state = "ignore"
	}
	return line
}

// verboseState is the state of a service in the light of what is asked for.
func verboseState(status object, config *ha.ServiceConfig) string {
	switch {
	case config == nil:
		return "deleting"
	case config.State == ha.RequestIgnored:
		return "ignored"
	case config.Node == "":
		return "not found"
	case status == nil || status["state"] == nil:
		return "queued"
	}
	state, asked := ha.ServiceState(text(status["state"])), config.State
	switch {
	case state == ha.Stopped && asked == ha.RequestStarted:
		return "starting"
	case state == ha.Stopped && asked == ha.RequestDisabled:
		return "disabled"
	case state == ha.Started && !truth(status["running"]):
		return "starting"
	case state == ha.Started && (asked == ha.RequestStopped || asked == ha.RequestDisabled):
		return "stopping"
	case state == ha.Error && asked == ha.RequestDisabled:
		return "clearing error flag"
	}
	return string(state)
}
