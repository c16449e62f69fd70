package lrm

import "pveha/internal/ha"

// changeState looks whether the daemon's state has to change.
func (l *LRM) changeState() error {
	fenced := l.fenceRequested()
	switch l.state {
	case ha.LRMWaitForAgentLock:
		if l.mode == ha.ModeDisarm || fenced || !l.env.Quorate() {
			return nil
		}
		if l.activeServices() == 0 && !l.unguarded() {
			return nil
		}
		l.activateOr(ha.LRMWaitForAgentLock)
		return nil
	case ha.LRMLostAgentLock:
		if fenced {
			return nil
		}
		if !l.env.Quorate() {
			l.spare()
			return nil
		}
		l.activateOr(ha.LRMLostAgentLock)
		return nil
	case ha.LRMActive:
		if fenced {
			l.log(ha.LevelErr, "", "node needs to be fenced - releasing agent_lock")
			l.enter(ha.LRMLostAgentLock)
			return nil
		}
		return l.stayActive()
	case ha.LRMMaintenance:
		if fenced {
			l.log(ha.LevelErr, "", "node needs to be fenced during maintenance mode - releasing agent_lock")
			l.enter(ha.LRMLostAgentLock)
			return nil
		}
		return l.stayInMaintenance()
	case ha.LRMStartup:
	}
	return nil
}

func (l *LRM) activateOr(other ha.LRMState) {
	if l.takeLock() {
		l.enter(ha.LRMActive)
	} else {
		l.enter(other)
	}
}

// stayActive refreshes the lock and looks for reasons to leave the state.
func (l *LRM) stayActive() error {
	switch {
	case l.full && !l.takeLock(): // in between it is at most ten seconds old, and lives for 120
		l.enter(ha.LRMLostAgentLock)
		return nil
	case l.mode == ha.ModeMaintenance:
		l.enter(ha.LRMMaintenance)
		return nil
	case l.mode == ha.ModeDisarm:
		working, err := l.runOrders()
		if err != nil {
			return err
		}
		// The master has to know first: without the lock it could not tell a node
		// that was disarmed from a dead one.
		if working == 0 && l.publish() {
			l.log(ha.LevelInfo, "", "HA disarm requested, releasing agent lock and watchdog")
			return l.rest()
		}
	}
	return l.countIdle()
}

// countIdle lets an LRM rest that had no service for long.
func (l *LRM) countIdle() error {
	if l.hasServices() {
		l.idle = 0
		return nil
	}
	working, err := l.runOrders()
	if err != nil {
		return err
	}
	if working > 0 {
		l.idle = 0
		return nil
	}
	if !l.full {
		return nil
	}
	l.idle++
	if l.idle <= idleRounds {
		return nil
	}
	l.idle = 0
	l.log(ha.LevelInfo, "", "node had no service configured for %d rounds, going idle.", idleRounds)
	return l.rest()
}

// stayInMaintenance keeps lock and watchdog until no service is left.
func (l *LRM) stayInMaintenance() error {
	if l.activeServices() > 0 {
		l.keepLock()
		return nil
	}
	working, err := l.runOrders()
	switch {
	case err != nil:
		if l.watchdog != nil {
			l.keepLock() // nobody can tell whether workers run
		}
		return err
	case working > 0:
		l.keepLock()
	case l.mode == ha.ModeDisarm:
		l.log(ha.LevelInfo, "", "HA disarm requested during maintenance, releasing agent lock and watchdog")
		return l.rest()
	case l.mode != ha.ModeMaintenance:
		l.activateOr(ha.LRMLostAgentLock)
	}
	return nil
}

func (l *LRM) keepLock() {
	if (l.full || l.watchdog == nil) && !l.takeLock() {
		l.enter(ha.LRMLostAgentLock)
	}
}

// rest gives lock and watchdog back. Nothing may run here that they protect.
func (l *LRM) rest() error {
	l.env.ReleaseAgentLock()
	if err := l.closeWatchdog(); err != nil {
		return err
	}
	l.enter(ha.LRMWaitForAgentLock)
	return nil
}

