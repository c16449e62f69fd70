package pveenv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"pveha/internal/ha"
)

// Where log entries go: systemd's journal takes them with fields, and any
// syslog as lines.
const (
	DefaultJournalSocket = "/run/systemd/journal/socket"
	DefaultSyslogSocket  = "/dev/log"
)

const (
	// journalQueue is how many entries may wait for a journal that does not
	// read.
	journalQueue = 4096
	// maxEntryText keeps an entry within one datagram, in bytes. The longest
	// lines of the daemons have a few hundred.
	maxEntryText = 32 << 10
	// entryTimeout is how long an entry waits for a journal that is there and
	// does not read, before it goes elsewhere.
	entryTimeout = time.Second
	// facility is syslog's number of daemons.
	facility = 3
)

// JournalConfig says where lines go.
type JournalConfig struct {
	// Identifier is the name of the daemon, as in syslog: "pve-ha-crm".
	Identifier string
	Node       string // the local node
	// Socket is the journal's; "" is [DefaultJournalSocket]. Syslog takes what
	// the journal does not; "" is [DefaultSyslogSocket].
	Socket, Syslog string
	// Fallback takes what neither does, a line each, with the syslog priority
	// in front as systemd reads it from a standard error ("<6>"). Nil: such
	// lines are lost.
	Fallback io.Writer
	// Copy gets every line as well, for somebody who watches the daemon in the
	// foreground. Nil: nobody.
	Copy io.Writer
}

// Journal writes the log of a daemon to systemd's journal, with fields beside
// the text: HA_NODE is the node the entry is about, HA_SID the service, HA_STATE
// the state that a daemon, node or service is in from here on, and HA_LOCAL_NODE
// the node that wrote it. Nothing ever waits for it.
type Journal struct {
	config JournalConfig
	fd     int // of the socket, -1 for none
	hangs  map[string]bool

	mu      sync.Mutex
	queue   chan queuedEntry
	leftOut int // since the last entry that had room
	closed  bool
	done    chan struct{} // closed when everything is written
}

// queuedEntry is an entry and how many were left out right before it.
type queuedEntry struct {
	ha.Entry
	leftOut int
}

// OpenJournal starts writing. A journal that is not there, or only comes
// later, is no error.
func OpenJournal(config JournalConfig) *Journal {
	if config.Socket == "" {
		config.Socket = DefaultJournalSocket
	}
	if config.Syslog == "" {
		config.Syslog = DefaultSyslogSocket
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		fd = -1
	}
	j := &Journal{
		config: config, fd: fd, hangs: map[string]bool{},
		queue: make(chan queuedEntry, journalQueue), done: make(chan struct{}),
	}
	go j.write()
	return j
}

// Log writes an entry, at once as far as the caller can tell. After Close it
// does nothing.
func (j *Journal) Log(e ha.Entry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return
	}
	select {
	case j.queue <- queuedEntry{e, j.leftOut}:
		j.leftOut = 0
	default:
		j.leftOut++
	}
}

// Close writes what waits, for as long as the limit at most.
func (j *Journal) Close(limit time.Duration) {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return
	}
	j.closed = true
	close(j.queue)
	j.mu.Unlock()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-j.done:
	case <-timer.C:
	}
}

func (j *Journal) write() {
	defer close(j.done)
	for e := range j.queue {
		j.putLeftOut(e.leftOut)
		j.put(e.Entry)
	}
	j.putLeftOut(j.leftOut) // nobody writes it once the queue is closed
	if j.fd >= 0 {
		_ = unix.Close(j.fd)
	}
}

// putLeftOut says in the place of entries that they are missing.
func (j *Journal) putLeftOut(n int) {
	if n > 0 {
		j.put(ha.Entry{Level: ha.LevelWarning, Text: fmt.Sprintf("%d messages were left out", n)})
	}
}

