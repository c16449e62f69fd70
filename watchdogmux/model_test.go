package watchdogmux

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The model test plays machines: clients that mostly keep their word, a device
// that counts down, a server that is mostly in time, an administrator that
// sends signals, and the core between them. What a client truly did, and when,
// is known to the model and not to the core.

// modelDevice is the timeout of the model's device.
const modelDevice = DeviceTimeout

// world is one machine from boot to reset, or to a clean end.
type world struct {
	random *rand.Rand
	handle func(Event) []Action // the core, or a damaged one
	core   *Core

	now      time.Duration
	nextTick time.Duration
	clients  []modelClient

	fed      time.Duration // the device's last keep-alive
	disarmed bool
	exited   bool
	marker   bool

	// resetBy is when the machine has to be reset at the latest, once a client
	// broke its word.
	broken  bool
	resetBy time.Duration
	loyal   bool // no client breaks its word
	steps   int
}

// modelClient is a client as it is, which the core learns in the next round.
type modelClient struct {
	connected bool
	known     bool          // the server has taken it
	sent      time.Duration // when it last sent a byte, or was taken
	unread    int           // bytes
	last      byte
	half      bool
	halfTold  bool
	closed    bool
	silent    bool // it has stopped sending
	slow      bool // it sends as late as it may
	excuse    time.Duration
}

const modelRoom = 6

func newWorld(seed uint64, damage func(func(Event) []Action) func(Event) []Action) *world {
	w := &world{random: rand.New(rand.NewPCG(seed, 1)), core: NewCore(CoreConfig{MaxClients: modelRoom}), clients: make([]modelClient, modelRoom), loyal: seed%4 == 0}
	w.now = time.Duration(w.random.Int64N(int64(1000 * time.Hour)))
	w.fed = w.now // opening the device starts it
	w.handle = w.core.Handle
	if damage != nil {
		w.handle = damage(w.core.Handle)
	}
	return w
}

func (w *world) chance(oneIn int) bool { return w.random.IntN(oneIn) == 0 }

