package pmxcfsio

import (
	"context"
	"time"

	"golang.org/x/sys/unix"
)

// Clock is the time of this node.
type Clock interface {
	// Now is the wall clock, which may be stepped in both directions. Its whole
	// seconds are what goes into the cluster file system.
	Now() time.Time
	// Boot is the time since some fixed moment, such as the start of the
	// machine. It is not stepped, and it runs while the machine is suspended:
	// the other nodes do not stop counting either.
	Boot() time.Duration
	// Sleep waits. It returns the error of ctx when that ends earlier.
	Sleep(ctx context.Context, d time.Duration) error
}

// SystemClock is the clock of the machine.
type SystemClock struct{}

var _ Clock = SystemClock{}

// Now is time.Now.
func (SystemClock) Now() time.Time { return time.Now() }

// Boot is the time since the machine was started, suspend included.
func (SystemClock) Boot() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		// Every Linux since 2.6.39 has it.
		panic("no clock of the time since the start: " + err.Error())
	}
	return time.Duration(ts.Nano())
}

// Sleep waits in real time.
func (SystemClock) Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
