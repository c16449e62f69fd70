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
	"os"
	"time"

	"pveha/internal/ha"
)

// DefaultPath is where the multiplexer listens.
const DefaultPath = "/run/watchdog-mux.sock"

// MinInterval is the least time between two keep-alives. Updates between them
// are not sent. It is far below the 60 seconds of the multiplexer, and far
// above the second that the C daemon needs.
const MinInterval = 5 * time.Second

// ioTimeout keeps a multiplexer that neither reads nor accepts from blocking
// its client.
const ioTimeout = time.Second

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
	// OnReconnect is told why the connection was lost, once there is another.
	OnReconnect func(lost error)
}

// Client is an active client of the multiplexer. It is not for concurrent use.
type Client struct {
	config Config
	conn   net.Conn
	sent   time.Duration
	lost   error // why conn is of no use any more
	closed bool
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
	c := &Client{config: config}
	if err := c.connect(); err != nil {
		return nil, fmt.Errorf("unable to open watchdog socket: %w", err)
	}
	return c, nil
}

func (c *Client) connect() error {
	dialer := net.Dialer{Timeout: ioTimeout}
	conn, err := dialer.Dial("unix", c.config.Path)
	if err != nil {
		return err
	}
	// To connect counts as a keep-alive.
	c.conn, c.sent, c.lost = conn, c.config.Clock(), nil
	return nil
}

// Update tells the multiplexer that all is well, unless it was told within
// MinInterval. A connection that was lost is made anew, in this call and in
// every later one until it is there: a multiplexer that was restarted protects
// the machine again, and one that gave up on the old connection resets it
// whatever the new one says. After an error the machine will be reset, or
// nothing watches it: there is no multiplexer.
func (c *Client) Update() error {
	if c.closed {
		return ErrClosed
	}
	now := c.config.Clock()
	if c.lost == nil {
		if now-c.sent < MinInterval {
			return nil
		}
		err := c.write(keepAlive)
		if err == nil {
			c.sent = now
			return nil
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			// It is there and does not read. Another connection would only be
			// one more client for it.
			return fmt.Errorf("watchdog update failed: %w", err)
		}
		c.lost = err
		_ = c.conn.Close()
	}
	lost := c.lost
	if err := c.connect(); err != nil {
		return fmt.Errorf("watchdog update failed: %w (and no new connection: %w)", lost, err)
	}
	if c.config.OnReconnect != nil {
		c.config.OnReconnect(lost)
	}
	return nil
}

// Close says goodbye, at once and whenever the last keep-alive was, and ends
// the connection. After an error the machine may be reset.
func (c *Client) Close() error {
	if c.closed {
		return ErrClosed
	}
	c.closed = true
	err := c.lost
	if err == nil {
		err = errors.Join(c.write(goodbye), c.conn.Close())
	}
	if err != nil {
		return fmt.Errorf("watchdog close failed: %w", err)
	}
	return nil
}

func (c *Client) write(b byte) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(ioTimeout)); err != nil {
		return err
	}
	_, err := c.conn.Write([]byte{b})
	return err
}
