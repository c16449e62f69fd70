// Package nsthread runs code in another namespace of the kernel, on a thread
// that does nothing else afterwards.
package nsthread

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// A Kind is a kind of namespaces.
type Kind string

// The kinds of namespaces that can be entered.
const (
	Mount   Kind = "mount"
	Network Kind = "network"
)

// Run runs action in a namespace, which is an open file such as
// /proc/PID/ns/mnt, and returns its error, or why the namespace cannot be
// entered.
func Run(namespace *os.File, kind Kind, action func() error) error {
	return onThread(func() error {
		if err := enter(int(namespace.Fd()), kind); err != nil {
			return fmt.Errorf("enter the %s namespace %s: %w", kind, namespace.Name(), err)
		}
		return action()
	})
}

func enter(fd int, kind Kind) error {
	if kind == Network {
		return unix.Setns(fd, unix.CLONE_NEWNET)
	}
	// Threads share their root and working folder, which the kernel does not
	// let them do across mount namespaces.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return err
	}
	return unix.Setns(fd, unix.CLONE_NEWNS)
}

// onThread runs action on a thread that ends with it. It is never the main
// one: that would live on, and what the kernel shows of the process, in
// /proc/self, would be the main thread's.
func onThread(action func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // unlocked for the main thread alone: others end here
		if unix.Gettid() == unix.Getpid() {
			defer runtime.UnlockOSThread()
			result <- onThread(action) // elsewhere, since this thread is taken
			return
		}
		result <- action()
	}()
	return <-result
}
