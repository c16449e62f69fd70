package crm

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"

	"pveha/crm/nodestate"
	"pveha/internal/ha"
)

const (
	// masterRoundTime is the least time between the starts of two full rounds of
	// the master, in seconds.
	masterRoundTime = 10
	// fencingRoundTime is the same between any two rounds while a node waits to
	// be fenced, in seconds: its lock is to be had as soon as it is free. Only a
	// prompt CRM has such rounds.
	fencingRoundTime = 2
	// quorumWait is the pause without quorum or work, in seconds. The tries of a
	// slave for the lock take as long.
	quorumWait = 5
	// promptWait is the same of a prompt CRM: events bring it what it waits for.
	promptWait = 10
	// idleRounds without a configured service let the master give up lock and
	// watchdog: a quarter of an hour of full rounds. That is longer than the LRM
	// waits, so that no LRM is left without a master.
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
	// Prompt makes the CRM fence as soon as it may. A slave follows who is online,
	// so that a node that died together with the master need not be watched for
	// the whole fence delay once more by the next one; and the lock of a dead node
	// is tried for every other second. Without work it looks for some every ten
	// seconds only, and relies on events, and so does a slave as long as it knows
	// that another node keeps the manager lock. The Perl stack does none of it, and
	// recorded logs show that: real daemons set it.
	Prompt bool
}

// CRM is the cluster resource manager of one node.
type CRM struct {
	env Env
	cfg Config

	state    ha.CRMState
	manager  *Manager    // set while master
	watchdog ha.Watchdog // open while it protects the manager lock
	disarmed bool        // the stack is fully disarmed: no watchdog needed

	pace      ha.Pace
	full      bool     // this round counts, see ha.Pace
	tried     ha.Epoch // last try for the manager lock as master
	lapsed    bool     // which failed, in the middle of a round
	idle      int      // full rounds as master without anything to manage
	refreshed bool     // the view of the cluster file system is consistent
	stopping  bool

	// seen is when each node was online last, as long as this node is quorate
	// itself; for a prompt CRM.
	seen   nodestate.Sightings
	looked ha.Epoch        // when seen was brought up to date last
	said   map[string]bool // errors since the last full round began
}

// New returns a CRM that waits for quorum.
func New(env Env, cfg Config) *CRM {
	if cfg.NewUID == nil {
		cfg.NewUID = randomUID
	}
	c := &CRM{env: env, cfg: cfg, state: ha.CRMStartup, seen: nodestate.Sightings{}, said: map[string]bool{}}
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
//
// A master's round that comes earlier than ten seconds after the last full one
// is extra: an event brought it. It decides and acts as any other, but neither
// refreshes the lock nor counts.
func (c *CRM) Iterate() (alive bool, err error) {
	c.refreshed = c.env.Refresh()
	c.full = c.pace.Full(c.env.Monotonic(), c.roundTime())
	if c.full {
		clear(c.said)
	}
	c.watchNodes()
	if c.state == ha.CRMMaster && !c.full && !c.stopping && (!c.refreshed || !c.env.Quorate()) {
		// Whether that is a loss the full round finds out: an event must not
		// make the master give up sooner than it would without.
		c.endRound()
		return true, nil
	}
	c.changeState()
	switch c.state {
	case ha.CRMWaitForQuorum:
		if c.stopping {
			return false, nil
		}
		wait := ha.Epoch(quorumWait)
		if c.cfg.Prompt {
			wait = promptWait
		}
		c.env.SleepUntil(c.env.Monotonic() + wait)
		return true, nil
	case ha.CRMSlave:
		if c.stopping {
			return false, nil
		}
		if c.outdone() {
			c.env.SleepUntil(c.env.Monotonic() + promptWait)
		}
		return true, nil
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

// roundTime is the time between full rounds in the state that the CRM is in.
func (c *CRM) roundTime() ha.Epoch {
	if c.state == ha.CRMMaster {
		return masterRoundTime
	}
	return quorumWait
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
	if !c.full && !c.stopping {
		return // the lock was taken less than ten seconds ago, and lives for 120
	}
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
	c.pace.Reset() // full rounds count from here
	c.full = c.pace.Full(c.env.Monotonic(), masterRoundTime)
	// Where this fails the round tries again, and says why.
	if m, err := c.takeOver(); err == nil {
		c.manager = m
	}
}

func (c *CRM) takeOver() (*Manager, error) {
	m, err := newManager(c.env, c.cfg)
	if err != nil {
		return nil, err
	}
	m.progress = c.progress
	m.holds = func() bool { return !c.lapsed }
	if c.env.Monotonic()-c.looked <= lookGap {
		m.nodes.Remember(c.seen)
	}
	return m, nil
}

// lookGap is the longest time between two looks at who is online that leaves
// nothing out, in seconds: that of a round with a call that hangs while corosync
// finds out who is there. Whose process stood still for longer does not know
// whether a node was away meanwhile.
const lookGap = 30

// watchNodes follows who is online. A node that has no quorum sees nobody, and
// has nothing to remember when it comes back.
func (c *CRM) watchNodes() {
	if !c.cfg.Prompt {
		return
	}
	now := c.env.Monotonic()
	if now-c.looked > lookGap {
		clear(c.seen)
	}
	if !c.refreshed || !c.env.Quorate() {
		clear(c.seen)
		return
	}
	members, err := c.env.Members()
	if err != nil {
		clear(c.seen)
		return
	}
	c.looked = now
	c.seen.Update(members, now)
}

func (c *CRM) logState(state ha.CRMState) {
	c.log(ha.LevelInfo, fmt.Sprintf("status change %s => %s", c.state, state))
	c.state = state
}

// complain logs an error of the surroundings. An extra round says it only when
// it is new.
func (c *CRM) complain(level ha.Level, text string) {
	if c.full || !c.said[text] {
		c.log(level, text)
	}
	c.said[text] = true
}

func (c *CRM) log(level ha.Level, text string) {
	c.env.Log(ha.Entry{Level: level, Text: text})
}
