package qb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
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
	socket   *net.UnixConn
	server   Peer
	folder   string
	request  *ring
	response *ring
	largest  int // request, header included

	turn    chan struct{} // held by the call in progress, and by Close for good
	broken  atomic.Bool   // of no more use
	watcher sync.WaitGroup

	mu       sync.Mutex // for the memory's end
	unmapped bool
	closing  sync.Once
	closeErr error
}

// sendPause is how often a client that may not send yet looks again.
const sendPause = 100 * time.Microsecond

// backlogPause is how often a client tries to connect to a server whose queue
// of connections is full. libqb lets five wait.
const backlogPause = time.Millisecond

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
	// A server may size its welcome by what the client can take.
	config.MaxMessage = max(config.MaxMessage, welcomeSize)

	c := &Conn{name: config.Name, shmDir: config.ShmDir, turn: make(chan struct{}, 1)}
	if err := c.connect(ctx, config); err != nil {
		_ = c.abandon()
		return nil, fmt.Errorf("connect to %s: %w", config.Name, explain(ctx, err))
	}
	c.watcher.Go(c.watch)
	return c, nil
}

// connect goes through the handshake. What it has opened when it fails is in
// the connection.
func (c *Conn) connect(ctx context.Context, config DialConfig) error {
	if err := c.openSocket(ctx, config.Servers); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = c.socket.SetDeadline(past) })()
	if deadline, bounded := ctx.Deadline(); bounded {
		_ = c.socket.SetDeadline(deadline)
	}
	if _, err := c.socket.Write(greeting(config.MaxMessage)); err != nil {
		return err
	}
	var answer [welcomeSize]byte
	if _, err := io.ReadFull(c.socket, answer[:]); err != nil {
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
	if err := c.openRings(welcome); err != nil {
		return err
	}
	return c.socket.SetDeadline(time.Time{})
}

// openSocket connects the socket to a server that may be trusted: anybody can
// take a name in the abstract namespace while pmxcfs does not run.
func (c *Conn) openSocket(ctx context.Context, servers []uint32) error {
	address, err := socketName(c.name)
	if err != nil {
		return err
	}
	if c.socket, err = dialSocket(ctx, address); err != nil {
		return err
	}
	socket, err := c.socket.SyscallConn()
	if err != nil {
		return err
	}
	if c.server, err = peerOf(socket); err != nil {
		return err
	}
	if servers == nil {
		servers = []uint32{0, uint32(os.Geteuid())}
	}
	if !slices.Contains(servers, c.server.UID) {
		return fmt.Errorf("%w: the server runs as user %d", ErrRefused, c.server.UID)
	}
	return wantCredentials(socket)
}

func dialSocket(ctx context.Context, address string) (*net.UnixConn, error) {
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "unix", address)
		if err == nil {
			return conn.(*net.UnixConn), nil //nolint:errcheck // what "unix" dials
		}
		if !errors.Is(err, unix.EAGAIN) {
			return nil, err
		}
		select {
		case <-time.After(backlogPause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// openRings maps the rings of requests and responses. The server's events are
// not read, so their ring is left alone.
func (c *Conn) openRings(w welcome) error {
	if folder := filepath.Dir(w.names[0]); strings.HasPrefix(filepath.Base(folder), "qb-") {
		c.folder = folder
	}
	c.largest = int(w.maxMessage)
	var err error
	if c.request, err = openRing(w.names[0], int(w.maxMessage)); err != nil {
		return err
	}
	c.response, err = openRing(w.names[1], int(w.maxMessage))
	return err
}

// watch waits until the server closes the socket, whatever it may send before,
// and wakes up who waits for an answer.
func (c *Conn) watch() {
	buffer := make([]byte, 64)
	for {
		if _, err := c.socket.Read(buffer); err != nil {
			c.interrupt()
			return
		}
	}
}

// past is a deadline that nothing meets.
var past = time.Unix(1, 0)

// interrupt ends the connection's use: a call in progress returns.
func (c *Conn) interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken.Store(true)
	_ = c.socket.SetWriteDeadline(past)
	if c.unmapped {
		return
	}
	// The semaphore counts answers, but from here on nobody reads them. If
	// the memory is gone, the waiter has seen it for itself.
	_ = guard(c.response.messages.post)
}

// Call sends one request, whose payload may come in parts, and waits for its
// answer. Errors: ErrTooLarge, which leaves the connection as it is;
// ErrDisconnected, ErrTimeout, ErrProtocol, which end it.
func (c *Conn) Call(ctx context.Context, id int32, payload ...[]byte) (Response, error) {
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return Response{}, fmt.Errorf("request %d to %s: %w", id, c.name, explain(ctx, ctx.Err()))
	}
	defer func() { <-c.turn }()
	if c.broken.Load() {
		return Response{}, fmt.Errorf("request %d to %s: %w", id, c.name, ErrDisconnected)
	}
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, c.interrupt)()
	}
	var response Response
	err := guard(func() error {
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
	return Response{}, fmt.Errorf("request %d to %s: %w", id, c.name, explain(ctx, err))
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
	deadline, _ := ctx.Deadline()
	_ = c.socket.SetWriteDeadline(deadline)
	if c.broken.Load() { // or the deadline just set outlives an interruption
		return ErrDisconnected
	}
	_, err := c.socket.Write(header[:1]) // wakes up the server's poll loop
	return err
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
		select {
		case <-time.After(sendPause):
		case <-ctx.Done():
			return ctx.Err()
		}
		if c.broken.Load() {
			return ErrDisconnected
		}
	}
}

// receive waits for the answer, which is read even if the server has died
// since.
func (c *Conn) receive(ctx context.Context, id int32) (Response, error) {
	deadline, _ := ctx.Deadline()
	if !c.response.messages.wait(deadline) {
		return Response{}, context.DeadlineExceeded
	}
	if !c.response.ready() && c.broken.Load() {
		if err := ctx.Err(); err != nil {
			return Response{}, err
		}
		return Response{}, ErrDisconnected
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

// Alive is false once the server has gone or a call has failed.
func (c *Conn) Alive() bool { return !c.broken.Load() }

// Server is the process at the other end.
func (c *Conn) Server() Peer { return c.server }

// Close ends the connection and a call in progress, and gives all memory,
// descriptors and files back.
func (c *Conn) Close() error {
	c.closing.Do(func() {
		c.interrupt()
		c.turn <- struct{}{}
		c.closeErr = c.abandon()
		<-c.turn
	})
	return c.closeErr
}

// abandon gives everything back that the connection has opened so far. The
// files are removed here too, since the server might die before it does so.
func (c *Conn) abandon() error {
	var errs []error
	if c.socket != nil {
		errs = append(errs, c.socket.Close())
	}
	c.watcher.Wait()
	c.mu.Lock()
	c.unmapped = true
	for _, r := range []*ring{c.request, c.response} {
		if r != nil {
			_ = guard(func() error { r.leave(); return nil })
			errs = append(errs, r.unmap())
		}
	}
	c.mu.Unlock()
	switch {
	case c.folder != "":
		removeFolder(c.folder, c.name)
	case c.server.PID > 0 && died(c.server.PID, deathGrace):
		removeOrphans(c.shmDir, int(c.server.PID), c.name)
	}
	return errors.Join(errs...)
}
