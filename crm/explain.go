package crm

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"pveha/cfgparse/hacfg"
	"pveha/crm/rules"
	"pveha/crm/usage"
	"pveha/internal/ha"
)

// ErrNotManaged means that no master has taken in a service yet, or that it is
// not configured.
var ErrNotManaged = errors.New("not managed by HA")

// Explanation tells why a service is where it is, and what every node has for
// and against it. Texts are whole sentences without full stop.
type Explanation struct {
	SID     ha.SID          `json:"sid"`
	State   ha.ServiceState `json:"state"`
	Request ha.RequestState `json:"request"`
	Node    string          `json:"node"`             // where it is
	Target  string          `json:"target,omitempty"` // where it goes to
	// Choice is the node on which the master would have it now if it started
	// afresh with what is known: Node itself when nothing draws it away, ""
	// when no node may have it.
	Choice    string        `json:"choice"`
	Scheduler SchedulerMode `json:"scheduler"`
	Because   []string      `json:"because"` // why it is there, the weightiest first
	Nodes     []Verdict     `json:"nodes"`   // every node, those that could have it first, best first
	Moves     []string      `json:"moves"`   // what would move it
	Notes     []string      `json:"notes"`   // what the scheduler warns of, and rules in conflict
}

// Verdict is what speaks for and against one node.
type Verdict struct {
	Node   string       `json:"node"`
	State  ha.NodeState `json:"state"`
	Usable bool         `json:"usable"` // rules and state let the service start there
	Rank   int          `json:"rank"`   // from 1 among the usable ones that are preferred; 0 for the others
	Score  *float64     `json:"score"`  // lower is better; nil when the node takes no services
	Says   []string     `json:"says"`   // what each rule and the node's state say
}

// Explain works out what a master that took over now would think of a service.
// It reads from the environment and changes nothing: every method of it that
// would is out of reach.
func Explain(env Env, sid ha.SID) (*Explanation, error) {
	view := &onlooker{Env: env}
	m, err := newManager(view, Config{})
	if err != nil {
		return nil, err
	}
	services, digest, err := env.Services()
	if err != nil {
		return nil, err
	}
	services = maps.Clone(services)
	s := m.services[sid]
	if _, configured := services[sid]; !configured || s == nil {
		return nil, fmt.Errorf("service '%s': %w", sid, ErrNotManaged)
	}
	if err := m.rebuildUsage(); err != nil {
		return nil, err
	}
	groups, err := env.Groups()
	if err != nil {
		return nil, err
	}
	if err := m.compileRules(&round{services: services}, groups, digest); err != nil {
		return nil, err
	}
	configured, err := env.Rules() // those above were brought into another form
	if err != nil {
		return nil, err
	}
	// Groups may have changed the service's failback on the way.
	w := &witness{m: m, sid: sid, s: s, cfg: services[sid], rules: configured, dropped: map[string]bool{}}
	for _, c := range rules.Check(configured, m.nodes.Nodes()) {
		w.dropped[c.RuleID] = true
		if configured.ByID[c.RuleID].Resources[sid] {
			view.notes = append(view.notes, fmt.Sprintf("rule '%s' is not applied: %s", c.RuleID, c.Message))
		}
	}
	e := w.explain()
	e.Notes = view.notes
	return e, nil
}

// onlooker is an environment without effects.
type onlooker struct {
	Env
	notes []string
}

var errOnlooker = errors.New("an explanation changes nothing")

// Log keeps what the scheduler has to say instead of writing it to the journal.
func (o *onlooker) Log(e ha.Entry) {
	if e.Level == ha.LevelWarning || e.Level == ha.LevelErr {
		o.notes = append(o.notes, e.Text)
	}
}

func (o *onlooker) WriteManagerStatus(*ha.ManagerStatus) error           { return errOnlooker }
func (o *onlooker) TakeCommands() (string, error)                        { return "", errOnlooker }
func (o *onlooker) UpdateServices(map[ha.SID]ServiceChange) error        { return errOnlooker }
func (o *onlooker) WriteRules(*hacfg.Rules) error                        { return errOnlooker }
func (o *onlooker) DeleteGroups() error                                  { return errOnlooker }
func (o *onlooker) ManagerLock() bool                                    { return false }
func (o *onlooker) ReleaseManagerLock() bool                             { return false }
func (o *onlooker) ManagerLockKept() bool                                { return false }
func (o *onlooker) AgentLock(string) bool                                { return false }
func (o *onlooker) OpenWatchdog() (ha.Watchdog, error)                   { return nil, errOnlooker }
func (o *onlooker) RemoveLocks(ha.SID, []string, string) (string, error) { return "", errOnlooker }
func (o *onlooker) Steal(ha.SID, string, string) error                   { return errOnlooker }

// witness holds what an explanation is made from.
type witness struct {
	m   *Manager
	sid ha.SID
	s   *ha.ServiceStatus
	cfg ha.ServiceConfig

	rules   *hacfg.Rules    // as configured
	dropped map[string]bool // of them, those in conflict with others

	ranked    []string // preferred nodes, best first
	preferred []string // by node affinity alone
	scores    map[string]float64
}

