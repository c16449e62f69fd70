package qb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Request is one message of a client.
type Request struct {
	Peer    Peer
	ID      int32
	Payload []byte // without the header; the handler's to keep
}

// Handler answers requests. Requests of one connection come one after the
// other, those of several connections at the same time. The context ends when
// the client has gone or the server closes, so a late answer may wait on it.
// An error drops the connection without an answer.
type Handler interface {
	ServeRequest(ctx context.Context, request Request) (Response, error)
}

// ServerConfig says what a server is called and whom it serves.
type ServerConfig struct {
	// Name is the name in the abstract namespace of the network namespace.
	Name string
	// ShmDir is the folder for the files of the rings; empty: DefaultShmDir.
	ShmDir string
	// MaxMessage is the largest size in bytes a client may ask for; 0: 64 MiB.
	MaxMessage int
	// Accept returns 0 for a client to be served. Anything else is sent as
	// the handshake's error: a negative errno, or a positive number, which
	// libqb's clients take for a refusal as well. Nil: everybody is served.
	Accept func(Peer) int32
	// Handler answers; it must not be nil.
	Handler Handler
}

// Server is the serving end. Run or Close it, or it keeps its name.
type Server struct {
	config   ServerConfig
	listener *net.UnixListener
	closing  sync.Once
	closeErr error

	mu      sync.Mutex
	started bool
	closed  bool
	stopped chan struct{} // Run has cleaned up
}

// greetingTime is how long a client may take to say what it wants.
const greetingTime = 10 * time.Second

// acceptPause is how long a server waits after it could not take a connection,
// which is so when it has no descriptors left.
const acceptPause = 10 * time.Millisecond

// Listen takes the name, so that clients can connect from now on; they are
// answered once Run runs. EADDRINUSE says that the name is taken.
func Listen(config ServerConfig) (*Server, error) {
	if config.ShmDir == "" {
		config.ShmDir = DefaultShmDir
	}
	if config.MaxMessage == 0 {
		config.MaxMessage = maxMessageLimit
	}
	if config.Handler == nil {
		return nil, fmt.Errorf("listen as %s: no handler: %w", config.Name, unix.EINVAL)
	}
	address, err := socketName(config.Name)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	listen := net.ListenConfig{Control: func(_, _ string, socket syscall.RawConn) error {
		// What is set here holds for every connection, from its first byte.
		return wantCredentials(socket)
	}}
	listener, err := listen.Listen(context.Background(), "unix", address)
	if err != nil {
		return nil, fmt.Errorf("listen as %s: %w", config.Name, err)
	}
	return &Server{
		config:   config,
		listener: listener.(*net.UnixListener), //nolint:errcheck // what "unix" listens with
		stopped:  make(chan struct{}),
	}, nil
}

// Run serves until the context ends or Close is called, and returns after all
// connections are closed and their files removed. It returns nil then, at once
// if the server is closed already. It runs once.
func (s *Server) Run(ctx context.Context) error {
	s.mu.Lock()
	if s.closed || s.started {
		defer s.mu.Unlock()
		if s.closed {
			return nil
		}
		return fmt.Errorf("serve %s: it runs already", s.config.Name)
	}
	s.started = true
	s.mu.Unlock()
	defer close(s.stopped)

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer s.withdraw() // or wait until it is done
	defer context.AfterFunc(ctx, s.withdraw)()
	var connections sync.WaitGroup
	defer connections.Wait()
	defer cancel()
	for {
		socket, err := s.listener.AcceptUnix()
		switch {
		case err == nil:
			connections.Go(func() { s.serve(ctx, socket) })
		case errors.Is(err, net.ErrClosed):
			return nil
		default:
			select {
			case <-time.After(acceptPause):
			case <-ctx.Done():
			}
		}
	}
}

// withdraw gives the name back.
func (s *Server) withdraw() {
	s.closing.Do(func() {
		s.closeErr = s.listener.Close()
	})
}

// Close gives the name back, drops all connections and waits until Run has
// cleaned up.
func (s *Server) Close() error {
	s.withdraw()
	s.mu.Lock()
	s.closed = true
	wait := s.started
	s.mu.Unlock()
	if wait {
		<-s.stopped
	}
	return s.closeErr
}
