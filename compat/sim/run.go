package sim

import (
	"fmt"

	"pveha/internal/ha"
)

const (
	// maxTime ends a simulation that would go on for ever, in seconds.
	maxTime = 10000
	// maxLoopTime is more than a round of all nodes may take, so that no
	// watchdog fires because of the number of nodes, in seconds.
	maxLoopTime = 60
	// minLoopTime is the least time a round of all nodes takes, in seconds.
	minLoopTime = 20
	// stepLoops is how many rounds lie between two steps of a scenario.
	stepLoops = 5
	// settleTime is how long the cluster is watched after the last command,
	// in seconds.
	settleTime = 500
)

// loopTime is how long a round of n nodes takes, in seconds: a second for each
// daemon.
func loopTime(n int) ha.Epoch { return max(2*ha.Epoch(n), minLoopTime) }

// Run plays the scenario to its end.
func (c *Cluster) Run() error {
	c.logf(ha.LevelInfo, logHardware, "starting simulation")
	for {
		done, err := c.Loop()
		if err != nil {
			c.logf(ha.LevelErr, logHardware, "exit simulation - %v", err)
			return err
		}
		if done {
			c.logf(ha.LevelInfo, logHardware, "exit simulation - done")
			return nil
		}
	}
}

// Loop runs one round of every daemon, and then carries out the next step of
// the scenario when it is time. It returns true at the end of the scenario.
func (c *Cluster) Loop() (done bool, err error) {
	start := c.now
	for i, name := range c.names {
		n := c.nodes[name]
		if err := c.roundCRM(n, i == 0); err != nil {
			return true, err
		}
		if err := c.roundLRM(n, i == 0); err != nil {
			return true, err
		}
		c.checkWatchdogs()
	}
	for daemon, rounds := range c.skip {
		c.skip[daemon] = max(rounds-1, 0)
	}
	c.now = max(c.now, start+loopTime(len(c.names)))
	if c.now > maxTime {
		return true, fmt.Errorf("simulation exceeded maximum time (%d) - force end", maxTime)
	}
	for _, n := range c.nodes {
		n.lrmEnv.sync()
		n.crmEnv.sync()
	}
	return c.step()
}

// step carries out the next step of the scenario, every few rounds and not
// during a delay.
func (c *Cluster) step() (done bool, err error) {
	if c.now < c.nextStepAt {
		return false, nil
	}
	c.loops++
	if (c.loops-1)%stepLoops != 0 {
		return false, nil
	}
	steps := c.scenario.Steps
	if c.nextStep >= len(steps) {
		return c.now-c.lastCommand > settleTime, nil
	}
	c.nextStep++
	for _, cmd := range steps[c.nextStep-1] {
		c.lastCommand = c.now
		if err := c.Execute(cmd, logCommands); err != nil {
			return true, err
		}
	}
	return false, nil
}

func (c *Cluster) roundCRM(n *node, first bool) error {
	if n.crm == nil {
		return nil
	}
	alive := true
	if c.skip["crm"] == 0 {
		var err error
		if alive, err = n.crmEnv.round(n.crm.Iterate); err != nil {
			return err
		}
	} else if first {
		c.logf(ha.LevelInfo, logRunLoop, "skipping CRM round")
	}
	c.now = max(c.now, n.crmEnv.now)
	if alive {
		return nil
	}
	n.crmEnv.info("exit (loop end)")
	n.crm = nil
	switch {
	case n.shutdown == string(VerbReboot):
		c.powerCommand(n, false, n.shutdown)
		c.powerCommand(n, true, string(VerbReboot))
	case n.shutdown == string(VerbShutdown):
		c.powerCommand(n, false, n.shutdown)
	case !n.crmStop:
		return fmt.Errorf("the CRM of %s ended, and nobody told it to", n.name)
	}
	n.crmStop = false
	return nil
}

// powerCommand is a node that switches itself off or on.
func (c *Cluster) powerCommand(n *node, on bool, from string) {
	if on {
		c.logf(ha.LevelInfo, from, "execute power %s on", n.name)
		c.powerOn(n)
		return
	}
	c.logf(ha.LevelInfo, from, "execute power %s off", n.name)
	c.powerOff(n)
}

func (c *Cluster) roundLRM(n *node, first bool) error {
	if n.lrm == nil {
		return nil
	}
	alive := true
	if c.skip["lrm"] == 0 {
		var err error
		if alive, err = n.lrmEnv.round(n.lrm.Iterate); err != nil {
			return err
		}
	} else if first {
		c.logf(ha.LevelInfo, logRunLoop, "skipping LRM round")
	}
	c.now = max(c.now, n.lrmEnv.now)
	if alive && !c.slipEndsLRM(n) {
		return nil
	}
	n.lrmEnv.info("exit (loop end)")
	n.lrm = nil
	switch {
	case n.lrmRestart && n.shutdown != "":
		return fmt.Errorf("%s was told to restart its LRM and to go down; only one of both can be simulated", n.name)
	case n.lrmRestart:
		n.lrmRestart = false
		c.startLRM(n)
	case n.shutdown != "":
		// The LRM ends before the CRM, as on a real node.
		c.logf(ha.LevelInfo, n.shutdown, "execute crm %s stop", n.name)
		if n.crm != nil {
			n.crmStop = true
			n.crm.RequestShutdown()
		}
	default:
		return fmt.Errorf("the LRM of %s ended, and nobody told it to", n.name)
	}
	return nil
}
