package watchdog

import "golang.org/x/sys/unix"

// kernel is what is asked of the kernel about an open device.
type kernel interface {
	open(path string) (fd int, err error)
	support(fd int) (*unix.WatchdogInfo, error)
	get(fd int, request uint) (int, error)
	set(fd int, request uint, value int) error
	keepAlive(fd int) error
	write(fd int, data []byte) error
	close(fd int) error
}

// system is the kernel of this machine.
type system struct{}

func (system) open(path string) (int, error) {
	var fd int
	err := again(func() (err error) {
		fd, err = unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
		return err
	})
	return fd, err
}

func (system) support(fd int) (*unix.WatchdogInfo, error) { return unix.IoctlGetWatchdogInfo(fd) }
func (system) get(fd int, request uint) (int, error)      { return unix.IoctlGetInt(fd, request) }
func (system) keepAlive(fd int) error                     { return unix.IoctlWatchdogKeepalive(fd) }
func (system) close(fd int) error                         { return unix.Close(fd) }

func (system) set(fd int, request uint, value int) error {
	return unix.IoctlSetPointerInt(fd, request, value)
}

func (system) write(fd int, data []byte) error {
	_, err := unix.Write(fd, data)
	return err
}

// again repeats a call that a signal has interrupted.
func again(call func() error) error {
	for {
		if err := call(); err != unix.EINTR { //nolint:errorlint // system calls return bare numbers
			return err
		}
	}
}
