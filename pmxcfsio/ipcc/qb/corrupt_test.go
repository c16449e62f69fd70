package qb

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// scribbler is a server that does to the memory it shares what its function
// says, once it has been asked.
func scribbler(t testing.TB, scribble func(c *session)) string {
	t.Helper()
	name := newName()
	server, err := Listen(ServerConfig{Name: name, Handler: echoes})
	require.NoError(t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			socket, err := server.listener.AcceptUnix()
			if err != nil {
				return
			}
			c := &session{server: server, socket: socket}
			if c.greet() == nil {
				_, _ = socket.Read(make([]byte, 1))
				_ = guard(func() error { scribble(c); return nil })
				_, _ = socket.Read(make([]byte, 1)) // until the client has gone
			}
			c.close()
		}
	}()
	t.Cleanup(func() {
		require.NoError(t, server.Close())
		<-ended
	})
	return name
}

// proper is an answer as it should be.
func proper(id int32) []byte {
	return append(putResponseHeader(nil, id, responseHeaderSize+4, 0), "data"...)
}

func TestClientDistrustsTheMemoryItShares(t *testing.T) {
	put := func(value *uint32, to uint32) { atomic.StoreUint32(value, to) }
	for name, scribble := range map[string]func(c *session){
		"an answer announced that is not there": func(c *session) { _ = c.response.messages.post() },
		"more answers announced than can be": func(c *session) {
			_ = c.response.messages.post()
			atomic.StoreUint64(c.response.messages.word, math.MaxUint64)
		},
		"an answer larger than the ring": func(c *session) {
			put(c.response.word(0), math.MaxUint32)
			put(c.response.word(1), markComplete)
			put(c.response.counter(writeOffset), c.response.words-1)
			_ = c.response.messages.post()
		},
		"an answer larger than what was written": func(c *session) {
			c.response.copyIn(chunkHeader*wordSize, putResponseHeader(nil, echo, 1000, 0))
			put(c.response.word(0), 1000)
			put(c.response.word(1), markComplete)
			put(c.response.counter(writeOffset), 8)
			_ = c.response.messages.post()
		},
		"written beyond the ring": func(c *session) {
			put(c.response.word(0), responseHeaderSize)
			put(c.response.word(1), markComplete)
			put(c.response.counter(writeOffset), math.MaxUint32)
			_ = c.response.messages.post()
		},
		"the client's place moved": func(c *session) {
			put(c.response.counter(readOffset), 4000)
			_ = c.response.write(proper(echo))
		},
		"the answers cut off": func(c *session) {
			require.NoError(t, os.Truncate(filepath.Join(c.folder, "qb-response-"+c.server.config.Name+dataSuffix), 0))
			_ = c.response.messages.post()
		},
		"the header cut off": func(c *session) {
			require.NoError(t, os.Truncate(filepath.Join(c.folder, "qb-response-"+c.server.config.Name+headSuffix), 0))
			_ = unix.Shutdown(socketOf(c), unix.SHUT_RDWR) // which wakes the client up
		},
	} {
		t.Run(name, func(t *testing.T) {
			leavesNothing(t)
			conn := dial(t, scribbler(t, scribble))
			began := time.Now()
			_, err := conn.Call(within(t, patience), echo, pattern(100))
			require.ErrorIs(t, err, ErrProtocol)
			require.False(t, conn.Alive())
			require.Less(t, time.Since(began), patience/2)
		})
	}
}

func socketOf(c *session) (fd int) {
	socket, err := c.socket.SyscallConn()
	if err == nil {
		_ = socket.Control(func(f uintptr) { fd = int(f) })
	}
	return fd
}

