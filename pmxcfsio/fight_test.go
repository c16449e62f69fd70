package pmxcfsio_test

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/compat/cfsemu"
	"pveha/pmxcfsio"
)

// fight is a simulation of nodes that want one lock. Processes are coroutines
// that say how long they wait; between two waits time stands still.
type fight struct {
	config  fightConfig
	rand    *rand.Rand
	cluster *cfsemu.Cluster
	clock   *cfsemu.ManualClock
	now     time.Duration
	queue   turns
	seq     int
	hosts   []*host
	history *history
	failed  error
	ops     int // uses of the lock
	calls   int // of the mount
	faults  map[string]int
	victim  *host         // cut off or without pmxcfs
	steady  time.Duration // until then no clock is set forward again
}

// fightConfig is what a fight is like, and what is wrong with the client or
// with pmxcfs in it, to see that it is found.
type fightConfig struct {
	seed  uint64
	nodes int
	ops   int
	// forward is how far wall clocks of the machines are set forward at once,
	// pmxcfs's included. What that lets expire early is covered by the margin.
	forward time.Duration
	margin  time.Duration
	clock   func(h *host) pmxcfsio.Clock
	mount   func(h *host, m pmxcfsio.Mount) pmxcfsio.Mount
}

const fought = "ha_manager_lock"

// host is a node and the process on it that wants the lock.
type host struct {
	*fight
	id     int
	node   *cfsemu.Node
	next   func() (time.Duration, bool)
	stop   func()
	yield  func(time.Duration) bool
	step   time.Duration // of the wall clock, against the machine's
	asleep time.Duration // how long it was suspended in all
	doomed bool          // the process is killed at its next call
}

// turns are hosts by when it is their turn.
type turns []turn

type turn struct {
	at  time.Duration
	seq int
	run func()
}

func (t turns) Len() int { return len(t) }
func (t turns) Less(i, j int) bool {
	return t[i].at < t[j].at || t[i].at == t[j].at && t[i].seq < t[j].seq
}
func (t turns) Swap(i, j int) { t[i], t[j] = t[j], t[i] }
func (t *turns) Push(x any)   { *t = append(*t, x.(turn)) }
func (t *turns) Pop() any {
	last := (*t)[len(*t)-1]
	*t = (*t)[:len(*t)-1]
	return last
}

func (f *fight) later(d time.Duration, run func()) {
	f.seq++
	heap.Push(&f.queue, turn{f.now + d, f.seq, run})
}

// run lets the nodes fight and returns what went wrong, nil if nothing did.
func (c fightConfig) run(t testing.TB) (*fight, error) {
	t.Helper()
	f := &fight{
		config: c, rand: rand.New(rand.NewPCG(c.seed, 4)), clock: cfsemu.NewManualClock(epoch),
		history: newHistory(), faults: map[string]int{},
	}
	if c.margin != 0 {
		f.history.margin = c.margin
	}
	var names []string
	for i := range c.nodes {
		names = append(names, fmt.Sprintf("node%d", i+1))
	}
	var err error
	f.cluster, err = cfsemu.New(cfsemu.Config{Nodes: names, Clock: f.clock})
	require.NoError(t, err)
	defer f.cluster.Close()
	for i, name := range names {
		h := &host{fight: f, id: i, node: f.cluster.Node(name)}
		f.hosts = append(f.hosts, h)
		h.next, h.stop = iter.Pull(h.live)
		f.later(f.upTo(10*time.Second), h.turn)
	}
	defer func() {
		for _, h := range f.hosts {
			h.stop()
		}
	}()
	f.later(f.upTo(time.Minute), f.disturb)
	for f.failed == nil && f.ops < c.ops {
		next := heap.Pop(&f.queue).(turn)
		if d := next.at - f.now; d > 0 {
			f.clock.Advance(d)
			f.now = next.at
		}
		next.run()
	}
	return f, f.failed
}

func (f *fight) upTo(d time.Duration) time.Duration { return time.Duration(f.rand.Int64N(int64(d))) }
func (f *fight) chance(percent float64) bool        { return f.rand.Float64()*100 < percent }

func (f *fight) record(r record) {
	r.at = f.now
	if err := f.history.add(r); err != nil && f.failed == nil {
		f.failed = err
	}
}

func (h *host) turn() {
	if d, alive := h.next(); alive {
		h.later(d, h.turn)
	}
}

// wait lets time pass for this process. It is killed when it is its time.
func (h *host) wait(d time.Duration) {
	if !h.yield(d) {
		panic(errOver)
	}
	if h.doomed {
		h.doomed = false
		panic(errKilled)
	}
}

var (
	errKilled = errors.New("killed")
	errOver   = errors.New("the fight is over")
)

// live is the host's processes, one after the other.
func (h *host) live(yield func(time.Duration) bool) {
	h.yield = yield
	for {
		if errors.Is(h.process(), errOver) {
			return
		}
		h.record(record{node: h.id, deed: deedLeave})
		h.faults["crash of a process"]++
		if !yield(h.upTo(20 * time.Second)) {
			return
		}
	}
}

