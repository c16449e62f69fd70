package watchdogmux

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"pveha/internal/daemon"
	"pveha/watchdogmux/watchdog"
)

// Device is a watchdog device as the daemon needs it.
type Device interface {
	Feeder
	Info() watchdog.Info
	SetTimeout(time.Duration) (time.Duration, error)
}

// Daemon is the multiplexer from start to end. All fields are needed, but UID
// has the right zero value.
type Daemon struct {
	Socket, Marker string
	UID            uint32 // of the only user who may connect: root
	Journal        *Journal
	Getenv         func(string) string
	LoadDevice     func() error           // makes sure that there is a device
	OpenDevice     func() (Device, error) // starts it
	Harden         func() error
	Clock          func() time.Duration // since boot, suspend included
	Signals        chan os.Signal       // where signals arrive; Run asks for them
}

// Exit codes, as those of the C daemon.
const (
	exitOK      = 0
	exitFailure = 1
)

// lastWords is how long the end may take to write and sync the journal. The
// kernel feeds a device that is closed without being stopped, so that a later
// end would mean a later reset.
const lastWords = time.Second

// Run runs the daemon and returns its exit code.
func (d *Daemon) Run() int {
	defer d.Journal.Close(lastWords)
	if err := d.run(); err != nil {
		for line := range strings.Lines(err.Error()) {
			d.Journal.Log(strings.TrimSuffix(line, "\n"))
		}
		return exitFailure
	}
	return exitOK
}

var errStillActive = errors.New("watchdog active - unable to restart watchdog-mux")

func (d *Daemon) run() error {
	// The machine has to be reset while the marker is there: a client that had
	// a watchdog lost it.
	if _, err := os.Stat(d.Marker); err == nil {
		return errStillActive
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot tell whether a watchdog is active: %w", err)
	}
	d.catchSignals()
	listener, err := Activated(d.Getenv, os.Getpid())
	if err != nil {
		return err
	}
	if err := d.LoadDevice(); err != nil {
		return err
	}
	device, err := d.OpenDevice()
	if err != nil {
		return fmt.Errorf("watchdog %w", err)
	}
	refusal := d.arm(device)
	if refusal != nil && device.Info().NoWayOut != watchdog.Yes {
		return errors.Join(refusal, device.Disarm())
	}
	server, err := d.newServer(device, listener, refusal)
	if err != nil {
		return errors.Join(err, device.Disarm())
	}
	defer server.Close()
	if err := d.Harden(); err != nil {
		d.Journal.Log(err.Error())
	}
	d.serve(server)
	return refusal
}

// catchSignals asks for the signals of the protocol, and keeps others from
// ending the daemon, which would reset the machine. A journal that is gone is
// one of them: it would send SIGPIPE.
func (d *Daemon) catchSignals() {
	signal.Ignore(unix.SIGPIPE, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGVTALRM)
	signal.Notify(d.Signals, unix.SIGHUP, unix.SIGINT, unix.SIGTERM)
}

// arm sets the timeout of the device, says what is to be known about it, and
// refuses it when it resets the machine too late.
func (d *Daemon) arm(device Device) error {
	timeout, err := device.SetTimeout(DeviceTimeout)
	info := device.Info()
	d.Journal.Log(fmt.Sprintf("Watchdog driver '%s', version %x", info.Identity, info.Firmware))
	if err != nil {
		if timeout == 0 {
			return err
		}
		d.Journal.Log(err.Error())
	}
	if timeout != DeviceTimeout {
		d.Journal.Log(fmt.Sprintf("the watchdog has a timeout of %d s", int(timeout.Seconds())))
	}
	for _, remark := range remarks(info) {
		d.Journal.Log(remark)
	}
	return checkMargin(timeout)
}

func remarks(info watchdog.Info) []string {
	var texts []string
	if info.CausedBoot == watchdog.Yes {
		texts = append(texts, "the last reset of this machine was caused by this watchdog")
	}
	if info.NoWayOut == watchdog.Yes {
		texts = append(texts, "the watchdog cannot be stopped (nowayout): the machine is reset after the end of watchdog-mux, even a clean one")
	}
	if info.StopsOnClose() {
		texts = append(texts, "the watchdog driver has no magic close: the machine is not reset if watchdog-mux crashes")
	}
	return texts
}

// checkMargin refuses a device timeout with which the services of this machine
// might still run when another machine starts them.
func checkMargin(device time.Duration) error {
	margin := LockLifetime - ClientTimeout - device
	if margin >= MinMargin {
		return nil
	}
	return fmt.Errorf("refusing to arm the watchdog: client timeout %d s and device timeout %d s leave %d s of the lock's %d s, and %d s are needed",
		int(ClientTimeout.Seconds()), int(device.Seconds()), int(margin.Seconds()), int(LockLifetime.Seconds()), int(MinMargin.Seconds()))
}

// newServer makes the server. For a refused device that cannot be stopped it
// takes no clients: the device is fed, so that a machine whose watchdog is of
// no use for this does not reset itself for ever.
func (d *Daemon) newServer(device Device, listener *Listener, refusal error) (*Server, error) {
	if refusal != nil {
		d.Journal.Log(refusal.Error())
		d.Journal.Log("the watchdog cannot be stopped: keeping it alive without taking clients")
		if listener != nil {
			listener.Close()
			listener = nil
		}
	} else if listener == nil {
		var err error
		if listener, err = Listen(d.Socket); err != nil {
			return nil, err
		}
	}
	notifier, err := daemon.NewNotifier(d.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		d.Journal.Log(fmt.Sprintf("cannot notify systemd: %v", err))
	}
	room := maxClients()
	return NewServer(ServerConfig{
		Core:       NewCore(CoreConfig{MaxClients: room, UID: d.UID, StopsOnClose: device.Info().StopsOnClose()}),
		MaxClients: room,
		Device:     device, Listener: listener, Marker: d.Marker,
		Journal: d.Journal, Notify: notifier, Clock: d.Clock,
	})
}

// ownDescriptors are kept back for the daemon itself: a dozen that are always
// open, and what it takes to sync the journal.
const ownDescriptors = 24

// maxClients leaves the daemon descriptors of its own.
func maxClients() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return DefaultMaxClients
	}
	room := int(min(limit.Cur, DefaultMaxClients+ownDescriptors)) - ownDescriptors
	return max(room, 2) // a CRM and an LRM
}

// serve passes signals on until the server ends.
func (d *Daemon) serve(server *Server) {
	var passing sync.WaitGroup
	done := make(chan struct{})
	passing.Go(func() {
		for {
			select {
			case <-done:
				return
			case sig := <-d.Signals:
				if sig == unix.SIGHUP {
					server.Signal(Hangup)
				} else {
					server.Signal(Terminate)
				}
			}
		}
	})
	server.Notify.Send("READY=1\nSTATUS=watching")
	server.Run()
	close(done)
	passing.Wait()
}
