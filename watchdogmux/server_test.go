package watchdogmux

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// testDevice counts what is done to a device.
type testDevice struct {
	fed      int
	disarmed bool
	err      error
}

func (d *testDevice) KeepAlive() error {
	if d.err == nil {
		d.fed++
	}
	return d.err
}

func (d *testDevice) Disarm() error {
	d.disarmed = true
	return d.err
}

// lines collects what the journal gets.
type lines struct {
	mutex sync.Mutex
	text  strings.Builder
}

func (l *lines) Write(data []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.Write(data)
}

// bench is a server whose rounds and clock are in the hands of the test.
type bench struct {
	*testing.T
	*Server
	dir     string
	now     time.Duration
	device  *testDevice
	journal *Journal
	lines   *lines
	syncs   int
}

func shortDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "wd") // t.TempDir is too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func newBench(t *testing.T, room int) *bench {
	b := &bench{T: t, dir: shortDir(t), now: time.Hour, device: &testDevice{}, lines: &lines{}}
	b.journal = NewJournal(JournalConfig{Writers: []io.Writer{b.lines}, Sync: func() { b.syncs++ }})
	listener, err := Listen(filepath.Join(b.dir, "mux.sock"))
	require.NoError(t, err)
	b.Server, err = NewServer(ServerConfig{
		Core:       NewCore(CoreConfig{MaxClients: room, UID: uint32(os.Getuid())}),
		MaxClients: room, Device: b.device, Listener: listener,
		Marker: filepath.Join(b.dir, "mux.active"), Journal: b.journal,
		Clock: func() time.Duration { return b.now },
	})
	require.NoError(t, err)
	t.Cleanup(b.Close)
	return b
}

// pass lets the time pass in rounds of a tick.
func (b *bench) pass(d time.Duration) {
	for end := b.now + d; b.now < end; {
		b.now += TickInterval
		b.round()
	}
}

func (b *bench) connect() *net.UnixConn {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: filepath.Join(b.dir, "mux.sock"), Net: "unix"})
	require.NoError(b, err)
	b.Cleanup(func() { conn.Close() })
	b.round()
	return conn
}

func (b *bench) send(conn *net.UnixConn, bytes string) {
	_, err := conn.Write([]byte(bytes))
	require.NoError(b, err)
	b.round()
}

func (b *bench) active() bool {
	_, err := os.Stat(b.Marker)
	return err == nil
}

// said ends the journal and returns its lines.
func (b *bench) said() []string {
	b.journal.Close(time.Minute)
	return strings.Split(strings.TrimSuffix(b.lines.text.String(), "\n"), "\n")
}

// pid fills the PID of this process into lines.
func pid(texts ...string) []string {
	for i := range texts {
		texts[i] = strings.ReplaceAll(texts[i], "%", fmt.Sprint(os.Getpid()))
	}
	return texts
}

func TestServerLogsAsTheOriginalDoes(t *testing.T) {
	b := newBench(t, 4)
	first, second := b.connect(), b.connect()
	require.True(t, b.active())
	b.pass(51 * time.Second)
	b.send(first, "\x00")
	b.send(second, "abc")
	b.send(first, "xV")
	require.NoError(t, first.Close())
	b.round()
	require.True(t, b.active())
	b.Signal(Hangup)
	b.round()
	b.round()
	b.send(second, "V")
	require.NoError(t, second.Close())
	b.round()
	require.False(t, b.active())
	b.Signal(Terminate)
	b.Server.Run()
	require.True(t, b.device.disarmed)
	require.NoFileExists(t, filepath.Join(b.dir, "mux.sock"))
	require.Equal(t, pid(
		"added new client (PID %) to watch",
		"added new client (PID %) to watch",
		"client (PID %) watchdog is about to expire",
		"client (PID %) watchdog is about to expire",
		"client (PID %) watchdog was updated before expiring",
		"client (PID %) watchdog was updated before expiring",
		"client (PID %) has disconnected cleanly. Removing it gracefully from the watch",
		"got SIGHUP - ignored",
		"client (PID %) has disconnected cleanly. Removing it gracefully from the watch",
		"all watchdog client connections to the multiplexer closed",
		"got terminate request",
		"clean exit",
	), b.said())
	require.Equal(t, 1, min(b.syncs, 1))
}

