package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// qmpWait is how long a VM may take to accept a connection, and to answer each
// command: the original's.
const qmpWait = 5 * time.Second

// errQMPTimeout is the original's text for a monitor that does not answer.
var errQMPTimeout = errors.New("got timeout")

// qmp asks the monitor of a VM, over a connection for this one question,
// because QEMU serves one at a time.
type qmp struct {
	vmid   string
	socket string
	wait   time.Duration
}

// status returns the run state of the VM, as query-status names it.
func (q qmp) status() (string, error) {
	if _, err := os.Stat(q.socket); err != nil {
		return "", errors.New("unable to open monitor socket")
	}
	status, err := q.ask()
	if err != nil {
		return "", fmt.Errorf("VM %s qmp command 'query-status' failed - %w", q.vmid, err)
	}
	return status, nil
}

func (q qmp) ask() (string, error) {
	conn, err := q.dial()
	if err != nil {
		return "", fmt.Errorf("unable to connect to VM %s qmp socket - %w", q.vmid, err)
	}
	defer conn.Close()
	in := json.NewDecoder(&bounded{conn: conn, left: maxQMPBytes})
	if _, err := q.command(conn, in, "qmp_capabilities"); err != nil {
		return "", err
	}
	answer, err := q.command(conn, in, "query-status")
	if err != nil {
		return "", err
	}
	var result struct {
		Status string `json:"status"`
	}
	if err := json.Unmarshal(answer, &result); err != nil {
		return "", err
	}
	return result.Status, nil
}

// dial connects. While another talks to the monitor, the queue may be full: the
// kernel then says EAGAIN on a Unix socket instead of waiting.
func (q qmp) dial() (net.Conn, error) {
	tries := 0
	for end := time.Now().Add(q.wait); ; tries++ {
		conn, err := net.DialTimeout("unix", q.socket, q.wait)
		if err == nil {
			return conn, nil
		}
		if !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR) {
			return nil, perlErrno(err)
		}
		if !time.Now().Before(end) {
			return nil, fmt.Errorf("timeout after %d retries", tries+1)
		}
		time.Sleep(min(q.wait/10, 100*time.Millisecond))
	}
}

// command carries out one command and returns what it returns. The greeting and
// events that come in between are skipped.
func (q qmp) command(conn net.Conn, in *json.Decoder, name string) (json.RawMessage, error) {
	if err := conn.SetDeadline(time.Now().Add(q.wait)); err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(conn, `{"execute":%q,"id":%q}`, name, name); err != nil {
		return nil, qmpError(err)
	}
	for {
		var m struct {
			ID     string          `json:"id"`
			Return json.RawMessage `json:"return"`
			Error  *struct {
				Desc string `json:"desc"`
			} `json:"error"`
		}
		if err := in.Decode(&m); err != nil {
			return nil, qmpError(err)
		}
		switch {
		case m.Error != nil:
			return nil, errors.New(m.Error.Desc)
		case m.Return == nil:
			continue
		case m.ID != name:
			return nil, fmt.Errorf("got wrong command id '%s' (expected %s)", m.ID, name)
		}
		return m.Return, nil
	}
}

func qmpError(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errQMPTimeout
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return errors.New("client closed connection")
	default:
		return err
	}
}

// maxQMPBytes is more than a monitor says to two commands, events included.
const maxQMPBytes = 1 << 20

// bounded reads no more than left bytes, so that a process that is not QEMU
// cannot fill our memory within the time it has.
type bounded struct {
	conn net.Conn
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("more than %d bytes", maxQMPBytes)
	}
	n, err := b.conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
