package watchdogmux

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Paths of the protocol.
const (
	DefaultSocket = "/run/watchdog-mux.sock"
	DefaultMarker = "/run/watchdog-mux.active"
)

// backlog is how many clients may wait to be taken; rounds are short.
const backlog = 1024

// Listener is the socket that clients connect to.
type Listener struct {
	fd   int
	path string // to be removed at the end, empty when systemd owns the socket
}

// Listen makes the socket at the path. One that is there already is replaced,
// as nobody listens there while the device can be opened.
func Listen(path string) (*Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	l := &Listener{fd: fd, path: path}
	mask := unix.Umask(0o177) // only root may connect, and it is asked again in accept
	err = unix.Bind(fd, &unix.SockaddrUnix{Name: path})
	unix.Umask(mask)
	if err != nil {
		l.Close()
		return nil, &os.PathError{Op: "bind", Path: path, Err: err}
	}
	if err := unix.Listen(fd, backlog); err != nil {
		l.Close()
		return nil, &os.PathError{Op: "listen", Path: path, Err: err}
	}
	return l, nil
}

// firstActivated is the first descriptor that systemd passes.
const firstActivated = 3

// Activated returns the socket that systemd passes, or nil where it passes
// none. More than one, or something else than a listening Unix stream socket,
// is an error of the units.
func Activated(getenv func(string) string, pid int) (*Listener, error) {
	if getenv("LISTEN_PID") != strconv.Itoa(pid) {
		return nil, nil
	}
	if n := getenv("LISTEN_FDS"); n != "1" {
		return nil, fmt.Errorf("systemd passes LISTEN_FDS=%s sockets, and one is needed", n)
	}
	return adopt(firstActivated)
}

func adopt(fd int) (*Listener, error) {
	for _, want := range []struct{ option, value int }{
		{unix.SO_DOMAIN, unix.AF_UNIX},
		{unix.SO_TYPE, unix.SOCK_STREAM},
		{unix.SO_ACCEPTCONN, 1},
	} {
		value, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, want.option)
		if err != nil {
			return nil, fmt.Errorf("descriptor %d of systemd: %w", fd, err)
		}
		if value != want.value {
			return nil, fmt.Errorf("descriptor %d of systemd is not a listening Unix stream socket", fd)
		}
	}
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("descriptor %d of systemd: %w", fd, err)
	}
	return &Listener{fd: fd}, nil
}

// Close ends listening and removes the path.
func (l *Listener) Close() {
	_ = unix.Close(l.fd)
	if l.path != "" {
		_ = os.Remove(l.path)
	}
}

// accept takes those who wait to be taken.
func (s *Server) accept(now time.Duration) {
	for range maxAccepts {
		if s.Listener == nil {
			return // the core has ended it
		}
		fd, _, err := unix.Accept4(s.Listener.fd, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		switch {
		case err == nil:
			s.accepting.settle()
			s.take(now, fd)
		case errors.Is(err, unix.EAGAIN):
			return
		case errors.Is(err, unix.EINTR) || errors.Is(err, unix.ECONNABORTED):
		case errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE):
			s.complain(&s.accepting, now, "cannot take a client", err)
			if !s.turnAway(now) {
				return
			}
		default:
			s.complain(&s.accepting, now, "cannot take a client", err)
			return
		}
	}
}

// take makes a connection a client, or closes it at once: nobody is to believe
// in a watchdog that does not watch.
func (s *Server) take(now time.Duration, fd int) {
	pid, uid := peer(fd)
	place := slices.Index(s.clients, noDescriptor)
	if place < 0 {
		_ = unix.Close(fd)
		s.tell(Event{Kind: Refuse, At: now, PID: pid})
		return
	}
	if err := s.watch(fd, int32(place)); err != nil {
		_ = unix.Close(fd)
		s.complain(&s.accepting, now, fmt.Sprintf("cannot take client (PID %d)", pid), err)
		return
	}
	s.clients[place] = int32(fd)
	s.tell(Event{Kind: Connect, At: now, Client: ClientID(place), PID: pid, UID: uid})
}

// peer returns who connected. Who cannot be asked for is not root.
func peer(fd int) (pid int32, uid uint32) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return 0, ^uint32(0)
	}
	return cred.Pid, cred.Uid
}

// turnAway gives the spare descriptor up to take one client and close it, so
// that it does not wait for a daemon that cannot take it.
func (s *Server) turnAway(now time.Duration) bool {
	if s.spare == noDescriptor {
		s.openSpare()
		return false
	}
	_ = unix.Close(s.spare)
	s.spare = noDescriptor
	fd, _, err := unix.Accept4(s.Listener.fd, unix.SOCK_CLOEXEC)
	if err == nil {
		pid, _ := peer(fd)
		_ = unix.Close(fd)
		s.tell(Event{Kind: Refuse, At: now, PID: pid})
	}
	s.openSpare()
	return err == nil
}

// openSpare keeps a descriptor back. Without one, who cannot be taken waits.
func (s *Server) openSpare() {
	if fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
		s.spare = fd
	}
}
