package lrm

import (
	"fmt"

	"pveha/internal/ha"
)

const (
	// activeRoundTime is the least time between the starts of two full rounds of
	// an active LRM, in seconds.
	activeRoundTime = 10
	// idleRoundTime is the same for an LRM that is not active, in seconds.
	idleRoundTime = 5
	// idleRounds without a service let an active LRM give up lock and
	// watchdog: ten minutes of full rounds.
	idleRounds = 60
	// lostPatience is how long a restart waits for a lost lock, in seconds. By
	// then the watchdog should have fired.
	lostPatience = 90
)

// Process is what all LRMs of one process share.
type Process struct {
	statusWritten bool // a status was written since the start of the process
}

// Config holds what an LRM needs beside its environment and its agent.
type Config struct {
	// Process is shared by LRMs that run in one process. Nil: alone.
	Process *Process
	// StatusRefresh is how old, in seconds, a status may become that has not
	// changed: it is written again in the last round before. The status command
	// of either stack calls an LRM dead whose status is older than 30 seconds.
	// Zero: the status is written in every full round, as the Perl stack does.
	StatusRefresh ha.Epoch
	// IdleRound is the time between full rounds, in seconds, of an LRM without
	// services: an event brings the first one. Zero: 5, as in the Perl stack.
	IdleRound ha.Epoch
	// LockGrace is for how long, in seconds, the watchdog is updated after the
	// last refresh of the lock while it cannot be refreshed: so much longer may
	// the cluster file system be away before the node is reset. With the 60
	// seconds of the multiplexer and the timeout of the device it must stay well
	// below the 120 seconds for which nobody else can have the lock. Zero: the
	// watchdog is updated with a refresh only, as in the Perl stack, whose node
	// does not outlive a minute.
	LockGrace ha.Epoch
	// FinishMoves makes a restart carry out the moves that the master ordered
	// before it knew of it. The master waits for their results, and the restart
	// for the master: the Perl stack, which carries out nothing any more, hangs
	// there until somebody helps, and recorded logs show that. Real daemons set
	// it.
	FinishMoves bool
	// HoldFrozen makes an LRM with frozen services take its lock before it tells
	// the master that it is active. The master thaws them when it is told, and
	// from then on takes a free lock for the proof that they run nowhere. The
	// Perl stack takes the lock afterwards, and recorded logs show that: a node
	// that is cut off in between runs on what another node starts. Real daemons
	// set it.
	HoldFrozen bool
	// Adopted are orders that an earlier process of this daemon has started and
	// whose results are still to come. They count as running.
	Adopted []Order
}

// LRM is the local resource manager of one node.
type LRM struct {
	env     Env
	agent   Agent
	process *Process
	refresh ha.Epoch // of the status, see Config
	lull    ha.Epoch // between rounds without services, see Config
	grace   ha.Epoch // of the lock, see Config
	moves   bool     // are finished by a restart, see Config
	hold    bool     // the lock for frozen services, see Config

	state      ha.LRMState
	stateSince ha.Epoch
	mode       ha.LRMMode
	watchdog   ha.Watchdog // open while it protects the agent lock

	services  map[ha.SID]*ha.ServiceStatus // as the master wrote it last
	nodeState ha.NodeState                 // of the local node, by the master

	queue   map[ha.SID]*job
	results map[string]ha.Result // by the UID of the order
	retries map[ha.SID]int       // failed starts in a row
	pauses  map[attempt]ha.Epoch // when what failed may be tried again

	pace           ha.Pace
	full           bool     // this round counts, see ha.Pace
	tried          ha.Epoch // last try for the lock
	held           ha.Epoch // begin of the last refresh of the lock that succeeded
	idle           int      // full rounds in which there was nothing to do
	refreshed      bool     // the view of the cluster file system is consistent
	stopping       bool
	shutdownErrors int // stops of the LRM's own that failed

	written lastStatus
	said    map[string]bool // errors since the last full round began
}

