package qb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// handlerFunc is a handler that is one function.
type handlerFunc func(ctx context.Context, request Request) (Response, error)

func (f handlerFunc) ServeRequest(ctx context.Context, request Request) (Response, error) {
	return f(ctx, request)
}

// echoes answers as testdata/server.c does, as far as a handler can.
var echoes = handlerFunc(func(ctx context.Context, request Request) (Response, error) {
	switch request.ID {
	case errorNumber:
		return Response{Error: -int32(syscall.ENOENT)}, nil
	case noAnswer:
		<-ctx.Done()
		return Response{}, ctx.Err()
	case hangUp:
		return Response{}, errors.New("nothing to say")
	default:
		return Response{Data: request.Payload}, nil
	}
})

// serve runs a server until the test ends, or until it is closed.
func serve(t testing.TB, config ServerConfig) *Server {
	t.Helper()
	server, err := Listen(config)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- server.Run(context.Background()) }()
	t.Cleanup(func() {
		require.NoError(t, server.Close())
		require.NoError(t, <-ended)
	})
	return server
}

// startClient starts the client on the real libqb.
func startClient(t *testing.T, name string, maxMessage int, timeout time.Duration) *process {
	t.Helper()
	return start(t, exec.Command(libqbProgram(t, "client"), name,
		strconv.Itoa(maxMessage), strconv.Itoa(int(timeout.Milliseconds()))))
}

// ask has the client send a request, and returns what came of it.
func (p *process) ask(t *testing.T, id, size int) string {
	t.Helper()
	_, err := fmt.Fprintln(p.input, id, size)
	require.NoError(t, err)
	return p.line(t)
}

func TestServerExchangesEverySizeWithLibqb(t *testing.T) {
	// libqb's client never asks for rings smaller than its greeting.
	for _, size := range []int{4096 * 4, DefaultMaxMessage} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			leavesNothing(t)
			name := newName()
			serve(t, ServerConfig{Name: name, Handler: echoes})
			client := startClient(t, name, size, patience)
			require.Equal(t, "connected", client.line(t))
			for _, n := range sizes(size, responseHeader) {
				require.Equal(t, "echo", client.ask(t, echo, n), "%d bytes", n)
			}
			client.end()
			require.True(t, client.cmd.ProcessState.Success())
		})
	}
}

func TestServerAnswersErrors(t *testing.T) {
	leavesNothing(t)
	name := newName()
	serve(t, ServerConfig{Name: name, Handler: echoes})
	client := startClient(t, name, DefaultMaxMessage, patience)
	require.Equal(t, "connected", client.line(t))
	require.Equal(t, fmt.Sprintf("error %d", -int(syscall.ENOENT)), client.ask(t, errorNumber, 10))
	require.Equal(t, "echo", client.ask(t, echo, 10))
}

func TestServerHangsUpOnAClientAndTakesItBack(t *testing.T) {
	leavesNothing(t)
	name := newName()
	serve(t, ServerConfig{Name: name, Handler: echoes})
	client := startClient(t, name, DefaultMaxMessage, patience)
	require.Equal(t, "connected", client.line(t))
	require.Equal(t, fmt.Sprintf("failed %d", syscall.ENOTCONN), client.ask(t, hangUp, 10))
	require.Equal(t, "connected", client.line(t))
	require.Equal(t, "echo", client.ask(t, echo, 10))
}

func TestServerIsRestarted(t *testing.T) {
	leavesNothing(t)
	name := newName()
	server := serve(t, ServerConfig{Name: name, Handler: echoes})
	client := startClient(t, name, DefaultMaxMessage, patience)
	require.Equal(t, "connected", client.line(t))
	require.Equal(t, "echo", client.ask(t, echo, 10))
	require.NoError(t, server.Close())
	serve(t, ServerConfig{Name: name, Handler: echoes})
	require.Contains(t, client.ask(t, echo, 10), "failed")
	require.Equal(t, "connected", client.line(t))
	require.Equal(t, "echo", client.ask(t, echo, 10))
}

func TestServerRefuses(t *testing.T) {
	leavesNothing(t)
	for refusal, errno := range map[int32]int{1: -1, -int32(syscall.EACCES): int(syscall.EACCES)} {
		name := newName()
		serve(t, ServerConfig{Name: name, Handler: echoes, Accept: func(Peer) int32 { return refusal }})
		client := startClient(t, name, DefaultMaxMessage, patience)
		require.Equal(t, fmt.Sprintf("refused %d", errno), client.line(t))
		_, err := Dial(within(t, patience), DialConfig{Name: name})
		require.ErrorIs(t, err, ErrRefused)
	}
}

func TestServerKnowsItsClient(t *testing.T) {
	leavesNothing(t)
	name := newName()
	var accepted, asked atomic.Pointer[Peer]
	serve(t, ServerConfig{
		Name:   name,
		Accept: func(peer Peer) int32 { accepted.Store(&peer); return 0 },
		Handler: handlerFunc(func(_ context.Context, request Request) (Response, error) {
			asked.Store(&request.Peer)
			return Response{Data: request.Payload}, nil
		}),
	})
	cmd := exec.Command(libqbProgram(t, "client"), name, "10000", "5000")
	who := Peer{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}
	if os.Geteuid() == 0 {
		who = Peer{UID: 33, GID: 33}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: who.UID, Gid: who.GID}}
		readable(t, cmd.Path)
	}
	client := start(t, cmd)
	require.Equal(t, "connected", client.line(t), "the files must be the client's")
	require.Equal(t, "echo", client.ask(t, echo, 100))
	who.PID = int32(cmd.Process.Pid)
	require.Equal(t, who, *accepted.Load())
	require.Equal(t, who, *asked.Load())
}

