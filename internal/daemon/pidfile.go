package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// pidFile is the file that names the process of a daemon, with a second one
// beside it whose lock that process holds for as long as it lives. It is the
// lock that tells whether the daemon runs: a number may be another process's by
// now.
type pidFile string

func (p pidFile) lockName() string { return string(p) + ".lock" }

// lockTries is how often a start tries for the lock, a second apart: the daemon
// before it may be about to end.
const lockTries = 6

// lock takes the lock. The file must stay open.
func (p pidFile) lock(pause time.Duration) (*os.File, error) {
	for try := 1; ; try++ {
		file, err := p.tryLock()
		if err == nil {
			return file, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, err
		}
		if try == lockTries {
			if pid, running := p.running(); running {
				return nil, fmt.Errorf("can't acquire lock '%s' - daemon already started (pid = %d)", p.lockName(), pid)
			}
			return nil, fmt.Errorf("can't acquire lock '%s' - %w", p.lockName(), unix.EWOULDBLOCK)
		}
		time.Sleep(pause)
	}
}

// tryLock takes the lock if it is free. Who ends removes the file, so that the
// lock of a file that is gone is worth nothing.
func (p pidFile) tryLock() (*os.File, error) {
	for {
		file, err := os.OpenFile(p.lockName(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
		if err != nil {
			return nil, fmt.Errorf("can't open lock '%s' - %w", p.lockName(), cause(err))
		}
		if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			return nil, errors.Join(err, file.Close())
		}
		mine, err := file.Stat()
		if there, errThere := os.Stat(p.lockName()); err == nil && errThere == nil && os.SameFile(mine, there) {
			return file, nil
		}
		if err := file.Close(); err != nil {
			return nil, err
		}
	}
}

// locked reports whether a process holds the lock.
func (p pidFile) locked() bool {
	file, err := os.Open(p.lockName())
	if err != nil {
		return false
	}
	defer file.Close()
	return errors.Is(unix.Flock(int(file.Fd()), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
}

// write names this process.
func (p pidFile) write() error {
	if err := os.WriteFile(string(p), fmt.Appendf(nil, "%d\n", os.Getpid()), 0o644); err != nil {
		return fmt.Errorf("can't open pid file '%s' - %w", p, cause(err))
	}
	return nil
}

// remove is the end of the daemon. Only who holds the lock may call it.
func (p pidFile) remove() {
	// Who started the daemon cannot do anything about it, and neither file is
	// believed without the lock.
	_ = os.Remove(p.lockName())
	_ = os.Remove(string(p))
}

// read returns the process named in the file, 0 for none.
func (p pidFile) read() int {
	content, err := os.ReadFile(string(p))
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil || pid < 0 {
		return 0
	}
	return pid
}

// running reports whether the daemon runs, and as which process.
func (p pidFile) running() (pid int, running bool) {
	pid = p.read()
	return pid, pid != 0 && alive(pid) && p.locked()
}

// alive reports whether there is such a process. One that has ended and waits
// for its parent is none.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, found := strings.Cut(string(stat), ") ")
	return found && !strings.HasPrefix(rest, "Z")
}

// cause is what the kernel says, without the name of the file.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
