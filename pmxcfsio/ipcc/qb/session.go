package qb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// session is one client's connection.
type session struct {
	server   *Server
	socket   *net.UnixConn
	peer     Peer
	folder   string
	request  *ring
	response *ring
	event    *ring
	bell     chan struct{} // the client has written to the socket
}

// serve answers one client until either end has had enough.
func (s *Server) serve(ctx context.Context, socket *net.UnixConn) {
	session := &session{server: s, socket: socket, bell: make(chan struct{}, 1)}
	defer session.close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	hungUp := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = socket.Close()
		close(hungUp)
	})
	defer func() {
		if !stop() {
			<-hungUp
		}
	}()
	if session.greet() != nil {
		return
	}
	var reader sync.WaitGroup
	reader.Go(func() {
		defer cancel()
		session.listen()
	})
	defer reader.Wait()
	defer cancel()
	for {
		select {
		case <-session.bell:
			if session.answerAll(ctx) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// greet is the server's part of the handshake.
func (c *session) greet() error {
	_ = c.socket.SetDeadline(time.Now().Add(greetingTime))
	message, peer, err := readGreeting(c.socket)
	if err != nil {
		return err
	}
	c.peer = peer
	asked, err := parseGreeting(message)
	if err != nil {
		return err
	}
	answer := welcome{transport: shmTransport, maxMessage: asked}
	if answer.failure = c.judge(asked); answer.failure == 0 {
		if err := c.createRings(&answer); err != nil {
			answer.failure = failureOf(err)
		}
	}
	if answer.failure != 0 {
		answer = welcome{failure: answer.failure}
	}
	if _, err := c.socket.Write(answer.bytes()); err != nil {
		return err
	}
	if answer.failure != 0 {
		return ErrRefused
	}
	return c.socket.SetDeadline(time.Time{})
}

func (c *session) judge(asked uint32) int32 {
	if accept := c.server.config.Accept; accept != nil {
		if refusal := accept(c.peer); refusal != 0 {
			return refusal
		}
	}
	if int64(asked) > int64(c.server.config.MaxMessage) {
		return -int32(unix.EMSGSIZE)
	}
	return 0
}

// failureOf is the number that tells a client of an error.
func failureOf(err error) int32 {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return -int32(errno)
	}
	return -int32(unix.EIO)
}

// createRings makes the files of the connection and names them in the answer.
func (c *session) createRings(answer *welcome) error {
	socket, err := c.socket.SyscallConn()
	if err != nil {
		return err
	}
	err = control(socket, func(fd int) error {
		answer.number = uint64(fd)
		var err error
		c.folder, err = createFolder(c.server.config.ShmDir, os.Getpid(), c.peer, fd)
		return err
	})
	if err != nil {
		return err
	}
	for i, r := range []**ring{&c.request, &c.response, &c.event} {
		answer.names[i] = ringName(c.folder, directions[i], c.server.config.Name)
		if len(answer.names[i])+len(headSuffix) >= pathSize {
			return unix.ENAMETOOLONG
		}
		if *r, err = createRing(answer.names[i], int(answer.maxMessage), c.peer); err != nil {
			return err
		}
	}
	return nil
}

// listen rings the bell for what the client writes, until it hangs up.
func (c *session) listen() {
	buffer := make([]byte, 64)
	for {
		if _, err := c.socket.Read(buffer); err != nil {
			return
		}
		select {
		case c.bell <- struct{}{}:
		default: // it rings already
		}
	}
}

// answerAll answers the requests that wait. Bytes and requests need not match:
// a request may be seen before its byte.
func (c *session) answerAll(ctx context.Context) error {
	for {
		var message []byte
		err := guard(func() error {
			var err error
			if c.request.messages.tryWait() {
				message, err = c.request.read()
			}
			return err
		})
		if err != nil || message == nil {
			return err
		}
		if err := c.answer(ctx, message); err != nil {
			return err
		}
	}
}

func (c *session) answer(ctx context.Context, message []byte) error {
	if len(message) < requestHeaderSize {
		return fmt.Errorf("%w: request of %d bytes", ErrProtocol, len(message))
	}
	id, size := field(message, 0), field(message, 1)
	if id == disconnect {
		return ErrDisconnected
	}
	if size < requestHeaderSize || int64(size) > int64(len(message)) {
		return fmt.Errorf("%w: request of %d bytes says it has %d", ErrProtocol, len(message), size)
	}
	response, err := c.server.config.Handler.ServeRequest(ctx, Request{Peer: c.peer, ID: id, Payload: message[requestHeaderSize:size]})
	if err != nil {
		return err
	}
	return c.respond(id, response)
}

func (c *session) respond(id int32, response Response) error {
	var header [responseHeaderSize]byte
	putResponseHeader(header[:0], id, responseHeaderSize+len(response.Data), response.Error)
	return guard(func() error { return c.response.write(header[:], response.Data) })
}

// close gives everything of the connection back.
func (c *session) close() {
	_ = c.socket.Close()
	for _, r := range []*ring{c.request, c.response, c.event} {
		if r != nil {
			_ = guard(func() error { r.leave(); return nil })
			_ = r.unmap()
		}
	}
	if c.folder != "" {
		removeFolder(c.folder, c.server.config.Name)
	}
}
