package ipcc

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"syscall"
	"time"

	"pveha/pmxcfsio/ipcc/qb"
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
type Client struct {
	config Config
	life   context.Context // until Close
	end    context.CancelFunc
	turn   chan struct{} // held by who uses conn
	conn   *qb.Conn
}

// New makes a client; nothing is opened before the first request.
func New(config Config) *Client {
	orText := func(value *string, or string) {
		if *value == "" {
			*value = or
		}
	}
	orTime := func(value *time.Duration, or time.Duration) {
		if *value == 0 {
			*value = or
		}
	}
	orText(&config.Name, DefaultName)
	orText(&config.RestartFlag, DefaultRestartFlag)
	orTime(&config.RestartGrace, DefaultRestartGrace)
	orTime(&config.RestartPoll, DefaultRestartPoll)
	orTime(&config.Timeout, DefaultTimeout)
	c := &Client{config: config, turn: make(chan struct{}, 1)}
	c.life, c.end = context.WithCancel(context.Background())
	return c
}

// Close ends the connection, and a request in progress. Requests after it fail
// with ErrClosed.
func (c *Client) Close() error {
	c.end()
	c.turn <- struct{}{}
	defer func() { <-c.turn }()
	return c.drop()
}

// drop closes the connection, if there is one. The caller has its turn.
func (c *Client) drop() error {
	if c.conn == nil {
		return nil
	}
	err := c.conn.Close()
	c.conn = nil
	return err
}

// request sends a request and returns the data of the answer. what names it in
// errors.
func (c *Client) request(ctx context.Context, what string, id int32, payload []byte) ([]byte, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.config.Timeout)
		defer cancel()
	}
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("pmxcfs: %s: %w", what, classify(ctx.Err()))
	}
	response, err := c.exchange(ctx, id, payload)
	if err != nil {
		return nil, fmt.Errorf("pmxcfs: %s: %w", what, classify(err))
	}
	switch {
	case response.Error == 0:
		return response.Data, nil
	case response.Error < 0 && response.Error > math.MinInt32:
		return nil, &RequestError{Request: what, Errno: syscall.Errno(-response.Error)}
	default:
		return nil, fmt.Errorf("pmxcfs: %s: %w: result %d", what, ErrProtocol, response.Error)
	}
}

// exchange sends a request over the connection that is kept or a new one. A
// server that has gone meanwhile is asked once more when it is back.
func (c *Client) exchange(ctx context.Context, id int32, payload []byte) (qb.Response, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	for retried := false; ; retried = true {
		if c.life.Err() != nil {
			return qb.Response{}, ErrClosed
		}
		if err := ctx.Err(); err != nil {
			return qb.Response{}, err
		}
		response, err := c.once(ctx, id, payload)
		if c.life.Err() != nil {
			return qb.Response{}, ErrClosed
		}
		if !errors.Is(err, qb.ErrDisconnected) || retried {
			return response, err
		}
	}
}

// once sends a request, once.
func (c *Client) once(ctx context.Context, id int32, payload []byte) (qb.Response, error) {
	if c.conn != nil && !c.conn.Alive() {
		_ = c.drop() // the server has gone, so has the reason to tell
	}
	if c.conn == nil {
		conn, err := c.connect(ctx)
		if err != nil {
			return qb.Response{}, err
		}
		c.conn = conn
	}
	response, err := c.conn.Call(ctx, id, payload)
	if err != nil && !errors.Is(err, qb.ErrTooLarge) {
		_ = c.drop() // the first error is the one to tell
	}
	return response, err
}

// Versions returns the change counters, the JSON text of .version.
func (c *Client) Versions(ctx context.Context) ([]byte, error) {
	return c.request(ctx, "change counters", getVersions, nil)
}

// ClusterInfo returns the members, the JSON text of .members.
func (c *Client) ClusterInfo(ctx context.Context) ([]byte, error) {
	return c.request(ctx, "cluster members", getClusterInfo, nil)
}

