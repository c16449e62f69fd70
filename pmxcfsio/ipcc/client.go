package ipcc

import (
	"context"
	"errors"
	"time"
)

// Where and how pmxcfs is found, and how long it may take.
const (
	// DefaultName is the name of pmxcfs's socket in the abstract namespace.
	DefaultName = "pve2"
	// DefaultRestartFlag is the file that pmxcfs leaves while it restarts.
	DefaultRestartFlag = "/run/pve-cluster/cfs-restart-flag"
	// DefaultRestartGrace is how long a client waits for pmxcfs to come back
	// while the flag is there (RESTART_GRACE_PERIOD in PVE/IPCC.xs).
	DefaultRestartGrace = 10 * time.Second
	// DefaultRestartPoll is the pause between two attempts to connect then.
	DefaultRestartPoll = 100 * time.Millisecond
	// DefaultTimeout bounds a request whose context has no deadline. pmxcfs
	// answers one request at a time and tries for up to 10 s to send a
	// cluster message (dfsm.c: 100 times, 100 ms apart); the Perl client
	// waits for ever.
	DefaultTimeout = 15 * time.Second
)

// Config says which pmxcfs to ask. The zero value is the node's own.
type Config struct {
	Name         string        // empty: DefaultName
	RestartFlag  string        // empty: DefaultRestartFlag
	RestartGrace time.Duration // 0: DefaultRestartGrace
	RestartPoll  time.Duration // 0: DefaultRestartPoll
	Timeout      time.Duration // 0: DefaultTimeout; for contexts without a deadline
	MaxMessage   int           // bytes; 0: qb.DefaultMaxMessage
	ShmDir       string        // empty: qb.DefaultShmDir
	Servers      []uint32      // users pmxcfs may run as; nil: root and our own
}

// Client asks pmxcfs. It connects at the first request, keeps the connection,
// and connects anew when pmxcfs was restarted: a request that meets a dead
// connection is sent once more, as in PVE/IPCC.xs. It is safe for concurrent
// use; requests wait for each other, since pmxcfs answers one at a time.
//
// Errors of all requests, for errors.Is: what pmxcfs answers as errno
// (syscall.ENOENT, EACCES, EPERM, EINVAL ...; type *RequestError),
// ErrUnreachable, ErrTimeout, ErrProtocol.
type Client struct{}

// New makes a client; nothing is opened before the first request.
func New(_ Config) *Client { return &Client{} }

// Close ends the connection. Requests after it fail with ErrClosed.
func (c *Client) Close() error { return nil }

// Versions returns the change counters, the JSON text of .version.
func (c *Client) Versions(_ context.Context) ([]byte, error) { return nil, errors.ErrUnsupported }

// ClusterInfo returns the members, the JSON text of .members.
func (c *Client) ClusterInfo(_ context.Context) ([]byte, error) { return nil, errors.ErrUnsupported }

// GuestList returns the guests and their places, the JSON text of .vmlist.
func (c *Client) GuestList(_ context.Context) ([]byte, error) { return nil, errors.ErrUnsupported }

// SetStatus publishes a value of this node to all nodes, for example under
// "kv/static-info". A zero byte is put behind the value, as the Perl client
// does and readers expect. A value is at most 32 KiB with it, or EFBIG.
func (c *Client) SetStatus(_ context.Context, _ string, _ []byte) error {
	return errors.ErrUnsupported
}

// RemoveStatus withdraws a value of this node.
func (c *Client) RemoveStatus(_ context.Context, _ string) error { return errors.ErrUnsupported }

// Status returns a node's value, without the zero byte behind it. An empty
// node means this one. ENOENT: the node has no such value, or there is no such
// node.
func (c *Client) Status(_ context.Context, _, _ string) ([]byte, error) {
	return nil, errors.ErrUnsupported
}

// ReadFile returns the content of a file, by its path below /etc/pve. ENOENT:
// there is none; EISDIR: a folder. An empty file is an empty answer.
func (c *Client) ReadFile(_ context.Context, _ string) ([]byte, error) {
	return nil, errors.ErrUnsupported
}

// Log writes to the cluster log of all nodes. The priority is syslog's; ident
// is the user, tag the program. Ident and tag are at most 254 bytes long, the
// message is at least one.
func (c *Client) Log(_ context.Context, _ uint8, _, _, _ string) error {
	return errors.ErrUnsupported
}

// ClusterLog returns the newest entries of the cluster log that the user may
// see, as JSON text. An empty user sees all; limit 0 means 50 entries.
func (c *Client) ClusterLog(_ context.Context, _ string, _ uint32) ([]byte, error) {
	return nil, errors.ErrUnsupported
}

// Usage returns the newest usage data of nodes, guests and storages, the text
// of .rrd: a line per entry.
func (c *Client) Usage(_ context.Context) ([]byte, error) { return nil, errors.ErrUnsupported }

// GuestProperty returns one property of one guest's configuration, or of all
// guests' with vmid 0, as JSON text. ENOENT: no such guest.
func (c *Client) GuestProperty(_ context.Context, _ uint32, _ string) ([]byte, error) {
	return nil, errors.ErrUnsupported
}

// GuestProperties is GuestProperty for 1 to 255 properties, whose names begin
// with a lower case letter.
func (c *Client) GuestProperties(_ context.Context, _ uint32, _ []string) ([]byte, error) {
	return nil, errors.ErrUnsupported
}
