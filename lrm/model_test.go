package lrm_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
	"pveha/lrm"
)

// Times of the world around the LRM, in seconds.
const (
	lockLifetime  = 120 // of a lock nobody refreshes
	clientTimeout = 60  // of a client of the watchdog multiplexer
	deviceTimeout = 10  // between the last keep-alive and the reset
	fenceDelay    = 60  // of a node that is not online
	masterRound   = 10
	stormSeconds  = 500 // everything may fail
	calmSeconds   = 400 // nothing fails any more, and all must have settled
	settleSeconds = 60  // it is settled that has been so for this long
)

// historyBatches run side by side.
const historyBatches = 8

// A node lives through random histories: lost quorum and locks, a cluster file
// system that fails at any read or write, watchdogs that break, fence
// requests, maintenance, disarming, restarts and shutdowns under each policy,
// guests that do not obey, and a daemon that is killed. At any time:
//
//   - A running guest that the LRM answers for has a watchdog, or the node is
//     about to be reset.
//   - No guest is started without a watchdog.
//   - The watchdog is not closed while a worker runs.
//   - An active LRM has a watchdog.
//   - A service is not recovered while its guest runs here.
//   - No more workers run than allowed, and one for a service.
//   - No order is carried out again whose result was told.
//
// And when the storm is over, services that are active here have an active
// LRM, and run.
func TestRandomHistories(t *testing.T) {
	each := 250
	if testing.Short() {
		each = 25
	}
	seen := make([]map[string]int, historyBatches)
	t.Run("histories", func(t *testing.T) {
		for batch := range historyBatches {
			t.Run(fmt.Sprint(batch), func(t *testing.T) {
				t.Parallel()
				seen[batch] = map[string]int{}
				for i := range each {
					seed := uint64(batch*each + i)
					h := newHistory(seed, false)
					if h.live() == "" {
						for what, n := range h.seen {
							seen[batch][what] += n
						}
						continue
					}
					h = newHistory(seed, true)
					broken := h.live()
					t.Fatalf("seed %d: %s\n%s", seed, broken, strings.Join(h.trace, "\n"))
				}
			})
		}
	})
	if t.Failed() {
		return
	}
	total := map[string]int{}
	for _, batch := range seen {
		for what, n := range batch {
			total[what] += n
		}
	}
	t.Logf("%v", total)
	for _, what := range []string{
		"started", "died", "recovered", "reset", "moved in", "moved out", "killed", "ended restart", "ended shutdown", "ended reboot",
		"closed active", "closed maintenance", "closed lost_agent_lock", "orders active", "orders maintenance",
		"state lost_agent_lock", "state maintenance", "state wait_for_agent_lock", "mode disarm", "error",
	} {
		require.Positive(t, total[what], "no history had this: %s", what)
	}
}

func TestAHistoryRepeats(t *testing.T) {
	for seed := range uint64(5) {
		a, b := newHistory(seed, true), newHistory(seed, true)
		require.Empty(t, a.live())
		require.Empty(t, b.live())
		require.Equal(t, a.trace, b.trace)
	}
}

// history is the life of a node.
type history struct {
	rnd   *rand.Rand
	now   ha.Epoch
	storm bool
	seen  map[string]int // what happened how often
	trace []string
	trail bool // keep a trace

	// The node.
	up       bool
	bootAt   ha.Epoch
	quorate  bool
	healAt   ha.Epoch // the end of a partition
	outageAt ha.Epoch // the end of an outage of the file system
	client   *client  // of the watchdog multiplexer
	resetAt  ha.Epoch // the node will be reset then; 0: not
	lock     struct {
		holder string
		since  ha.Epoch
	}

	// The daemon.
	daemon  *lrm.LRM
	inside  bool // a round is under way
	leaving ending
	policy  ha.ShutdownPolicy
	limit   int                         // of workers
	events  bool                        // waits are cut short, deaths of guests are noticed
	workers map[ha.SID]*worker          // running
	ended   []lrm.Finished              // not yet asked for
	told    map[string]bool             // UIDs whose results this process wrote
	view    *ha.ManagerStatus           // as the node read it last
	configs map[ha.SID]ha.ServiceConfig // replaced, never changed
	guests  map[ha.SID]*guest           // running here

	master
}

// guest is a guest that runs here.
type guest struct {
	owed bool // the LRM answers for it: it saw it active while it had a watchdog, or started it
	late bool // came after the daemon was asked to end, which looks at no new service
}

type worker struct {
	order lrm.Order
	until ha.Epoch
}

// violation is a rule that was broken; it ends a history.
type violation string

