package wdclient

import (
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// listen returns the path of a multiplexer that is played by the test: take
// returns the connection of the next client.
func listen(t *testing.T) (path string, take func() net.Conn) {
	dir, err := os.MkdirTemp("", "wd") // t.TempDir is too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	path = filepath.Join(dir, "mux.sock")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return path, func() net.Conn {
		conn, err := l.Accept()
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })
		return conn
	}
}

func TestClientSendsTheProtocol(t *testing.T) {
	path, take := listen(t)
	now := time.Hour
	c, err := Open(Config{Path: path, Clock: func() time.Duration { return now }})
	require.NoError(t, err)
	mux := take()
	for range 3 {
		now += 10 * time.Second
		require.NoError(t, c.Update())
	}
	require.NoError(t, c.Close())
	got, err := io.ReadAll(mux)
	require.NoError(t, err)
	require.Equal(t, "\x00\x00\x00V", string(got))

	require.ErrorIs(t, c.Update(), ErrClosed)
	require.ErrorIs(t, c.Close(), ErrClosed)
}

// The C daemon starves when it hears more than a byte a second, from all its
// clients together.
func TestClientNeverSendsTwoBytesInFiveSeconds(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 2))
		path, take := listen(t)
		now := time.Duration(0)
		c, err := Open(Config{Path: path, Clock: func() time.Duration { return now }})
		require.NoError(t, err)
		mux, ok := take().(*net.UnixConn)
		require.True(t, ok)
		raw, err := mux.SyscallConn()
		require.NoError(t, err)

		heard, last := 0, now // to connect counts
		for range 2000 {
			now += time.Duration(random.Int64N(int64(2 * time.Second)))
			require.NoError(t, c.Update())
			if n := pending(t, raw); n > 0 {
				require.Equal(t, 1, n)
				require.GreaterOrEqual(t, now-last, MinInterval)
				last = now
				heard++
			}
			require.Less(t, now-last, MinInterval, "an update was kept back for too long")
		}
		require.Greater(t, heard, 200)
	}
}

// pending reads without waiting: what was written to a Unix socket is there.
func pending(t *testing.T, raw syscall.RawConn) int {
	buffer := make([]byte, 16)
	n := 0
	require.NoError(t, raw.Read(func(fd uintptr) bool {
		n, _ = syscall.Read(int(fd), buffer)
		return true
	}))
	return max(n, 0)
}

func TestClientTellsThatTheMultiplexerIsGone(t *testing.T) {
	path, take := listen(t)
	now := time.Duration(0)
	c, err := Open(Config{Path: path, Clock: func() time.Duration { return now }})
	require.NoError(t, err)
	require.NoError(t, take().Close())
	require.NoError(t, os.Remove(path))
	now += time.Minute
	for range 3 {
		err = c.Update()
		require.ErrorIs(t, err, syscall.EPIPE)
		require.ErrorIs(t, err, os.ErrNotExist, "a lost connection must be made anew at once")
	}
	require.ErrorIs(t, c.Close(), syscall.EPIPE)
	require.ErrorIs(t, c.Update(), ErrClosed)

	_, err = Open(Config{Path: path + ".other"})
	require.ErrorContains(t, err, "unable to open watchdog socket")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestClientComesBackToARestartedMultiplexer(t *testing.T) {
	path, take := listen(t)
	now := time.Duration(0)
	var lost []error
	c, err := Open(Config{
		Path: path, Clock: func() time.Duration { return now },
		OnReconnect: func(err error) { lost = append(lost, err) },
	})
	require.NoError(t, err)
	require.NoError(t, take().Close())
	require.NoError(t, c.Update(), "too early to notice")
	require.Empty(t, lost)

	now += MinInterval
	require.NoError(t, c.Update())
	require.Len(t, lost, 1)
	require.ErrorIs(t, lost[0], syscall.EPIPE)
	mux := take()
	now += MinInterval - 1
	require.NoError(t, c.Update(), "to connect counts as a keep-alive")
	now++
	require.NoError(t, c.Update())
	require.NoError(t, c.Close())
	got, err := io.ReadAll(mux)
	require.NoError(t, err)
	require.Equal(t, "\x00V", string(got))
	require.Len(t, lost, 1)
}

// A multiplexer that does not read must not be given one connection after the
// other.
func TestClientStaysWithAMultiplexerThatHangs(t *testing.T) {
	path, take := listen(t)
	now := time.Duration(0)
	c, err := Open(Config{
		Path: path, Clock: func() time.Duration { return now },
		OnReconnect: func(error) { t.Error("a connection was given up that was there") },
	})
	require.NoError(t, err)
	take()
	conn, ok := c.conn.(*net.UnixConn)
	require.True(t, ok)
	raw, err := conn.SyscallConn()
	require.NoError(t, err)
	fill := make([]byte, 1<<16)
	require.NoError(t, raw.Write(func(fd uintptr) bool {
		for err == nil {
			_, err = syscall.Write(int(fd), fill)
		}
		return true
	}))
	require.ErrorIs(t, err, syscall.EAGAIN, "there is no room left")
	now += time.Minute
	start := time.Now()
	require.ErrorIs(t, c.Update(), os.ErrDeadlineExceeded)
	require.Less(t, time.Since(start), 3*ioTimeout)
}

func TestClientHasAClockOfItsOwn(t *testing.T) {
	path, take := listen(t)
	c, err := Open(Config{Path: path})
	require.NoError(t, err)
	mux := take()
	require.NoError(t, c.Update(), "too early to be sent")
	require.NoError(t, c.Close())
	got, err := io.ReadAll(mux)
	require.NoError(t, err)
	require.Equal(t, "V", string(got))
}
