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
	c.Begin()
	for {
		done, err := c.Loop()
		if err != nil {
			c.logf(ha.LevelErr, logHardware, "exit simulation - %v", err)
			return err
		}
		if done {
			c.End()
			return nil
		}
	}
}

// Begin and End write the first and the last line of a log.
func (c *Cluster) Begin() { c.logf(ha.LevelInfo, logHardware, "starting simulation") }

// End writes the last line of a log; see Begin.
func (c *Cluster) End() { c.logf(ha.LevelInfo, logHardware, "exit simulation - done") }

// Loop runs one round of every daemon, and then carries out the next step of
// the scenario when it is time. It returns true at the end of the scenario.
func (c *Cluster) Loop() (done bool, err error) {
	if err := c.Round(); err != nil {
		return true, err
	}
	return c.EndRound()
}

// Round begins a round: every daemon has its turn, a second each. The time
// until the next round is still to pass; see EndRound and CutRound.
func (c *Cluster) Round() error {
	c.roundStart = c.now
	for i, name := range c.names {
		n := c.nodes[name]
		if err := c.roundCRM(n, i == 0); err != nil {
			return err
		}
		if err := c.roundLRM(n, i == 0); err != nil {
			return err
		}
		c.checkWatchdogs()
	}
	for daemon, rounds := range c.skip {
		c.skip[daemon] = max(rounds-1, 0)
	}
	return nil
}

// RoundEnd is when the round that was begun last is over, if nobody cuts it.
func (c *Cluster) RoundEnd() ha.Epoch { return max(c.now, c.roundStart+loopTime(len(c.names))) }

// CutRound lets time pass until t, or until the end of the round when that is
// sooner. No step of the scenario is carried out.
func (c *Cluster) CutRound(t ha.Epoch) {
	c.now = max(c.now, min(t, c.RoundEnd()))
	for _, n := range c.nodes {
		n.lrmEnv.sync()
		n.crmEnv.sync()
	}
}

// EndRound lets time pass until the end of the round and carries out the next
// step of the scenario when it is time. A step with a time of its own cuts the
// round. It returns true at the end of the scenario.
func (c *Cluster) EndRound() (done bool, err error) {
	end := c.RoundEnd()
	at, timed := c.nextTime()
	if timed {
		end = min(end, at)
	}
	if end = max(end, c.now); end > c.limit {
		c.now = end
		return true, fmt.Errorf("simulation exceeded maximum time (%d) - force end", c.limit)
	}
	c.CutRound(end)
	switch {
	case timed && c.now < at:
		return false, nil
	case timed:
		return c.nextCommands()
	}
	return c.step()
}

// nextTime returns the time of the next step, if it has one.
func (c *Cluster) nextTime() (ha.Epoch, bool) {
	steps := c.scenario.Steps
	if c.nextStep >= len(steps) || len(steps[c.nextStep]) == 0 || steps[c.nextStep][0].Verb != VerbAt {
		return 0, false
	}
	return ha.Epoch(steps[c.nextStep][0].Number), true
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
	if c.nextStep >= len(c.scenario.Steps) {
		return c.now-c.lastCommand > settleTime, nil
	}
	return c.nextCommands()
}

// nextCommands carries out the commands of the next step.
func (c *Cluster) nextCommands() (done bool, err error) {
	c.nextStep++
	for _, cmd := range c.scenario.Steps[c.nextStep-1] {
		c.lastCommand = c.now
		if err := c.Execute(cmd, logCommands); err != nil {
			return true, err
		}
		done = cmd.Verb == VerbEnd
	}
	return done, nil
}

// StepsLeft is how many steps of the scenario are still to come.
func (c *Cluster) StepsLeft() int { return len(c.scenario.Steps) - c.nextStep }

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
	case !n.crmStop && c.goesOn:
		c.startCRM(n)
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
	case n.lrmRestart && n.shutdown != "" && !c.goesOn:
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
	case c.goesOn:
		c.startLRM(n)
	default:
		return fmt.Errorf("the LRM of %s ended, and nobody told it to", n.name)
	}
	return nil
}
