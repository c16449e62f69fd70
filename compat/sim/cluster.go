package sim

import (
	"fmt"
	"io"
	"maps"
	"math"
	"strconv"

	"pveha/crm"
	"pveha/internal/ha"
	"pveha/lrm"
)

// Options say how a cluster is simulated.
type Options struct {
	// Log takes the log of the hardware and the daemons, as text.
	Log io.Writer
	// OnLine, when set, is told every line of the log.
	OnLine func(Line)
	// OnChange, when set, is told every change of a service's state.
	OnChange func(sid ha.SID, from, to ha.ServiceState)
	// Slips copies those slips of the Perl stack that recorded logs show and
	// ours does not make; see slips.go. A scenario with commands that the Perl
	// stack's simulator does not have is never compared with its logs, so it
	// has no slips.
	Slips bool
	// OnExecute, when set, is told every command before it is carried out.
	OnExecute func(Command)
	// Endless lets the simulation go on for as long as it is driven, also after
	// a daemon's round that failed. A scenario with commands of ours does the
	// same.
	Endless bool
	// Wire passes every status file through its text form, as on a real
	// cluster, instead of handing over the value.
	Wire bool
	// Extra, when set, says how many extra rounds follow a round of a daemon,
	// before anybody else does anything: events may wake a daemon at any time.
	Extra func() int
}

// Cluster is a simulated cluster in virtual time.
type Cluster struct {
	scenario *Scenario
	opts     Options
	now      ha.Epoch
	limit    ha.Epoch // the simulation is given up then
	goesOn   bool     // after a round that failed or took long; the Perl stack's simulator gives up
	muted    bool     // nothing is logged: somebody only looks

	roundStart     ha.Epoch
	scheduling     crm.Scheduling
	shutdownPolicy ha.ShutdownPolicy
	maxWorkers     int

	nodes map[string]*node
	names []string // of the nodes, sorted
	cfs   *cfs

	attempts map[attempt]int // of guests that fail on purpose
	uids     int
	lrms     *lrm.Process
	loops    int
	skip     map[string]int // rounds to skip, by daemon

	nextStep    int
	nextStepAt  ha.Epoch // a delay is over then
	lastCommand ha.Epoch
}

// node is the hardware of a node and the daemons on it.
type node struct {
	name string
	nodeSetup
	running   map[ha.SID]bool // guests by their state; a guest that moved away has none
	watchdogs []*watchdog
	workers   []worker

	crm        *crm.CRM // nil: not running
	lrm        *lrm.LRM
	crmEnv     *env
	lrmEnv     *env
	crmStop    bool // stopped on purpose
	lrmRestart bool // to be started again when it ends
}

// New returns the cluster at the start of a scenario. The scenario is not
// changed.
func New(s *Scenario, opts Options) (*Cluster, error) {
	c := &Cluster{
		scenario: s,
		opts:     opts,
		nodes:    map[string]*node{},
		names:    s.Nodes(),
		attempts: map[attempt]int{},
		lrms:     &lrm.Process{},
		skip:     map[string]int{},
		limit:    max(maxTime, s.lastTime+maxLoopTime),

		scheduling: s.scheduling, shutdownPolicy: s.shutdownPolicy, maxWorkers: s.maxWorkers,
	}
	if opts.Endless {
		c.limit = math.MaxInt64
	}
	c.opts.Slips = opts.Slips && !s.extended
	c.goesOn = opts.Endless || s.extended
	if n := len(c.names); loopTime(n) >= maxLoopTime {
		return nil, fmt.Errorf("unable to simulate %d nodes: a round of all would take longer than"+
			" watchdogs and locks allow (at most %d)", n, (maxLoopTime-1)/2)
	}
	c.cfs = newCFS(s, opts)
	for _, name := range c.names {
		n := &node{name: name, nodeSetup: s.nodes[name], running: maps.Clone(s.running[name])}
		n.crmEnv = &env{cluster: c, node: n, daemon: daemonCRM}
		n.lrmEnv = &env{cluster: c, node: n, daemon: daemonLRM}
		c.nodes[name] = n
	}
	return c, nil
}

// Now returns the virtual time, in seconds since the start.
func (c *Cluster) Now() ha.Epoch { return c.now }

// extra returns how many extra rounds are to follow.
func (c *Cluster) extra() int {
	if c.opts.Extra == nil {
		return 0
	}
	return c.opts.Extra()
}

// newUID names an order. Counting makes runs repeat.
func (c *Cluster) newUID(state ha.ServiceState) string {
	c.uids++
	return string(state) + "-" + strconv.Itoa(c.uids)
}

// online returns the nodes that are on and connected, and whether they are
// enough for a quorum. Without one nobody is online.
func (c *Cluster) online() (nodes map[string]bool, quorate bool) {
	nodes = make(map[string]bool, len(c.nodes))
	count := 0
	for name, n := range c.nodes {
		if n.power && n.network {
			nodes[name] = true
			count++
		}
	}
	if count <= len(c.nodes)/2 {
		return map[string]bool{}, false
	}
	return nodes, true
}

// startCRM and startLRM start a daemon that does not run.
func (c *Cluster) startCRM(n *node) {
	if n.crm == nil {
		n.crm = crm.New(n.crmEnv, crm.Config{
			NewUID: c.newUID, OnChange: c.opts.OnChange, DisarmedLockProves: c.opts.Slips,
		})
	}
}

func (c *Cluster) startLRM(n *node) {
	if n.lrm == nil {
		n.lrm = lrm.New(n.lrmEnv, agent{n.lrmEnv}, lrm.Config{Process: c.lrms})
	}
}

// powerOn boots a node.
func (c *Cluster) powerOn(n *node) {
	if !n.power {
		c.startCRM(n)
		c.startLRM(n)
		n.lrmRestart = false
		n.cfsRW, n.cfsUpdate = true, true
	}
	n.power, n.network, n.shutdown = true, true, ""
}

// powerOff stops a node on the spot, with everything that runs on it.
func (c *Cluster) powerOff(n *node) {
	if n.power {
		if n.crm != nil {
			n.crmEnv.info("killed by poweroff")
			n.crm = nil
		}
		if n.lrm != nil {
			n.lrmEnv.info("killed by poweroff")
			n.lrm, n.lrmRestart = nil, false
		}
		n.watchdogs, n.workers = nil, nil
		n.running = map[ha.SID]bool{}
	}
	n.power, n.network, n.shutdown = false, false, ""
}
