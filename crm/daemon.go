package crm

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"

	"pveha/internal/ha"
)

const (
	// masterRoundTime is the least time between the starts of two rounds of the
	// master, in seconds.
	masterRoundTime = 10
	// quorumWait is the pause without quorum, in seconds.
	quorumWait = 5
	// idleRounds without a configured service let the master give up lock and
	// watchdog: a quarter of an hour. That is longer than the LRM waits, so
	// that no LRM is left without a master.
	idleRounds = 90
)

// Config holds what a CRM needs beside its environment.
type Config struct {
	// NewUID makes the name of a new order to an LRM. It must never repeat in
	// a cluster. Nil: random.
	NewUID func(state ha.ServiceState) string
	// OnChange, when set, is told every change of a service's state.
	OnChange func(sid ha.SID, from, to ha.ServiceState)
	// DisarmedLockProves takes a free agent lock for a proof of death even of a
	// node that was disarmed, as the Perl stack does and recorded logs show. It
	// lets a guest run twice: only the simulator sets it, to compare logs.
	DisarmedLockProves bool
}

// CRM is the cluster resource manager of one node.
type CRM struct {
	env Env
	cfg Config

	state    ha.CRMState
	manager  *Manager    // set while master
	watchdog ha.Watchdog // open while it protects the manager lock
	disarmed bool        // the stack is fully disarmed: no watchdog needed

	idle      int  // rounds as master without anything to manage
	refreshed bool // the view of the cluster file system is consistent
	stopping  bool
}

// New returns a CRM that waits for quorum.
func New(env Env, cfg Config) *CRM {
	if cfg.NewUID == nil {
		cfg.NewUID = randomUID
	}
	c := &CRM{env: env, cfg: cfg, state: ha.CRMStartup}
	c.logState(ha.CRMWaitForQuorum)
	return c
}

// randomUID returns 22 characters, as many as the orders of the Perl stack
// have.
func randomUID(ha.ServiceState) string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return base64.RawStdEncoding.EncodeToString(b[:])
}

// State returns the daemon's state.
func (c *CRM) State() ha.CRMState { return c.state }

// RequestShutdown makes the daemon end at its next chance: at once, or when it
// is master after it has given back the manager lock.
func (c *CRM) RequestShutdown() {
	if !c.stopping {
		c.log(ha.LevelInfo, "server received shutdown request")
	}
	c.stopping = true
}

// Iterate is one round of the daemon: first it looks whether its state has to
// change, then it does the work of that state and sleeps. It returns false
// when the daemon has to end. What goes wrong in a round is logged, and the
// next round tries again; an error is a defect of the daemon.
func (c *CRM) Iterate() (alive bool, err error) {
	c.refreshed = c.env.Refresh()
	c.changeState()
	switch c.state {
	case ha.CRMWaitForQuorum:
		if c.stopping {
			return false, nil
		}
		c.env.Sleep(quorumWait)
		return true, nil
	case ha.CRMSlave:
		return !c.stopping, nil
	case ha.CRMMaster:
		return c.masterRound(), nil
	case ha.CRMLostManagerLock:
		// The manager's state is not touched any more from here on.
		c.closeWatchdog()
		if c.stopping {
			return false, nil
		}
		c.enter(ha.CRMWaitForQuorum)
		return true, nil
	case ha.CRMStartup:
	}
	return true, fmt.Errorf("got unexpected status '%s'", c.state)
}

func (c *CRM) changeState() {
	switch c.state {
	case ha.CRMWaitForQuorum:
		if c.hasWork() {
			c.becomeMasterOr(ha.CRMSlave)
		}
	case ha.CRMSlave:
		if c.hasWork() {
			c.becomeMasterOr(ha.CRMSlave)
		} else {
			c.enter(ha.CRMWaitForQuorum)
		}
	case ha.CRMLostManagerLock:
		if _, ok := c.healthy(); ok {
			c.becomeMasterOr(ha.CRMLostManagerLock)
		}
	case ha.CRMMaster:
		c.stayMaster()
	case ha.CRMStartup:
	}
}

func (c *CRM) becomeMasterOr(other ha.CRMState) {
	if c.takeLock() {
		c.enter(ha.CRMMaster)
	} else {
		c.enter(other)
	}
}

func (c *CRM) stayMaster() {
	if !c.takeLock() {
		c.enter(ha.CRMLostManagerLock)
		return
	}
	if !c.mayIdle() {
		c.idle = 0
		return
	}
	c.idle++
	if c.idle <= idleRounds {
		return
	}
	c.idle = 0
	c.log(ha.LevelInfo, fmt.Sprintf("cluster had no service configured for %d rounds, going idle.", idleRounds))
	c.env.ReleaseManagerLock()
	c.closeWatchdog()
	c.enter(ha.CRMWaitForQuorum)
}

// enter changes the daemon's state. The manager lives exactly as long as the
// daemon is master.
func (c *CRM) enter(state ha.CRMState) {
	if state == c.state {
		return
	}
	c.logState(state)
	c.manager = nil
	if state != ha.CRMMaster {
		return
	}
	// Where this fails the round tries again, and says why.
	if m, err := newManager(c.env, c.cfg); err == nil {
		c.manager = m
	}
}

func (c *CRM) logState(state ha.CRMState) {
	c.log(ha.LevelInfo, fmt.Sprintf("status change %s => %s", c.state, state))
	c.state = state
}

func (c *CRM) log(level ha.Level, text string) {
	c.env.Log(ha.Entry{Level: level, Text: text})
}