// killed unwinds a daemon whose process is gone.
type killed struct{}

func newHistory(seed uint64, trail bool) *history {
	h := &history{
		rnd:     rand.New(rand.NewPCG(seed, 0)),
		now:     1000,
		storm:   true,
		seen:    map[string]int{},
		trail:   trail,
		up:      true,
		bootAt:  1000,
		quorate: true,
		limit:   int(seed % 4), // 0: within the round
		events:  seed%8 >= 4,
		workers: map[ha.SID]*worker{},
		guests:  map[ha.SID]*guest{},
		configs: map[ha.SID]ha.ServiceConfig{},
	}
	h.newMaster()
	return h
}

// live plays the history and returns which rule was broken, if any.
func (h *history) live() (broken string) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case violation:
			broken = string(r)
		default:
			panic(r)
		}
	}()
	for h.now < 1000+stormSeconds {
		h.step()
	}
	h.calm()
	unsettled := h.now
	for h.now < unsettled+settleSeconds {
		h.check(unsettled < 1000+stormSeconds+calmSeconds, "services and no active LRM, or no guests, long after the storm")
		h.step()
		if !h.settled() {
			unsettled = h.now
		}
	}
	return ""
}

// settled reports whether the LRM is what the services of the node need, and the
// guests that should run do. An LRM stays in maintenance until the node was empty for once.
func (h *history) settled() bool {
	if ha.CountActiveServices(h.published.ServiceStatus, here) == 0 {
		return true
	}
	for _, sid := range h.sids {
		s := h.published.ServiceStatus[sid]
		if s.Node == here && s.State == ha.Started && h.guests[sid] == nil {
			return false
		}
	}
	busy := h.daemon != nil && (h.daemon.State() == ha.LRMActive || h.daemon.State() == ha.LRMMaintenance)
	return busy && h.client != nil
}

func (h *history) step() {
	if h.daemon == nil {
		if h.up && h.now >= h.bootAt && h.resetAt == 0 {
			h.startDaemon()
		} else {
			h.tick()
		}
		return
	}
	alive, dead, err := h.iterate()
	switch {
	case dead:
	case err != nil:
		h.saw("error")
		h.note("the round failed: %v", err)
		h.pass(5)
	case !alive:
		h.daemonEnded()
	default:
		h.saw("state " + string(h.daemon.State()))
		h.check(h.daemon.State() != ha.LRMActive || h.protected(), "active without a watchdog")
		h.betweenRounds()
	}
}

// iterate plays a round of the daemon; dead tells that its process ended in it.
func (h *history) iterate() (alive, dead bool, err error) {
	h.inside = true
	defer func() {
		h.inside = false
		if r := recover(); r != nil {
			if _, dead = r.(killed); !dead {
				panic(r)
			}
		}
	}()
	alive, err = h.daemon.Iterate()
	return alive, false, err
}

// betweenRounds is where the daemon takes signals.
func (h *history) betweenRounds() {
	if !h.storm {
		return
	}
	switch {
	case h.leaving == "" && h.one(40):
		h.leaving = []ending{restart, poweroff, reboot}[h.rnd.IntN(3)]
		h.policy = []ha.ShutdownPolicy{
			ha.PolicyConditional, ha.PolicyFreeze, ha.PolicyFailover, ha.PolicyMigrate,
		}[h.rnd.IntN(4)]
		h.note("asked to end: %s, policy %s", h.leaving, h.policy)
		h.daemon.RequestShutdown()
	case len(h.workers) == 0 && h.one(200):
		h.saw("killed")
		h.note("the daemon is killed")
		h.processEnds()
		h.daemon, h.bootAt = nil, h.now+5
	}
}

func (h *history) startDaemon() {
	h.leaving = ""
	h.told = map[string]bool{}
	h.ended = nil
	h.daemon = lrm.New(h, h, lrm.Config{LockGrace: map[bool]ha.Epoch{true: 20}[h.events]})
}

// processEnds is the multiplexer seeing a client go without a goodbye.
func (h *history) processEnds() {
	if h.client != nil {
		h.client.broken = true
		h.resetWithin()
	}
}

func (h *history) daemonEnded() {
	h.saw("ended " + string(h.leaving))
	h.note("the daemon has ended")
	h.check(h.leaving != "", "the daemon ended, and nobody had asked it to")
	h.check(len(h.workers) == 0 || h.protected(), "ended with a running worker and without a watchdog")
	h.processEnds()
	h.daemon, h.bootAt = nil, h.now+1
	if h.leaving != restart {
		h.powerOff(h.now + 20 + ha.Epoch(h.rnd.IntN(180)))
	}
}

