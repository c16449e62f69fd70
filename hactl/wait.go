package hactl

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"pveha/internal/ha"
)

const (
	// waitPause is the time between two looks.
	waitPause = time.Second
	// waitGrace is how long a CRM may take for what it does in one round, with
	// some rounds to spare: they are 10 s apart.
	waitGrace = 30 * time.Second
)

// checkWait refuses a limit for a wait that there is none of.
func checkWait(p params) error {
	if p.has("timeout") && !p.flag("wait") {
		return misuse("--timeout needs --wait")
	}
	return nil
}

// verdict is what a look at the cluster comes to.
type verdict struct {
	lines []string // what there is to tell
	done  bool
	err   error // it will never be done
	// blockers are why it is not done, for when the time is over.
	blockers []string
}

// wait looks at the cluster until look says that it is done. It prints what
// look has to tell whenever that changes, with the seconds passed. What stops
// the cluster from being read passes, or the limit does.
func (q *Query) wait(ctx context.Context, p params, look func(s *clusterState, waited time.Duration) verdict) error {
	start := q.Clock.Now()
	var limit time.Duration
	if n, err := strconv.Atoi(p.get("timeout")); err == nil {
		limit = time.Duration(n) * time.Second
	}
	var told, blockers []string
	for {
		waited := q.Clock.Now().Sub(start)
		v := q.lookOnce(ctx, waited, look)
		for _, line := range v.lines {
			if !slices.Contains(told, line) {
				fmt.Fprintf(q.Stdio.Out, "[%4d s] %s\n", int(waited.Seconds()), line)
			}
		}
		told, blockers = v.lines, v.blockers
		switch {
		case v.err != nil:
			return v.err
		case v.done:
			return nil
		case p.has("timeout") && waited >= limit:
			return q.giveUp(int(waited.Seconds()), blockers)
		}
		if err := q.Clock.Sleep(ctx, waitPause); err != nil {
			return q.giveUp(int(waited.Seconds()), blockers)
		}
	}
}

func (q *Query) lookOnce(ctx context.Context, waited time.Duration, look func(*clusterState, time.Duration) verdict) verdict {
	s, err := q.quietly().state(ctx)
	if err != nil {
		return verdict{lines: []string{"the cluster cannot be read: " + strings.TrimSpace(errorText(err))}}
	}
	return look(s, waited)
}

// giveUp ends a wait whose time is over. What was asked for stays asked for.
func (q *Query) giveUp(waited int, blockers []string) error {
	fmt.Fprintf(q.Stdio.Err, "not done after %d s; the request stays\n", waited)
	for _, blocker := range blockers {
		fmt.Fprintf(q.Stdio.Err, "- %s\n", blocker)
	}
	return &exitError{exitProblem}
}

// noManager says why nobody would carry out a command, "" if somebody will.
func (s *clusterState) noManager() string {
	switch {
	case !s.quorate:
		return fmt.Sprintf("there is no quorum on node '%s'", s.node)
	case !s.hasMaster():
		return "there is no CRM master yet"
	case !s.isManaged():
		return fmt.Sprintf("no CRM is at work: master %s", s.master())
	case s.isDisarmed():
		return "the HA stack is disarmed: arm it with '" + exeName + " crm-command arm-ha'"
	}
	return ""
}

// pending tells whether the CRM has not taken a command yet.
func (q *Query) pending(ctx context.Context, command ha.Command) bool {
	lines, err := q.pendingCommands(ctx)
	return err == nil && slices.Contains(lines, command.String())
}

// move is what is known of a service on its way.
type move struct {
	sid     ha.SID
	started bool
	taken   time.Duration // when the CRM had taken the command, 0 before
	isTaken bool
}

// waitForMove waits until services are on a node.
func (e *Edit) waitForMove(ctx context.Context, command ha.Command, sids []ha.SID, p params) error {
	moves := make([]move, len(sids))
	for i, sid := range sids {
		moves[i].sid = sid
	}
	return e.wait(ctx, p, func(s *clusterState, waited time.Duration) verdict {
		v := verdict{done: true}
		taken := !e.pending(ctx, command)
		if !taken {
			v.lines = append(v.lines, "the CRM has not taken the command yet")
			if reason := s.noManager(); reason != "" {
				v.lines = append(v.lines, reason)
			}
			v.blockers = v.lines
		}
		for i := range moves {
			moves[i].look(s, command.Node, taken, waited, &v)
		}
		return v
	})
}

// look judges one service on its way to a node.
func (m *move) look(s *clusterState, node string, taken bool, waited time.Duration, v *verdict) {
	if taken && !m.isTaken {
		m.isTaken, m.taken = true, waited
	}
	line := s.service(m.sid, fields(fields(s.manager["service_status"])[string(m.sid)]))
	state := ha.ServiceState(text(line.status["state"]))
	moving := state == ha.Migrate || state == ha.Relocate || state == ha.RequestStartBalance
	where := fmt.Sprintf("%s: %s on %s", m.sid, line.state, line.place())
	if target := text(line.status["target"]); moving && target != "" {
		where += " to " + target
	}
	v.lines = append(v.lines, where)
	switch {
	case moving:
		m.started = true
		v.done = false
		v.blockers = append(v.blockers, where)
	case line.node == node && taken:
	case state == ha.Error:
		v.err = fmt.Errorf("%s is in error state on %s", m.sid, line.place())
	case m.started:
		v.err = fmt.Errorf("%s was not moved: it is %s on %s", m.sid, line.state, line.place())
	case m.isTaken && waited-m.taken >= waitGrace:
		v.err = fmt.Errorf("%s is not being moved: %s", m.sid, s.whyNotMoved(line, node))
	default:
		v.done = false
		v.blockers = append(v.blockers, where)
	}
}

