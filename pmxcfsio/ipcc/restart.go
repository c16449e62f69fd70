package ipcc

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"

	"pveha/pmxcfsio/ipcc/qb"
)

// connect connects to pmxcfs. While its flag says that it restarts, it is
// given time to come back; if it does not, the flag is wrong and is removed.
func (c *Client) connect(ctx context.Context) (*qb.Conn, error) {
	flag, flagErr := os.Open(c.config.RestartFlag)
	if flagErr == nil {
		defer flag.Close()
	}
	end := time.Now().Add(c.config.RestartGrace)
	for {
		conn, err := qb.Dial(ctx, qb.DialConfig{
			Name: c.config.Name, ShmDir: c.config.ShmDir, MaxMessage: c.config.MaxMessage, Servers: c.config.Servers,
		})
		if err == nil || flagErr != nil || ctx.Err() != nil {
			return conn, err
		}
		if !time.Now().Before(end) {
			c.removeFlag(flag)
			return nil, err
		}
		select {
		case <-time.After(c.config.RestartPoll):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// removeFlag removes the flag, unless another one has taken its place.
func (c *Client) removeFlag(flag *os.File) {
	info, err := flag.Stat()
	if err != nil {
		return
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Nlink > 0 {
		_ = os.Remove(c.config.RestartFlag) // the next client finds it again
	}
}

// classify says what an error of the transport means to a caller.
func classify(err error) error {
	switch {
	case errors.Is(err, ErrClosed), errors.Is(err, qb.ErrTooLarge):
		return err
	case errors.Is(err, qb.ErrTimeout), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &transportError{kind: ErrTimeout, cause: err}
	case errors.Is(err, qb.ErrProtocol):
		return &transportError{kind: ErrProtocol, cause: err}
	default:
		return &transportError{kind: ErrUnreachable, cause: err}
	}
}

// transportError is why there is no answer: its kind and what lies behind it.
type transportError struct{ kind, cause error }

func (e *transportError) Error() string   { return e.kind.Error() + ": " + e.cause.Error() }
func (e *transportError) Unwrap() []error { return []error{e.kind, e.cause} }
