package pveenv

import (
	"context"
	"fmt"
	"sync"

	"pveha/cfgparse/hacfg"
	"pveha/crm"
	"pveha/internal/budget"
	"pveha/internal/ha"
	"pveha/lrm"
	"pveha/pmxcfsio"
)

// node is what both daemons have.
type node struct {
	timekeeper
	cfg   Config
	fs    *pmxcfsio.FS
	close context.CancelFunc

	managerStatus cached[*ha.ManagerStatus]
	resources     cachedResources
	datacenter    cached[*hacfg.Datacenter]

	links  *linkWatch
	view   view
	quorum quorumState
	fence  *fenceKeeper
}

func newNode(cfg Config, daemon string, share int) (*node, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	ctx, closing := context.WithCancel(context.Background())
	n := &node{
		timekeeper: timekeeper{ctx: ctx, clock: cfg.Clock, waker: cfg.Waker, share: share, extra: budget.Budget{Burst: roundBurst}, round: cfg.Clock.Boot()},
		cfg:        cfg,
		fs:         cfg.Files,
		close:      closing,
	}
	links := cfg.Links
	if links.Addresses == nil {
		links.Addresses = n.clusterAddresses
	}
	n.links = newLinkWatch(links, cfg.Clock.Now, cfg.Log, n.linksChanged)
	n.fence = newFenceKeeper(cfg, daemon, n.links.down)
	n.fence.report()
	return n, nil
}

// Log writes to the journal.
func (n *node) Log(e ha.Entry) { n.cfg.Log(e) }

func (n *node) log(level ha.Level, format string, args ...any) {
	n.cfg.Log(ha.Entry{Level: level, Text: fmt.Sprintf(format, args...)})
}

// linksChanged is called after the link watch has said something.
func (n *node) linksChanged() {
	n.fence.linksChanged()
	n.waker.Wake()
}

// NodeName is the name of the local node.
func (n *node) NodeName() string { return n.cfg.Node }

// Close ends every wait and call that is under way. Locks are kept: they are
// given back or left to expire by who took them.
func (n *node) Close() {
	n.close()
	n.fence.wait(fenceGrace)
}

// CRM is the environment of a cluster resource manager.
type CRM struct {
	*node
	manager  *heldLock
	agents   map[string]*heldLock // by node
	lrm      map[string]*cached[*ha.LRMStatus]
	rules    warned
	groups   warned
	usage    usageData
	commands limbo
	notifier *notifier
	nodesMu  sync.Mutex
	members  []string // last seen, for the watcher
}

var _ crm.Env = (*CRM)(nil)

// NewCRM returns the environment of a CRM. It logs what the daemon knew of the
// last reset of this node, if there was one. What is missing shows at its first
// use.
func NewCRM(cfg CRMConfig) (*CRM, error) {
	n, err := newNode(cfg.Config, "crm", masterShare)
	if err != nil {
		return nil, err
	}
	return &CRM{
		node:     n,
		manager:  n.lock(pmxcfsio.ManagerLock),
		agents:   map[string]*heldLock{},
		lrm:      map[string]*cached[*ha.LRMStatus]{},
		notifier: newNotifier(cfg.Notify, n.Log),
	}, nil
}

// Close ends what is under way, a notification that is being sent too.
func (c *CRM) Close() {
	c.node.Close()
	c.notifier.close()
}

// LRM is the environment of a local resource manager.
type LRM struct {
	*node
	agent   *heldLock
	workers Workers
	guests  Guests
	systemd *systemd
	// unsaved is that results of workers were handed out and not yet written to
	// the status.
	unsaved bool
}

var _ lrm.Env = (*LRM)(nil)

// NewLRM returns the environment of an LRM. It logs what the daemon knew of the
// last reset of this node, if there was one. What is missing shows at its first
// use.
func NewLRM(cfg LRMConfig) (*LRM, error) {
	n, err := newNode(cfg.Config, "lrm", localShare)
	if err != nil {
		return nil, err
	}
	return &LRM{
		node:    n,
		agent:   n.lock(pmxcfsio.AgentLock(cfg.Node)),
		workers: cfg.Workers,
		guests:  cfg.Guests,
		systemd: newSystemd(cfg.SystemBus, n.Log),
	}, nil
}