// process is one life of a daemon that wants the lock, with no memory of an
// earlier one.
func (h *host) process() (end error) {
	defer func() {
		switch r := recover(); r {
		case errKilled, errOver:
			end = r.(error)
		default:
			panic(r)
		}
	}()
	var mount pmxcfsio.Mount = slowMount{emuMount{h.node}, h}
	if h.config.mount != nil {
		mount = h.config.mount(h, mount)
	}
	var clock pmxcfsio.Clock = hostClock{h}
	if h.config.clock != nil {
		clock = h.config.clock(h)
	}
	fs, err := pmxcfsio.New(pmxcfsio.Config{Root: "/etc/pve", Mount: mount, Clock: clock, Journal: "/none"})
	if err != nil {
		panic(err)
	}
	fs.Inline()
	lock := fs.NodeLock(fought)
	for {
		h.round(lock)
	}
}

// round is what a daemon does every few seconds: take or refresh the lock,
// then do what only its holder may, as long as it may.
func (h *host) round(lock *pmxcfsio.Lock) {
	h.ops++
	switch {
	case lock.Left() > 0 && h.chance(2):
		h.record(record{node: h.id, deed: deedLeave})
		_ = lock.Release(ctx)
	default:
		if lock.Take(ctx) == nil {
			h.record(record{node: h.id, deed: deedHold, until: h.now + lock.Left()})
		}
	}
	h.act(lock)
	switch {
	case h.chance(3): // a slow round
		h.wait(h.upTo(150 * time.Second))
	case h.chance(1):
		d := h.upTo(300 * time.Second) // the machine is suspended
		h.asleep += d
		h.wait(d)
	default:
		h.wait(h.upTo(10 * time.Second))
	}
	h.act(lock)
}

func (h *host) act(lock *pmxcfsio.Lock) {
	if lock.Left() > lifetime-h.history.margin {
		h.record(record{node: h.id, deed: deedAct})
	}
}

// disturb does something to the cluster, and again some time later. One node
// at a time is cut off or without pmxcfs: where they take turns at being the
// only one, pmxcfs itself forgets what was written last.
func (f *fight) disturb() {
	h := f.hosts[f.rand.IntN(len(f.hosts))]
	if f.victim != nil && f.chance(50) {
		f.recover()
	} else {
		f.harm(h)
	}
	f.later(f.upTo(300*time.Second), f.disturb)
}

func (f *fight) harm(h *host) {
	harms := []string{"partition", "crash of pmxcfs", "stop of pmxcfs", "step back", "step of the client", "step forward", "kill"}
	what := harms[f.rand.IntN(len(harms))]
	victim := h
	if f.victim != nil {
		victim = f.victim
	}
	name, err := victim.node.Name(), error(nil)
	switch what {
	case "partition":
		f.victim, err = victim, f.cluster.Partition(name)
	case "crash of pmxcfs":
		f.victim, err = victim, f.cluster.Crash(name)
	case "stop of pmxcfs":
		f.victim, err = victim, f.cluster.Stop(name)
	case "step back":
		err = f.cluster.StepClock(h.node.Name(), -f.upTo(time.Hour))
	case "step of the client":
		h.step += f.upTo(2*time.Hour) - time.Hour
	case "step forward":
		if f.config.forward == 0 || f.now < f.steady {
			return
		}
		f.steady = f.now + 2*lifetime
		err = f.cluster.StepClock(h.node.Name(), f.config.forward)
	case "kill":
		h.doomed = true
	}
	if err == nil { // else it was down already
		f.faults[what]++
	}
}

func (f *fight) recover() {
	_ = f.cluster.Heal()
	_ = f.cluster.Start(f.victim.node.Name()) // it may run
	f.victim = nil
}

// hostClock is the clock of a process of the host.
type hostClock struct{ h *host }

func (c hostClock) Now() time.Time {
	return time.Unix(c.h.node.Now(), 0).Add(c.h.step)
}
func (c hostClock) Boot() time.Duration { return time.Hour + c.h.now }
func (c hostClock) Sleep(_ context.Context, d time.Duration) error {
	c.h.wait(d)
	return nil
}

// slowMount makes the calls of a process take time, before their effect and
// after it, and records the effect.
type slowMount struct {
	emuMount
	h *host
}

func (m slowMount) call(do func() error, done deed) error {
	h := m.h
	h.calls++
	standstill := 200 * time.Second
	if done == deedRemove {
		// pmxcfs asks nobody who removes a lock, and the kernel takes no call
		// back: a removal that stands still for as long as a lock lives removes
		// the next one's.
		standstill = lifetime / 2
	}
	h.dawdle(standstill)
	err := do()
	if err == nil && done != "" {
		h.record(record{node: h.id, deed: done})
	}
	h.dawdle(200 * time.Second)
	return err
}

// dawdle is how long a call takes, on each way.
func (h *host) dawdle(standstill time.Duration) {
	switch {
	case h.chance(1):
		h.wait(h.upTo(9 * time.Second)) // while corosync forms a new ring
	case h.chance(0.1):
		h.wait(h.upTo(standstill)) // pmxcfs or the process stands still
	case h.chance(10):
		h.wait(h.upTo(5 * time.Millisecond))
	}
}

