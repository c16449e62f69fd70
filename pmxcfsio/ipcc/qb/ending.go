package qb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// explain sorts what the context, the socket and the memory can say into the
// errors of this package, where one fits.
func explain(err error) error {
	var kind error
	switch {
	case errors.Is(err, ErrDisconnected), errors.Is(err, ErrProtocol):
		return err
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		kind = ErrTimeout
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, unix.EPIPE), errors.Is(err, unix.ECONNRESET):
		kind = ErrDisconnected
	case errors.Is(err, unix.ENOENT):
		// The files of a ring, which a server that ends removes.
		kind = ErrDisconnected
	default:
		return err
	}
	return fmt.Errorf("%w: %w", kind, err)
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