// GuestList returns the guests and their places, the JSON text of .vmlist.
func (c *Client) GuestList(ctx context.Context) ([]byte, error) {
	return c.request(ctx, "guest list", getGuestList, nil)
}

// Usage returns the newest usage data of nodes, guests and storages, the text
// of .rrd: a line per entry.
func (c *Client) Usage(ctx context.Context) ([]byte, error) {
	return c.request(ctx, "usage", getUsage, nil)
}

// SetStatus publishes a value of this node to all nodes, for example under
// "kv/static-info". A zero byte is put behind the value, as the Perl client
// does and readers expect. A value is at most 32 KiB with it, or EFBIG.
func (c *Client) SetStatus(ctx context.Context, name string, value []byte) error {
	payload, err := putStatus(name, value, false)
	return c.send(ctx, "set value "+name, setStatus, payload, err)
}

// RemoveStatus withdraws a value of this node.
func (c *Client) RemoveStatus(ctx context.Context, name string) error {
	payload, err := putStatus(name, nil, true)
	return c.send(ctx, "remove value "+name, setStatus, payload, err)
}

// Status returns a node's value up to the first zero byte, as it was given to
// SetStatus. An empty node means this one. ENOENT: the node has no such value,
// or there is no such node.
func (c *Client) Status(ctx context.Context, node, name string) ([]byte, error) {
	payload, err := putStatusQuery(node, name)
	value, err := c.ask(ctx, "value "+name+" of node "+node, getStatus, payload, err)
	if err != nil {
		return nil, err
	}
	return []byte(text(value)), nil
}

// ReadFile returns the content of a file, by its path below /etc/pve. ENOENT:
// there is none, or it is a folder, a link or one of the virtual files, such as
// .version. An empty file is an empty answer.
func (c *Client) ReadFile(ctx context.Context, path string) ([]byte, error) {
	payload, err := putPath(path)
	return c.ask(ctx, "read "+path, getConfig, payload, err)
}

// Log writes to the cluster log of all nodes. The priority is syslog's; ident
// is the user, tag the program, each at most 254 bytes long.
func (c *Client) Log(ctx context.Context, entry LogEntry) error {
	payload, err := putLogEntry(entry)
	return c.send(ctx, "log", logMessage, payload, err)
}

// ClusterLog returns the newest entries of the cluster log that the user may
// see, as JSON text. An empty user sees all; limit 0 means 50 entries.
func (c *Client) ClusterLog(ctx context.Context, user string, limit uint32) ([]byte, error) {
	payload, err := putLogQuery(user, limit)
	return c.ask(ctx, "cluster log", getClusterLog, payload, err)
}

// GuestProperty returns one property of one guest's configuration, or of all
// guests' with vmid 0, as JSON text. ENOENT: no such guest.
func (c *Client) GuestProperty(ctx context.Context, vmid uint32, property string) ([]byte, error) {
	payload, err := putGuestProperty(vmid, property)
	return c.ask(ctx, guests(vmid), getGuestProperty, payload, err)
}

// GuestProperties is GuestProperty for 1 to 255 properties, whose names begin
// with a lower case letter.
func (c *Client) GuestProperties(ctx context.Context, vmid uint32, properties []string) ([]byte, error) {
	payload, err := putGuestProperties(vmid, properties)
	return c.ask(ctx, guests(vmid), getGuestProperties, payload, err)
}

func guests(vmid uint32) string {
	if vmid == 0 {
		return "configuration of all guests"
	}
	return "configuration of guest " + strconv.FormatUint(uint64(vmid), 10)
}

// ask sends a request that could be put into words, or says why not.
func (c *Client) ask(ctx context.Context, what string, id int32, payload []byte, err error) ([]byte, error) {
	if err != nil {
		return nil, fmt.Errorf("pmxcfs: %s: %w", what, err)
	}
	return c.request(ctx, what, id, payload)
}

// send is ask for requests whose answer has no data.
func (c *Client) send(ctx context.Context, what string, id int32, payload []byte, err error) error {
	_, err = c.ask(ctx, what, id, payload, err)
	return err
}
