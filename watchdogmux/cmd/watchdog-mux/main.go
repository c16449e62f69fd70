// Command watchdog-mux lets the CRM and the LRM share the watchdog of their
// node: if one of them falls silent, the node is reset.
package main

import (
	"fmt"
	"io"
	"os"
	"runtime"

	"pveha/internal/daemon"
	"pveha/watchdogmux"
	"pveha/watchdogmux/watchdog"
)

func main() { os.Exit(run()) }

func run() int {
	if len(os.Args) > 1 {
		fmt.Fprintln(os.Stderr, "usage: watchdog-mux (it takes no arguments)")
		return 2
	}
	// One for the clients, one for the journal: more would only cost memory on
	// a machine with many cores.
	runtime.GOMAXPROCS(2)

	journal := watchdogmux.NewJournal(watchdogmux.JournalConfig{
		Writers: journalWriters(),
		Sync:    watchdogmux.SyncSystemJournal,
	})
	daemon := watchdogmux.Daemon{
		Socket:  watchdogmux.DefaultSocket,
		Marker:  watchdogmux.DefaultMarker,
		Journal: journal,
		Getenv:  os.Getenv,
		LoadDevice: func() error {
			module, err := watchdog.ConfiguredModule(os.Getenv, watchdog.ConfigFile)
			if err != nil {
				journal.Log(err.Error())
			}
			return watchdog.Loader{Path: watchdog.DefaultPath, Module: module, Log: journal.Log}.Load()
		},
		OpenDevice: func() (watchdogmux.Device, error) { return watchdog.Open(watchdog.Config{}) },
		Harden:     watchdogmux.Harden,
		Clock:      daemon.Boottime,
		Signals:    make(chan os.Signal, 8),
	}
	return daemon.Run()
}

// journalWriters returns standard error, and the kernel's log for the time
// when journald is gone.
func journalWriters() []io.Writer {
	writers := []io.Writer{os.Stderr}
	if kmsg, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0); err == nil {
		writers = append(writers, kmsg)
	}
	return writers
}
