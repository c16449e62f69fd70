package daemon

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Boottime is the time since boot. It counts suspend and knows no steps of the
// wall clock.
func Boottime() time.Duration {
	var ts unix.Timespec
	// With a clock that every kernel has, this cannot fail.
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return time.Duration(ts.Nano())
}

// monotonic is the time by which systemd orders messages.
func monotonic() time.Duration {
	var ts unix.Timespec
	// With a clock that every kernel has, this cannot fail.
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return time.Duration(ts.Nano())
}

// NodeName returns the name of this node as the cluster knows it: that of the
// machine up to the first dot.
func NodeName() (string, error) {
	name, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("cannot tell the name of this node: %w", err)
	}
	name, _, _ = strings.Cut(name, ".")
	return name, nil
}
