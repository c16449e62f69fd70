package sim

import (
	"errors"
	"fmt"
	"strings"

	"pveha/internal/ha"
)

// defaultLock is the lock a guest gets when the command names none.
const defaultLock = "backup"

// Execute carries out one command; from is who says so in the log.
func (c *Cluster) Execute(cmd Command, from string) error {
	if c.opts.OnExecute != nil && cmd.Verb != VerbAt && cmd.Verb != VerbEnd {
		c.opts.OnExecute(cmd)
	}
	switch cmd.Verb {
	case VerbAt, VerbEnd:
		return nil
	case VerbRule, VerbGroup, VerbDatacenter:
		c.logf(ha.LevelInfo, from, "execute %s", cmd.Text)
		return c.executeConfig(cmd)
	case VerbDelay:
		c.logf(ha.LevelInfo, logCommands, "execute %s", cmd.Text)
		c.nextStepAt = c.now + ha.Epoch(cmd.Number)
		return nil
	case VerbSkipRound:
		c.logf(ha.LevelInfo, logCommands, "execute %s", cmd.Text)
		c.skip[cmd.Action] += cmd.Number
		return nil
	case VerbService:
		c.logf(ha.LevelInfo, from, "execute %s", cmd.Text)
		return c.executeService(cmd)
	case VerbPower, VerbNetwork, VerbCFS, VerbVersion, VerbReboot, VerbShutdown, VerbRestartLRM, VerbCRM:
	default:
		return fmt.Errorf("unknown command %q", cmd.Text)
	}
	n := c.nodes[cmd.Node]
	if n == nil {
		return fmt.Errorf("no such node '%s'", cmd.Node)
	}
	c.logf(ha.LevelInfo, from, "execute %s", cmd.Text)
	c.executeNode(cmd, n)
	return nil
}

func (c *Cluster) executeNode(cmd Command, n *node) {
	on := cmd.Action == "on"
	switch cmd.Verb {
	case VerbPower:
		if on {
			c.powerOn(n)
		} else {
			c.powerOff(n)
		}
	case VerbNetwork:
		n.network = on
	case VerbCFS:
		works := cmd.arg(0) == "work"
		if cmd.Action == "rw" {
			n.cfsRW = works
		} else {
			n.cfsUpdate = works
		}
	case VerbVersion:
		n.version = cmd.arg(0)
	case VerbReboot, VerbShutdown:
		n.shutdown = string(cmd.Verb)
		if n.lrm != nil {
			n.lrm.RequestShutdown()
		}
	case VerbRestartLRM:
		if n.lrm != nil {
			n.lrmRestart = true
			n.lrm.RequestShutdown()
		}
	case VerbCRM:
		c.executeCRM(cmd, n)
	case VerbService, VerbDelay, VerbSkipRound, VerbAt, VerbEnd, VerbRule, VerbGroup, VerbDatacenter:
		// no commands for a node
	}
}

func (c *Cluster) executeCRM(cmd Command, n *node) {
	switch cmd.Action {
	case "stop":
		if n.crm != nil {
			n.crmStop = true
			n.crm.RequestShutdown()
		}
	case "start":
		c.startCRM(n)
	case "enable-node-maintenance", "disable-node-maintenance":
		c.queue(cmd.Action, n.name)
	case "disarm-ha":
		c.queue(cmd.Action, cmd.arg(0))
	case "arm-ha":
		c.queue(cmd.Action)
	}
}

// queue appends to the queue of CRM commands, as the command line would.
func (c *Cluster) queue(words ...string) {
	c.cfs.commands += strings.Join(words, " ") + "\n"
}

func (c *Cluster) executeService(cmd Command) error {
	switch cmd.Action {
	case "migrate", "relocate", "stop":
		c.queue(cmd.Action, string(cmd.SID), cmd.arg(0))
		return nil
	case "add":
		return c.addService(cmd)
	}
	g, err := c.cfs.guest(cmd.SID)
	if err != nil {
		return err
	}
	switch cmd.Action {
	case "started", "stopped", "disabled", "ignored":
		g.State = ha.RequestState(cmd.Action)
	case actionSet:
		return c.setService(cmd, g)
	case actionFail:
		g.fail(cmd.arg(0), cmd.arg(1))
	case actionSetStatic:
		return setFigures(c.cfs.staticStats, cmd, "maxcpu", "maxmem")
	case actionSetDyn:
		return setFigures(c.cfs.dynamicStats, cmd, "cpu", "mem")
	case "manual-migrate":
		return c.manualMigrate(cmd, g)
	case "delete":
		delete(c.cfs.guests, cmd.SID)
		delete(c.cfs.staticStats, cmd.SID)
	case "lock":
		g.lock = cmd.arg(0)
		if g.lock == "" {
			g.lock = defaultLock
		}
	case "unlock":
		if lock := cmd.arg(0); lock == "" || lock == g.lock {
			g.lock = ""
		}
	}
	return nil
}

func (c *Cluster) addService(cmd Command) error {
	if c.cfs.guests[cmd.SID] != nil {
		return fmt.Errorf("resource ID '%s' already defined", cmd.SID)
	}
	at := c.nodes[cmd.arg(0)]
	if at == nil {
		return fmt.Errorf("no such node '%s'", cmd.arg(0))
	}
	state := ha.RequestState(cmd.arg(1))
	if state == "" {
		state = ha.RequestStarted
	}
	c.cfs.guests[cmd.SID] = newGuest(at.name, state)
	c.cfs.snapshot = nil
	running := cmd.arg(2)
	at.running[cmd.SID] = running != "" && running != "0"
	return nil
}

func setFigures(all map[ha.SID]serviceFigures, cmd Command, cpu, mem string) error {
	values, err := statValues(cmd, cpu, mem)
	if err != nil {
		return err
	}
	f := all[cmd.SID]
	if v, ok := values[cpu]; ok {
		f.cpu = &v
	}
	if v, ok := values[mem]; ok {
		v *= mebi
		f.mem = &v
	}
	all[cmd.SID] = f
	return nil
}

// manualMigrate moves a guest as a person would, which is possible only while
// the HA stack does not look after it.
func (c *Cluster) manualMigrate(cmd Command, g *guest) error {
	if to := cmd.arg(0); c.nodes[to] == nil && !c.scenario.hasService(to) {
		return fmt.Errorf("no such node '%s'", to)
	}
	d := c.cfs.manager.Disarm
	if g.State != ha.RequestIgnored && (d == nil || d.Mode != ha.DisarmIgnore) {
		return errors.New("manual-migrate requires service in 'ignored' state or disarm-ha ignore mode")
	}
	g.Node = cmd.arg(0)
	return nil
}
