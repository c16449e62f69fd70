package qb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// DialConfig says which server to connect to.
type DialConfig struct {
	// Name is the server's name in the abstract namespace of the network
	// namespace, for example "pve2".
	Name string
	// ShmDir is where the server may keep its files; empty: DefaultShmDir.
	ShmDir string
	// MaxMessage is the size in bytes that the rings are asked to hold; 0:
	// DefaultMaxMessage.
	MaxMessage int
	// Servers are the users the server may run as; nil: root and our own.
	Servers []uint32
}

// Conn is a client's connection. Calls from several goroutines wait for each
// other. After an error the connection is of no more use, except to Close.
type Conn struct {
	name     string
	shmDir   string
	socket   clientSocket
	server   Peer
	folder   string
	request  *ring
	response *ring
	largest  int // request, header included

	turn     chan struct{} // held by the call in progress, and by Close
	broken   atomic.Bool   // of no more use
	closing  sync.Once
	closeErr error
}

// sendPause is how often a client that may not send yet looks again.
const sendPause = 100 * time.Microsecond

// deathGrace is how long a server that has closed the connection may take to
// be dead: libqb looks three times, 10 ms apart.
const deathGrace = 30 * time.Millisecond

// Dial connects within the time of the context. Errors: the socket's errno
// (ECONNREFUSED when nobody listens), ErrRefused, ErrDisconnected, ErrTimeout,
// ErrProtocol.
func Dial(ctx context.Context, config DialConfig) (*Conn, error) {
	if config.ShmDir == "" {
		config.ShmDir = DefaultShmDir
	}
	if config.MaxMessage == 0 {
		config.MaxMessage = DefaultMaxMessage
	}
	if config.MaxMessage < 0 || config.MaxMessage > maxMessageLimit {
		return nil, fmt.Errorf("connect to %s: messages of %d bytes: %w", config.Name, config.MaxMessage, unix.EINVAL)
	}
	if config.Servers == nil {
		config.Servers = []uint32{0, uint32(os.Geteuid())}
	}
	// libqb does not ask for less either.
	config.MaxMessage = max(config.MaxMessage, welcomeSize)

	c := &Conn{name: config.Name, shmDir: config.ShmDir, socket: noSocket, turn: make(chan struct{}, 1)}
	if err := c.connect(ctx, config); err != nil {
		_ = c.abandon() // the first error is the one to tell
		return nil, fmt.Errorf("connect to %s: %w", config.Name, explain(err))
	}
	return c, nil
}

// connect goes through the handshake. What it has opened when it fails is in
// the connection.
func (c *Conn) connect(ctx context.Context, config DialConfig) error {
	var err error
	if c.socket, err = connectSocket(ctx, c.name); err != nil {
		return err
	}
	if c.server, err = c.socket.peer(); err != nil {
		return err
	}
	// Anybody can take a name in the abstract namespace while pmxcfs does not
	// run.
	if !slices.Contains(config.Servers, c.server.UID) {
		return fmt.Errorf("%w: the server runs as user %d", ErrRefused, c.server.UID)
	}
	// libqb's server wants the sender's credentials beside the greeting.
	if err := unix.SetsockoptInt(c.socket.fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	if err := c.socket.write(ctx, greeting(config.MaxMessage)); err != nil {
		return err
	}
	var answer [welcomeSize]byte
	if err := c.socket.read(ctx, answer[:]); err != nil {
		return err
	}
	welcome, err := parseWelcome(&answer)
	if err != nil {
		return err
	}
	for i, name := range welcome.names {
		welcome.names[i] = shmName(c.shmDir, name)
	}
	if err := welcome.check(c.shmDir, config.MaxMessage); err != nil {
		return err
	}
	return c.openRings(welcome)
}

// openRings maps the rings of requests and responses. The server's events are
// not read, so their ring is left alone.
func (c *Conn) openRings(w welcome) error {
	if folder := filepath.Dir(w.names[0]); strings.HasPrefix(filepath.Base(folder), "qb-") {
		c.folder = folder
	}
	c.largest = int(w.maxMessage)
	var err error
	if c.request, err = openRing(w.names[0], c.largest); err != nil {
		return err
	}
	c.response, err = openRing(w.names[1], c.largest)
	return err
}

// Call sends one request, whose payload may come in parts, and waits for its
// answer. Errors: ErrTooLarge, which leaves the connection as it is;
// ErrDisconnected, ErrTimeout, ErrProtocol, which end it.
func (c *Conn) Call(ctx context.Context, id int32, payload ...[]byte) (Response, error) {
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return Response{}, fmt.Errorf("request %d to %s: %w", id, c.name, explain(ctx.Err()))
	}
	defer func() { <-c.turn }()
	err := ctx.Err()
	if c.broken.Load() {
		err = ErrDisconnected
	}
	if err != nil {
		return Response{}, fmt.Errorf("request %d to %s: %w", id, c.name, explain(err))
	}
	var response Response
	err = guard(func() error {
		err := c.send(ctx, id, payload)
		if err == nil {
			response, err = c.receive(ctx, id)
		}
		return err
	})
	if err == nil {
		return response, nil
	}
	if !errors.Is(err, ErrTooLarge) {
		c.broken.Store(true)
	}
	return Response{}, fmt.Errorf("request %d to %s: %w", id, c.name, explain(err))
}