const (
	lockTries   = 6 // in one round, one second apart
	lockSeconds = 5 // and no longer than this
)

// feedLimit is how old the last refresh of the lock may be, in seconds, when the
// watchdog is updated for it: the multiplexer and the device take their time
// from the update on, and have to be done before another node can have the lock.
// A refresh may take long, and so may the process to go on after it.
const feedLimit = 20

// fresh reports whether a refresh that began then is good for the watchdog.
func (l *LRM) fresh(begin ha.Epoch) bool { return l.env.Monotonic()-begin < feedLimit }

// takeLock takes or refreshes the agent lock, and opens or updates the
// watchdog that protects it. A lock without a watchdog counts as none.
func (l *LRM) takeLock() bool {
	start := l.env.Monotonic()
	for try := 1; ; try++ {
		begin := l.env.Monotonic()
		taken := l.env.TakeAgentLock()
		switch {
		case taken && l.fresh(begin):
			l.held, l.tried = begin, l.env.Monotonic()
			return l.protect()
		case taken && try < lockTries:
			l.held = begin
			continue // once more, which may be quick
		}
		l.spare()
		if try == lockTries || l.env.Monotonic()-start > lockSeconds {
			return false
		}
		l.env.Sleep(1)
	}
}

// progressTime is how often a long round refreshes the lock and updates the
// watchdog, in seconds: as often as full rounds do.
const progressTime = activeRoundTime

// progress is called wherever a round has come a step further. A round may be
// slow: as long as it gets on, its watchdog must not expire. But the watchdog is
// never updated for a lock that is not refreshed too: the node has to be dead
// before the master can have the lock. A call that hangs makes no progress, and
// the watchdog does what it is there for.
func (l *LRM) progress() {
	now := l.env.Monotonic()
	if now-l.tried < progressTime || !l.holdsLock() || l.watchdog == nil {
		return
	}
	l.tried = now
	if !l.env.TakeAgentLock() {
		l.spare()
		return // the next full round tries harder, or enters lost_agent_lock
	}
	l.held = now
	if !l.fresh(now) {
		return
	}
	if err := l.watchdog.Update(); err != nil {
		l.log(ha.LevelErr, "", "watchdog update failed - %v", err)
	}
}

// spare updates the watchdog for a while though the lock could not be refreshed:
// nobody else can have it yet, and what keeps it from being refreshed may soon
// be over. It must not be called when the node is to be fenced.
func (l *LRM) spare() {
	if l.watchdog == nil || l.env.Monotonic()-l.held >= l.grace {
		return
	}
	if err := l.watchdog.Update(); err != nil {
		l.complain(ha.LevelErr, "", "watchdog update failed - %v", err)
	}
}

// protect updates the watchdog, or opens it. It reports whether there is one.
func (l *LRM) protect() bool {
	if l.watchdog != nil {
		err := l.watchdog.Update()
		if err == nil {
			return true
		}
		l.log(ha.LevelErr, "", "watchdog update failed - %v", err)
		if l.activeServices() > 0 || len(l.queue) > 0 {
			// The node will be reset. The lock is kept until then, and a node
			// that shuts down goes on to stop its services.
			return true
		}
		// Nothing runs here that needs protection: the multiplexer may have been
		// restarted, and gets a new client.
		if err := l.closeWatchdog(); err != nil {
			l.log(ha.LevelErr, "", "%v", err)
		}
	}
	wd, err := l.env.OpenWatchdog()
	if err != nil {
		l.log(ha.LevelErr, "", "%v", err)
		return false
	}
	l.watchdog = wd
	return true
}

// closeWatchdog ends the self-fencing of the node. It must not be called while
// a service may run here.
func (l *LRM) closeWatchdog() error {
	if l.watchdog == nil {
		return nil
	}
	wd := l.watchdog
	l.watchdog = nil
	return wd.Close()
}