func (m slowMount) Lstat(name string) (info pmxcfsio.Info, err error) {
	m.h.calls++
	return m.emuMount.Lstat(name)
}

func (m slowMount) Mkdir(name string) error {
	done := deedStart
	if name == "priv/lock" {
		done = ""
	}
	return m.call(func() error { return m.emuMount.Mkdir(name) }, done)
}

func (m slowMount) Rmdir(name string) error {
	return m.call(func() error { return m.emuMount.Rmdir(name) }, deedRemove)
}

func (m slowMount) Utime(name string, mtime int64) error {
	return m.call(func() error { return m.emuMount.Utime(name, mtime) }, deedRefresh)
}

// fightOps is how often the big fights use the lock together; PVEHA_FIGHT_OPS
// is another number.
func fightOps(t testing.TB) int {
	if text := os.Getenv("PVEHA_FIGHT_OPS"); text != "" {
		n, err := strconv.Atoi(text)
		require.NoError(t, err)
		return n
	}
	return defaultFightOps
}

func TestNodesThatFightForALockNeverBothHoldIt(t *testing.T) {
	const runs = 8
	ops := fightOps(t) / runs
	for seed := range uint64(runs) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			f, err := fightConfig{seed: seed, nodes: 2 + int(seed%2), ops: ops}.run(t)
			require.NoError(t, err)
			f.requireFought(t)
		})
	}
}

// requireFought checks that there was something to find.
func (f *fight) requireFought(t testing.TB) {
	t.Helper()
	t.Logf("%v simulated, %d uses of the lock, %d calls, %v, %d locks of others taken, %v",
		f.now, f.ops, f.calls, f.history.count, f.history.stolen, f.faults)
	require.Greater(t, f.history.stolen, f.ops/1000)
	require.Greater(t, f.history.count[deedRemove], f.ops/1000)
	require.Greater(t, f.history.count[deedAct], f.ops/10)
	for what, n := range f.faults {
		require.Greater(t, n, f.ops/2000, what)
	}
}

// actingTime is for how long after its last refresh a holder acts at most: its
// client watchdog and the device reset the node after 60 s and 10 s.
const actingTime = 70 * time.Second

func TestMarginCoversWallClocksThatAreSetForward(t *testing.T) {
	c := fightConfig{seed: 99, nodes: 3, ops: 20_000, forward: lifetime - actingTime - time.Second, margin: actingTime}
	f, err := c.run(t)
	require.NoError(t, err)
	f.requireFought(t)
	require.Positive(t, f.faults["step forward"])

	c.margin = 0
	_, err = c.run(t)
	require.ErrorContains(t, err, "took the lock", "the margin was needed")
}

// frozenClock stands still while the machine is suspended.
type frozenClock struct{ hostClock }

func (c frozenClock) Boot() time.Duration { return c.hostClock.Boot() - c.h.asleep }

// wallClock counts by the wall clock.
type wallClock struct{ hostClock }

func (c wallClock) Boot() time.Duration { return time.Duration(c.Now().UnixNano()) }

// hastyMount is a pmxcfs that drops locks after 100 s.
type hastyMount struct {
	h *host
	pmxcfsio.Mount
}

func (m hastyMount) Utime(name string, mtime int64) error {
	if mtime == 0 && m.h.now-m.h.history.fresh > 100*time.Second {
		_ = m.h.node.Rmdir(name)
	}
	return m.Mount.Utime(name, mtime)
}

// forgivingMount lets everybody refresh every lock.
type forgivingMount struct{ pmxcfsio.Mount }

func (m forgivingMount) Utime(name string, mtime int64) error {
	err := m.Mount.Utime(name, mtime)
	if mtime != 0 {
		return nil
	}
	return err
}

func TestFightFindsWhatIsWrong(t *testing.T) {
	for name, test := range map[string]struct {
		config fightConfig
		found  string
	}{
		"the holder does not count while suspended": {
			fightConfig{clock: func(h *host) pmxcfsio.Clock { return frozenClock{hostClock{h}} }}, "acts while",
		},
		"the holder counts by the wall clock": {
			fightConfig{clock: func(h *host) pmxcfsio.Clock { return wallClock{hostClock{h}} }}, "acts while",
		},
		"a lock lives for 100 s": {
			fightConfig{mount: func(h *host, m pmxcfsio.Mount) pmxcfsio.Mount { return hastyMount{h, m} }}, "took the lock",
		},
		"an expired lock is refreshed": {
			fightConfig{mount: func(_ *host, m pmxcfsio.Mount) pmxcfsio.Mount { return forgivingMount{m} }}, "acts while",
		},
	} {
		t.Run(name, func(t *testing.T) {
			test.config.seed, test.config.nodes, test.config.ops = 5, 3, 100_000
			f, err := test.config.run(t)
			require.ErrorContains(t, err, test.found)
			t.Logf("found after %d uses of the lock", f.ops)
		})
	}
}