// New returns an LRM that waits for its agent lock.
func New(env Env, agent Agent, cfg Config) *LRM {
	l := &LRM{
		env:     env,
		agent:   agent,
		process: cfg.Process,
		refresh: cfg.StatusRefresh,
		lull:    max(cfg.IdleRound, idleRoundTime),
		grace:   cfg.LockGrace,
		moves:   cfg.FinishMoves,
		hold:    cfg.HoldFrozen,
		state:   ha.LRMStartup,
		mode:    ha.ModeActive,
		queue:   map[ha.SID]*job{},
		results: map[string]ha.Result{},
		retries: map[ha.SID]int{},
		pauses:  map[attempt]ha.Epoch{},
		said:    map[string]bool{},
	}
	if l.process == nil {
		l.process = &Process{}
	}
	for _, o := range cfg.Adopted {
		l.queue[o.SID] = &job{order: o, running: true}
	}
	l.enter(ha.LRMWaitForAgentLock)
	return l
}

// State returns the daemon's state.
func (l *LRM) State() ha.LRMState { return l.state }

// Mode returns the daemon's mode.
func (l *LRM) Mode() ha.LRMMode { return l.mode }

// Iterate is one round of the daemon: first it looks whether its state has to
// change, then it does the work of that state and sleeps. It returns false
// when the daemon has to end. An error is one the round could not go on after;
// the next round may. The caller waits before it, for such a round ends without
// a sleep.
//
// A round that comes earlier than the time of a round after the last full one
// is extra: an event brought it. It acts as any other, but neither refreshes the
// lock nor counts, and does not look after guests as a matter of routine.
func (l *LRM) Iterate() (alive bool, err error) {
	l.refreshed = l.env.Refresh()
	l.full = l.pace.Full(l.env.Monotonic(), l.roundTime())
	if l.full {
		clear(l.said)
	}
	if alive, err = l.round(); err != nil {
		l.pace.Reset() // it was none
	}
	return alive, err
}

func (l *LRM) round() (alive bool, err error) {
	if !l.process.statusWritten && !l.announce() {
		l.endRound()
		return !l.stopping, nil
	}
	l.readManager()
	if !l.full && l.holdsLock() && (!l.refreshed || !l.env.Quorate()) {
		// Whether that is a loss the full round finds out: an event must not
		// make the node give up sooner than it would without.
		l.endRound()
		return true, nil
	}
	if err := l.changeState(); err != nil {
		return true, err
	}
	switch l.state {
	case ha.LRMWaitForAgentLock:
		if l.stopping {
			return false, nil
		}
		l.writeStatus()
		l.endRound()
		return true, nil
	case ha.LRMActive:
		return l.workActive()
	case ha.LRMLostAgentLock:
		return l.workLost()
	case ha.LRMMaintenance:
		return l.workMaintenance()
	case ha.LRMStartup:
	}
	return true, fmt.Errorf("got unexpected status '%s'", l.state)
}

// workActive carries out the master's orders, or winds down.
func (l *LRM) workActive() (alive bool, err error) {
	done, err := l.activeRound()
	if err != nil {
		l.complain(ha.LevelErr, "", "got unexpected error - %v", err)
	}
	l.writeStatus()
	if done {
		return false, nil
	}
	l.endRound()
	return true, nil
}

func (l *LRM) activeRound() (done bool, err error) {
	if !l.readManager() {
		return false, nil // without orders there is nothing to do
	}
	if l.stopping {
		switch l.mode {
		case ha.ModeRestart:
			return l.finishRestart()
		case ha.ModeMaintenance:
			return false, nil // the services are to be moved first: the next round sees to it
		case ha.ModeShutdown, ha.ModeActive, ha.ModeDisarm, ha.ModeUnknown:
		}
		return l.finishShutdown()
	}
	if !l.refreshed {
		// The lock could still be refreshed: no harm in waiting for the file
		// system.
		l.log(ha.LevelNotice, "", "temporary inconsistent cluster state (cfs restart?), skip round")
		return false, nil
	}
	_, err = l.manageServices()
	return false, err
}

// finishRestart ends the daemon as soon as the master froze all services.
func (l *LRM) finishRestart() (done bool, err error) {
	if l.moves {
		l.takeMoves()
	}
	working, err := l.runOrders()
	if err != nil || working > 0 || l.activeServices() > 0 {
		return false, err
	}
	if err := l.closeWatchdog(); err != nil {
		return true, err
	}
	l.env.ReleaseAgentLock()
	return true, nil
}

