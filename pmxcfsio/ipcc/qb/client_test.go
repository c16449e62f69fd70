package qb

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Requests of testdata/server.c.
const (
	echo = iota + 1
	dataOfSize
	exitAtOnce
	errorNumber
	shortHeader
	wrongID
	sizeTooLarge
	sizeTooSmall
	garbage
	echoLate
	noAnswer
	hangUp
	echoThenHoldBack
)

const (
	requestHeader  = 16
	responseHeader = 24
	page           = 4096
)

// pattern is bytes that differ by their place and the size.
func pattern(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i*31 + size)
	}
	return b
}

func number(n int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(n)) }

// sizes are those of messages that meet the ends of the ring and of pages, of
// a ring that holds messages of max bytes, and many between, by chance.
func sizes(max, header int) []int {
	random := rand.New(rand.NewPCG(1, uint64(max)))
	var all []int
	for size := range 70 {
		all = append(all, size)
	}
	for at := page; at <= max; at *= 2 {
		for off := -header - 20; off <= 20; off++ {
			all = append(all, at+off)
		}
	}
	for off := range 40 {
		all = append(all, max-header-off)
	}
	for range 3000 {
		all = append(all, random.IntN(1+random.IntN(max-header)))
	}
	var fit []int
	for _, size := range all {
		if size >= 0 && size+header <= max {
			fit = append(fit, size)
		}
	}
	return fit
}

// The ring of 1 MiB is what pmxcfs's clients use; in the small one messages
// wrap around the end all the time.
func TestClientExchangesEverySizeWithLibqb(t *testing.T) {
	for _, size := range []int{4096 * 4, DefaultMaxMessage} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			leavesNothing(t)
			name := newName()
			startServer(t, name)
			ctx := within(t, 5*time.Minute)
			conn, err := Dial(ctx, DialConfig{Name: name, MaxMessage: size})
			require.NoError(t, err)
			defer conn.Close()
			for _, n := range sizes(size, responseHeader) {
				sent := pattern(n)
				answer, err := conn.Call(ctx, echo, sent[:n/3], sent[n/3:])
				require.NoError(t, err, "%d bytes", n)
				require.Zero(t, answer.Error)
				if string(answer.Data) != string(sent) {
					t.Fatalf("%d bytes came back changed", n)
				}
			}
		})
	}
}

// An answer may be larger than was agreed upon, as far as the ring goes:
// a file of 1 MiB, pmxcfs's largest, is one with its header.
func TestClientTakesAFileOfOneMebibyte(t *testing.T) {
	leavesNothing(t)
	name := newName()
	startServer(t, name)
	conn := dial(t, name)
	answer, err := conn.Call(within(t, patience), dataOfSize, number(1<<20))
	require.NoError(t, err)
	require.Len(t, answer.Data, 1<<20)
}

func TestClientRefusesToSendWhatDoesNotFit(t *testing.T) {
	leavesNothing(t)
	name := newName()
	startServer(t, name)
	conn := dial(t, name)
	_, err := conn.Call(within(t, patience), echo, make([]byte, 2<<20))
	require.ErrorIs(t, err, ErrTooLarge)
	require.True(t, conn.Alive())
	_, err = conn.Call(within(t, patience), echo, []byte("still alive"))
	require.NoError(t, err)
}

func TestClientPassesTheErrorOn(t *testing.T) {
	leavesNothing(t)
	name := newName()
	startServer(t, name)
	answer, err := dial(t, name).Call(within(t, patience), errorNumber, number(-int(syscall.ENOENT)))
	require.NoError(t, err)
	require.EqualValues(t, -int32(syscall.ENOENT), answer.Error)
	require.Empty(t, answer.Data)
}

func TestClientKnowsItsServer(t *testing.T) {
	leavesNothing(t)
	name := newName()
	server := startServer(t, name)
	require.Equal(t, Peer{PID: int32(server.cmd.Process.Pid), UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())},
		dial(t, name).Server())
	_, err := Dial(within(t, patience), DialConfig{Name: name, Servers: []uint32{uint32(os.Geteuid()) + 1}})
	require.ErrorIs(t, err, ErrRefused)
}

func TestClientDistrustsWrongAnswers(t *testing.T) {
	for name, request := range map[string]int32{
		"short header": shortHeader, "another request's number": wrongID,
		"size too large": sizeTooLarge, "size too small": sizeTooSmall, "garbage": garbage,
	} {
		t.Run(name, func(t *testing.T) {
			leavesNothing(t)
			name := newName()
			startServer(t, name)
			conn := dial(t, name)
			_, err := conn.Call(within(t, patience), request, pattern(40))
			require.ErrorIs(t, err, ErrProtocol)
			require.False(t, conn.Alive())
			_, err = conn.Call(within(t, patience), echo)
			require.ErrorIs(t, err, ErrDisconnected)
		})
	}
}