func (w *witness) explain() *Explanation {
	w.weigh()
	e := &Explanation{
		SID: w.sid, State: w.s.State, Request: w.cfg.State, Node: w.s.Node, Target: w.s.Target,
		Choice:    w.m.placement().choose(w.sid, w.cfg, stay),
		Scheduler: w.m.scheduling.Mode,
	}
	e.Nodes = w.verdicts()
	e.Because = w.because(e)
	e.Moves = w.moves(e)
	return e
}

// weigh goes the way of [placement.choose] and keeps what it finds.
func (w *witness) weigh() {
	p := w.m.placement()
	_, w.preferred = w.m.rules.NodeAffinity(w.sid, w.m.usage.Nodes())
	partners := w.m.rules.ResourceAffinity(w.sid, p.places)
	w.ranked = p.rank(w.sid, partners.KeepTogether(partners.KeepApart(w.preferred)))
	w.scores = map[string]float64{}
	scores, err := w.m.usage.Scores(w.sid)
	if err != nil {
		return // rank has said so already
	}
	for i, node := range w.m.usage.Nodes() {
		w.scores[node] = scores[i]
	}
}

// verdicts lists the ranked nodes first, then those that could have the
// service, then the rest by name.
func (w *witness) verdicts() []Verdict {
	allowed, _ := w.m.rules.NodeAffinity(w.sid, w.m.usage.Nodes())
	partners := w.m.rules.ResourceAffinity(w.sid, w.m.placement().places)
	var verdicts []Verdict
	for _, node := range w.m.nodes.Nodes() {
		v := Verdict{
			Node:   node,
			State:  w.m.nodes.State(node),
			Usable: slices.Contains(allowed, node) && partners.Allows(node),
			Rank:   slices.Index(w.ranked, node) + 1,
			Says:   w.says(node),
		}
		if score, ok := w.scores[node]; ok {
			v.Score = &score
		}
		verdicts = append(verdicts, v)
	}
	slices.SortStableFunc(verdicts, func(a, b Verdict) int { return a.order() - b.order() })
	return verdicts
}

// order sorts ranked nodes by rank, usable ones next.
func (v Verdict) order() int {
	switch {
	case v.Rank > 0:
		return v.Rank
	case v.Usable:
		return 1 << 20
	default:
		return 1 << 21
	}
}

// says collects what speaks about one node.
func (w *witness) says(node string) []string {
	var says []string
	add := func(format string, args ...any) { says = append(says, fmt.Sprintf(format, args...)) }
	if state := w.m.nodes.State(node); state != ha.NodeOnline {
		add("it is in state '%s', and takes no services", state)
	}
	for _, rule := range w.applied() {
		switch rule.Type {
		case hacfg.NodeAffinity:
			says = append(says, w.nodeRule(rule, node)...)
		case hacfg.ResourceAffinity:
			says = append(says, w.resourceRule(rule, node)...)
		}
	}
	if slices.Contains(w.s.FailedNodes, node) {
		add("the last start there failed")
	}
	if w.s.MaintenanceNode == node {
		add("the service left it for maintenance and returns when that is over")
	}
	return says
}

// applied returns the configured rules that name the service and are in force,
// by ID.
func (w *witness) applied() []*hacfg.Rule {
	var found []*hacfg.Rule
	for _, id := range slices.Sorted(maps.Keys(w.rules.ByID)) {
		rule := w.rules.ByID[id]
		if rule.Resources[w.sid] && rule.Disable == nil && !w.dropped[id] {
			found = append(found, rule)
		}
	}
	return found
}

func (w *witness) nodeRule(rule *hacfg.Rule, node string) []string {
	priority, named := rule.Nodes[node]
	switch {
	case named && !w.m.usage.Contains(node):
		return []string{fmt.Sprintf("rule '%s' names it with priority %d", rule.ID, priority)}
	case named && slices.Contains(w.preferred, node):
		return []string{fmt.Sprintf("rule '%s' prefers it (priority %d)", rule.ID, priority)}
	case named:
		return []string{fmt.Sprintf("rule '%s' names it, and others before it (priority %d)", rule.ID, priority)}
	case rule.IsStrict():
		return []string{fmt.Sprintf("strict rule '%s' forbids it", rule.ID)}
	default:
		return []string{fmt.Sprintf("rule '%s' does not name it: only when none of its nodes is online", rule.ID)}
	}
}

func (w *witness) resourceRule(rule *hacfg.Rule, node string) []string {
	var there, elsewhere []string
	for _, other := range slices.Sorted(maps.Keys(rule.Resources)) {
		if other == w.sid {
			continue
		}
		current, target := w.m.placement().places(other)
		switch {
		case current == node || target == node:
			there = append(there, string(other))
		case current != "" || target != "":
			elsewhere = append(elsewhere, string(other))
		}
	}
	switch {
	case rule.Affinity == hacfg.Negative && len(there) > 0:
		return []string{fmt.Sprintf("rule '%s' keeps it apart from %s, which is there", rule.ID, strings.Join(there, ", "))}
	case rule.Affinity == hacfg.Positive && len(there) > 0:
		return []string{fmt.Sprintf("rule '%s' keeps it together with %s, which is there", rule.ID, strings.Join(there, ", "))}
	case rule.Affinity == hacfg.Positive && len(elsewhere) > 0:
		return []string{fmt.Sprintf("rule '%s' keeps it together with %s, which is elsewhere", rule.ID, strings.Join(elsewhere, ", "))}
	}
	return nil
}