func (j *Journal) put(e ha.Entry) {
	e.Text = strings.TrimSuffix(e.Text, "\n")
	if len(e.Text) > maxEntryText {
		e.Text = e.Text[:maxEntryText] + "..."
	}
	if j.config.Copy != nil {
		fmt.Fprintf(j.config.Copy, "%s\n", e.Text)
	}
	if j.send(j.config.Socket, encodeEntry(j.config, e)) == nil ||
		j.send(j.config.Syslog, encodeSyslog(j.config, e, time.Now())) == nil ||
		j.config.Fallback == nil {
		return
	}
	for line := range strings.SplitSeq(e.Text, "\n") {
		fmt.Fprintf(j.config.Fallback, "<%d>%s\n", priority(e.Level), line)
	}
}

// send hands a datagram to a socket. It waits for a while where the queue of
// the reader is full, but not again before that has read something.
func (j *Journal) send(socket string, datagram []byte) error {
	if j.fd < 0 {
		return unix.EBADF
	}
	to := &unix.SockaddrUnix{Name: socket}
	for end := time.Now().Add(entryTimeout); ; {
		err := unix.Sendto(j.fd, datagram, unix.MSG_NOSIGNAL, to)
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			j.hangs[socket] = false
			return err
		}
		if j.hangs[socket] || time.Now().After(end) {
			j.hangs[socket] = true
			return err
		}
		// To poll would tell of the room in the queue of the sender.
		time.Sleep(10 * time.Millisecond)
	}
}

// encodeSyslog returns an entry as syslog(3) sends it.
func encodeSyslog(config JournalConfig, e ha.Entry, now time.Time) []byte {
	return fmt.Appendf(nil, "<%d>%s %s[%d]: %s", facility*8+priority(e.Level),
		now.Format(time.Stamp), config.Identifier, os.Getpid(), e.Text)
}

// encodeEntry returns an entry in the journal's native protocol.
func encodeEntry(config JournalConfig, e ha.Entry) []byte {
	var b bytes.Buffer
	field := func(name, value string) {
		switch {
		case value == "":
		case strings.Contains(value, "\n"):
			b.WriteString(name + "\n")
			_ = binary.Write(&b, binary.LittleEndian, uint64(len(value))) // to memory
			b.WriteString(value + "\n")
		default:
			b.WriteString(name + "=" + value + "\n")
		}
	}
	field("MESSAGE", e.Text)
	field("PRIORITY", strconv.Itoa(priority(e.Level)))
	field("SYSLOG_FACILITY", strconv.Itoa(facility))
	field("SYSLOG_IDENTIFIER", config.Identifier)
	field("SYSLOG_PID", strconv.Itoa(os.Getpid()))
	field("HA_LOCAL_NODE", config.Node)
	field("HA_NODE", e.Node)
	field("HA_SID", string(e.SID))
	field("HA_STATE", stateAfter(e.Text))
	return b.Bytes()
}

// priority is the syslog number of a level.
func priority(l ha.Level) int {
	switch l {
	case ha.LevelErr:
		return 3
	case ha.LevelWarning:
		return 4
	case ha.LevelNotice:
		return 5
	case ha.LevelInfo:
		return 6
	case ha.LevelDebug:
		return 7
	}
	return 6
}

// stateAfter returns the new state in one of the three texts that tell of a
// change of state, of a daemon, of a node and of a service:
//
//	status change slave => master
//	node 'n1': state changed from 'online' => 'unknown'
//	service 'vm:1': state changed from 'started' to 'fence'  (node = n1, ...)
func stateAfter(text string) string {
	if change, ok := strings.CutPrefix(text, "status change "); ok {
		_, state, _ := strings.Cut(change, " => ")
		return state
	}
	_, change, ok := strings.Cut(text, ": state changed from '")
	if !ok {
		return ""
	}
	for _, arrow := range []string{"' => '", "' to '"} {
		if _, state, ok := strings.Cut(change, arrow); ok {
			state, _, _ = strings.Cut(state, "'")
			return state
		}
	}
	return ""
}
