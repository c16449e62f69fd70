package crm

import (
	"pveha/cfgparse/hacfg"
	"pveha/crm/nodestate"
	"pveha/crm/usage"
	"pveha/internal/ha"
)

// Env is everything outside the CRM. The real cluster and the simulated one
// implement it, and one contract suite holds both to the same promises.
type Env interface {
	Clock
	Journal
	Membership
	StatusStore
	Commands
	Resources
	Rules
	Settings
	Locks
	WatchdogOpener
	Recovery
	Stats
	Notifier
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

// Membership tells who is in the cluster.
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
	// Members returns the nodes of the cluster and which of them are online, now
	// or up to a second ago in the same round.
	Members() (map[string]nodestate.Member, error)
	// NodeVersion returns the pve-manager version of a node, "" when unknown.
	NodeVersion(node string) (string, error)
}

// StatusStore holds the status files. What it returns is shared: callers copy
// before they change anything.
type StatusStore interface {
	// ReadManagerStatus returns an empty status when none was written yet.
	ReadManagerStatus() (*ha.ManagerStatus, error)
	// WriteManagerStatus replaces the status as a whole. It keeps nothing of s,
	// which changes afterwards.
	WriteManagerStatus(s *ha.ManagerStatus) error
	// ReadLRMStatus returns an empty status when the node wrote none yet.
	ReadLRMStatus(node string) (*ha.LRMStatus, error)
}

// Commands is the queue of CRM commands.
type Commands interface {
	// CommandsPending reports whether any command waits.
	CommandsPending() (bool, error)
	// TakeCommands empties the queue and returns what was in it, one command
	// a line. When it fails the queue is as it was. An empty queue is left as it
	// is: a write would tell the whole cluster of nothing.
	TakeCommands() (string, error)
}

// Resources is the configuration of the services.
type Resources interface {
	// Services returns every configured service whose guest exists, and the
	// digest of the configuration ("" when there is none to compare). The map
	// is shared: callers copy before they change it.
	Services() (map[ha.SID]ha.ServiceConfig, string, error)
	// UpdateServices changes services in the configuration, all or none.
	UpdateServices(changes map[ha.SID]ServiceChange) error
}

// ServiceChange is an edit of one service's section in resources.cfg.
type ServiceChange struct {
	State       ha.RequestState // "": leave it
	Failback    *bool           // nil: leave it
	DeleteGroup bool
}

// Rules is the configuration of affinity rules and of groups, their forerunner.
// What it returns belongs to the caller.
type Rules interface {
	Rules() (*hacfg.Rules, error)
	WriteRules(r *hacfg.Rules) error
	Groups() (*hacfg.Groups, error)
	DeleteGroups() error
}

// Settings is what the administrator set for the whole cluster.
type Settings interface {
	Scheduling() (Scheduling, error)
}

// Locks are the cluster-wide locks. Taking a lock one already holds refreshes
// it.
type Locks interface {
	ManagerLock() bool
	ReleaseManagerLock() bool
	// ManagerLockKept reports whether another node is known to have the manager
	// lock and to refresh it, so that it is of no use to try again before
	// something happens. False when that is not known.
	ManagerLockKept() bool
	// AgentLock takes the agent lock of a node. For another node than the
	// local one that succeeds only when nobody refreshed it for its lifetime:
	// the proof that the node was reset.
	AgentLock(node string) bool
}

// WatchdogOpener opens a client of the watchdog multiplexer.
type WatchdogOpener interface {
	OpenWatchdog() (ha.Watchdog, error)
}

// Recovery makes a service of a fenced node startable on another.
type Recovery interface {
	// RemoveLocks removes one of locks from the guest's configuration on the
	// fenced node and returns which, "" when it had none of them.
	RemoveLocks(sid ha.SID, locks []string, node string) (string, error)
	// Steal moves the configuration of the guest from one node to another. It
	// fails when the configuration is not on from.
	Steal(sid ha.SID, from, to string) error
}

// Stats is what the schedulers know of nodes and guests. Maps are by node name
// and by service ID, guests outside of HA included.
type Stats interface {
	BasicServices() (map[ha.SID]usage.Service, error)
	StaticServices() (map[ha.SID]usage.Service, error)
	DynamicServices() (map[ha.SID]usage.Service, error)
	StaticNodes() (map[string]usage.NodeStats, error)
	DynamicNodes() (map[string]usage.NodeStats, error)
}

// Notifier tells people that a node is fenced.
type Notifier interface {
	Notify(n nodestate.FenceNotification)
}
