package demo

import (
	"fmt"
	"io"
	"regexp"

	"pveha/compat/sim"
	"pveha/internal/ha"
)

// outage is what happened to one node that was lost.
type outage struct {
	node     string
	cut      ha.Epoch // the command that cut it off
	detected ha.Epoch // the master saw it gone
	reset    ha.Epoch // its own watchdog stopped it
	fenced   ha.Epoch // the master has proof
	returned ha.Epoch // the master saw it back
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
	cutLine      = regexp.MustCompile(`^execute (?:network|power) (\S+) off$`)
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
	if m := cutLine.FindStringSubmatch(l.Text); m != nil {
		if l.From == "cmdlist" && t.open(m[1]) == nil {
			t.outages = append(t.outages, &outage{node: m[1], cut: l.At, waiting: map[string]bool{}})
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

// print writes the timeline of every outage, in simulated seconds.
func (t *timeline) print(w io.Writer) {
	if len(t.outages) == 0 {
		fmt.Fprintln(w, "No node was lost.")
	}
	for _, o := range t.outages {
		fmt.Fprintf(w, "Timeline of %s (simulated seconds, and since it was cut off)\n", o.node)
		row := func(at ha.Epoch, what string) {
			if at != 0 {
				fmt.Fprintf(w, "  %6d  %+5d  %s\n", at, at-o.cut, what)
			}
		}
		row(o.cut, "cut off")
		row(o.detected, "detected: the master no longer sees it")
		row(o.reset, "reset by its own watchdog")
		row(o.fenced, "fenced: the master holds its lock, the proof that it is dead")
		for _, r := range o.back {
			row(r.at, fmt.Sprintf("recovered: %s runs on %s", r.sid, r.node))
		}
		row(o.returned, "returned")
	}
}
