package qb

import (
	"context"
	"errors"
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
type Conn struct{}

// Dial connects within the time of the context. Errors: the socket's errno
// (ECONNREFUSED when nobody listens), ErrRefused, ErrDisconnected, ErrTimeout,
// ErrProtocol.
func Dial(_ context.Context, _ DialConfig) (*Conn, error) { return nil, errors.ErrUnsupported }

// Call sends one request, whose payload may come in parts, and waits for its
// answer. Errors: ErrTooLarge, which leaves the connection as it is;
// ErrDisconnected, ErrTimeout, ErrProtocol, which end it.
func (c *Conn) Call(_ context.Context, _ int32, _ ...[]byte) (Response, error) {
	return Response{}, errors.ErrUnsupported
}

// Alive is false once the server has gone or a call has failed.
func (c *Conn) Alive() bool { return false }

// Server is the process at the other end.
func (c *Conn) Server() Peer { return Peer{} }

// Close ends the connection and a call in progress, and gives all memory,
// descriptors and, should the server be dead, its files back.
func (c *Conn) Close() error { return nil }
