package pveenv

import (
	"errors"

	"pveha/internal/ha"
	"pveha/lrm"
	"pveha/pmxcfsio"
)

// DefaultStateDir is where the daemons keep what must outlive the machine's
// reset.
const DefaultStateDir = "/var/lib/pve-ha"

// Config is what the environments of both daemons need. Everything but Node
// and Files has a default.
type Config struct {
	Node  string       // name of the local node
	Files *pmxcfsio.FS // the cluster file system
	// Log takes every line for the journal; usually [Journal.Log]. Nil: none.
	Log func(ha.Entry)
	// Clock is the machine's when nil. It must be that of Files.
	Clock pmxcfsio.Clock
	// Waker lets others end a wait of the daemon, such as whoever receives its
	// signals. Nil: nobody else does.
	Waker *Waker
	// WatchdogSocket is where the multiplexer listens; "" is its default.
	WatchdogSocket string
	// StateDir is a folder on the local disk; "" is [DefaultStateDir].
	StateDir string
	// Links says how the network links are watched.
	Links LinkConfig
}

// CRMConfig is what the environment of a CRM needs.
type CRMConfig struct {
	Config
	// Notify says how people are told that a node is fenced.
	Notify NotifyConfig
}

// LRMConfig is what the environment of an LRM needs.
type LRMConfig struct {
	Config
	// Workers carry out orders. Nil: every start of one fails.
	Workers Workers
	// Guests watches guests that run. Nil: of none is anything known.
	Guests Guests
	// SystemBus is the address of the D-Bus that systemd is on; "" is the
	// machine's.
	SystemBus string
}

// Workers carries out orders in processes that outlive the daemon;
// *worker.Pool does, through [PoolWorkers].
type Workers interface {
	Start(o lrm.Order, services map[ha.SID]ha.ServiceConfig) error
	Finished() []lrm.Finished
	// Acknowledge forgets what Finished has returned: it is written where it
	// is safe.
	Acknowledge() error
	// Changed is readable when Finished has something to return.
	Changed() <-chan struct{}
}

// Guests watches guests of the local node; *agent.Watcher does.
type Guests interface {
	// Alive reports whether a guest runs, and whether that is known.
	Alive(sid ha.SID) (alive, known bool)
	// Changed is readable when a guest that was alive has ended since the last
	// call of Ended.
	Changed() <-chan struct{}
	// Ended returns the guests that have ended since its last call.
	Ended() []ha.SID
}

func (c *Config) complete() error {
	switch {
	case c.Node == "":
		return errors.New("the environment needs the name of the local node")
	case c.Files == nil:
		return errors.New("the environment needs a cluster file system")
	}
	if c.Log == nil {
		c.Log = func(ha.Entry) {}
	}
	if c.Clock == nil {
		c.Clock = pmxcfsio.SystemClock{}
	}
	if c.Waker == nil {
		c.Waker = NewWaker()
	}
	if c.StateDir == "" {
		c.StateDir = DefaultStateDir
	}
	return nil
}
