package daemon

import (
	"os"

	"golang.org/x/sys/unix"
)

// Notifier tells systemd how the daemon fares, by the protocol of sd_notify:
// datagrams of NAME=value lines to the socket that NOTIFY_SOCKET names.
type Notifier struct {
	fd int
	to unix.Sockaddr
}

// NewNotifier returns nil, which does nothing, where the path is empty. A path
// with "@" in front is an abstract name.
func NewNotifier(path string) (*Notifier, error) {
	if path == "" {
		return nil, nil
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	return &Notifier{fd: fd, to: &unix.SockaddrUnix{Name: path}}, nil
}

// Send sends the lines. A service manager that does not listen is no reason to
// wait or to stop.
func (n *Notifier) Send(lines string) {
	if n != nil {
		_ = unix.Sendto(n.fd, []byte(lines), unix.MSG_NOSIGNAL, n.to)
	}
}

// Close frees the descriptor.
func (n *Notifier) Close() {
	if n != nil {
		_ = unix.Close(n.fd)
	}
}
