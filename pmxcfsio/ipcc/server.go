package ipcc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

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
	// GuestProperty and GuestProperties have vmid 0 for all guests; a guest
	// that does not exist is ENOENT. Only the properties of the second have
	// been checked to be names.
	GuestProperty(ctx context.Context, caller Caller, vmid uint32, property string) ([]byte, error)
	GuestProperties(ctx context.Context, caller Caller, vmid uint32, properties []string) ([]byte, error)
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

// wwwData is the ID of Debian's group www-data.
const wwwData = 33

// ServerConfig says what the server is called and what is behind it. As with
// pmxcfs, the user and group that the server runs as (root) have all rights,
// and group ReadOnlyGroup reads only; nobody else is served.
type ServerConfig struct {
	Name          string // in the abstract namespace; empty: DefaultName
	ShmDir        string // empty: qb.DefaultShmDir
	ReadOnlyGroup uint32 // 0: 33, www-data
	Handler       Handler
}

// Server is an emulated pmxcfs's IPC.
//
//	server, err := ipcc.Listen(ipcc.ServerConfig{Name: "pve2-test-17", Handler: state})
//	go func() { done <- server.Run(ctx) }()
//	...
//	err = server.Close() // clients get ECONNREFUSED from now on
type Server struct {
	transport *qb.Server
}

// refused is what pmxcfs answers to whom it does not serve.
const refused = 1

// Listen takes the name: clients can connect from now on and are answered
// once Run runs. EADDRINUSE says that the name is taken. Names are those of
// the network namespace of the calling thread.
func Listen(config ServerConfig) (*Server, error) {
	if config.Name == "" {
		config.Name = DefaultName
	}
	if config.ReadOnlyGroup == 0 {
		config.ReadOnlyGroup = wwwData
	}
	if config.Handler == nil {
		return nil, fmt.Errorf("serve %s: no handler: %w", config.Name, syscall.EINVAL)
	}
	d := &dispatcher{handler: config.Handler, readers: config.ReadOnlyGroup}
	transport, err := qb.Listen(qb.ServerConfig{
		Name: config.Name, ShmDir: config.ShmDir, Accept: d.accept, Handler: d,
	})
	if err != nil {
		return nil, err
	}
	return &Server{transport: transport}, nil
}

// Run serves until the context ends or Close is called, and then returns nil,
// with all connections closed and their files removed. It runs once.
func (s *Server) Run(ctx context.Context) error { return s.transport.Run(ctx) }

// Close gives the name back, drops all connections and waits until they are
// cleaned up. It may be called more than once.
func (s *Server) Close() error { return s.transport.Close() }

// dispatcher hands requests to a handler's methods.
type dispatcher struct {
	handler Handler
	readers uint32
}

func (d *dispatcher) accept(peer qb.Peer) int32 {
	owner := int(peer.UID) == os.Geteuid() && int(peer.GID) == os.Getegid()
	if owner || peer.GID == d.readers {
		return 0
	}
	return refused
}

// ServeRequest implements qb.Handler.
func (d *dispatcher) ServeRequest(ctx context.Context, request qb.Request) (qb.Response, error) {
	caller := Caller{Peer: request.Peer, ReadOnly: request.Peer.GID == d.readers}
	data, err := d.dispatch(ctx, caller, request)
	if err == nil {
		return qb.Response{Data: data}, nil
	}
	if errors.Is(err, ErrDrop) {
		return qb.Response{}, err
	}
	errno := syscall.EIO
	_ = errors.As(err, &errno)
	return qb.Response{Error: -int32(errno)}, nil
}

// dispatch reads a request and has it answered. Whom it is for comes before
// what is in it, as in pmxcfs.
func (d *dispatcher) dispatch(ctx context.Context, caller Caller, request qb.Request) ([]byte, error) {
	b := request.Payload
	switch request.ID {
	case getVersions:
		return d.plain(ctx, caller, b, d.handler.Versions)
	case getClusterInfo:
		return d.plain(ctx, caller, b, d.handler.ClusterInfo)
	case getGuestList:
		return d.plain(ctx, caller, b, d.handler.GuestList)
	case getUsage:
		return d.plain(ctx, caller, b, d.handler.Usage)
	case setStatus, logMessage:
		if caller.ReadOnly {
			return nil, syscall.EPERM
		}
		return nil, d.change(ctx, caller, request)
	case getStatus:
		node, name, err := parseStatusQuery(b)
		if err != nil {
			return nil, err
		}
		return d.handler.Status(ctx, caller, node, name)
	case getConfig:
		path, err := parsePath(b)
		if err != nil {
			return nil, err
		}
		if caller.ReadOnly && private(path) {
			return nil, syscall.EPERM
		}
		return d.handler.ReadFile(ctx, caller, path)
	case getClusterLog:
		user, limit, err := parseLogQuery(b)
		if err != nil {
			return nil, err
		}
		return d.handler.ClusterLog(ctx, caller, user, limit)
	case getGuestProperty:
		vmid, property, err := parseGuestProperty(b)
		if err != nil {
			return nil, err
		}
		return d.handler.GuestProperty(ctx, caller, vmid, property)
	case getGuestProperties:
		vmid, properties, err := parseGuestProperties(b)
		if err != nil {
			return nil, err
		}
		return d.handler.GuestProperties(ctx, caller, vmid, properties)
	default:
		return nil, syscall.ECHRNG
	}
}

// plain answers a request that has nothing but its number.
func (d *dispatcher) plain(ctx context.Context, caller Caller, b []byte, answer func(context.Context, Caller) ([]byte, error)) ([]byte, error) {
	if len(b) != 0 {
		return nil, syscall.EINVAL
	}
	return answer(ctx, caller)
}

// change carries out what only root may ask for.
func (d *dispatcher) change(ctx context.Context, caller Caller, request qb.Request) error {
	if request.ID == setStatus {
		name, value, err := parseStatus(request.Payload)
		if err != nil {
			return err
		}
		return d.handler.SetStatus(ctx, caller, name, value)
	}
	entry, err := parseLogEntry(request.Payload)
	if err != nil {
		return err
	}
	return d.handler.Log(ctx, caller, entry)
}