func TestServerStarvesTheDevice(t *testing.T) {
	for name, test := range map[string]struct {
		breaks func(*bench, *net.UnixConn)
		want   []string
	}{
		"silence": {
			breaks: func(b *bench, _ *net.UnixConn) { b.pass(61 * time.Second) },
			want: []string{
				"client (PID %) watchdog is about to expire",
				"client (PID %) watchdog expired - disable watchdog updates",
			},
		},
		"no goodbye": {
			breaks: func(b *bench, c *net.UnixConn) { require.NoError(b, c.Close()) },
			want:   []string{"client (PID %) did not stop watchdog - disable watchdog updates"},
		},
		"a goodbye that was taken back": {
			breaks: func(b *bench, c *net.UnixConn) {
				b.send(c, "V")
				b.send(c, "Va")
				require.NoError(b, c.Close())
			},
			want: []string{"client (PID %) did not stop watchdog - disable watchdog updates"},
		},
		"half-closed": {
			breaks: func(b *bench, c *net.UnixConn) {
				require.NoError(b, c.CloseWrite())
				b.pass(time.Second)
				require.False(b, b.Core.Doomed())
				require.NoError(b, c.Close())
			},
			want: []string{
				"client (PID %) closed its sending side without stopping watchdog - it cannot update any more",
				"client (PID %) did not stop watchdog - disable watchdog updates",
			},
		},
		"an end of the daemon": {
			breaks: func(b *bench, _ *net.UnixConn) {
				b.Signal(Terminate)
				b.round()
			},
			want: []string{"got terminate request", "exit watchdog-mux with active connections"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, 4)
			c := b.connect()
			b.pass(5 * time.Second)
			fed := b.device.fed
			require.Greater(t, fed, 3)
			test.breaks(b, c)
			b.round()
			fed = b.device.fed
			b.pass(time.Minute)
			require.Equal(t, fed, b.device.fed)
			require.True(t, b.active())
			require.False(t, b.device.disarmed)
			require.NoFileExists(t, filepath.Join(b.dir, "mux.sock"), "nobody may connect any more")
			require.Equal(t, pid(append([]string{"added new client (PID %) to watch"}, test.want...)...), b.said())
			require.NotZero(t, b.syncs)
		})
	}
}

func TestServerWithHalfClosedClientThatSaidGoodbye(t *testing.T) {
	b := newBench(t, 4)
	c := b.connect()
	b.send(c, "V")
	require.NoError(t, c.CloseWrite())
	b.round()
	require.False(t, b.active())
	fed := b.device.fed
	b.pass(100 * time.Second)
	require.GreaterOrEqual(t, b.device.fed-fed, 100)
}

// At a shutdown systemd ends the LRM and then, at once, the multiplexer.
func TestServerHearsTheGoodbyeBeforeItsEnd(t *testing.T) {
	for name, connect := range map[string]func(*bench) *net.UnixConn{
		"of a client on watch": (*bench).connect,
		"of a client that was not taken yet": func(b *bench) *net.UnixConn {
			c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: filepath.Join(b.dir, "mux.sock"), Net: "unix"})
			require.NoError(b, err)
			return c
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, 2)
			c := connect(b)
			_, err := c.Write([]byte(strings.Repeat("x", 3*readSize) + "V"))
			require.NoError(t, err)
			require.NoError(t, c.Close())
			b.Signal(Terminate)
			b.Server.Run()
			require.True(t, b.device.disarmed, b.said())
			require.False(t, b.active())
		})
	}
}

