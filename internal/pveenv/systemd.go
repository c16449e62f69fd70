package pveenv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"

	"pveha/internal/ha"
)

// busTimeout limits a question to systemd from the connection to the answer,
// which usually takes milliseconds.
const busTimeout = 5 * time.Second

// Where systemd's bus is when nobody says otherwise.
const (
	busVariable = "DBUS_SYSTEM_BUS_ADDRESS"
	busAddress  = "unix:path=/run/dbus/system_bus_socket"
)

// SystemdError is that systemd could not be asked.
type SystemdError struct {
	Address string // of the bus
	Err     error
}

func (e *SystemdError) Error() string {
	text := strings.ReplaceAll(e.Err.Error(), "\n", "; ")
	return fmt.Sprintf("asking systemd over D-Bus at '%s': %s", e.Address, text)
}

// Unwrap returns the cause.
func (e *SystemdError) Unwrap() error { return e.Err }

// systemd is the service manager. It is asked over the system bus: its private
// socket is known to hang. Every question has a connection of its own, so that
// a bus that was restarted does not matter. A bus that is gone, as it may be
// early in a shutdown, leaves systemctl, which the original asks.
type systemd struct {
	address   string
	systemctl []string // command line that lists the jobs
	timeout   time.Duration
	log       func(ha.Entry)
}

func newSystemd(address string, log func(ha.Entry)) *systemd {
	if address == "" {
		address = os.Getenv(busVariable)
	}
	if address == "" {
		address = busAddress
	}
	return &systemd{
		address: address, systemctl: []string{"systemctl", "--full", "--no-pager", "list-jobs"},
		timeout: busTimeout, log: log,
	}
}

// job is what systemd has queued, as ListJobs returns it.
type job struct {
	ID       uint32
	Unit     string
	Type     string
	State    string
	Path     dbus.ObjectPath
	UnitPath dbus.ObjectPath
}

// shutdown reports whether the node shuts down, and whether it comes back: the
// original looks for jobs of shutdown.target and of reboot.target. A kexec or a
// soft reboot has the first alone, and counts as a shutdown there and here.
func (s *systemd) shutdown(ctx context.Context) (shutdown, reboot bool, err error) {
	units, err := s.units(ctx)
	if err != nil {
		return false, false, err
	}
	return slices.Contains(units, "shutdown.target"), slices.Contains(units, "reboot.target"), nil
}

// units returns the units that have a job.
func (s *systemd) units(ctx context.Context) ([]string, error) {
	jobs, err := s.jobs(ctx)
	if err == nil {
		units := make([]string, len(jobs))
		for i, j := range jobs {
			units[i] = j.Unit
		}
		return units, nil
	}
	units, err2 := s.list(ctx)
	if err2 != nil {
		return nil, &SystemdError{s.address, errors.Join(err, err2)}
	}
	s.log(ha.Entry{
		Level: ha.LevelWarning,
		Text:  fmt.Sprintf("%v; asked %s instead", &SystemdError{s.address, err}, s.systemctl[0]),
	})
	return units, nil
}

// list runs systemctl. A job is a line of its number, the unit, its type and
// its state.
func (s *systemd) list(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.systemctl[0], s.systemctl[1:]...)
	cmd.WaitDelay = time.Second
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.systemctl[0], err)
	}
	var units []string
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) < 3 {
			continue
		}
		if _, err := strconv.ParseUint(f[0], 10, 32); err == nil {
			units = append(units, f[1])
		}
	}
	return units, nil
}

func (s *systemd) jobs(ctx context.Context) ([]job, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	var jobs []job
	manager := conn.Object("org.freedesktop.systemd1", "/org/freedesktop/systemd1")
	call := manager.CallWithContext(ctx, "org.freedesktop.systemd1.Manager.ListJobs", dbus.FlagNoAutoStart)
	if err := call.Store(&jobs); err != nil {
		return nil, err
	}
	return jobs, nil
}

// connect connects to the first address that works and says hello.
func (s *systemd) connect(ctx context.Context) (*dbus.Conn, error) {
	socket, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	// The limit of reads and writes holds for the handshake, which knows no
	// context, and for all that follows.
	if end, ok := ctx.Deadline(); ok {
		if err := socket.SetDeadline(end); err != nil {
			_ = socket.Close()
			return nil, err
		}
	}
	conn, err := dbus.NewConn(socket)
	if err != nil {
		_ = socket.Close()
		return nil, err
	}
	if err = conn.Auth(nil); err == nil {
		err = conn.Hello()
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

func (s *systemd) dial(ctx context.Context) (net.Conn, error) {
	err := fmt.Errorf("no address of a Unix socket")
	for address := range strings.SplitSeq(s.address, ";") {
		path, ok := unixPath(address)
		if !ok {
			continue
		}
		var socket net.Conn
		if socket, err = new(net.Dialer).DialContext(ctx, "unix", path); err == nil {
			return socket, nil
		}
	}
	return nil, err
}

// unixPath reads a D-Bus address of a Unix socket; "@" stands for an abstract
// name, as package net has it.
func unixPath(address string) (string, bool) {
	values, ok := strings.CutPrefix(address, "unix:")
	if !ok {
		return "", false
	}
	for pair := range strings.SplitSeq(values, ",") {
		key, value, _ := strings.Cut(pair, "=")
		value, err := url.PathUnescape(value)
		switch {
		case err != nil:
		case key == "path":
			return value, true
		case key == "abstract":
			return "@" + value, true
		}
	}
	return "", false
}
