package lrm

import "pveha/internal/ha"

// Env is everything outside the LRM but the guests.
type Env interface {
	Clock
	Journal
	Membership
	StatusStore
	Resources
	AgentLock
	WatchdogOpener
	ShutdownPending
	Workers
	Guests
}

// Clock is time in whole seconds.
//
// There are two times. Now is the one that people and other nodes compare: it
// goes into files, and a person or a time server may set it back or forward by
// hours. Monotonic is the one by which the daemon measures delays of its own:
// only differences count.
type Clock interface {
	// Now is the wall clock.
	Now() ha.Epoch
	// Monotonic passes as Now does, counts the time a suspended machine sleeps,
	// and is never set.
	Monotonic() ha.Epoch
	// Sleep waits for the whole time.
	Sleep(seconds int64)
	// SleepUntil waits until Monotonic is t. It returns early, with true, when
	// something has happened since the last Refresh that a round should look at.
	// What has happened stays so until the next Refresh, so that nothing is
	// missed that happens during a round. What that is, the environment decides;
	// to miss some is allowed, for rounds come by themselves, and so is to wake
	// for nothing. It must keep rounds that it wakes so far apart that no burst
	// of events keeps the machine busy.
	SleepUntil(t ha.Epoch) (woken bool)
}

// Journal takes the log lines.
type Journal interface {
	Log(e ha.Entry)
}

// Membership tells where the local node stands in the cluster.
type Membership interface {
	// NodeName is the name of the local node.
	NodeName() string
	// Quorate reports whether the local node is in the quorate partition, now or
	// up to a second ago in the same round.
	Quorate() bool
	// Refresh begins a round: it brings the view of the cluster file system up
	// to date. False means that the view may be inconsistent in this round. What
	// has happened before it does not wake the daemon any more.
	Refresh() bool
}

// StatusStore holds the status files.
type StatusStore interface {
	// ReadManagerStatus returns an empty status when none was written yet.
	// The status is shared: it must not be changed.
	ReadManagerStatus() (*ha.ManagerStatus, error)
	// WriteLRMStatus replaces the status of the local node as a whole.
	WriteLRMStatus(s *ha.LRMStatus) error
}

// Resources is the configuration of the services.
type Resources interface {
	// Services returns every configured service whose guest exists, and the
	// digest of the configuration. The map is shared: it must not be changed.
	Services() (map[ha.SID]ha.ServiceConfig, string, error)
}

// AgentLock is the lock whose loss proves that this node is dead.
type AgentLock interface {
	// TakeAgentLock takes the lock of the local node, or refreshes it.
	TakeAgentLock() bool
	// ReleaseAgentLock gives the lock back if this node holds it. An LRM
	// without work in maintenance calls it in every round.
	ReleaseAgentLock() bool
}

// WatchdogOpener opens a client of the watchdog multiplexer.
type WatchdogOpener interface {
	OpenWatchdog() (ha.Watchdog, error)
}

// ShutdownPending tells what the node is about to do.
type ShutdownPending interface {
	// NodeShutdown reports whether the node shuts down, and whether it does so
	// to come back.
	NodeShutdown() (shutdown, reboot bool, err error)
	// ShutdownPolicy is what the administrator wants to happen to the services
	// then.
	ShutdownPolicy() (ha.ShutdownPolicy, error)
}

// Workers runs orders outside of the daemon.
type Workers interface {
	// MaxWorkers is how many orders may run at once. Zero means that each runs
	// to its end within the round.
	MaxWorkers() (int, error)
	// StartWorker starts an order that goes on by itself, even when the daemon
	// dies.
	StartWorker(o Order) error
	// FinishedWorkers returns the started orders that ended since the last
	// call, with their results. The end of one wakes the daemon.
	FinishedWorkers() []Finished
}

// Guests tells how the guests of the local node fare without asking them.
type Guests interface {
	// GuestAlive reports whether the guest runs on this node, and whether that
	// is known at all. It is called for every running service in every round, so
	// it must not wait for anybody. As long as its answer is (true, true) the
	// LRM does not look after the guest: the environment must notice its death
	// by itself and wake the daemon. Where it is not known, the LRM has a worker
	// look every ten seconds, as the Perl stack does.
	GuestAlive(sid ha.SID) (alive, known bool)
}

// Order is what the master wants of one service.
type Order struct {
	SID     ha.SID
	UID     string          // name of the order; "" for a stop of the LRM's own
	State   ha.ServiceState // what is wanted
	Target  string          // node to move to; "" for none
	Timeout string          // seconds for a stop; "" for the default
}

// Finished is an order that ended.
type Finished struct {
	SID    ha.SID
	Result Outcome
}

// Outcome is how an order ended. When Err or Signal is set it could not be
// carried out to its end, and Code is [ha.ExitNotRun].
type Outcome struct {
	Code   ha.ExitCode
	Err    error
	Signal int // number of the signal that killed the worker; 0 for none
}

// Agent handles the guests of the local node.
type Agent interface {
	// Handles reports whether the agent knows a type of service.
	Handles(serviceType string) bool
	Running(sid ha.SID) (bool, error)
	Start(sid ha.SID) error
	// Shutdown stops the guest, by force after timeout seconds; "" is the
	// agent's default.
	Shutdown(sid ha.SID, timeout string) error
	// Migrate moves the guest to another node, running if online is set. It
	// returns false when the guest is still here.
	Migrate(sid ha.SID, target string, online bool) (moved bool, err error)
}
