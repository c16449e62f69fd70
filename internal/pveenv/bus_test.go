package pveenv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
)

// bus is a private D-Bus with a stand-in of systemd on it.
type bus struct {
	address string
	daemon  *exec.Cmd
	conn    *dbus.Conn

	mu    sync.Mutex
	units []string // that have a job
	hang  chan struct{}
}

const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=%s</listen><auth>EXTERNAL</auth>
<policy context="default"><allow own="*"/><allow send_destination="*" eavesdrop="true"/><allow receive_sender="*"/><allow user="*"/></policy>
</busconfig>`

// ListJobs is systemd's method.
func (b *bus) ListJobs() ([]job, *dbus.Error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.hang != nil {
		<-b.hang
	}
	jobs := make([]job, 0)
	for i, unit := range b.units {
		jobs = append(jobs, job{
			ID: uint32(i + 1), Unit: unit, Type: "start", State: "waiting",
			Path: "/org/freedesktop/systemd1/job/1", UnitPath: "/org/freedesktop/systemd1/unit/x",
		})
	}
	return jobs, nil
}

func (b *bus) setJobs(units ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.units = units
}

// startBus returns a bus; the caller stops it.
func startBus(dir string) (*bus, error) {
	socket := filepath.Join(dir, "bus")
	config := filepath.Join(dir, "bus.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, busConfig, socket), 0o600); err != nil {
		return nil, err
	}
	b := &bus{address: "unix:path=" + socket}
	b.daemon = exec.Command("dbus-daemon", "--config-file="+config, "--nofork", "--nopidfile")
	if err := b.daemon.Start(); err != nil {
		return nil, err
	}
	var err error
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if b.conn, err = dbus.Connect(b.address); err == nil {
			break
		}
	}
	if err != nil {
		b.stop()
		return nil, err
	}
	if err := b.conn.Export(b, "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"); err != nil {
		return nil, err
	}
	_, err = b.conn.RequestName("org.freedesktop.systemd1", dbus.NameFlagDoNotQueue)
	return b, err
}

func (b *bus) stop() {
	if b.conn != nil {
		_ = b.conn.Close()
	}
	_ = b.daemon.Process.Kill()
	_ = b.daemon.Wait()
}

func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pveenv") // t.TempDir is too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func newBus(t testing.TB) *bus {
	t.Helper()
	if _, err := exec.LookPath("dbus-daemon"); err != nil {
		t.Skip("there is no dbus-daemon here")
	}
	b, err := startBus(shortDir(t))
	require.NoError(t, err)
	t.Cleanup(b.stop)
	return b
}

// busOnly is a systemd without systemctl.
func busOnly(address string) *systemd {
	s := newSystemd(address, func(ha.Entry) {})
	s.systemctl = []string{"/nowhere/systemctl"}
	return s
}

func TestSystemdTellsOfAShutdown(t *testing.T) {
	b := newBus(t)
	for _, c := range []struct {
		units            []string
		shutdown, reboot bool
	}{
		{nil, false, false},
		{[]string{"apt-daily.service", "multi-user.target"}, false, false},
		{[]string{"poweroff.target", "shutdown.target", "umount.target"}, true, false},
		{[]string{"shutdown.target", "reboot.target"}, true, true},
		{[]string{"kexec.target", "shutdown.target"}, true, false},
		{[]string{"pre-shutdown.target", "shutdown.target.wants", "reboot.target2"}, false, false},
	} {
		b.setJobs(c.units...)
		shutdown, reboot, err := busOnly(b.address).shutdown(t.Context())
		require.NoError(t, err)
		require.Equal(t, [2]bool{c.shutdown, c.reboot}, [2]bool{shutdown, reboot}, c.units)
	}
}

func TestSystemdIsFoundByTheEnvironment(t *testing.T) {
	b := newBus(t)
	b.setJobs("shutdown.target")
	t.Setenv(busVariable, "tcp:host=nowhere;unix:path=/nowhere/bus;"+b.address+",guid=0")
	shutdown, _, err := newSystemd("", nil).shutdown(t.Context())
	require.NoError(t, err)
	require.True(t, shutdown)
	t.Setenv(busVariable, "")
	require.Equal(t, busAddress, newSystemd("", nil).address)
}

func TestUnixPath(t *testing.T) {
	for address, want := range map[string]string{
		"unix:path=/run/dbus/system_bus_socket": "/run/dbus/system_bus_socket",
		"unix:guid=12,path=/a%20b":              "/a b",
		"unix:abstract=/tmp/dbus-x,guid=0123":   "@/tmp/dbus-x",
		"tcp:host=localhost,path=/x":            "",
		"unix:runtime=yes":                      "",
		"unix:path=%zz":                         "",
		"":                                      "",
	} {
		got, ok := unixPath(address)
		require.Equal(t, want, got, address)
		require.Equal(t, want != "", ok, address)
	}
}

// Whatever is wrong with the bus, the answer is an error, and soon.
func TestSystemdThatCannotBeAsked(t *testing.T) {
	b := newBus(t)
	lonely, err := startBus(shortDir(t))
	require.NoError(t, err)
	t.Cleanup(lonely.stop)
	require.NoError(t, lonely.conn.Close()) // a bus without systemd

	deaf := filepath.Join(shortDir(t), "deaf")
	listener, err := net.Listen("unix", deaf)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, listener.Close()) })

	for name, address := range map[string]string{
		"no bus": "unix:path=/nowhere/bus", "no address": "tcp:host=localhost", "no systemd": lonely.address,
		"a bus that says nothing": "unix:path=" + deaf,
	} {
		s := busOnly(address)
		s.timeout = 200 * time.Millisecond
		start := time.Now()
		shutdown, reboot, err := s.shutdown(t.Context())
		var typed *SystemdError
		require.ErrorAs(t, err, &typed, name)
		require.Equal(t, address, typed.Address)
		require.ErrorContains(t, err, address)
		require.False(t, shutdown || reboot)
		require.Less(t, time.Since(start), 5*time.Second, name)
	}

	b.mu.Lock()
	b.hang = make(chan struct{})
	b.mu.Unlock()
	defer close(b.hang)
	s := busOnly(b.address)
	s.timeout = 200 * time.Millisecond
	_, _, err = s.shutdown(t.Context())
	// The limit of the connection and that of the call are the same.
	require.True(t, errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded), err)
}

func TestALostBusIsATypedError(t *testing.T) {
	_, env, _, _ := answering(t, &fakeIPC{members: threeMembers})
	env.systemd.systemctl = []string{"/nowhere/systemctl"}
	_, _, err := env.NodeShutdown()
	var typed *SystemdError
	require.ErrorAs(t, err, &typed)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NotContains(t, err.Error(), "\n")
}

// Early in a shutdown the bus may be gone before the LRM is asked to end.
func TestWithoutABusSystemctlIsAsked(t *testing.T) {
	const poweroff = ` JOB UNIT                        TYPE  STATE
  83 systemd-poweroff.service    start waiting
  82 poweroff.target             start waiting
 101 shutdown.target             start waiting

3 jobs listed.
`
	for output, want := range map[string][2]bool{
		"No jobs running.\n": {}, "": {}, poweroff: {true, false},
		strings.ReplaceAll(poweroff, "poweroff", "reboot"):               {true, true},
		strings.ReplaceAll(poweroff, "shutdown.target", "notify.target"): {},
	} {
		var lines recorder
		s := newSystemd("unix:path=/nowhere/bus", lines.log)
		s.systemctl = []string{"printf", "%s", output}
		shutdown, reboot, err := s.shutdown(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, [2]bool{shutdown, reboot}, output)
		require.Len(t, lines.entries(), 1)
		require.Equal(t, ha.LevelWarning, lines.entries()[0].Level)
		require.Contains(t, lines.texts()[0], "/nowhere/bus': ")
		require.Contains(t, lines.texts()[0], "; asked printf instead")
	}
	s := newSystemd("unix:path=/nowhere/bus", nil)
	s.systemctl, s.timeout = []string{"sleep", "60"}, 100*time.Millisecond
	start := time.Now()
	_, _, err := s.shutdown(t.Context())
	require.Error(t, err)
	require.Less(t, time.Since(start), 5*time.Second)
}
