package lrm

import "pveha/internal/ha"

// changeState looks whether the daemon's state has to change.
func (l *LRM) changeState() error {
	fenced := l.fenceRequested()
	switch l.state {
	case ha.LRMWaitForAgentLock:
		if l.mode == ha.ModeDisarm || fenced || l.activeServices() == 0 || !l.env.Quorate() {
			return nil
		}
		return l.activateOr(ha.LRMWaitForAgentLock)
	case ha.LRMLostAgentLock:
		if fenced || !l.env.Quorate() {
			return nil
		}
		return l.activateOr(ha.LRMLostAgentLock)
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

func (l *LRM) activateOr(other ha.LRMState) error {
	got, err := l.takeLock()
	if err != nil {
		return err
	}
	if got {
		l.enter(ha.LRMActive)
	} else {
		l.enter(other)
	}
	return nil
}

// stayActive refreshes the lock and looks for reasons to leave the state.
func (l *LRM) stayActive() error {
	got, err := l.takeLock()
	if err != nil {
		return err
	}
	switch {
	case !got:
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
		if working == 0 {
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
		return l.keepLock()
	}
	working, err := l.runOrders()
	if err != nil {
		return err
	}
	switch {
	case working > 0:
		return l.keepLock()
	case l.mode == ha.ModeDisarm:
		l.log(ha.LevelInfo, "", "HA disarm requested during maintenance, releasing agent lock and watchdog")
		return l.rest()
	case l.mode != ha.ModeMaintenance:
		return l.activateOr(ha.LRMLostAgentLock)
	}
	return nil
}

func (l *LRM) keepLock() error {
	got, err := l.takeLock()
	if err == nil && !got {
		l.enter(ha.LRMLostAgentLock)
	}
	return err
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

// takeLock takes or refreshes the agent lock, and opens or updates the
// watchdog that protects it.
func (l *LRM) takeLock() (bool, error) {
	start := l.env.Now()
	for try := 1; ; try++ {
		if l.env.TakeAgentLock() {
			return true, l.protect()
		}
		if try == lockTries || l.env.Now()-start > lockSeconds {
			return false, nil
		}
		l.env.Sleep(1)
	}
}

func (l *LRM) protect() error {
	if l.watchdog != nil {
		return l.watchdog.Update()
	}
	wd, err := l.env.OpenWatchdog()
	if err != nil {
		return err
	}
	l.watchdog = wd
	return nil
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
