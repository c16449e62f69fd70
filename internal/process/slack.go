package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// relaxedSlack is how late the timers of a daemon may be that counts in seconds.
const relaxedSlack = 2 * time.Millisecond

// proc has one more folder for every thread than it shows.
const proc = "/proc"

// precise is how late the timers of this process could be before they were
// relaxed, in nanoseconds; zero: they were not.
var precise atomic.Int64

// RelaxTimers lets the kernel be late by up to two milliseconds with every timer
// of this process (prctl(2), PR_SET_TIMERSLACK), so that it wakes up less often.
// The runtime has a thread that looks after the others every 20 microseconds
// while anything runs: at the usual slack of 50 microseconds its looks cost as
// much as all that a daemon does which waits nearly all the time.
//
// Commands inherit the slack, and guests would from them: see [Start].
func RelaxTimers() error { return relaxTimers(relaxedSlack) }

func relaxTimers(slack time.Duration) error {
	before, err := os.ReadFile("/proc/self/timerslack_ns")
	if err != nil {
		return err
	}
	usual, err := strconv.ParseInt(strings.TrimSpace(string(before)), 10, 64)
	if err != nil {
		return fmt.Errorf("/proc/self/timerslack_ns: %w", err)
	}
	precise.CompareAndSwap(0, usual)
	// A thread has the slack of the one that made it. Those that began while
	// others were relaxed show in the next list.
	for done := map[string]bool{}; ; {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		before := len(done)
		for _, thread := range threads {
			if done[thread.Name()] {
				continue
			}
			done[thread.Name()] = true
			file := filepath.Join(proc, thread.Name(), "timerslack_ns")
			err := os.WriteFile(file, strconv.AppendInt(nil, slack.Nanoseconds(), 10), 0)
			if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ESRCH) { // it has ended
				return err
			}
		}
		if len(done) == before {
			return nil
		}
	}
}

// Start starts a command whose timers are as precise as those of this process
// were before RelaxTimers. It may lead to a guest, whose machine needs them.
func Start(cmd *exec.Cmd) error {
	usual := precise.Load()
	if usual == 0 {
		return cmd.Start()
	}
	// The child has the slack of the thread that makes it. To set it cannot fail,
	// and would not be worth a guest that is not started.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	setSlack(usual)
	defer setSlack(relaxedSlack.Nanoseconds())
	return cmd.Start()
}

// setSlack is of the thread that calls it.
func setSlack(nanoseconds int64) {
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(nanoseconds), 0, 0, 0)
}
