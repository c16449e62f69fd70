package bed

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"pveha/watchdogmux"
	"pveha/watchdogmux/watchdog"
)

// boardInside is where a node sees the socket of its board.
const (
	boardInside = "/srv/board"
	boardSocket = "power"
)

// What the node tells its board, one byte each.
const (
	boardAlive  = 'a'
	boardDisarm = 'V'
)

// deviceTimeout is what watchdog-mux sets on every device.
const deviceTimeout = 10 * time.Second

// board is the watchdog hardware of a node. It lives outside of the node, and
// cuts the power when it was armed and nobody fed it for the timeout, whatever
// happened to who fed it.
type board struct {
	listener net.Listener
	cut      func()

	mu    sync.Mutex
	timer *time.Timer
	fired time.Time
}

// newBoard listens in a folder that the node sees. Cut is called when the
// watchdog fires.
func newBoard(dir string, cut func()) (*board, error) {
	path := filepath.Join(dir, boardSocket)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	b := &board{listener: listener, cut: cut}
	go b.serve()
	return b, nil
}

func (b *board) serve() {
	for {
		conn, err := b.listener.Accept()
		if err != nil {
			return
		}
		go b.read(conn)
	}
}

func (b *board) read(conn net.Conn) {
	defer conn.Close()
	var buffer [64]byte
	for {
		n, err := conn.Read(buffer[:])
		for _, c := range buffer[:n] {
			b.take(c)
		}
		if err != nil {
			return
		}
	}
}

func (b *board) take(c byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.timer != nil {
		b.timer.Stop()
		b.timer = nil
	}
	if c == boardAlive {
		b.timer = time.AfterFunc(deviceTimeout, b.fire)
	}
}

func (b *board) fire() {
	b.mu.Lock()
	b.timer, b.fired = nil, time.Now()
	b.mu.Unlock()
	b.cut()
}

// reset is what a power cycle does: the device is not armed.
func (b *board) reset() { b.take(boardDisarm) }

// lastFired is when the watchdog cut the power last, zero for never.
func (b *board) lastFired() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.fired
}

func (b *board) close() error {
	b.reset()
	return b.listener.Close()
}

// boardDevice is the node's end of the board.
type boardDevice struct{ conn net.Conn }

func openBoardDevice() (watchdogmux.Device, error) {
	conn, err := (&net.Dialer{}).DialContext(context.Background(), "unix", filepath.Join(boardInside, boardSocket))
	if err != nil {
		return nil, err
	}
	d := &boardDevice{conn: conn}
	err = d.KeepAlive()
	return d, err
}

func (d *boardDevice) Info() watchdog.Info {
	return watchdog.Info{
		Identity: "power board",
		Features: watchdog.FeatureSetTimeout | watchdog.FeatureMagicClose | watchdog.FeatureKeepAlive,
		NoWayOut: watchdog.No,
	}
}

func (d *boardDevice) SetTimeout(time.Duration) (time.Duration, error) { return deviceTimeout, nil }

func (d *boardDevice) KeepAlive() error { return d.write(boardAlive) }

func (d *boardDevice) Disarm() error {
	return errors.Join(d.write(boardDisarm), d.conn.Close())
}

func (d *boardDevice) write(c byte) error {
	_, err := d.conn.Write([]byte{c})
	return err
}
