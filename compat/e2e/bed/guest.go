package bed

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// A guest is a process that looks to the agent like QEMU or like the monitor of
// a container, holds the lock of its file in the ledger, and writes down every
// second that it lives.

func pidFileOf(id string) string { return "/var/run/qemu-server/" + id + ".pid" }

// guestArguments is the command line of a guest: the one that the agent looks
// for.
func guestArguments(kind, id string) []string {
	if kind == "vm" {
		return []string{"/usr/bin/" + standInVM, "-id", id, "-pidfile", pidFileOf(id)}
	}
	return []string{"/usr/bin/" + standInCT, "-id", id}
}

// runGuest is the guest. Descriptor 3 is closed when it is ready.
func runGuest(args []string) int {
	kind, id := "vm", args[2]
	if filepath.Base(args[0]) == standInCT {
		kind = "ct"
	}
	guest := kind + ":" + id
	ledger := &Ledger{dir: sharedInside}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT)

	release, err := ledger.hold(guest)
	if err != nil {
		return complain("%s: %v", guest, err)
	}
	defer release()
	leave, err := appear(kind, id)
	if err != nil {
		return complain("%s: %v", guest, err)
	}
	defer leave()
	if err := ledger.note(noteStarted, guest); err != nil {
		return complain("%s: %v", guest, err)
	}
	_ = os.NewFile(3, "ready").Close() // nobody waits when it was started by hand
	return ledger.live(guest, signals)
}

// hold takes the lock of the guest. One that is held already means that the
// guest runs twice, which must never be: it screams, and goes on.
func (l *Ledger) hold(guest string) (release func(), err error) {
	f, err := os.OpenFile(l.lockFile(guest), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = l.note(noteTwice, guest)
	}
	return func() { _ = f.Close() }, err
}

// appear makes the guest visible to the agent.
func appear(kind, id string) (leave func(), err error) {
	if kind == "vm" {
		if err := os.MkdirAll(filepath.Dir(pidFileOf(id)), 0o755); err != nil {
			return nil, err
		}
		text := strconv.Itoa(os.Getpid()) + "\n"
		return func() { _ = os.Remove(pidFileOf(id)) }, os.WriteFile(pidFileOf(id), []byte(text), 0o644)
	}
	for _, group := range []string{"lxc/" + id, "lxc.monitor/" + id} {
		if err := os.MkdirAll("/sys/fs/cgroup/"+group, 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile("/sys/fs/cgroup/lxc/"+id+"/cgroup.procs", []byte("0"), 0); err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", "@/var/lib/lxc/"+id+"/command")
	if err != nil {
		return nil, err
	}
	return func() { _ = listener.Close() }, nil
}

func (l *Ledger) live(guest string, signals <-chan os.Signal) int {
	beats, err := os.OpenFile(l.beatFile(guest), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return complain("%s: %v", guest, err)
	}
	defer beats.Close()
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		select {
		case <-signals:
			if err := l.note(noteStopped, guest); err != nil {
				return complain("%s: %v", guest, err)
			}
			return 0
		case now := <-second.C:
			if _, err := fmt.Fprintln(beats, now.UnixMilli()); err != nil {
				return complain("%s: %v", guest, err)
			}
		}
	}
}
