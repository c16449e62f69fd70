package qb

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The phases in which a server can die, in order: what it has done before.
var phases = []string{
	"accepted", "greeting read", "folder made", "rings made", "half the welcome sent", "welcome sent",
	"request read", "answer begun", "answer written", "answer announced",
}

// A dyingServer dies once it has reached its phase. It is the test binary,
// run again.
const dyingServerVariable = "QB_DYING_SERVER"

// runDyingServer serves one client until the phase, and never returns.
func runDyingServer(phase, name string) {
	server, err := Listen(ServerConfig{Name: name, Handler: neverAsked{}})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	die := func(reached string) {
		if reached == phase {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	socket, err := server.listener.AcceptUnix()
	if err != nil {
		os.Exit(1)
	}
	c := &session{server: server, socket: socket}
	die("accepted")
	message, peer, err := readGreeting(socket)
	if err != nil {
		os.Exit(1)
	}
	c.peer = peer
	die("greeting read")
	asked, _ := parseGreeting(message)
	answer := welcome{transport: shmTransport, maxMessage: asked}
	if phase == "folder made" {
		_, _ = createFolder(DefaultShmDir, os.Getpid(), c.peer, 9)
	}
	die("folder made")
	if c.createRings(&answer) != nil {
		os.Exit(1)
	}
	die("rings made")
	if phase == "half the welcome sent" {
		_, _ = socket.Write(answer.bytes()[:welcomeSize/2])
	}
	die("half the welcome sent")
	_, _ = socket.Write(answer.bytes())
	die("welcome sent")
	dieAnswering(c, die)
	os.Exit(1)
}

func dieAnswering(c *session, die func(string)) {
	_, _ = c.socket.Read(make([]byte, 1))
	c.request.messages.wait(time.Minute)
	_, _ = c.request.read()
	die("request read")
	atomic.StoreUint32(c.response.word(1), markIncomplete)
	c.response.copyIn(8, []byte("half an answer"))
	die("answer begun")
	// The whole answer, without the semaphore, and as many words as it is.
	header := putResponseHeader(nil, 1, responseHeaderSize, 0)
	c.response.copyIn(8, header)
	*c.response.word(0) = responseHeaderSize
	atomic.StoreUint32(c.response.counter(writeOffset), chunkWords(responseHeaderSize))
	atomic.StoreUint32(c.response.word(1), markComplete)
	die("answer written")
	_ = c.response.messages.post()
	die("answer announced")
}

type neverAsked struct{}

func (neverAsked) ServeRequest(context.Context, Request) (Response, error) {
	return Response{}, ErrDisconnected
}

func TestClientOutlivesAServerThatDies(t *testing.T) {
	for _, phase := range phases {
		t.Run(phase, func(t *testing.T) {
			leavesNothing(t)
			name := newName()
			cmd := exec.Command("/proc/self/exe")
			cmd.Env = append(os.Environ(), dyingServerVariable+"="+phase, dyingServerVariable+"_NAME="+name)
			server := start(t, cmd)
			require.Equal(t, "ready", server.line(t))
			began := time.Now()
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			conn, err := Dial(ctx, DialConfig{Name: name})
			if err == nil {
				_, err = conn.Call(ctx, 1)
				require.NoError(t, conn.Close())
			}
			require.Less(t, time.Since(began), 10*time.Second, "a dead server is noticed, not waited for")
			if phase == "answer written" || phase == "answer announced" {
				require.NoError(t, err, "an answer that is there is taken")
			} else {
				require.ErrorIs(t, err, ErrDisconnected)
			}
		})
	}
}