// The ring of requests is the client's to write, and the server's to spoil.
func TestClientDistrustsTheMemoryItWrites(t *testing.T) {
	for name, test := range map[string]struct {
		scribble func(r *ring)
		want     error
	}{
		"the client's place moved": {func(r *ring) { atomic.StoreUint32(r.counter(writeOffset), 77) }, ErrProtocol},
		"read beyond the ring":     {func(r *ring) { atomic.StoreUint32(r.counter(readOffset), math.MaxUint32) }, ErrProtocol},
		"too many requests":        {func(r *ring) { atomic.StoreUint64(r.messages.word, maxSemaphore) }, ErrTimeout},
		"no server in it":          {func(r *ring) { r.leave() }, ErrDisconnected},
		"requests held back":       {func(r *ring) { atomic.StoreUint32(r.flow(), holdBack) }, ErrTimeout},
		"another size": {func(r *ring) {
			atomic.StoreUint32(r.counter(wordsOffset), math.MaxUint32)
		}, ErrTimeout}, // of no account: nobody answers, that is all
	} {
		t.Run(name, func(t *testing.T) {
			leavesNothing(t)
			conn := dial(t, scribbler(t, func(*session) {}))
			test.scribble(conn.request) // as good as the server's mapping
			limit := patience
			if errors.Is(test.want, ErrTimeout) {
				limit = 30 * time.Millisecond
			}
			_, err := conn.Call(within(t, limit), echo, pattern(100))
			require.ErrorIs(t, err, test.want)
		})
	}
}

func TestClientDistrustsTheFilesItIsGiven(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(t *testing.T, name string)
		want  error
	}{
		"none":      {func(t *testing.T, name string) { require.NoError(t, os.Remove(name+headSuffix)) }, unix.ENOENT},
		"no header": {func(t *testing.T, name string) { require.NoError(t, os.Truncate(name+headSuffix, 100)) }, ErrProtocol},
		"no data":   {func(t *testing.T, name string) { require.NoError(t, os.Truncate(name+dataSuffix, 0)) }, ErrProtocol},
		"data that is not words": {func(t *testing.T, name string) {
			require.NoError(t, os.Truncate(name+dataSuffix, int64(ringBytes(20000)+1)))
		}, ErrProtocol},
		"data larger than said": {func(t *testing.T, name string) {
			require.NoError(t, os.Truncate(name+dataSuffix, int64(ringBytes(20000)*2)))
		}, ErrProtocol},
		"data too large": {func(t *testing.T, name string) { require.NoError(t, os.Truncate(name+dataSuffix, 1<<40)) }, ErrProtocol},
		"a link": {func(t *testing.T, name string) {
			require.NoError(t, os.Rename(name+dataSuffix, name+"-there"))
			require.NoError(t, os.Symlink(name+"-there", name+dataSuffix))
		}, unix.ELOOP},
		"a pipe": {func(t *testing.T, name string) {
			require.NoError(t, os.Remove(name+dataSuffix))
			require.NoError(t, unix.Mkfifo(name+dataSuffix, 0o600))
		}, ErrProtocol},
		"a used ring": {func(t *testing.T, name string) {
			header, err := os.OpenFile(name+headSuffix, os.O_RDWR, 0)
			require.NoError(t, err)
			defer header.Close()
			_, err = header.WriteAt([]byte{1, 0, 0, 0}, readOffset)
			require.NoError(t, err)
		}, ErrProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			leavesNothing(t)
			name := filepath.Join(t.TempDir(), "qb-request-x")
			me := Peer{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}
			made, err := createRing(name, 20000, me)
			require.NoError(t, err)
			require.NoError(t, made.unmap())
			test.spoil(t, name)
			_, err = openRing(name, 20000)
			require.ErrorIs(t, err, test.want)
		})
	}
}

func TestClientDistrustsTheWelcome(t *testing.T) {
	folder := DefaultShmDir + "/qb-1-2-3-x/"
	good := welcome{
		transport: shmTransport, maxMessage: 20000, number: 7,
		names: [3]string{folder + "a", folder + "b", folder + "c"},
	}
	require.NoError(t, good.check(DefaultShmDir, 20000))
	for name, test := range map[string]struct {
		change func(w *welcome)
		want   error
	}{
		"refused with a number":   {func(w *welcome) { w.failure = 1 }, ErrRefused},
		"refused with an errno":   {func(w *welcome) { w.failure = -int32(unix.EACCES) }, unix.EACCES},
		"refused with no errno":   {func(w *welcome) { w.failure = math.MinInt32 }, ErrProtocol},
		"another transport":       {func(w *welcome) { w.transport = 0 }, ErrProtocol},
		"smaller than asked for":  {func(w *welcome) { w.maxMessage = 19999 }, ErrProtocol},
		"larger than sensible":    {func(w *welcome) { w.maxMessage = math.MaxUint32 }, ErrProtocol},
		"a file elsewhere":        {func(w *welcome) { w.names[1] = "/etc/passwd" }, ErrProtocol},
		"a file above":            {func(w *welcome) { w.names[0] = DefaultShmDir + "/../../etc/passwd" }, ErrProtocol},
		"a relative file":         {func(w *welcome) { w.names[2] = "./a" }, ErrProtocol},
		"the folder itself":       {func(w *welcome) { w.names[2] = DefaultShmDir + "/" }, ErrProtocol},
		"a name with a dot in it": {func(w *welcome) { w.names[2] = DefaultShmDir + "/./a" }, ErrProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			w := good
			test.change(&w)
			read, err := parseWelcome((*[welcomeSize]byte)(w.bytes()))
			require.NoError(t, err)
			require.Equal(t, w, read)
			require.ErrorIs(t, read.check(DefaultShmDir, 20000), test.want)
		})
	}
	require.Equal(t, DefaultShmDir+"/qb-request-x", shmName(DefaultShmDir, "request-x"), "libqb's own place")
}