// A dead server is seen long before any time is up.
func TestClientNoticesThatTheServerIsGone(t *testing.T) {
	for name, request := range map[string]int32{"it exits": exitAtOnce, "it hangs up": hangUp} {
		t.Run(name, func(t *testing.T) {
			leavesNothing(t)
			name := newName()
			startServer(t, name)
			conn := dial(t, name)
			began := time.Now()
			_, err := conn.Call(within(t, patience), request)
			require.ErrorIs(t, err, ErrDisconnected)
			require.Less(t, time.Since(began), patience/4)
		})
	}
	t.Run("it is killed while it is asked nothing", func(t *testing.T) {
		leavesNothing(t)
		name := newName()
		server := startServer(t, name)
		conn := dial(t, name)
		server.kill(t)
		_, err := conn.Call(within(t, patience), echo)
		require.ErrorIs(t, err, ErrDisconnected)
	})
	t.Run("it is killed while it is asked", func(t *testing.T) {
		leavesNothing(t)
		name := newName()
		server := startServer(t, name)
		conn := dial(t, name)
		failed := make(chan error)
		go func() {
			_, err := conn.Call(context.Background(), noAnswer)
			failed <- err
		}()
		server.kill(t)
		require.ErrorIs(t, <-failed, ErrDisconnected)
	})
	t.Run("it ends in good order", func(t *testing.T) {
		leavesNothing(t)
		name := newName()
		server := startServer(t, name)
		conn := dial(t, name)
		server.end()
		_, err := conn.Call(within(t, patience), echo)
		require.ErrorIs(t, err, ErrDisconnected)
	})
}

func TestClientDoesNotWaitForEver(t *testing.T) {
	for name, request := range map[string]struct {
		id      int32
		payload []byte
	}{
		"no answer":   {id: noAnswer},
		"late answer": {id: echoLate, payload: number(2000)},
	} {
		t.Run(name, func(t *testing.T) {
			leavesNothing(t)
			name := newName()
			startServer(t, name)
			conn := dial(t, name)
			_, err := conn.Call(within(t, 30*time.Millisecond), request.id, request.payload)
			require.ErrorIs(t, err, ErrTimeout)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.False(t, conn.Alive(), "the answer to come is another request's")
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		leavesNothing(t)
		name := newName()
		startServer(t, name)
		conn := dial(t, name)
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(20*time.Millisecond, cancel)
		_, err := conn.Call(ctx, noAnswer)
		require.ErrorIs(t, err, ErrTimeout)
		require.ErrorIs(t, err, context.Canceled)
	})
	t.Run("closed meanwhile", func(t *testing.T) {
		leavesNothing(t)
		name := newName()
		startServer(t, name)
		conn := dial(t, name)
		time.AfterFunc(20*time.Millisecond, func() { conn.Close() })
		_, err := conn.Call(context.Background(), noAnswer)
		require.ErrorIs(t, err, ErrDisconnected)
	})
}

// A stopped process keeps its sockets: only time tells.
func TestClientDoesNotWaitForAStoppedServer(t *testing.T) {
	leavesNothing(t)
	name := newName()
	server := startServer(t, name)
	conn := dial(t, name)
	require.NoError(t, server.cmd.Process.Signal(syscall.SIGSTOP))
	_, err := conn.Call(within(t, 30*time.Millisecond), echo)
	require.ErrorIs(t, err, ErrTimeout)
	for range 12 { // more than libqb's queue of connections
		_, err = Dial(within(t, 10*time.Millisecond), DialConfig{Name: name})
		require.ErrorIs(t, err, ErrTimeout)
	}
	server.kill(t)
}

func TestClientWaitsWhileRequestsAreHeldBack(t *testing.T) {
	leavesNothing(t)
	name := newName()
	startServer(t, name)
	conn := dial(t, name)
	_, err := conn.Call(within(t, patience), echoThenHoldBack)
	require.NoError(t, err)
	// The server holds back after its answer, so the first may still pass.
	for range 3 {
		_, err = conn.Call(within(t, patience), echo)
		require.NoError(t, err)
	}
}

func TestClientMeetsNobody(t *testing.T) {
	leavesNothing(t)
	_, err := Dial(within(t, patience), DialConfig{Name: newName()})
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	_, err = Dial(within(t, patience), DialConfig{Name: ""})
	require.ErrorIs(t, err, syscall.EINVAL)
}

func TestClientIsRefused(t *testing.T) {
	leavesNothing(t)
	for _, refusal := range []string{"1", strconv.Itoa(-int(syscall.EACCES))} {
		name := newName()
		startServer(t, name, refusal)
		_, err := Dial(within(t, patience), DialConfig{Name: name})
		require.ErrorIs(t, err, ErrRefused)
		if refusal != "1" {
			require.ErrorIs(t, err, syscall.EACCES)
		}
	}
}

func TestClientsShareAConnection(t *testing.T) {
	leavesNothing(t)
	name := newName()
	startServer(t, name)
	conn := dial(t, name)
	ctx := within(t, patience)
	failed := make(chan error)
	for i := range 8 {
		go func() {
			for round := range 200 {
				sent := pattern(i*1000 + round)
				answer, err := conn.Call(ctx, echo, sent)
				if err == nil && string(answer.Data) != string(sent) {
					err = context.Canceled
				}
				if err != nil {
					failed <- err
					return
				}
			}
			failed <- nil
		}()
	}
	for range 8 {
		require.NoError(t, <-failed)
	}
}