// readable lets everybody run a program of this test.
func readable(t *testing.T, path string) {
	t.Helper()
	require.NoError(t, os.Chmod(path[:strings.LastIndexByte(path, '/')], 0o755))
}

func TestServerNoticesThatAClientIsGone(t *testing.T) {
	leavesNothing(t)
	name := newName()
	gone := make(chan error, 1)
	asked := make(chan struct{}, 1)
	serve(t, ServerConfig{
		Name: name,
		Handler: handlerFunc(func(ctx context.Context, _ Request) (Response, error) {
			asked <- struct{}{}
			<-ctx.Done()
			gone <- ctx.Err()
			return Response{}, ctx.Err()
		}),
	})
	client := startClient(t, name, DefaultMaxMessage, -time.Millisecond)
	require.Equal(t, "connected", client.line(t))
	_, err := fmt.Fprintln(client.input, noAnswer, 0)
	require.NoError(t, err)
	<-asked
	client.kill(t)
	require.ErrorIs(t, <-gone, context.Canceled)
}

func TestServerClosesWhileClientsWait(t *testing.T) {
	leavesNothing(t)
	name := newName()
	server := serve(t, ServerConfig{Name: name, Handler: echoes})
	failed := make(chan error)
	for range 5 {
		conn := dial(t, name)
		go func() {
			_, err := conn.Call(context.Background(), noAnswer)
			failed <- err
		}()
	}
	require.NoError(t, server.Close())
	for range 5 {
		require.ErrorIs(t, <-failed, ErrDisconnected)
	}
	require.NoError(t, server.Close(), "closing again is nothing")
	require.NoError(t, server.Run(context.Background()), "a closed server has run")
	_, err := Dial(within(t, patience), DialConfig{Name: name})
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
}

func TestServerEndsWithItsContext(t *testing.T) {
	leavesNothing(t)
	name := newName()
	server, err := Listen(ServerConfig{Name: name, Handler: echoes})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- server.Run(ctx) }()
	conn := dial(t, name)
	_, err = conn.Call(within(t, patience), echo)
	require.NoError(t, err)
	cancel()
	require.NoError(t, <-ended)
	_, err = conn.Call(within(t, patience), echo)
	require.ErrorIs(t, err, ErrDisconnected)
}

func TestServerThatNeverRanGivesItsNameBack(t *testing.T) {
	leavesNothing(t)
	name := newName()
	server, err := Listen(ServerConfig{Name: name, Handler: echoes})
	require.NoError(t, err)
	_, err = Listen(ServerConfig{Name: name, Handler: echoes})
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	require.NoError(t, server.Close())
	serve(t, ServerConfig{Name: name, Handler: echoes})
	_, err = Listen(ServerConfig{Name: newName()})
	require.ErrorIs(t, err, syscall.EINVAL, "without a handler")
}

func TestServerLimitsWhatAClientMayAskFor(t *testing.T) {
	leavesNothing(t)
	name := newName()
	serve(t, ServerConfig{Name: name, Handler: echoes, MaxMessage: 1 << 20})
	_, err := Dial(within(t, patience), DialConfig{Name: name, MaxMessage: 1<<20 + 1})
	require.ErrorIs(t, err, syscall.EMSGSIZE)
	_, err = Dial(within(t, patience), DialConfig{Name: name, MaxMessage: 1 << 30})
	require.ErrorIs(t, err, syscall.EINVAL)
}

// An answer that does not fit ends the connection, as pmxcfs does.
func TestServerHangsUpWhereItsAnswerDoesNotFit(t *testing.T) {
	leavesNothing(t)
	name := newName()
	serve(t, ServerConfig{Name: name, Handler: handlerFunc(func(context.Context, Request) (Response, error) {
		return Response{Data: make([]byte, 2<<20)}, nil
	})})
	_, err := dial(t, name).Call(within(t, patience), echo)
	require.ErrorIs(t, err, ErrDisconnected)
}

func TestServerEndsConnectionsThatSayNothingSensible(t *testing.T) {
	for name, said := range map[string][]byte{
		"nothing":          nil,
		"half a greeting":  make([]byte, 10),
		"not a greeting":   make([]byte, 24),
		"far too much":     pattern(100000),
		"a byte and a bye": {1},
	} {
		t.Run(name, func(t *testing.T) {
			leavesNothing(t)
			name := newName()
			serve(t, ServerConfig{Name: name, Handler: echoes})
			socket, err := net.Dial("unix", "@"+name+strings.Repeat("\x00", 107-len(name)))
			require.NoError(t, err)
			defer socket.Close()
			_, _ = socket.Write(said)
			require.NoError(t, socket.(*net.UnixConn).CloseWrite())
			require.NoError(t, socket.SetReadDeadline(time.Now().Add(patience)))
			n, err := socket.Read(make([]byte, 1))
			require.Zero(t, n)
			require.Error(t, err)
			require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
			_, err = dial(t, name).Call(within(t, patience), echo)
			require.NoError(t, err, "others are served")
		})
	}
}
