package crm

import (
	"fmt"

	"pveha/internal/ha"
)

// masterRound does the work of the master. Whatever goes wrong in the
// manager's round is logged; the next round tries again.
func (c *CRM) masterRound() (alive bool) {
	if c.stopping {
		if wait := c.unsettled(); wait > 0 {
			c.complain(ha.LevelInfo, fmt.Sprintf("manager status has just changed, keeping the manager lock for %d more seconds", wait))
			c.env.SleepUntil(c.env.Monotonic() + wait)
			return true
		}
		c.resign()
		return false
	}
	if err := c.manage(); err != nil {
		c.complain(ha.LevelErr, fmt.Sprintf("got unexpected error - %v", err))
	}
	c.endRound()
	return true
}

// endRound waits for the next round of the master: the full one, or an event.
func (c *CRM) endRound() {
	until := c.pace.Next(masterRoundTime)
	if c.cfg.Prompt && c.manager != nil && c.manager.fencing() {
		until = min(until, c.env.Monotonic()+fencingRoundTime)
	}
	c.env.SleepUntil(until)
}

func (c *CRM) manage() error {
	if !c.refreshed {
		// The lock could still be refreshed: no harm in waiting for the file
		// system.
		c.log(ha.LevelNotice, "temporary inconsistent cluster state (cfs restart?), skip round")
		return nil
	}
	if c.manager == nil { // taking over had failed
		m, err := c.takeOver()
		if err != nil {
			return err
		}
		c.manager = m
	}
	round := c.manager.Round
	if !c.full {
		round = c.manager.ExtraRound
	}
	if err := round(); err != nil {
		return err
	}
	switch disarmed := c.manager.FullyDisarmed(); {
	case disarmed && !c.disarmed:
		c.log(ha.LevelInfo, "HA stack fully disarmed, releasing CRM watchdog")
		c.closeWatchdog()
		c.disarmed = true
	case !disarmed && c.disarmed:
		// takeLock opens the watchdog again in the next round.
		c.log(ha.LevelInfo, "re-arming HA stack")
		c.disarmed = false
	}
	return nil
}

// settleTime is how old the last change of the status is, in seconds, when a
// prompt master gives the lock back. A CRM of the Perl stack that takes over goes
// by the status as it was when its tries for the lock began, up to six seconds
// before: it would order once more what has been done meanwhile, such as to move
// a guest off a node that it has left, which ends in state error.
const settleTime = 7

// unsettled is for how long the lock must be kept for that, in seconds.
func (c *CRM) unsettled() ha.Epoch {
	if !c.cfg.Prompt || c.manager == nil || c.manager.written == nil {
		return 0
	}
	return c.manager.changed + settleTime - c.env.Monotonic()
}

// resign gives the manager lock back, so that another node becomes master
// without waiting for its lifetime.
func (c *CRM) resign() {
	c.closeWatchdog()
	c.log(ha.LevelInfo, "voluntary release CRM lock")
	if !c.env.ReleaseManagerLock() {
		c.log(ha.LevelNotice, "CRM lock release failed, let the lock timeout")
	}
}

const (
	lockTries   = 6 // in one round, one second apart
	lockSeconds = 5 // and no longer than this
)

// takeLock takes or refreshes the manager lock, and updates the watchdog that
// protects it. A node without a working watchdog gives the lock to another.
func (c *CRM) takeLock() bool {
	start := c.env.Monotonic()
	for try := 1; ; try++ {
		if c.env.ManagerLock() {
			break
		}
		if try == lockTries || c.env.Monotonic()-start > lockSeconds || c.outdone() {
			return false
		}
		c.env.Sleep(1)
	}
	c.tried, c.lapsed = c.env.Monotonic(), false
	if err := c.protect(); err != nil {
		c.log(ha.LevelErr, fmt.Sprintf("giving up the manager lock - %v", err))
		c.env.ReleaseManagerLock()
		c.env.Sleep(lockSeconds) // the others try every second
		return false
	}
	return true
}

// outdone reports whether a prompt CRM need not try for the manager lock before
// an event or its next round: another node has it and refreshes it. A holder that
// has died is not seen to any more by the time its lock is to be had, and a
// second may not be lost then.
func (c *CRM) outdone() bool { return c.cfg.Prompt && c.env.ManagerLockKept() }

// progressTime is how often a long round refreshes the lock and updates the
// watchdog, in seconds: as often as full rounds do.
const progressTime = masterRoundTime

// progress is called wherever a round has come a step further. A round may be
// slow: as long as it gets on, its watchdog must not expire. But the watchdog is
// never updated for a lock that is not refreshed too: the machine has to be
// dead before another can have the lock. A call that hangs makes no progress,
// and the watchdog does what it is there for.
func (c *CRM) progress() {
	now := c.env.Monotonic()
	if now-c.tried < progressTime {
		return
	}
	c.tried = now
	c.lapsed = !c.env.ManagerLock()
	if c.lapsed || c.watchdog == nil {
		return // the next full round tries harder, or gives up
	}
	if err := c.watchdog.Update(); err != nil {
		c.log(ha.LevelErr, fmt.Sprintf("watchdog update failed - %v", err))
	}
}

// protect updates the watchdog, or opens it where the stack is armed. One that
// cannot be updated is opened anew: the multiplexer may have been restarted.
func (c *CRM) protect() error {
	if c.watchdog != nil {
		err := c.watchdog.Update()
		if err == nil {
			return nil
		}
		c.log(ha.LevelErr, fmt.Sprintf("watchdog update failed - %v", err))
		c.closeWatchdog()
	}
	if c.disarmed {
		return nil
	}
	// A master that takes over a disarmed stack must not arm a watchdog, not
	// even for one round.
	if ms, err := c.env.ReadManagerStatus(); err == nil && ms.Disarm != nil && ms.Disarm.State == ha.Disarmed {
		c.log(ha.LevelInfo, "taking over as disarmed master, skipping watchdog")
		c.disarmed = true
		return nil
	}
	wd, err := c.env.OpenWatchdog()
	if err != nil {
		return err
	}
	c.watchdog = wd
	return nil
}

// closeWatchdog ends the self-fencing of the CRM. Nothing runs twice for it:
// the CRM runs no service, and a node whose LRM is idle is not reset for
// nothing. The only condition is that the manager's state is not touched
// afterwards.
func (c *CRM) closeWatchdog() {
	if c.watchdog == nil {
		return
	}
	if err := c.watchdog.Close(); err != nil {
		c.log(ha.LevelErr, fmt.Sprintf("watchdog close failed - %v", err))
	}
	c.watchdog = nil
}
