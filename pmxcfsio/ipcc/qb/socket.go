package qb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// longestSleep is how long a client sleeps before it looks at its context and
// at the server's end of the socket. It never delays an answer.
const longestSleep = 10 * time.Millisecond

// backlogPause is how often a client tries to connect to a server whose queue
// of connections is full. libqb lets five wait.
const backlogPause = time.Millisecond

// clientSocket is a client's end of the socket. It is not in the hands of the
// runtime's poller, which would wake up for every byte that the server reads.
type clientSocket struct{ fd int }

// noSocket is a socket that was never opened.
var noSocket = clientSocket{fd: -1}

// connectSocket connects to a name in the abstract namespace.
func connectSocket(ctx context.Context, name string) (clientSocket, error) {
	address, err := socketName(name)
	if err != nil {
		return noSocket, err
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return noSocket, os.NewSyscallError("socket", err)
	}
	s := clientSocket{fd: fd}
	for {
		// x/sys has no room for the last byte of the address.
		err := syscall.Connect(fd, &syscall.SockaddrUnix{Name: address})
		switch {
		case err == nil:
			return s, nil
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
			if err := pause(ctx, backlogPause); err != nil {
				return s, err
			}
		default:
			return s, os.NewSyscallError("connect", err)
		}
	}
}

// pause waits, or returns the context's error.
func pause(ctx context.Context, length time.Duration) error {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// peer is who listens at the other end.
func (s clientSocket) peer() (Peer, error) {
	cred, err := unix.GetsockoptUcred(s.fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return Peer{}, os.NewSyscallError("getsockopt", err)
	}
	return Peer{PID: cred.Pid, UID: cred.Uid, GID: cred.Gid}, nil
}

// write sends bytes.
func (s clientSocket) write(ctx context.Context, bytes []byte) error {
	for len(bytes) > 0 {
		n, err := unix.SendmsgN(s.fd, bytes, nil, nil, unix.MSG_NOSIGNAL)
		if err == nil {
			bytes = bytes[n:]
			continue
		}
		if err := s.again(ctx, "send", err, unix.POLLOUT); err != nil {
			return err
		}
	}
	return nil
}

// read fills bytes.
func (s clientSocket) read(ctx context.Context, bytes []byte) error {
	for len(bytes) > 0 {
		n, err := unix.Read(s.fd, bytes)
		switch {
		case err == nil && n == 0:
			return io.ErrUnexpectedEOF
		case err == nil:
			bytes = bytes[n:]
		default:
			if err := s.again(ctx, "read", err, unix.POLLIN); err != nil {
				return err
			}
		}
	}
	return nil
}

// again waits until a call that has failed is worth another try, or says why
// it is not.
func (s clientSocket) again(ctx context.Context, call string, err error, events int16) error {
	switch {
	case errors.Is(err, unix.EINTR):
		return ctx.Err()
	case !errors.Is(err, unix.EAGAIN):
		return os.NewSyscallError(call, err)
	}
	for s.poll(events, timeLeft(ctx)) == 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		if timeLeft(ctx) == 0 {
			return context.DeadlineExceeded
		}
	}
	return nil
}

// timeLeft is how long to sleep at most.
func timeLeft(ctx context.Context) time.Duration {
	deadline, bounded := ctx.Deadline()
	if !bounded {
		return longestSleep
	}
	return max(0, min(longestSleep, time.Until(deadline)))
}

// hungUp says whether the server has closed the socket, as its death does.
func (s clientSocket) hungUp() bool {
	return s.poll(unix.POLLRDHUP, 0)&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0
}

// poll waits for events, and returns those that have come.
func (s clientSocket) poll(events int16, length time.Duration) int16 {
	fds := []unix.PollFd{{Fd: int32(s.fd), Events: events}}
	timeout := unix.NsecToTimespec(length.Nanoseconds())
	if _, err := unix.Ppoll(fds, &timeout, nil); err != nil {
		return 0 // interrupted: nothing has come yet
	}
	return fds[0].Revents
}

func (s clientSocket) close() error {
	if s.fd < 0 {
		return nil
	}
	if err := unix.Close(s.fd); err != nil {
		return fmt.Errorf("close socket: %w", err)
	}
	return nil
}
