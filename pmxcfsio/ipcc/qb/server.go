package qb

import (
	"context"
	"errors"
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
type Server struct{}

// Listen takes the name, so that clients can connect from now on; they are
// answered once Run runs. EADDRINUSE says that the name is taken.
func Listen(_ ServerConfig) (*Server, error) { return nil, errors.ErrUnsupported }

// Run serves until the context ends or Close is called, and returns after all
// connections are closed and their files removed. It returns nil then.
func (s *Server) Run(_ context.Context) error { return errors.ErrUnsupported }

// Close gives the name back, drops all connections and waits until Run has
// cleaned up.
func (s *Server) Close() error { return nil }
