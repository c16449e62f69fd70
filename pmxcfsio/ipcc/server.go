package ipcc

import (
	"context"
	"errors"

	"pveha/pmxcfsio/ipcc/qb"
)

// Caller is who asks. Group www-data may read only, and nothing private; what
// it may not do is refused before the handler hears of it.
type Caller struct {
	qb.Peer
	ReadOnly bool
}

// Handler is an emulated pmxcfs behind the IPC. A method is called once the
// request's form and the caller's right to it have been checked, by several
// goroutines at a time. An error that holds a syscall.Errno is answered with
// it, ErrDrop closes the connection without an answer, any other is answered
// with EIO. The context ends when the caller has gone or the server closes: to
// emulate a pmxcfs that hangs, wait for it.
type Handler interface {
	// Versions, ClusterInfo, GuestList and Usage are the texts of .version,
	// .members, .vmlist and .rrd.
	Versions(ctx context.Context, caller Caller) ([]byte, error)
	ClusterInfo(ctx context.Context, caller Caller) ([]byte, error)
	GuestList(ctx context.Context, caller Caller) ([]byte, error)
	Usage(ctx context.Context, caller Caller) ([]byte, error)
	// SetStatus gets the value as it came, mostly with a zero byte behind it;
	// an empty value removes the name.
	SetStatus(ctx context.Context, caller Caller, name string, value []byte) error
	// Status returns the value as it was set. An empty node is this one.
	Status(ctx context.Context, caller Caller, node, name string) ([]byte, error)
	// ReadFile gets the path as the caller wrote it.
	ReadFile(ctx context.Context, caller Caller, path string) ([]byte, error)
	Log(ctx context.Context, caller Caller, entry LogEntry) error
	// ClusterLog has limit 50 where the caller named none.
	ClusterLog(ctx context.Context, caller Caller, user string, limit uint32) ([]byte, error)
	// GuestProperties has vmid 0 for all guests. GuestProperty is the older
	// request for one of them, whose name was not checked.
	GuestProperty(ctx context.Context, caller Caller, vmid uint32, property string) ([]byte, error)
	GuestProperties(ctx context.Context, caller Caller, vmid uint32, properties []string) ([]byte, error)
	// VerifyToken returns ENOENT when the token is not a line of
	// priv/token.cfg.
	VerifyToken(ctx context.Context, caller Caller, token string) error
}

// LogEntry is a message for the cluster log.
type LogEntry struct {
	Priority uint8  // syslog's
	Ident    string // the user
	Tag      string // the program
	Message  string
}

// ErrDrop closes the connection of a request instead of answering it.
var ErrDrop = errors.New("drop the connection")

// ServerConfig says what the server is called and what is behind it.
type ServerConfig struct {
	Name    string // in the abstract namespace; empty: DefaultName
	ShmDir  string // empty: qb.DefaultShmDir
	Handler Handler
	// Root and ReadOnlyGroup decide who is served, as in pmxcfs: user and
	// group root with all rights, and group ReadOnlyGroup reading only. Root
	// is a further user with all rights, for tests that run as one.
	ReadOnlyGroup uint32 // 0: 33, www-data
	Root          *uint32
}

// Server is an emulated pmxcfs's IPC.
//
//	server, err := ipcc.Listen(ipcc.ServerConfig{Name: "pve2-test-17", Handler: state})
//	go func() { done <- server.Run(ctx) }()
//	...
//	err = server.Close() // clients get ECONNREFUSED from now on
type Server struct{}

// Listen takes the name: clients can connect from now on and are answered
// once Run runs. EADDRINUSE says that the name is taken. Names are those of
// the network namespace of the calling thread.
func Listen(_ ServerConfig) (*Server, error) { return nil, errors.ErrUnsupported }

// Run serves until the context ends or Close is called, and then returns nil,
// with all connections closed and their files removed.
func (s *Server) Run(_ context.Context) error { return errors.ErrUnsupported }

// Close gives the name back, drops all connections and waits until they are
// cleaned up. It may be called more than once.
func (s *Server) Close() error { return nil }
