package worker

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"pveha/internal/ha"
)

// lockGuest takes the lock of a guest, or fails with [ErrBusy]. It is held as
// long as the file is open, here or in a process that got it from here.
func lockGuest(dir string, sid ha.SID) (*os.File, error) {
	f, err := os.OpenFile(lockFile(dir, sid), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := tryLock(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func tryLock(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EWOULDBLOCK):
			return ErrBusy
		case err != nil:
			return fmt.Errorf("flock %s: %w", f.Name(), err)
		}
		return nil
	}
}

// acted reports whether somebody acts on a guest.
func acted(dir string, sid ha.SID) (bool, error) {
	f, err := lockGuest(dir, sid)
	if errors.Is(err, ErrBusy) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return false, f.Close()
}

// inheritLock takes over the lock that a child is started with, and makes sure
// that it is the one of the guest, and held, and that nothing the child starts
// holds it longer.
func inheritLock(fd uintptr, dir string, sid ha.SID) (*os.File, error) {
	unix.CloseOnExec(int(fd))
	f := os.NewFile(fd, lockFile(dir, sid))
	given, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("lock of the guest: %w", err)
	}
	wanted, err := os.Stat(f.Name())
	if err != nil {
		return nil, fmt.Errorf("lock of the guest: %w", err)
	}
	if !os.SameFile(given, wanted) {
		return nil, fmt.Errorf("was not given %s", f.Name())
	}
	return f, tryLock(f)
}