// because tells in order of weight why the service is on its node.
func (w *witness) because(e *Explanation) []string {
	var because []string
	add := func(format string, args ...any) { because = append(because, fmt.Sprintf(format, args...)) }
	if text := stateReasons[e.State]; text != "" {
		add(text, e.Node, e.Target)
	}
	if e.State != ha.Started {
		return because
	}
	if w.s.Cmd != nil {
		add("it is told to %s", strings.Join(w.s.Cmd, " "))
	}
	switch {
	case e.Choice == "":
		add("no node may have it: it stays where it runs")
	case e.Choice != e.Node:
		add("it belongs on '%s' and moves there with the master's next round", e.Choice)
	case w.s.MaintenanceNode == e.Node:
		add("it waits there for the end of the maintenance of its own node")
	case len(w.preferred) == len(w.m.usage.Nodes()) && len(w.ranked) == len(w.preferred):
		add("no rule asks for another node, and a running service is not moved for its score alone")
	case !slices.Contains(w.ranked, e.Node) && !w.cfg.Failback:
		add("another node is preferred, but failback is off: an allowed node is good enough")
	case len(w.ranked) == 1:
		add("it is the only node that rules and node states leave")
	default:
		add("it is one of the nodes that rules prefer, and a running service is not moved for its score alone")
	}
	return because
}

// stateReasons tell of states other than started; they may use node and target.
var stateReasons = map[ha.ServiceState]string{
	ha.Stopped:             "it is stopped on '%[1]s'",
	ha.RequestStop:         "it is being stopped on '%[1]s'",
	ha.RequestStart:        "it is about to be started on '%[1]s'",
	ha.RequestStartBalance: "it starts, and goes from '%[1]s' to '%[2]s' for that, where it fits better",
	ha.Started:             "it is wanted started, and '%[1]s' has it",
	ha.Fence:               "'%[1]s' is lost: it waits until that node is known to be dead",
	ha.Recovery:            "'%[1]s' is dead: it waits for a node that may have it",
	ha.Migrate:             "it moves from '%[1]s' to '%[2]s' while it runs",
	ha.Relocate:            "it moves from '%[1]s' to '%[2]s', stopped meanwhile",
	ha.Freeze:              "it stays untouched on '%[1]s' until the node's LRM is active again",
	ha.Error:               "it failed on '%[1]s' and waits for a person: disable it, then start it",
}

// moves tells what would move the service away from where it is.
func (w *witness) moves(e *Explanation) []string {
	if e.State == ha.Error || e.State == ha.Freeze {
		return nil
	}
	var moves []string
	add := func(format string, args ...any) { moves = append(moves, fmt.Sprintf(format, args...)) }
	if e.Choice != "" && e.Choice != e.Node && e.State == ha.Started {
		add("the next round: to '%s'", e.Choice)
	}
	next := "nowhere: no other node may have it"
	for _, node := range w.afterLoss() {
		next = "to '" + node + "'"
		break
	}
	add("the loss or maintenance of '%s': %s", e.Node, next)
	if better := w.higherPriority(e.Node); len(better) > 0 && w.cfg.Failback {
		add("the return of %s, which a rule prefers", strings.Join(better, ", "))
	}
	if w.m.scheduling.AutoRebalance.Enabled && w.m.scheduling.Mode != SchedulerBasic {
		add("automatic rebalancing, when the imbalance of the nodes (now %.2f) exceeds %.2f",
			w.m.usage.Imbalance(), w.m.scheduling.AutoRebalance.Threshold)
	}
	return moves
}

// afterLoss ranks the nodes that are left when that of the service is not.
func (w *witness) afterLoss() []string {
	left := without(w.m.usage.Nodes(), []string{w.s.Node})
	_, preferred := w.m.rules.NodeAffinity(w.sid, left)
	p := w.m.placement()
	partners := w.m.rules.ResourceAffinity(w.sid, func(other ha.SID) (current, target string) {
		s := w.m.services[other]
		if s == nil {
			return "", ""
		}
		used := usage.PlacementOf(s, func(node string) bool { return slices.Contains(left, node) })
		return used.Current, used.Target
	})
	return p.rank(w.sid, partners.KeepTogether(partners.KeepApart(preferred)))
}

// higherPriority returns the nodes that are not there and that a rule prefers
// to the given one.
func (w *witness) higherPriority(than string) []string {
	var better []string
	for _, rule := range w.applied() {
		if rule.Type != hacfg.NodeAffinity {
			continue
		}
		own, named := rule.Nodes[than]
		for _, node := range slices.Sorted(maps.Keys(rule.Nodes)) {
			if (!named || rule.Nodes[node] > own) && node != than && !w.m.usage.Contains(node) {
				better = append(better, "'"+node+"'")
			}
		}
	}
	return better
}
