package envtest

import (
	"pveha/crm"
	"pveha/internal/ha"
	"pveha/lrm"
)

// World is a cluster whose environments are under test. No daemon runs in it;
// the suite does what daemons would do.
//
// A new world has three nodes or more, all of them on, connected and with a
// working cluster file system. Nobody holds a lock, no status file was written,
// and no command waits. Configured are [Services], [Rules] and [Groups], guests
// run that are configured to, the guest [LockedGuest] is locked, and there is no
// datacenter.cfg.
type World interface {
	// Nodes returns the names of the nodes, sorted.
	Nodes() []string
	// CRM and LRM return the environment of a daemon, the same at every call.
	CRM(node string) crm.Env
	LRM(node string) lrm.Env
	// Advance lets time pass on all nodes, in seconds. Watchdogs fire
	// meanwhile.
	Advance(seconds int64)
	// Slack is by how many seconds a world of real time may be late: zero
	// where time is simulated.
	Slack() int64
	// Took runs f as a part of a daemon's round and returns how long it takes,
	// in seconds. A simulated clock may stand still meanwhile.
	Took(clock crm.Clock, f func()) int64
	// Queue appends a line to the CRM commands, as the command line would.
	Queue(line string)
	// Set brings a node into a condition, or out of it. What the world cannot
	// do is errors.ErrUnsupported.
	Set(c Condition, node string, on bool) error
	// Resets returns how often its watchdog has reset a node. A world that
	// cannot tell returns errors.ErrUnsupported.
	Resets(node string) (int, error)
	// Lacks returns what Set and Resets cannot do, with the reason. The suite
	// leaves out the clauses that need it, after a look whether it is true.
	Lacks() map[Condition]string
}

// Condition is what may be wrong with a node.
type Condition string

// The conditions.
const (
	// CutOff: no network. The node sees no quorum, and the others do not see
	// the node.
	CutOff Condition = "cut off"
	// NoFiles: the node can neither read nor write the cluster file system.
	NoFiles Condition = "no files"
	// Stale: the node's view of the cluster file system cannot be brought up
	// to date.
	Stale Condition = "stale"
	// PoweredOff: the node is switched off; it has no watchdog any more.
	PoweredOff Condition = "powered off"
	// ShuttingDown and Rebooting: the node was told to go down, and in the
	// second case to come back.
	ShuttingDown Condition = "shutting down"
	Rebooting    Condition = "rebooting"
	// Reset: the node was reset by its watchdog. It cannot be set: the suite
	// asks for it with Resets.
	Reset Condition = "reset"
)

var conditions = []Condition{CutOff, NoFiles, Stale, PoweredOff, ShuttingDown, Rebooting, Reset}

// LockedGuest is the service whose guest has a lock, and GuestLock the lock.
const (
	LockedGuest = ha.SID("vm:103")
	GuestLock   = "backup"
)

// Services returns what is configured in a new world. Every guest exists.
func Services(nodes []string) map[ha.SID]ha.ServiceConfig {
	return map[ha.SID]ha.ServiceConfig{
		"vm:101": {
			Node: nodes[0], State: ha.RequestStarted, Failback: true,
			MaxRestart: ha.DefaultMaxRestart, MaxRelocate: ha.DefaultMaxRelocate,
		},
		"ct:102": {
			Node: nodes[1], State: ha.RequestStopped, Failback: false,
			MaxRestart: 2, MaxRelocate: 3,
		},
		LockedGuest: {
			Node: nodes[2], State: ha.RequestDisabled, Failback: true, Group: "both",
			MaxRestart: ha.DefaultMaxRestart, MaxRelocate: 0,
		},
	}
}

// Rules and Groups are the files rules.cfg and groups.cfg of a new world. The
// nodes in them need not exist.
const (
	Rules = `node-affinity: home
	nodes node1:2,node2
	resources vm:101

resource-affinity: apart
	affinity negative
	resources ct:102,vm:101

`
	Groups = `group: both
	nodes node1,node2:1
	nofailback 1

`
)
