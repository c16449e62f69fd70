package watchdogmux

import (
	"strconv"
	"time"
)

// Times of the protocol, as the C daemon has them.
const (
	// ClientTimeout is how long a client may be silent.
	ClientTimeout = 60 * time.Second
	// warnAfter is the silence after which the journal is told.
	warnAfter = ClientTimeout - 10*time.Second
	// DeviceTimeout is what the device is asked for.
	DeviceTimeout = 10 * time.Second
	// LockLifetime is how long a lock of the cluster file system outlives the
	// last sign of its holder: that of the manager and of every agent.
	LockLifetime = 120 * time.Second
	// MinMargin is what must lie between the reset of this machine and the
	// moment at which another may take over its locks, if every keep-alive came
	// with a refresh of the lock. A client may send one as late as 20 seconds
	// after the refresh that it is for, be it that the answer came late or that
	// the file system is away for a while. The other 20 are for machines that
	// stall, and for whole seconds.
	MinMargin = 40 * time.Second
)

// Times of the core.
const (
	// TickInterval is how often a Tick is due.
	TickInterval = 500 * time.Millisecond
	// feedInterval is how often the device is fed, when each Tick is in time.
	feedInterval = time.Second
	// maxGap is the longest time between two rounds of events after which a
	// byte counts as sent when it was read. After a longer one, because of a
	// suspended or starved machine, it counts as sent at the round before:
	// nobody knows better, and an old byte must not buy another minute.
	maxGap = time.Second
	// refusalInterval is how often refused clients are logged at most.
	refusalInterval = 10 * time.Second
)

// goodbye is the byte that makes the end of a connection a clean one.
const goodbye = 'V'

// ClientID is a place among the clients, from 0. It is free again once
// CloseClient was ordered for it.
type ClientID int32

// EventKind says what happened.
type EventKind uint8

// The events.
const (
	Connect   EventKind = iota + 1 // a client connected: Client (a free place), PID, UID
	Refuse                         // a client was turned away for want of room: PID
	Bytes                          // a client sent bytes: Client, Last
	HalfClose                      // a client will send no more, and is still connected: Client
	HangUp                         // a client's connection ended, for whatever reason: Client
	Tick                           // TickInterval has passed
	Hangup                         // signal SIGHUP
	Terminate                      // signal SIGTERM or SIGINT
)

// Event is what the core is told. Events of one round of the server bear one
// time, and a round is told in the order: clients, connects, signals, tick.
type Event struct {
	Kind   EventKind
	At     time.Duration // since boot, suspend included; never less than before
	Client ClientID
	PID    int32
	UID    uint32
	Last   byte // of the bytes sent
}

// ActionKind says what is to be done.
type ActionKind uint8

// The actions.
const (
	Feed        ActionKind = iota + 1 // keep the device alive
	Log                               // write Text to the journal
	SyncJournal                       // let the journal reach the disk, without waiting for it
	MarkActive                        // make the marker
	UnmarkActive
	CloseClient   // close the connection, forget the place: Client
	RefuseClient  // close the connection, which was never a client: Client
	StopListening // take no more clients, ever
	Disarm        // stop the device
	Exit          // end the daemon; without Disarm before, the machine is reset
)

// Action is what the core orders, in the order of the slice it comes in.
type Action struct {
	Kind   ActionKind
	Client ClientID
	Text   string
}

// Texts of the journal with a client in them. Tools match them: they are those
// of the C daemon, up to those that it has no case for.
const (
	textConnected = "added new client (PID %) to watch"
	textWarned    = "client (PID %) watchdog is about to expire"
	textAverted   = "client (PID %) watchdog was updated before expiring"
	textExpired   = "client (PID %) watchdog expired - disable watchdog updates"
	textBroken    = "client (PID %) did not stop watchdog - disable watchdog updates"
	textClean     = "client (PID %) has disconnected cleanly. Removing it gracefully from the watch"
	textHalf      = "client (PID %) closed its sending side without stopping watchdog - it cannot update any more"
	textNotRoot   = "refused client (PID %): only root may connect"
	textFull      = "refused client (PID %): too many clients"
)

// Texts without a client.
const (
	textAllGone    = "all watchdog client connections to the multiplexer closed"
	textHangup     = "got SIGHUP - ignored"
	textTerminate  = "got terminate request"
	textExitActive = "exit watchdog-mux with active connections"
	textExitClean  = "clean exit"
)

// withPID puts the PID in the place of the percent sign.
func withPID(text string, pid int32) string {
	for i := range len(text) {
		if text[i] == '%' {
			return text[:i] + strconv.Itoa(int(pid)) + text[i+1:]
		}
	}
	return text
}