func (c *Conn) send(ctx context.Context, id int32, payload [][]byte) error {
	size := requestHeaderSize
	for _, part := range payload {
		size += len(part)
	}
	if size > c.largest {
		return fmt.Errorf("%w: %d bytes, the server takes %d", ErrTooLarge, size, c.largest)
	}
	var header [requestHeaderSize]byte
	parts := append([][]byte{putHeader(header[:0], id, size)}, payload...)
	if err := c.put(ctx, parts); err != nil {
		return err
	}
	return c.socket.write(ctx, header[:1]) // wakes up the server's poll loop
}

// put writes a request into its ring. It waits while the server's flow control
// says so, and while the request before it, which the server has answered but
// not yet taken out, is in the way. That there is a server is seen from the
// ring, which counts its users.
func (c *Conn) put(ctx context.Context, parts [][]byte) error {
	for {
		if users := c.request.users(); users != ringUsersBoth {
			return fmt.Errorf("%w: ring has %d users", ErrDisconnected, int32(users))
		}
		if atomic.LoadUint32(c.request.flow()) != holdBack {
			if err := c.request.write(parts...); !errors.Is(err, errRingFull) {
				return err
			}
		}
		if err := c.mayWait(ctx); err != nil {
			return err
		}
		if err := pause(ctx, sendPause); err != nil {
			return err
		}
	}
}

// mayWait says why there is nothing to wait for any more, if so.
func (c *Conn) mayWait(ctx context.Context) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case timeLeft(ctx) == 0:
		return context.DeadlineExceeded
	case c.broken.Load(), c.socket.hungUp():
		return ErrDisconnected
	default:
		return nil
	}
}

// receive waits for the answer, which is read even if the server has died
// since.
func (c *Conn) receive(ctx context.Context, id int32) (Response, error) {
	for !c.response.messages.wait(timeLeft(ctx)) {
		if err := c.mayWait(ctx); err != nil {
			if errors.Is(err, ErrDisconnected) && c.response.ready() {
				break
			}
			return Response{}, err
		}
	}
	message, err := c.response.read()
	if err != nil {
		return Response{}, err
	}
	if len(message) < responseHeaderSize {
		return Response{}, fmt.Errorf("%w: answer of %d bytes", ErrProtocol, len(message))
	}
	gotID, size := field(message, 0), field(message, 1)
	if gotID != id || int64(size) != int64(len(message)) {
		return Response{}, fmt.Errorf("%w: answer of %d bytes says it answers %d with %d bytes", ErrProtocol, len(message), gotID, size)
	}
	return Response{Error: field(message, 2), Data: message[responseHeaderSize:]}, nil
}

// Alive is false once a call has failed.
func (c *Conn) Alive() bool { return !c.broken.Load() }

// Server is the process at the other end.
func (c *Conn) Server() Peer { return c.server }

// Close ends the connection and a call in progress, and gives all memory,
// descriptors and files back.
func (c *Conn) Close() error {
	c.closing.Do(func() {
		c.broken.Store(true)
		c.turn <- struct{}{}
		c.closeErr = c.abandon()
		<-c.turn
	})
	return c.closeErr
}

// abandon gives everything back that the connection has opened so far. The
// files are removed here too, since the server might die before it does so.
func (c *Conn) abandon() error {
	errs := []error{c.socket.close()}
	for _, r := range []*ring{c.request, c.response} {
		if r != nil {
			_ = guard(func() error { r.leave(); return nil })
			errs = append(errs, r.unmap())
		}
	}
	switch {
	case c.folder != "":
		removeFolder(c.folder, c.name)
	case c.server.PID > 0 && died(c.server.PID, deathGrace):
		removeOrphans(c.shmDir, int(c.server.PID), c.name)
	}
	return errors.Join(errs...)
}
