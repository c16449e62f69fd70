package qb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// explain tells apart why a socket or the memory gave up.
func explain(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, ErrTimeout), errors.Is(err, ErrDisconnected), errors.Is(err, ErrProtocol),
		errors.Is(err, ErrRefused), errors.Is(err, ErrTooLarge):
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", ErrTimeout, ctx.Err())
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", ErrTimeout, context.DeadlineExceeded)
	case disconnected(err):
		return fmt.Errorf("%w: %w", ErrDisconnected, err)
	case errors.Is(err, unix.ENOENT):
		// The name of a ring is known for the moment between the server's
		// welcome and its end.
		return fmt.Errorf("%w: %w", ErrDisconnected, err)
	default:
		return err
	}
}

// died says whether a process is dead, or dies within a time; a dead one that
// its parent has not buried counts.
func died(pid int32, grace time.Duration) bool {
	fd, err := unix.PidfdOpen(int(pid), 0)
	if err != nil {
		return errors.Is(err, unix.ESRCH)
	}
	defer func() { _ = unix.Close(fd) }()
	deadline := time.Now().Add(grace)
	for {
		left := max(time.Until(deadline), 0)
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(left.Milliseconds()))
		if !errors.Is(err, unix.EINTR) {
			return n == 1
		}
	}
}
