package sim

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"pveha/internal/ha"
)

// simulatedSID matches the services that the simulator has an agent for.
var simulatedSID = regexp.MustCompile(`^(vm|ct|fa):[0-9]+$`)

func (p *parser) services() error {
	p.s.services = map[ha.SID]*guest{}
	type entry struct {
		Node        string          `json:"node"`
		State       ha.RequestState `json:"state"`
		Group       string          `json:"group"`
		Failback    lenient         `json:"failback"`
		MaxRestart  lenient         `json:"max_restart"`
		MaxRelocate lenient         `json:"max_relocate"`
		Lock        string          `json:"lock"`
	}
	raw := map[ha.SID]entry{}
	if _, ok := p.files[fileServices]; ok {
		if err := p.json(fileServices, &raw); err != nil {
			return err
		}
	} else {
		for i, node := range []string{"node1", "node2", "node3", "node1", "node2", "node3"} {
			raw[ha.SID(fmt.Sprintf("vm:%d", 101+i))] = entry{Node: node}
		}
	}
	for _, sid := range slices.Sorted(maps.Keys(raw)) {
		e, of := raw[sid], string(sid)+": "
		p.check(fileServices, checkService(sid, e.Node))
		g := newGuest(e.Node, e.State)
		g.Group, g.lock = e.Group, e.Lock
		g.Failback = p.truth(fileServices, of+"failback", e.Failback, g.Failback)
		g.MaxRestart = p.count(fileServices, of+"max_restart", e.MaxRestart, g.MaxRestart)
		g.MaxRelocate = p.count(fileServices, of+"max_relocate", e.MaxRelocate, g.MaxRelocate)
		p.s.services[sid] = g
	}
	return nil
}

// checkService checks what a service is and where. The node need not be one of
// the cluster: it may have left it.
func checkService(sid ha.SID, node string) error {
	if !simulatedSID.MatchString(string(sid)) {
		return fmt.Errorf("service %q: the simulator has vm:ID, ct:ID and fa:ID", sid)
	}
	if node == "" {
		return fmt.Errorf("service %s has no node", sid)
	}
	return nil
}

// newGuest returns a service with the defaults filled in. A state that is none
// is the CRM's to complain of.
func newGuest(node string, state ha.RequestState) *guest {
	switch state {
	case "":
		state = ha.RequestDisabled
	case ha.RequestEnabled:
		state = ha.RequestStarted
	case ha.RequestStarted, ha.RequestStopped, ha.RequestDisabled, ha.RequestIgnored:
	}
	return &guest{ServiceConfig: ha.ServiceConfig{
		Node: node, State: state, Failback: true,
		MaxRestart: ha.DefaultMaxRestart, MaxRelocate: ha.DefaultMaxRelocate,
	}}
}

// commands reads the list of steps and checks what they name, so that a
// mistake shows before anything runs.
func (p *parser) commands() error {
	if _, ok := p.files[fileCommands]; !ok {
		return fmt.Errorf("%s: missing", fileCommands)
	}
	var steps [][]string
	if err := p.json(fileCommands, &steps); err != nil {
		return err
	}
	known := map[ha.SID]bool{}
	for sid := range p.s.services {
		known[sid] = true
	}
	for i, texts := range steps {
		step := make([]Command, 0, len(texts))
		for at, text := range texts {
			cmd, err := ParseCommand(text)
			if err == nil {
				err = wrapCommand(text, p.checkNames(cmd, known))
			}
			if err == nil {
				last := i == len(steps)-1 && at == len(texts)-1
				err = wrapCommand(text, p.checkTime(cmd, at == 0, last))
			}
			if err != nil {
				return fmt.Errorf("%s: step %d: %w", fileCommands, i+1, err)
			}
			step = append(step, cmd)
		}
		p.s.Steps = append(p.s.Steps, step)
	}
	return nil
}

// checkNames checks that a command's node exists, and that its service does at
// that point. Orders to the CRM may name anything: the CRM has to cope.
func (p *parser) checkNames(c Command, known map[ha.SID]bool) error {
	switch c.Verb {
	case VerbDelay, VerbSkipRound, VerbAt, VerbEnd, VerbRule, VerbGroup, VerbDatacenter:
		return nil
	case VerbService:
	case VerbPower, VerbNetwork, VerbCFS, VerbVersion, VerbReboot, VerbShutdown, VerbRestartLRM, VerbCRM:
		return p.checkNode(c.Node)
	}
	switch c.Action {
	case "migrate", "relocate", "stop":
		return nil
	case "add":
		if known[c.SID] {
			return fmt.Errorf("service %s exists already", c.SID)
		}
		known[c.SID] = true
		if err := checkService(c.SID, c.arg(0)); err != nil {
			return err
		}
		return p.checkNode(c.arg(0))
	}
	if !known[c.SID] {
		return fmt.Errorf("no such service %s at this point", c.SID)
	}
	if c.Action == "delete" {
		delete(known, c.SID)
	}
	if c.Action == "manual-migrate" && !p.s.hasService(c.arg(0)) {
		return p.checkNode(c.arg(0))
	}
	return nil
}

func (p *parser) checkNode(node string) error {
	if _, ok := p.s.nodes[node]; !ok {
		return fmt.Errorf("no such node %q (there are %q)", node, p.s.Nodes())
	}
	return nil
}

// hasService reports whether any service is configured to be on the node,
// which may have left the cluster.
func (s *Scenario) hasService(node string) bool {
	for _, g := range s.services {
		if g.Node == node {
			return true
		}
	}
	return false
}

// checkTime checks that a time begins its step and does not go back, and that
// nothing follows the end.
func (p *parser) checkTime(c Command, first, last bool) error {
	p.s.extended = p.s.extended || c.extends()
	switch {
	case c.Verb == VerbEnd && !last:
		return errors.New("commands follow the end")
	case c.Verb != VerbAt:
		return nil
	case !first:
		return errors.New("a time stands first in its step")
	case ha.Epoch(c.Number) < p.s.lastTime:
		return fmt.Errorf("time goes back, it was %d before", p.s.lastTime)
	}
	p.s.lastTime = ha.Epoch(c.Number)
	return nil
}
