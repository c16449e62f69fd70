// Package wdclient is the client's end of the watchdog multiplexer: from Open
// to Close, the machine is reset if Update is not called for a minute.
//
// It works with the multiplexer of this repository and with the C daemon. The
// latter feeds the device in a second without any event only, so that clients
// that are fed in every turn of a loop would make it reset the machine; see
// MinInterval.
package wdclient

import (
	"errors"
	"fmt"
	"net"
	"time"

	"pveha/internal/ha"
)

// DefaultPath is where the multiplexer listens.
const DefaultPath = "/run/watchdog-mux.sock"

// MinInterval is the least time between two keep-alives. Updates between them
// are not sent. It is far below the 60 seconds of the multiplexer, and far
// above the second that the C daemon needs.
const MinInterval = 5 * time.Second

// writeTimeout keeps a multiplexer that does not read from blocking its client.
const writeTimeout = time.Second

const (
	keepAlive = 0
	goodbye   = 'V' // as the last byte before the end: the client needs no watchdog any more
)

// ErrClosed is returned for a client that was closed.
var ErrClosed = errors.New("watchdog is closed")

// Config says where the multiplexer is. Empty fields stand for the real thing.
type Config struct {
	Path  string               // of the socket, DefaultPath
	Clock func() time.Duration // monotonic, from any beginning
}

// Client is an active client of the multiplexer. It is not for concurrent use.
type Client struct {
	conn  net.Conn
	clock func() time.Duration
	sent  time.Duration
}

var _ ha.Watchdog = (*Client)(nil)

// Open connects, which makes the watchdog active: from here on, a process that
// ends without Close has its machine reset.
func Open(config Config) (*Client, error) {
	if config.Path == "" {
		config.Path = DefaultPath
	}
	if config.Clock == nil {
		start := time.Now()
		config.Clock = func() time.Duration { return time.Since(start) }
	}
	conn, err := net.Dial("unix", config.Path)
	if err != nil {
		return nil, fmt.Errorf("unable to open watchdog socket: %w", err)
	}
	// To connect counts as a keep-alive.
	return &Client{conn: conn, clock: config.Clock, sent: config.Clock()}, nil
}

// Update tells the multiplexer that all is well, unless it was told within
// MinInterval. After an error the machine will be reset, or nothing watches it
// any more: the multiplexer is gone.
func (c *Client) Update() error {
	if c.conn == nil {
		return ErrClosed
	}
	now := c.clock()
	if now-c.sent < MinInterval {
		return nil
	}
	if err := c.write(keepAlive); err != nil {
		return fmt.Errorf("watchdog update failed: %w", err)
	}
	c.sent = now
	return nil
}

// Close says goodbye, at once and whenever the last keep-alive was, and ends
// the connection. After an error the machine may be reset.
func (c *Client) Close() error {
	if c.conn == nil {
		return ErrClosed
	}
	err := errors.Join(c.write(goodbye), c.conn.Close())
	c.conn = nil
	if err != nil {
		return fmt.Errorf("watchdog close failed: %w", err)
	}
	return nil
}

func (c *Client) write(b byte) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := c.conn.Write([]byte{b})
	return err
}
