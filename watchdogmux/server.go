package watchdogmux

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"pveha/internal/daemon"
)

// Limits of the work of one round, so that the next tick is never far.
const (
	maxEvents  = 1024 // all clients and the two others
	maxAccepts = 256
	readSize   = 4096
	maxReads   = 64 // of a client that is gone: more than a socket holds
)

// DefaultMaxClients is more than a node ever has: the CRM, the LRM, and what
// an administrator tries.
const DefaultMaxClients = maxEvents - 24

// pace is the shortest round that had something to do. A flood of bytes then
// costs two hundred reads of each client a second and no more, and what is
// still to be read is younger than a tick.
const pace = 5 * time.Millisecond

// complaintInterval is how often a lasting failure is logged.
const complaintInterval = 10 * time.Second

// What an epoll event is about, where it is not a place for a client.
const (
	aboutListener = -1
	aboutWake     = -2
)

// Feeder is what the server needs of a watchdog device.
type Feeder interface {
	KeepAlive() error
	Disarm() error
}

// ServerConfig holds what a server works with; all but Listener is needed.
type ServerConfig struct {
	Core       *Core
	MaxClients int // as the core has
	Device     Feeder
	Listener   *Listener // nil: no client is taken, the device is fed all the same
	Marker     string    // folder that exists while a client is active
	Journal    *Journal
	Notify     *daemon.Notifier
	Clock      func() time.Duration // since boot, suspend included
}

// Server tells the core what happens on the socket and does what it orders.
// One goroutine does both, with bounded work in a round and no allocation
// while the same clients only send bytes.
type Server struct {
	ServerConfig
	epoll, wake int
	spare       int // a descriptor to give up when there are no others
	clients     []int32
	events      [maxEvents]unix.EpollEvent
	buffer      [readSize]byte
	wakeBuffer  [8]byte
	nextTick    time.Duration
	signals     [2]atomic.Bool // Hangup, Terminate: seen
	due         [2]bool        // the same: to be told in this round
	feeding     complaint
	accepting   complaint
	waiting     complaint
	exit        bool
}

const noDescriptor = -1

// NewServer prepares a server. It owns the listener from here on, and the
// device's end.
func NewServer(config ServerConfig) (*Server, error) {
	s := &Server{
		ServerConfig: config, epoll: noDescriptor, wake: noDescriptor, spare: noDescriptor,
		clients: make([]int32, config.MaxClients),
	}
	for i := range s.clients {
		s.clients[i] = noDescriptor
	}
	if err := s.prepare(); err != nil {
		s.Close()
		return nil, fmt.Errorf("watchdog-mux: %w", err)
	}
	return s, nil
}

func (s *Server) prepare() (err error) {
	if s.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if s.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return os.NewSyscallError("eventfd", err)
	}
	if err := s.watch(s.wake, aboutWake); err != nil {
		return err
	}
	s.openSpare()
	if s.Listener == nil {
		return nil
	}
	return s.watch(s.Listener.fd, aboutListener)
}

// watch asks for the events of a descriptor. Hang-ups and errors come always.
func (s *Server) watch(fd int, about int32) error {
	err := unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: about})
	return os.NewSyscallError("epoll_ctl", err)
}

// Signal tells the core about Hangup or Terminate. It may be called from any
// goroutine.
func (s *Server) Signal(kind EventKind) {
	s.signals[signalIndex(kind)].Store(true)
	one := [8]byte{1}
	// It fails only when many wake-ups wait already.
	_, _ = unix.Write(s.wake, one[:])
}

func signalIndex(kind EventKind) int {
	if kind == Hangup {
		return 0
	}
	return 1
}

// Run serves until the core orders the end. What fails meanwhile is logged,
// and work goes on: an end that nobody ordered would reset the machine.
func (s *Server) Run() {
	for !s.exit {
		s.round()
	}
}

// round waits for events, at most until the next tick, and tells the core.
func (s *Server) round() {
	wait := max(0, s.nextTick-s.Clock())
	if s.due[0] || s.due[1] {
		wait = 0
	}
	n, err := unix.EpollWait(s.epoll, s.events[:], int((wait+time.Millisecond-1)/time.Millisecond))
	now := s.Clock()
	if err != nil {
		if n = 0; !errors.Is(err, unix.EINTR) {
			s.complain(&s.waiting, now, "epoll_wait", err)
			n = 1 // pace the loop
		}
	}
	// Clients before connects, which may take the places of those that go.
	connects := false
	for i := range max(0, n) {
		switch e := &s.events[i]; {
		case err != nil:
		case e.Fd == aboutListener:
			connects = true
		case e.Fd == aboutWake:
			_, _ = unix.Read(s.wake, s.wakeBuffer[:])
		default:
			s.read(now, ClientID(e.Fd), e.Events)
		}
	}
	if connects && s.Listener != nil {
		s.accept(now)
	}
	s.takeSignals(now)
	if now >= s.nextTick {
		s.nextTick = now + TickInterval
		s.tell(Event{Kind: Tick, At: now})
	}
	if n > 0 && !s.exit {
		pause := unix.NsecToTimespec(int64(pace))
		_ = unix.Nanosleep(&pause, nil) // a shorter pause does no harm
	}
}