// run plays until the machine ends, and returns what was wrong with it.
func (w *world) run(maxSteps int) error {
	for w.steps = 0; w.steps < maxSteps; w.steps++ {
		w.pass()
		if !w.disarmed && w.now-w.fed > modelDevice { // the device fires
			return w.judgeReset(w.fed + modelDevice)
		}
		if w.disarmed {
			return w.judgeEnd()
		}
		if w.broken && w.now > w.resetBy {
			return fmt.Errorf("alive at %s, to be reset by %s", w.now, w.resetBy)
		}
		if !w.exited {
			w.act()
			w.round()
		}
		if err := w.consistent(); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) judgeReset(at time.Duration) error {
	switch {
	case !w.broken:
		return fmt.Errorf("reset at %s for nothing", at)
	case at > w.resetBy:
		return fmt.Errorf("reset at %s, and not by %s", at, w.resetBy)
	default:
		return nil
	}
}

func (w *world) judgeEnd() error {
	for i := range w.clients {
		if w.clients[i].known {
			return fmt.Errorf("disarmed with client %d", i)
		}
	}
	if w.broken {
		return fmt.Errorf("disarmed after a client broke its word")
	}
	return nil
}

// consistent holds what is visible outside against what the clients are.
func (w *world) consistent() error {
	active := 0
	for i := range w.clients {
		if w.clients[i].known {
			active++
		}
	}
	if !w.broken && w.core.Active() != active {
		return fmt.Errorf("%d clients are active, and %d counted", active, w.core.Active())
	}
	if !w.broken && w.marker != (active > 0) {
		return fmt.Errorf("marker %t with %d clients", w.marker, active)
	}
	if w.broken && w.core.Doomed() && active > 0 && !w.marker {
		return fmt.Errorf("the marker went before the machine")
	}
	return nil
}

// pass lets time pass: mostly until an event or the tick, at times much longer.
func (w *world) pass() {
	step := time.Duration(w.random.Int64N(int64(TickInterval)))
	if w.now+step > w.nextTick && w.nextTick > w.now {
		step = w.nextTick - w.now + time.Duration(w.random.Int64N(int64(5*time.Millisecond)))
	}
	if w.chance(20000) { // the server is starved, or was stopped for a while
		step = time.Duration(w.random.Int64N(int64(modelDevice - feedInterval - TickInterval)))
	}
	before := w.now
	w.now += step
	w.suffer(step, before)
	if w.chance(200000) && !w.loyal {
		w.suspend()
	}
}

// suspend lets the machine sleep, and its device too. The clients' time runs.
func (w *world) suspend() {
	step := time.Duration(w.random.Int64N(int64(time.Hour)))
	w.now += step
	w.fed += step
	if w.broken {
		w.resetBy += step
	}
	w.suffer(step, w.now)
}

// suffer lets the clients live through a step, and finds those whose time ran
// out in it. The device counts from the earliest time on.
func (w *world) suffer(step, earliest time.Duration) {
	for i := range w.clients {
		c := &w.clients[i]
		if !c.known || c.closed {
			continue
		}
		if step > maxGap {
			c.excuse = max(c.excuse, step)
		}
		if w.now-c.sent > ClientTimeout {
			w.breakWord(max(earliest, c.sent+ClientTimeout) + modelDevice + time.Second)
		}
	}
}

// breakWord notes that the machine has to be reset.
func (w *world) breakWord(by time.Duration) {
	if !w.broken || by < w.resetBy {
		w.broken, w.resetBy = true, by
	}
}

// act lets clients and the administrator do something.
func (w *world) act() {
	for i := range w.clients {
		w.actClient(&w.clients[i])
	}
}

func (w *world) actClient(c *modelClient) {
	switch {
	case !c.connected:
		if w.chance(200) {
			*c = modelClient{connected: true, slow: w.chance(3), silent: w.chance(300) && !w.loyal}
		}
	case c.closed:
	case c.half:
		if w.chance(100) {
			w.end(c)
		}
	case c.silent:
		if w.chance(5000) {
			w.end(c)
		}
	case w.chance(40000) && !w.loyal:
		c.silent = true
	case w.chance(2000): // leaves
		w.leave(c)
	default:
		w.maybeSend(c)
	}
}

// maybeSend sends every few seconds, or at the last moment; a client that had
// to wait for the server allows for that.
func (w *world) maybeSend(c *modelClient) {
	if !c.known {
		return
	}
	due := 10 * time.Second
	if c.slow {
		due = ClientTimeout - 2*TickInterval - c.excuse - 10*time.Millisecond
	}
	if w.now-c.sent >= due || w.chance(50) {
		w.send(c, "\x00aVV\x00"[w.random.IntN(5)])
	}
}

func (w *world) send(c *modelClient, b byte) {
	c.unread++
	c.last = b
	c.sent = w.now
	c.excuse = 0
}

func (w *world) leave(c *modelClient) {
	if w.loyal || !w.chance(50) {
		w.send(c, goodbye)
	}
	if w.chance(3) {
		c.half = true
		return
	}
	w.end(c)
}

// end closes a connection. Without a goodbye the word is broken.
func (w *world) end(c *modelClient) {
	c.closed = true
	if c.last != goodbye {
		w.breakWord(w.now + modelDevice + time.Second)
	}
}

// round is what the server does, in its order.
func (w *world) round() {
	for _, i := range w.random.Perm(len(w.clients)) {
		w.read(ClientID(i))
	}
	for i := range w.clients {
		if c := &w.clients[i]; c.connected && !c.known && !w.core.Doomed() {
			c.known, c.sent = true, max(c.sent, w.now)
			w.tell(Event{Kind: Connect, Client: ClientID(i), PID: int32(i)})
		}
	}
	if w.chance(5000) {
		w.tell(Event{Kind: Hangup})
	}
	if w.chance(100000) {
		w.terminate()
	}
	if w.chance(1000) {
		w.tell(Event{Kind: Connect, Client: ClientID(w.random.IntN(modelRoom + 1)), UID: 1})
		w.tell(Event{Kind: Refuse})
	}
	if w.now >= w.nextTick {
		w.nextTick = w.now + TickInterval
		w.tell(Event{Kind: Tick})
	}
}

func (w *world) terminate() {
	for i := range w.clients {
		if w.clients[i].known {
			w.breakWord(w.now + modelDevice)
			break
		}
	}
	w.tell(Event{Kind: Terminate})
}

// read tells the core what a client did since, as a stream shows it: bytes
// first, then its end.
func (w *world) read(id ClientID) {
	c := &w.clients[id]
	if !c.known {
		if c.closed { // came and went between two rounds: connect and byte are read together below
			w.forget(c)
		}
		return
	}
	if c.unread > 0 {
		c.unread = 0
		w.tell(Event{Kind: Bytes, Client: id, Last: c.last})
	}
	switch {
	case c.closed:
		w.tell(Event{Kind: HangUp, Client: id})
		w.forget(c)
	case c.half && !c.halfTold:
		c.halfTold = true
		w.tell(Event{Kind: HalfClose, Client: id})
		if c.last == goodbye {
			w.forget(c)
		}
	}
}

// forget frees the place of a client that left cleanly; another stays on the
// books until the reset.
func (w *world) forget(c *modelClient) {
	if c.last == goodbye || !c.known {
		*c = modelClient{}
	}
}

// tell hands an event to the core and does what it orders.
func (w *world) tell(e Event) {
	if w.exited {
		return
	}
	e.At = w.now
	for _, a := range w.handle(e) {
		switch a.Kind {
		case Feed:
			w.fed = w.now
		case Disarm:
			w.disarmed = true
		case Exit:
			w.exited = true
		case MarkActive:
			w.marker = true
		case UnmarkActive:
			w.marker = false
		case Log, SyncJournal, CloseClient, RefuseClient, StopListening:
		}
	}
}

// TestCoreKeepsItsPromise plays machines for some millions of steps. Each one
// must be reset in time if a client broke its word, and otherwise never.
func TestCoreKeepsItsPromise(t *testing.T) {
	steps, machines, resets, seed := 0, 0, 0, uint64(0)
	for ; steps < modelSteps; seed++ {
		w := newWorld(seed, nil)
		err := w.run(50_000)
		require.NoError(t, err, "seed %d, step %d", seed, w.steps)
		steps += w.steps + 1
		machines++
		if w.broken {
			resets++
		}
	}
	t.Logf("%d steps, %d machines, %d resets", steps, machines, resets)
	require.Greater(t, resets, machines/2)
	require.NotZero(t, machines-resets)
}

// TestModelFindsDamage shows that the model is able to fail: it finds every
// core that was damaged in one place.
func TestModelFindsDamage(t *testing.T) {
	type handle = func(Event) []Action
	without := func(kind ActionKind) func(handle) handle {
		return func(h handle) handle {
			return func(e Event) []Action {
				var kept []Action
				for _, a := range h(e) {
					if a.Kind != kind {
						kept = append(kept, a)
					}
				}
				return kept
			}
		}
	}
	deaf := func(kind EventKind) func(handle) handle {
		return func(h handle) handle {
			return func(e Event) []Action {
				if e.Kind == kind {
					return nil
				}
				return h(e)
			}
		}
	}
	rewritten := func(rewrite func(*Event)) func(handle) handle {
		return func(h handle) handle {
			return func(e Event) []Action {
				rewrite(&e)
				return h(e)
			}
		}
	}
	for name, damage := range map[string]func(handle) handle{
		"never feeds":             without(Feed),
		"never marks":             without(MarkActive),
		"never unmarks":           without(UnmarkActive),
		"does not hear bytes":     deaf(Bytes),
		"does not see hang-ups":   deaf(HangUp),
		"does not see half-close": deaf(HalfClose),
		"does not hear connects":  deaf(Connect),
		"every byte is a goodbye": rewritten(func(e *Event) { e.Last = goodbye }),
		"no byte is a goodbye":    rewritten(func(e *Event) { e.Last = 0 }),
		"a clock without suspend": func(h handle) handle {
			var last, lost time.Duration
			return func(e Event) []Action {
				if gap := e.At - last; last != 0 && gap > 9*time.Second {
					lost += gap
				}
				last = e.At
				e.At -= lost
				return h(e)
			}
		},
		"always feeds": func(h handle) handle {
			return func(e Event) []Action {
				actions := h(e)
				if e.Kind == Tick {
					actions = append(actions, Action{Kind: Feed})
				}
				return actions
			}
		},
		"a clock that is slow": rewritten(func(e *Event) { e.At -= e.At % (5 * time.Second) }),
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(2000) {
				if err := newWorld(seed, damage).run(20_000); err != nil {
					t.Logf("seed %d: %v", seed, err)
					return
				}
			}
			t.Fatal("the model did not notice")
		})
	}
}
