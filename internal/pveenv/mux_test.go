package pveenv

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// fakeMux is a watchdog multiplexer on a simulated clock, and the watchdog
// behind it. It looks at its clients when it is told to.
type fakeMux struct {
	t       testing.TB
	path    string
	now     func() time.Time
	fd      int // of the listening socket, -1 while the node is off
	clients map[int]*muxClient
	doomed  time.Time // when a client broke its word; zero: none did
	resets  int
}

type muxClient struct {
	heard   time.Time
	goodbye bool
}

// As the multiplexer and the device have them, in seconds.
const (
	muxClientTimeout = 60 * time.Second
	muxDeviceTimeout = 10 * time.Second
)

func newFakeMux(t testing.TB, now func() time.Time) *fakeMux {
	m := &fakeMux{t: t, path: filepath.Join(shortDir(t), "mux.sock"), now: now, fd: -1, clients: map[int]*muxClient{}}
	m.start()
	t.Cleanup(m.stop)
	return m
}

func (m *fakeMux) start() {
	if m.fd >= 0 {
		return
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	require.NoError(m.t, err)
	_ = unix.Unlink(m.path)
	require.NoError(m.t, unix.Bind(fd, &unix.SockaddrUnix{Name: m.path}))
	require.NoError(m.t, unix.Listen(fd, 16))
	m.fd, m.doomed = fd, time.Time{}
}

// stop is the end of the node: nothing is left that could reset it.
func (m *fakeMux) stop() {
	if m.fd < 0 {
		return
	}
	for fd := range m.clients {
		_ = unix.Close(fd)
	}
	clear(m.clients)
	_ = unix.Close(m.fd)
	_ = unix.Unlink(m.path)
	m.fd, m.doomed = -1, time.Time{}
}

// look takes in what the clients sent, and resets the node when it is time.
func (m *fakeMux) look() {
	if m.fd < 0 {
		return
	}
	for {
		fd, _, err := unix.Accept4(m.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			break
		}
		m.clients[fd] = &muxClient{heard: m.now()}
	}
	for fd, c := range m.clients {
		m.hear(fd, c)
	}
	if !m.doomed.IsZero() && m.now().Sub(m.doomed) >= muxDeviceTimeout {
		m.resets++
		m.stop()
	}
}

func (m *fakeMux) hear(fd int, c *muxClient) {
	buffer := make([]byte, 64)
	for {
		n, err := unix.Read(fd, buffer)
		switch {
		case err != nil:
			if m.now().Sub(c.heard) >= muxClientTimeout {
				m.doom()
			}
			return
		case n == 0:
			_ = unix.Close(fd)
			delete(m.clients, fd)
			if !c.goodbye {
				m.doom()
			}
			return
		}
		c.heard, c.goodbye = m.now(), buffer[n-1] == 'V'
	}
}

func (m *fakeMux) doom() {
	if m.doomed.IsZero() {
		m.doomed = m.now()
	}
}