// Whoever cannot be watched must learn it: the connection is closed.
func TestServerRefusesWhomItCannotWatch(t *testing.T) {
	closed := func(b *bench, c *net.UnixConn) {
		_, err := c.Read(make([]byte, 1))
		require.ErrorIs(b, err, io.EOF)
	}
	t.Run("no room", func(t *testing.T) {
		b := newBench(t, 2)
		first, second := b.connect(), b.connect()
		for range 10 {
			closed(b, b.connect())
		}
		b.send(first, "V")
		require.NoError(t, first.Close())
		b.round()
		third := b.connect()
		b.pass(50 * time.Second)
		b.send(second, "V")
		b.send(third, "V")
		require.False(t, b.Core.Doomed())
		require.Len(t, strings.Split(strings.Join(b.said(), " "), "too many clients"), 2, "refusals are logged every ten seconds")
	})
	t.Run("another user", func(t *testing.T) {
		b := newBench(t, 2)
		b.Core.config.UID++
		closed(b, b.connect())
		require.False(t, b.active())
		require.Equal(t, pid("refused client (PID %): only root may connect"), b.said())
	})
	t.Run("no descriptor", func(t *testing.T) {
		b := newBench(t, 40)
		b.connect()
		var limit unix.Rlimit
		require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
		var conns []int
		for range 10 { // connected before descriptors run out, taken after
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			require.NoError(t, err)
			require.NoError(t, unix.Connect(fd, &unix.SockaddrUnix{Name: filepath.Join(b.dir, "mux.sock")}))
			conns = append(conns, fd)
		}
		low := limit
		low.Cur = uint64(conns[len(conns)-1]) // the next number is beyond
		require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &low))
		var full []int
		for {
			fd, err := unix.Dup(conns[0])
			if err != nil {
				break
			}
			full = append(full, fd)
		}
		fed := b.device.fed
		b.pass(3 * time.Second)
		for _, fd := range full {
			require.NoError(t, unix.Close(fd))
		}
		require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
		require.GreaterOrEqual(t, b.device.fed-fed, 3)
		for _, fd := range conns {
			n, err := unix.Read(fd, make([]byte, 1))
			require.NoError(t, err)
			require.Zero(t, n)
			require.NoError(t, unix.Close(fd))
		}
		require.Equal(t, 1, b.Core.Active())
		b.connect()
		require.Equal(t, 2, b.Core.Active())
		require.Contains(t, strings.Join(b.said(), "\n"), "cannot take a client: too many open files")
	})
}

func TestServerSaysWhenTheDeviceIsNotFed(t *testing.T) {
	b := newBench(t, 2)
	b.pass(2 * time.Second)
	b.device.err = errors.New("input/output error")
	b.pass(25 * time.Second)
	b.device.err = nil
	b.pass(2 * time.Second)
	require.Equal(t, []string{
		"watchdog update failed: input/output error",
		"watchdog update failed: input/output error",
		"watchdog update failed: input/output error",
		"watchdog update works again",
	}, b.said())
}

func TestServerSaysWhenTheMarkerFails(t *testing.T) {
	b := newBench(t, 2)
	b.Marker = filepath.Join(b.dir, "missing", "marker")
	c := b.connect()
	require.Equal(t, 1, b.Core.Active())
	b.send(c, "V")
	require.NoError(t, c.Close())
	b.round()
	said := b.said()
	require.Contains(t, said[0], "cannot mark watchdog-mux as active")
	require.NotContains(t, strings.Join(said, "\n"), "cannot unmark")
}

// The steady state is clients that send and a device that is fed.
func TestServerDoesNotAllocateInTheSteadyLoop(t *testing.T) {
	const clients = 100
	b := newBench(t, clients)
	var fds []int
	for range clients {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		t.Cleanup(func() { unix.Close(fd) })
		require.NoError(t, unix.Connect(fd, &unix.SockaddrUnix{Name: filepath.Join(b.dir, "mux.sock")}))
		fds = append(fds, fd)
	}
	b.round()
	require.Equal(t, clients, b.Core.Active())
	before := b.device.fed
	b.journal.Close(time.Minute) // or the writer of the last lines would be counted
	zero := []byte{0}
	allocations := testing.AllocsPerRun(200, func() {
		for _, fd := range fds {
			_, _ = unix.Write(fd, zero)
		}
		b.now += time.Second
		b.round()
	})
	require.Zero(t, allocations)
	require.GreaterOrEqual(t, b.device.fed-before, 200)
	require.False(t, b.Core.Doomed())
}

func BenchmarkTickOfThousandClients(b *testing.B) {
	core := NewCore(CoreConfig{MaxClients: DefaultMaxClients})
	now := time.Hour
	for i := range DefaultMaxClients {
		core.Handle(Event{Kind: Connect, At: now, Client: ClientID(i)})
	}
	b.ReportAllocs()
	for b.Loop() {
		core.Handle(Event{Kind: Tick, At: now})
	}
}
