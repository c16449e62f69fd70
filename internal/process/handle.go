package process

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Handle is a hold on one process, which no other takes the place of when it
// ends and its number is used again.
type Handle struct {
	file *os.File // a pidfd, readable when the process has ended
}

// Open takes hold of the process that has the number now. It fails with an
// error that is [syscall.ESRCH] when there is none.
func Open(pid int) (*Handle, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("pidfd_open(%d): %w", pid, err)
	}
	return &Handle{os.NewFile(uintptr(fd), fmt.Sprintf("pidfd of %d", pid))}, nil
}

// Wait returns nil when the process has ended, a zombie included. It fails
// when the handle is closed before.
func (h *Handle) Wait() error {
	raw, err := h.file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		var ended bool
		ended, failed = readable(int(fd))
		return ended || failed != nil
	})
	return errors.Join(err, failed)
}

func readable(fd int) (bool, error) {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		return n > 0, err
	}
}

// Close lets go of the process and ends a Wait.
func (h *Handle) Close() error {
	return h.file.Close()
}
