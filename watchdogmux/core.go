package watchdogmux

import (
	"fmt"
	"time"
)

// phase is what the core is about.
type phase uint8

const (
	watching phase = iota // the device is fed
	doomed                // a client broke its word: the device is not fed any more
	ended                 // told to exit
)

// client is a place for a client.
type client struct {
	used    bool
	warned  bool // of its expiry, and not averted since
	goodbye bool // its last byte was the magic one
	half    bool // it can send no more
	pid     int32
	heard   time.Duration // when it last sent a byte, or connected
}

// Core decides whether the device is fed. It has no clock, no descriptor and
// no goroutine: everything that happens is an Event, and everything to be done
// an Action. Its promise: the device is starved if, and only if, a client was
// silent for more than ClientTimeout, left without a goodbye, or the daemon was
// told to end while there were clients.
type Core struct {
	clients []client
	active  int
	phase   phase
	config  CoreConfig

	now, before time.Duration // times of this round and of the one before
	fed         time.Duration
	everFed     bool
	refused     time.Duration // when a refusal was last logged
	everRefused bool

	actions []Action // of this event; the array is used again and again
}

// CoreConfig is what a core has to know beforehand.
type CoreConfig struct {
	MaxClients int
	UID        uint32 // of the only user who may connect: root
	// StopsOnClose says that the device stops with the daemon, so that the
	// daemon must not end while clients are active.
	StopsOnClose bool
}

// NewCore returns a core that has not fed its device yet.
func NewCore(config CoreConfig) *Core {
	return &Core{
		config:  config,
		clients: make([]client, config.MaxClients),
		actions: make([]Action, 0, 4*config.MaxClients+8), // a tick has most: a few for each client
	}
}

// Active returns the number of clients on watch.
func (c *Core) Active() int { return c.active }

// Doomed tells whether the device is starved.
func (c *Core) Doomed() bool { return c.phase != watching }

// Handle takes an event and returns what to do now. The slice is valid until
// the next call.
func (c *Core) Handle(e Event) []Action {
	c.actions = c.actions[:0]
	if e.At > c.now {
		c.before, c.now = c.now, e.At
	}
	if c.phase == ended {
		return c.actions
	}
	switch e.Kind {
	case Connect:
		c.connect(e)
	case Refuse:
		c.logRefusal(textFull, e.PID)
	case Bytes:
		c.bytes(e)
	case HalfClose:
		c.halfClose(e)
	case HangUp:
		c.hangUp(e)
	case Tick:
		c.tick()
	case Hangup:
		c.log(textHangup)
	case Terminate:
		c.terminate()
	}
	return c.actions
}

func (c *Core) order(kind ActionKind) { c.actions = append(c.actions, Action{Kind: kind}) }
func (c *Core) orderFor(kind ActionKind, e Event) {
	c.actions = append(c.actions, Action{Kind: kind, Client: e.Client})
}

func (c *Core) log(text string)                   { c.actions = append(c.actions, Action{Kind: Log, Text: text}) }
func (c *Core) logClient(text string, cl *client) { c.log(withPID(text, cl.pid)) }
func (c *Core) place(id ClientID) (*client, bool) {
	if id < 0 || int(id) >= len(c.clients) {
		return nil, false
	}
	return &c.clients[id], c.clients[id].used
}

// connect puts a client on watch. A place that is in use or does not exist is
// an error of the server and refused like a client that is not root's.
func (c *Core) connect(e Event) {
	cl, used := c.place(e.Client)
	switch {
	case e.UID != c.config.UID:
		c.logRefusal(textNotRoot, e.PID)
		c.orderFor(RefuseClient, e)
		return
	case cl == nil || used || c.phase != watching:
		c.logRefusal(textFull, e.PID)
		c.orderFor(RefuseClient, e)
		return
	}
	*cl = client{used: true, pid: e.PID, heard: c.now}
	c.active++
	c.order(MarkActive)
	c.logClient(textConnected, cl)
}

