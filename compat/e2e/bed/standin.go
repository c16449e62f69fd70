package bed

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"pveha/internal/daemon"
	"pveha/watchdogmux"
)

// The programs inside a node that the test binary stands for, by the name under
// which it is started.
const (
	standInMux    = "watchdog-mux"
	standInHands  = "remote-hands"
	standInAction = "guest-action"
	standInVM     = "qemu-system-standin"
	standInCT     = "lxc-standin"
)

// runStandIn runs the program that the binary was started as, if it is one of
// those that it stands for inside a node.
func runStandIn() {
	switch filepath.Base(os.Args[0]) {
	case standInMux:
		os.Exit(runMux())
	case standInHands:
		os.Exit(runHands())
	case standInAction:
		os.Exit(runActionProgram(os.Args[1:]))
	case standInVM, standInCT:
		os.Exit(runGuest(os.Args))
	}
}

// runMux is watchdog-mux with the board instead of /dev/watchdog.
func runMux() int {
	journal := watchdogmux.NewJournal(watchdogmux.JournalConfig{Writers: []io.Writer{os.Stderr}, Sync: func() {}})
	mux := watchdogmux.Daemon{
		Socket:     watchdogmux.DefaultSocket,
		Marker:     watchdogmux.DefaultMarker,
		Journal:    journal,
		Getenv:     os.Getenv,
		LoadDevice: func() error { return nil },
		OpenDevice: openBoardDevice,
		Harden:     func() error { return nil },
		Clock:      daemon.Boottime,
		Signals:    make(chan os.Signal, 8),
	}
	return mux.Run()
}

func complain(format string, args ...any) int {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	return 1
}
