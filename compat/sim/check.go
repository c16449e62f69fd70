package sim

import (
	"errors"
	"fmt"

	"pveha/internal/ha"
)

// Check returns why a command cannot be carried out now. A command that passes
// can be executed without an error.
func (c *Cluster) Check(cmd Command) error {
	var err error
	switch cmd.Verb {
	case VerbDelay, VerbSkipRound:
	case VerbAt, VerbEnd:
		err = errors.New("only a scenario has times and an end")
	case VerbRule:
		_, err = editRules(c.cfs.rules, cmd)
	case VerbGroup:
		_, err = editGroups(c.cfs.groups, cmd)
	case VerbDatacenter:
		var s settings
		if s, err = parseSettings(cmd.Args); err == nil {
			err = (&datacenter{}).apply(s)
		}
	case VerbService:
		err = c.checkService(cmd)
	case VerbPower, VerbNetwork, VerbCFS, VerbVersion, VerbReboot, VerbShutdown, VerbRestartLRM, VerbCRM:
		err = c.checkNode(cmd)
	default:
		err = errors.New("unknown command")
	}
	return wrapCommand(cmd.Text, err)
}

func (c *Cluster) checkNode(cmd Command) error {
	n := c.nodes[cmd.Node]
	if n == nil {
		return fmt.Errorf("no such node '%s'", cmd.Node)
	}
	switch {
	case !n.power && (cmd.Verb == VerbReboot || cmd.Verb == VerbShutdown):
		return fmt.Errorf("%s is off already", n.name)
	case cmd.Verb == VerbPower && cmd.Action == "on" && n.power && n.shutdown != "":
		return fmt.Errorf("%s is going down: wait until it is off, or switch it off", n.name)
	case cmd.Verb == VerbRestartLRM && n.shutdown != "":
		return fmt.Errorf("%s is going down: its LRM is not restarted any more", n.name)
	case n.lrmRestart && (cmd.Verb == VerbReboot || cmd.Verb == VerbShutdown):
		return fmt.Errorf("the LRM of %s is being restarted: wait until that is over", n.name)
	case cmd.Verb == VerbCRM && cmd.Action == "start" && !n.power:
		return fmt.Errorf("%s is off: its CRM cannot be started", n.name)
	}
	return nil
}

func (c *Cluster) checkService(cmd Command) error {
	g := c.cfs.guests[cmd.SID]
	switch cmd.Action {
	case "add":
		if g != nil {
			return fmt.Errorf("resource ID '%s' already defined", cmd.SID)
		}
		if err := checkService(cmd.SID, cmd.arg(0)); err != nil {
			return err
		}
		return c.checkTarget(cmd.arg(0))
	case "migrate", "relocate":
		if g == nil {
			return fmt.Errorf("no such service '%s'", cmd.SID)
		}
		return c.checkTarget(cmd.arg(0))
	}
	if g == nil {
		return fmt.Errorf("no such service '%s'", cmd.SID)
	}
	if cmd.Action == "manual-migrate" {
		return c.checkManualMigrate(cmd, g)
	}
	return nil
}

func (c *Cluster) checkTarget(node string) error {
	if c.nodes[node] == nil {
		return fmt.Errorf("no such node '%s'", node)
	}
	return nil
}

// checkManualMigrate: a person may move a guest only while the HA stack does
// not look after it.
func (c *Cluster) checkManualMigrate(cmd Command, g *guest) error {
	if to := cmd.arg(0); c.nodes[to] == nil && !c.scenario.hasService(to) {
		return fmt.Errorf("no such node '%s'", to)
	}
	d := c.cfs.manager.Disarm
	if g.State != ha.RequestIgnored && (d == nil || d.Mode != ha.DisarmIgnore) {
		return errors.New("manual-migrate requires service in 'ignored' state or disarm-ha ignore mode")
	}
	return nil
}