func (c *Core) logRefusal(text string, pid int32) {
	if c.everRefused && c.now-c.refused < refusalInterval {
		return
	}
	c.everRefused, c.refused = true, c.now
	c.log(withPID(text, pid))
}

func (c *Core) bytes(e Event) {
	cl, used := c.place(e.Client)
	if !used || cl.half {
		return
	}
	cl.goodbye = e.Last == goodbye
	sent := c.now
	if c.now-c.before > maxGap {
		sent = c.before
	}
	cl.heard = max(cl.heard, sent)
	c.avert(cl)
}

// avert says that a warning was for nothing.
func (c *Core) avert(cl *client) {
	if cl.warned && c.now-cl.heard <= warnAfter && c.phase == watching {
		cl.warned = false
		c.logClient(textAverted, cl)
	}
}

// halfClose judges a client that can send no more. After the magic byte that
// is the goodbye; otherwise its time runs out, or it hangs up.
func (c *Core) halfClose(e Event) {
	cl, used := c.place(e.Client)
	switch {
	case !used || cl.half:
	case cl.goodbye:
		c.leave(e, cl)
	default:
		cl.half = true
		c.logClient(textHalf, cl)
	}
}

func (c *Core) hangUp(e Event) {
	cl, used := c.place(e.Client)
	switch {
	case !used:
	case cl.goodbye:
		c.leave(e, cl)
	default:
		// The client stays active: the marker stays, and so does its PID in
		// what is logged of it.
		c.logClient(textBroken, cl)
		c.orderFor(CloseClient, e)
		cl.used = false
		c.doom()
	}
}

// leave takes a client off the watch that said goodbye.
func (c *Core) leave(e Event, cl *client) {
	c.logClient(textClean, cl)
	c.orderFor(CloseClient, e)
	*cl = client{}
	if c.phase != watching {
		return // the marker must outlive this daemon
	}
	c.active--
	if c.active == 0 {
		c.log(textAllGone)
		c.order(UnmarkActive)
	}
}

// doom starves the device from here on.
func (c *Core) doom() {
	if c.phase == watching {
		c.phase = doomed
		c.order(StopListening)
	}
	c.order(SyncJournal)
}

// tick looks for silent clients, and feeds the device if there are none.
func (c *Core) tick() {
	expired := false
	for i := range c.clients {
		if cl := &c.clients[i]; cl.used && c.phase == watching {
			expired = c.silent(cl) || expired
		}
	}
	if expired {
		c.doom()
	}
	// The first tick feeds. Half an interval less, so that a tick that comes a
	// little early does not leave a hole of one and a half.
	if c.phase == watching && (!c.everFed || c.now-c.fed >= feedInterval-TickInterval/2) {
		c.everFed, c.fed = true, c.now
		c.order(Feed)
	}
}

// silent tells whether the time of a client is up, and warns before.
func (c *Core) silent(cl *client) bool {
	silence := c.now - cl.heard
	if silence > warnAfter && !cl.warned {
		cl.warned = true
		c.logClient(textWarned, cl)
		c.order(SyncJournal)
	}
	if silence <= ClientTimeout {
		return false
	}
	c.logClient(textExpired, cl)
	return true
}

// terminate ends the daemon: cleanly without clients, and otherwise so that the
// machine is reset.
func (c *Core) terminate() {
	c.log(textTerminate)
	if c.active == 0 && c.phase == watching {
		c.phase = ended
		c.order(StopListening)
		c.log(textExitClean)
		c.order(Disarm)
		c.order(Exit)
		return
	}
	c.log(textExitActive)
	c.doom()
	if c.config.StopsOnClose {
		c.log(fmt.Sprintf("the device would stop with watchdog-mux - staying until the machine is reset, with %d active connections", c.active))
		return
	}
	c.phase = ended
	c.order(Exit)
}
