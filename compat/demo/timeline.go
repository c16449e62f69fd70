package demo

import (
	"fmt"
	"io"
	"regexp"

	"pveha/compat/sim"
	"pveha/internal/ha"
)

// outage is what happened to one node that was lost. A time of zero has not
// come.
type outage struct {
	node     string
	cut      ha.Epoch // the command that cut it off
	detected ha.Epoch // the master saw it gone
	reset    ha.Epoch // its own watchdog stopped it
	fenced   ha.Epoch // the master has proof
	returned ha.Epoch // the master saw it back, or never saw it gone
	waiting  map[string]bool
	back     []recovery
}

// recovery is a guest that runs again.
type recovery struct {
	sid, node string
	at        ha.Epoch
}

// timeline follows the log and notes what matters of every outage.
type timeline struct {
	outages []*outage
}

// The log lines that tell of an outage.
var (
	switchLine   = regexp.MustCompile(`^execute (?:network|power) (\S+) (on|off)$`)
	stateLine    = regexp.MustCompile(`^node '(\S+)': state changed from '(\w+)' => '(\w+)'$`)
	resetLine    = regexp.MustCompile(`^server '(\S+)' stopped by poweroff \(watchdog\)$`)
	fencedLine   = regexp.MustCompile(`^fencing: acknowledged - got agent lock for node '(\S+)'$`)
	recoverLine  = regexp.MustCompile(`^recover service '(\S+)' from fenced node '(\S+)' to node '(\S+)'$`)
	startedLine  = regexp.MustCompile(`^service status (\S+) started$`)
	daemonOfNode = regexp.MustCompile(`^(\S+)/[cl]rm$`)
)

// open returns the outage of a node that is not over, nil when there is none.
func (t *timeline) open(node string) *outage {
	for _, o := range t.outages {
		if o.node == node && o.returned == 0 {
			return o
		}
	}
	return nil
}

// note takes one line of the log.
func (t *timeline) note(l sim.Line) {
	if m := switchLine.FindStringSubmatch(l.Text); m != nil {
		if l.From == "cmdlist" {
			t.noteSwitch(m[1], m[2] == "on", l.At)
		}
		return
	}
	if m := startedLine.FindStringSubmatch(l.Text); m != nil {
		t.noteStart(m[1], l)
		return
	}
	if m := recoverLine.FindStringSubmatch(l.Text); m != nil {
		if o := t.open(m[2]); o != nil {
			o.waiting[m[1]] = true
		}
		return
	}
	if m := resetLine.FindStringSubmatch(l.Text); m != nil {
		if o := t.open(m[1]); o != nil && o.reset == 0 {
			o.reset = l.At
		}
		return
	}
	if m := fencedLine.FindStringSubmatch(l.Text); m != nil {
		if o := t.open(m[1]); o != nil && o.fenced == 0 {
			o.fenced = l.At
		}
		return
	}
	if m := stateLine.FindStringSubmatch(l.Text); m != nil {
		t.noteState(m[1], ha.NodeState(m[2]), ha.NodeState(m[3]), l.At)
	}
}

func (t *timeline) noteSwitch(node string, on bool, at ha.Epoch) {
	o := t.open(node)
	switch {
	case o == nil && !on:
		t.outages = append(t.outages, &outage{node: node, cut: at, waiting: map[string]bool{}})
	case o != nil && on && o.detected == 0:
		o.returned = at
	}
}

func (t *timeline) noteState(node string, from, to ha.NodeState, at ha.Epoch) {
	o := t.open(node)
	switch {
	case o == nil:
	case from == ha.NodeOnline && o.detected == 0:
		o.detected = at
	case to == ha.NodeOnline && o.detected != 0:
		o.returned = at
	}
}

func (t *timeline) noteStart(sid string, l sim.Line) {
	m := daemonOfNode.FindStringSubmatch(l.From)
	if m == nil {
		return
	}
	for _, o := range t.outages {
		if o.waiting[sid] {
			delete(o.waiting, sid)
			o.back = append(o.back, recovery{sid: sid, node: m[1], at: l.At})
		}
	}
}

// news says in one line how the latest outage stands, "" when there was none.
func (t *timeline) news(now ha.Epoch) string {
	if len(t.outages) == 0 {
		return ""
	}
	o := t.outages[len(t.outages)-1]
	if o.returned != 0 {
		return o.node + " is back"
	}
	what := "nobody has noticed"
	switch {
	case len(o.back) > 0 && len(o.waiting) == 0:
		what = "its guests run elsewhere"
	case o.fenced != 0:
		what = "fenced, its guests recover"
	case o.reset != 0:
		what = "reset by its watchdog, not proven yet"
	case o.detected != 0:
		what = "the master no longer sees it"
	}
	return fmt.Sprintf("%s lost for %d s: %s", o.node, now-o.cut, what)
}

// print writes the timeline of every outage, in simulated seconds.
func (t *timeline) print(w io.Writer) {
	if len(t.outages) == 0 {
		fmt.Fprintln(w, "No node was lost.")
	}
	for _, o := range t.outages {
		fmt.Fprintf(w, "Timeline of %s (simulated seconds, and since the cut)\n", o.node)
		row := func(at ha.Epoch, what string) {
			if at != 0 {
				fmt.Fprintf(w, "  %6d  %+5d  %s\n", at, at-o.cut, what)
			}
		}
		row(o.cut, "cut off")
		row(o.detected, "detected: the master no longer sees it")
		row(o.reset, "reset by its own watchdog")
		row(o.fenced, "fenced: its lock is taken, so it is dead")
		for _, r := range o.back {
			row(r.at, fmt.Sprintf("recovered: %s runs on %s", r.sid, r.node))
		}
		if o.detected == 0 {
			row(o.returned, "returned, before the master noticed")
		} else {
			row(o.returned, "returned")
		}
	}
}