// powerOff ends everything on the node at once.
func (h *history) powerOff(bootAt ha.Epoch) {
	h.up, h.bootAt, h.daemon, h.client, h.resetAt = false, bootAt, nil, nil, 0
	clear(h.guests)
	clear(h.workers)
	h.note("off")
}

func (h *history) resetWithin() {
	if h.resetAt == 0 {
		h.resetAt = h.now + 1 + ha.Epoch(h.rnd.IntN(deviceTimeout))
	}
}

// pass lets time pass, second by second.
func (h *history) pass(seconds int64) {
	for range seconds {
		h.tick()
	}
}

// tick is a second of the world.
func (h *history) tick() {
	h.now++
	h.weather()
	h.endWorkers()
	h.moveIn()
	if h.now%masterRound == 0 {
		h.masterRound()
	}
	h.checkGuests()
	if h.client != nil && h.now-h.client.updated > clientTimeout {
		h.resetWithin()
	}
	if h.resetAt != 0 && h.now >= h.resetAt {
		h.saw("reset")
		h.powerOff(h.now + 20 + ha.Epoch(h.rnd.IntN(40)))
		if h.inside {
			panic(killed{})
		}
	}
}

// weather is what breaks and heals.
func (h *history) weather() {
	if !h.up && h.now >= h.bootAt {
		h.up = true
	}
	if !h.quorate && h.now >= h.healAt {
		h.quorate = true
		h.note("quorum")
	}
	if !h.storm {
		return
	}
	if h.quorate && h.one(200) {
		h.quorate, h.healAt = false, h.now+5+ha.Epoch(h.rnd.IntN(200))
		h.note("no quorum until %d", h.healAt)
	}
	if h.now >= h.outageAt && h.one(100) {
		h.outageAt = h.now + 1 + ha.Epoch(h.rnd.IntN(40))
		h.note("the file system fails until %d", h.outageAt)
	}
	for _, sid := range h.sids {
		if h.guests[sid] != nil && h.one(300) {
			h.saw("died")
			h.note("%s dies", sid)
			delete(h.guests, sid)
		}
	}
	if h.client != nil && h.one(1000) {
		h.note("the watchdog breaks")
		h.client.broken = true
		h.resetWithin()
	}
}

// calm ends the storm.
func (h *history) calm() {
	h.storm = false
	h.healAt, h.outageAt = 0, 0
	h.ms.NodeRequest = map[string]ha.NodeRequest{}
	h.ms.Disarm = nil
	h.note("calm")
}

func (h *history) endWorkers() {
	for _, sid := range h.sids {
		w := h.workers[sid]
		if w == nil || w.until > h.now {
			continue
		}
		out := lrm.Outcome{Code: ha.ExitNotRun, Signal: 9}
		if !h.storm || !h.one(20) {
			cfg, ok := h.configs[sid]
			out = lrm.Execute(quiet{h}, quiet{h}, w.order, cfg, ok)
		}
		delete(h.workers, sid)
		h.note("worker of %s ends: %d", sid, out.Code)
		h.ended = append(h.ended, lrm.Finished{SID: sid, Result: out})
	}
}

// activeHere reports whether a status wants the service to run on this node
// and to be recovered when it fails.
func activeHere(ms *ha.ManagerStatus, sid ha.SID) bool {
	s := ms.ServiceStatus[sid]
	return ms.Disarm == nil && s != nil && s.Node == here &&
		ha.CountActiveServices(map[ha.SID]*ha.ServiceStatus{sid: s}, here) > 0
}

// protected reports whether the node is reset if its LRM is in trouble, or is
// about to be reset already.
func (h *history) protected() bool { return h.client != nil || h.resetAt != 0 }

func (h *history) checkGuests() {
	if h.protected() {
		return
	}
	for sid, g := range h.guests {
		h.check(!g.owed || !activeHere(h.published, sid), "%s runs without a watchdog", sid)
	}
}

func (h *history) check(ok bool, format string, args ...any) {
	if !ok {
		panic(violation(fmt.Sprintf("at %d: ", h.now) + fmt.Sprintf(format, args...)))
	}
}

// one is true once in n times.
func (h *history) one(n int) bool { return h.rnd.IntN(n) == 0 }

func (h *history) saw(what string) { h.seen[what]++ }

func (h *history) note(format string, args ...any) {
	if h.trail {
		h.trace = append(h.trace, fmt.Sprintf("%5d ", h.now)+fmt.Sprintf(format, args...))
	}
}
