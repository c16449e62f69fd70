package qb

import (
	"errors"
	"math"
)

// DefaultMaxMessage is the largest message pmxcfs's Perl client asks for, in
// bytes (MAX_MSG_SIZE in PVE/IPCC.xs).
const DefaultMaxMessage = 8192 * 128

// DefaultShmDir is where libqb keeps the files of its rings.
const DefaultShmDir = "/dev/shm"

// What can go wrong with a connection, for errors.Is. The system's errno is
// reachable too where there is one.
var (
	// ErrTimeout says that the context ended before the answer came. The
	// context's own error is reachable beside it.
	ErrTimeout = errors.New("no answer in time")
	// ErrProtocol says that the other end broke the protocol: wrong sizes,
	// wrong offsets, an answer to something else.
	ErrProtocol = errors.New("protocol violated")
	// ErrDisconnected says that the other end has closed the connection or is
	// dead.
	ErrDisconnected = errors.New("disconnected")
	// ErrRefused says that the server does not serve this user, or that the
	// server runs as a user it should not run as.
	ErrRefused = errors.New("connection refused by the server's rules")
	// ErrTooLarge says that a message does not fit the connection.
	ErrTooLarge = errors.New("message too large")
)

// Peer is the other end of a connection, as the kernel tells it.
type Peer struct {
	PID int32
	UID uint32
	GID uint32
}

// Response is a server's answer to a request. Error is 0 or a negative errno;
// pmxcfs sends no data with an error.
type Response struct {
	Error int32
	Data  []byte
}

// maxMessageLimit bounds what either end may ask the other to map, since the
// size on the wire is any 32-bit number.
const maxMessageLimit = 64 << 20

// Sizes of the headers before each message: id, size and, in a response,
// error, each a 32-bit number in 8 bytes.
const (
	requestHeaderSize  = 16
	responseHeaderSize = 24
)

// authenticate is the id of the handshake, which is refused as a request's.
const (
	authenticate = -1
	disconnect   = -3
)

// shmTransport is libqb's number for this transport, among others that it
// offers and that are not spoken here.
const shmTransport = 1

const maxInt32 = math.MaxInt32