// whyNotMoved guesses why the CRM dropped a command to move a service.
func (s *clusterState) whyNotMoved(line serviceLine, node string) string {
	state := text(fields(s.manager["node_status"])[node])
	switch {
	case state == "":
		return fmt.Sprintf("node '%s' is not known to the CRM", node)
	case state != string(ha.NodeOnline):
		return fmt.Sprintf("node '%s' is %s", node, state)
	case line.config == nil:
		return "it is not configured any more"
	}
	return fmt.Sprintf("the CRM dropped the command, and it is %s on %s", line.state, line.place())
}

// waitForMaintenance waits until a node is in maintenance and nothing is left
// on it to be moved.
func (e *Edit) waitForMaintenance(ctx context.Context, node string, p params) error {
	command := ha.Command{Kind: ha.CommandEnableMaintenance, Node: node}
	quiet := time.Duration(0)
	last := -1
	return e.wait(ctx, p, func(s *clusterState, waited time.Duration) verdict {
		var v verdict
		left := s.servicesOn(node)
		if len(left) != last {
			last, quiet = len(left), waited
		}
		state := text(fields(s.manager["node_status"])[node])
		switch {
		case e.pending(ctx, command):
			v.lines = append(v.lines, "the CRM has not taken the command yet")
			if reason := s.noManager(); reason != "" {
				v.lines = append(v.lines, reason)
			}
		case state != string(ha.NodeMaintenance):
			v.lines = append(v.lines, fmt.Sprintf("node %s is %s, its LRM: %s", node, cmpOr(state, "unknown"), s.nodeReport(node).LRM))
		case len(left) == 0:
			return verdict{lines: append(s.leftAlone(node), fmt.Sprintf("node %s is in maintenance", node)), done: true}
		default:
			v.lines = append(v.lines, fmt.Sprintf("node %s is in maintenance, %d services are left", node, len(left)))
		}
		v.blockers = append(v.blockers, v.lines...)
		for _, line := range left {
			v.blockers = append(v.blockers, e.whyStays(ctx, s, line))
		}
		if waited-quiet >= waitGrace {
			v.lines = v.blockers
		}
		return v
	})
}

// servicesOn are the services that keep a node busy.
func (s *clusterState) servicesOn(node string) []serviceLine {
	var left []serviceLine
	for _, line := range s.serviceList() {
		state := ha.ServiceState(text(line.status["state"]))
		status := &ha.ServiceStatus{State: state, Node: text(line.status["node"])}
		if ha.CountActiveServices(map[ha.SID]*ha.ServiceStatus{line.sid: status}, node) > 0 {
			left = append(left, line)
		}
	}
	return left
}

// leftAlone tells which services on a node nobody moves.
func (s *clusterState) leftAlone(node string) []string {
	var lines []string
	for _, line := range s.serviceList() {
		state := ha.ServiceState(text(line.status["state"]))
		if line.node == node && (state == ha.Error || state == ha.Freeze) {
			lines = append(lines, fmt.Sprintf("%s: %s, stays there", line.sid, line.state))
		}
	}
	return lines
}

// whyStays tells what a service on a node waits for.
func (q *Query) whyStays(ctx context.Context, s *clusterState, line serviceLine) string {
	what := fmt.Sprintf("%s: %s", line.sid, line.state)
	switch ha.ServiceState(text(line.status["state"])) {
	case ha.Migrate, ha.Relocate:
		return what + " to " + text(line.status["target"])
	case ha.Started, ha.Recovery:
		return what + ", " + q.whyNoNode(ctx, s, line)
	case ha.RequestStop, ha.RequestStartBalance, ha.Fence:
		return what
	case ha.Stopped, ha.RequestStart, ha.Freeze, ha.Error:
	}
	return what
}

// whyNoNode tells for each other node why a service does not go there.
func (q *Query) whyNoNode(ctx context.Context, s *clusterState, line serviceLine) string {
	online := s.onlineNodes()
	if len(online) == 0 {
		return "no other node is online"
	}
	compiled, err := q.quietly().compiledRules(ctx, s.manager)
	if err != nil {
		return "its rules cannot be read: " + strings.TrimSpace(errorText(err))
	}
	allowed, _ := compiled.NodeAffinity(line.sid, online)
	var reasons []string
	free := false
	for _, node := range online {
		_, blocking, err := q.quietly().motion(ctx, line.sid, node)
		switch {
		case !slices.Contains(allowed, node):
			reasons = append(reasons, fmt.Sprintf("a strict node affinity rule does not allow %s", node))
		case err == nil && len(blocking) > 0:
			reasons = append(reasons, fmt.Sprintf("%s on %s is kept apart from it", blocking[0], node))
		default:
			free = true
		}
	}
	if free {
		return "will be moved"
	}
	return "cannot be moved: " + strings.Join(reasons, ", ")
}

// onlineNodes are the nodes that can take services, sorted.
func (s *clusterState) onlineNodes() []string {
	var online []string
	for _, node := range s.nodes() {
		if text(fields(s.manager["node_status"])[node]) == string(ha.NodeOnline) {
			online = append(online, node)
		}
	}
	return online
}