// FuzzWelcome reads any welcome without harm.
func FuzzWelcome(f *testing.F) {
	f.Add(welcome{transport: shmTransport, maxMessage: 20000, names: [3]string{"a", "b", "/dev/shm/c"}}.bytes())
	f.Fuzz(func(_ *testing.T, b []byte) {
		var whole [welcomeSize]byte
		copy(whole[:], b)
		if w, err := parseWelcome(&whole); err == nil {
			_ = w.check(DefaultShmDir, 20000)
		}
	})
}

// patch changes shared memory as the bytes say: for each five of them, a
// place in the header's counters or in the data, and a word.
func patch(r *ring, bytes []byte) {
	for ; len(bytes) >= 5; bytes = bytes[5:] {
		place, value := int(bytes[0]), binary.LittleEndian.Uint32(bytes[1:])
		switch {
		case place < 3:
			atomic.StoreUint32(r.counter(place*4), value)
		case place < 14:
			atomic.StoreUint32(r.counter(usersOffset+(place-3)*4), value)
		case place < 20:
			_ = r.messages.post()
		default:
			atomic.StoreUint32(r.word(uint32(place-20)), value)
		}
	}
}

func corruptions(f *testing.F) {
	word := func(place byte, value uint32) []byte { return binary.LittleEndian.AppendUint32([]byte{place}, value) }
	for place := range 40 {
		for _, value := range []uint32{0, 1, 7, 4096, 0x7fffffff, 0x80000000, math.MaxUint32, markComplete} {
			f.Add(append(append(word(21, markComplete), word(byte(place), value)...), word(16, 0)...))
		}
	}
}

// FuzzClient answers with any change of the memory that is shared: the client
// returns in time, and does not crash.
func FuzzClient(f *testing.F) {
	corruptions(f)
	changes := make(chan []byte, 1)
	name := scribbler(f, func(c *session) {
		change := <-changes
		_ = c.response.write(proper(echo))
		patch(c.response, change)
		patch(c.request, change)
	})
	f.Fuzz(func(t *testing.T, change []byte) {
		conn, err := Dial(within(t, patience), DialConfig{Name: name, MaxMessage: 1})
		require.NoError(t, err)
		changes <- change
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer cancel()
		for range 3 {
			_, _ = conn.Call(ctx, echo, pattern(50))
		}
		require.NoError(t, conn.Close())
	})
}

// FuzzServer asks with any change of the memory: the server serves others.
func FuzzServer(f *testing.F) {
	corruptions(f)
	name := newName()
	serve(f, ServerConfig{Name: name, Handler: echoes})
	f.Fuzz(func(t *testing.T, change []byte) {
		conn, err := Dial(within(t, patience), DialConfig{Name: name, MaxMessage: 1})
		require.NoError(t, err)
		patch(conn.request, change)
		patch(conn.response, change)
		_ = conn.socket.write(within(t, patience), []byte{1, 2, 3})
		require.NoError(t, conn.Close())
		other, err := Dial(within(t, patience), DialConfig{Name: name, MaxMessage: 1})
		require.NoError(t, err)
		answer, err := other.Call(within(t, patience), echo, []byte("others"))
		require.NoError(t, err)
		require.Equal(t, "others", string(answer.Data))
		require.NoError(t, other.Close())
	})
}