// takeSignals tells the core of a signal in the round after it was seen: a
// client that came, said goodbye and went before the signal is then gone.
func (s *Server) takeSignals(now time.Duration) {
	for _, kind := range [...]EventKind{Hangup, Terminate} {
		i := signalIndex(kind)
		if s.due[i] {
			s.tell(Event{Kind: kind, At: now})
		}
		s.due[i] = s.signals[i].Swap(false)
	}
}

// read takes what a client sent, or learns that it will send no more. Of a
// client that is gone it takes everything that is left, and the end.
func (s *Server) read(now time.Duration, id ClientID, events uint32) {
	gone := events&(unix.EPOLLHUP|unix.EPOLLERR) != 0
	for range maxReads {
		fd := int(s.clients[id])
		if fd == noDescriptor || !s.readOnce(now, id, fd, gone) || !gone {
			return
		}
	}
}

// readOnce tells whether there were bytes.
func (s *Server) readOnce(now time.Duration, id ClientID, fd int, gone bool) bool {
	n, err := unix.Read(fd, s.buffer[:])
	switch {
	case n > 0:
		s.tell(Event{Kind: Bytes, At: now, Client: id, Last: s.buffer[n-1]})
		return true
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
	case err != nil || gone:
		s.tell(Event{Kind: HangUp, At: now, Client: id})
	default:
		// The end of what it sends, while it is still connected: nothing is to
		// be read any more, and its hang-up comes without being asked for.
		_ = unix.EpollCtl(s.epoll, unix.EPOLL_CTL_MOD, fd, &unix.EpollEvent{Fd: int32(id)})
		s.tell(Event{Kind: HalfClose, At: now, Client: id})
	}
	return false
}

// tell hands an event to the core and does what it orders.
func (s *Server) tell(e Event) {
	for _, a := range s.Core.Handle(e) {
		s.do(e.At, a)
	}
}

func (s *Server) do(now time.Duration, a Action) {
	switch a.Kind {
	case Feed:
		if err := s.Device.KeepAlive(); err != nil {
			s.complain(&s.feeding, now, "watchdog update failed", err)
		} else if s.feeding.settle() {
			s.Journal.Log("watchdog update works again")
		}
	case Log:
		s.Journal.Log(a.Text)
	case SyncJournal:
		s.Journal.Sync()
	case MarkActive:
		if err := os.Mkdir(s.Marker, 0o600); err != nil && !errors.Is(err, fs.ErrExist) {
			s.Journal.Log(fmt.Sprintf("cannot mark watchdog-mux as active: %v", err))
		}
	case UnmarkActive:
		if err := os.Remove(s.Marker); err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.Journal.Log(fmt.Sprintf("cannot unmark watchdog-mux, which is not active any more: %v", err))
		}
	case CloseClient, RefuseClient:
		s.drop(a.Client)
	case StopListening:
		s.stopListening()
	case Disarm:
		if err := s.Device.Disarm(); err != nil {
			s.Journal.Log(err.Error())
		}
	case Exit:
		s.Notify.Send("STOPPING=1")
		s.exit = true
	}
}

func (s *Server) drop(id ClientID) {
	_ = unix.Close(int(s.clients[id])) // a descriptor is gone, whatever close says
	s.clients[id] = noDescriptor
}

func (s *Server) stopListening() {
	if s.Listener != nil {
		s.Listener.Close()
		s.Listener = nil
	}
}

// Close frees the descriptors. The device is not touched.
func (s *Server) Close() {
	s.stopListening()
	s.Notify.Close()
	for id, fd := range s.clients {
		if fd != noDescriptor {
			s.drop(ClientID(id))
		}
	}
	for _, fd := range []*int{&s.epoll, &s.wake, &s.spare} {
		if *fd != noDescriptor {
			_ = unix.Close(*fd)
			*fd = noDescriptor
		}
	}
}

// complaint keeps a lasting failure from filling the journal.
type complaint struct {
	failing bool
	last    time.Duration
}

// due tells whether a failure is to be logged.
func (c *complaint) due(now time.Duration) bool {
	if c.failing && now-c.last < complaintInterval {
		return false
	}
	c.failing, c.last = true, now
	return true
}

// settle ends a failure, and tells whether there was one.
func (c *complaint) settle() bool {
	was := c.failing
	c.failing = false
	return was
}

func (s *Server) complain(c *complaint, now time.Duration, what string, err error) {
	if c.due(now) {
		s.Journal.Log(fmt.Sprintf("%s: %v", what, err))
	}
}