// finishShutdown ends the daemon as soon as its stops have ended. After a
// failed stop lock and watchdog are kept: the guest may still run.
func (l *LRM) finishShutdown() (done bool, err error) {
	working, err := l.runOrders()
	if err != nil || working > 0 {
		return false, err
	}
	if l.shutdownErrors > 0 {
		return true, nil
	}
	if err := l.closeWatchdog(); err != nil {
		return true, err
	}
	l.env.ReleaseAgentLock()
	return true, nil
}

// workLost waits for the lock to come back, while the watchdog counts down.
func (l *LRM) workLost() (alive bool, err error) {
	if l.stopping {
		n := l.activeServices()
		if n == 0 && l.awaitWorkers() == 0 { // nothing runs here: the watchdog may go
			return false, l.closeWatchdog()
		}
		if n > 0 && l.full {
			l.log(ha.LevelErr, "", "got shutdown request in state 'lost_agent_lock' - detected %d running services", n)
		}
		if l.mode == ha.ModeRestart && l.env.Monotonic()-l.stateSince > lostPatience {
			// The watchdog did not fire. Services are not touched any more,
			// so going is no worse than staying.
			l.log(ha.LevelErr, "", "lost agent lock and restart request for over %d seconds - giving up!", lostPatience)
			return false, nil
		}
	}
	l.endRound()
	return true, nil
}

// workMaintenance hands over the services until the node is empty.
func (l *LRM) workMaintenance() (alive bool, err error) {
	if !l.readManager() {
		// A file system that is away for a while is no reason to end.
		l.endRound()
		return true, nil
	}
	done := false
	if l.activeServices() == 0 {
		working, err := l.runOrders()
		if err != nil {
			return true, err
		}
		if working == 0 {
			if err := l.closeWatchdog(); err != nil {
				return true, err
			}
			done = l.stopping
			l.env.ReleaseAgentLock()
		}
	}
	// A service that came while the lock was given back waits for the lock.
	if !done && (l.watchdog != nil || l.activeServices() == 0) {
		if _, err := l.manageServices(); err != nil {
			return true, err
		}
	}
	l.writeStatus()
	if done {
		return false, nil
	}
	l.endRound()
	return true, nil
}

// holdsLock reports whether the LRM has the agent lock as far as it knows.
func (l *LRM) holdsLock() bool {
	return l.state == ha.LRMActive || l.state == ha.LRMMaintenance && l.watchdog != nil
}

// roundTime is the time between full rounds in the state that the LRM is in.
func (l *LRM) roundTime() ha.Epoch {
	switch {
	case l.state == ha.LRMActive:
		return activeRoundTime
	case l.state == ha.LRMWaitForAgentLock && l.activeServices() == 0:
		return l.lull
	default:
		return idleRoundTime
	}
}

// endRound waits for the next round: the full one, the end of a pause, or an
// event.
func (l *LRM) endRound() {
	until := l.pace.Next(l.roundTime())
	now := l.env.Monotonic()
	if l.full && !l.holdsLock() && l.state != ha.LRMMaintenance {
		until = now + l.roundTime() // tries for the lock may have taken that long already
	}
	for _, end := range l.pauses {
		if end > now {
			until = min(until, end)
		}
	}
	l.env.SleepUntil(until)
}

// enter changes the daemon's state.
func (l *LRM) enter(state ha.LRMState) {
	if state == l.state {
		return
	}
	l.log(ha.LevelInfo, "", "status change %s => %s", l.state, state)
	l.state, l.stateSince = state, l.env.Monotonic()
}

// complain logs an error of the surroundings. An extra round says it only when
// it is new.
func (l *LRM) complain(level ha.Level, sid ha.SID, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if l.full || !l.said[text] {
		l.log(level, sid, "%s", text)
	}
	l.said[text] = true
}

func (l *LRM) log(level ha.Level, sid ha.SID, format string, args ...any) {
	l.env.Log(ha.Entry{Level: level, SID: sid, Text: fmt.Sprintf(format, args...)})
}
