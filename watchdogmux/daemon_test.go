package watchdogmux

import (
	"errors"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"pveha/internal/daemon"
	"pveha/watchdogmux/watchdog"
)

// armedDevice is a device as the daemon opens it.
type armedDevice struct {
	testDevice
	info    watchdog.Info
	timeout time.Duration // that it has whatever is asked, 0 for what is asked
	err     error
}

func (d *armedDevice) Info() watchdog.Info { return d.info }

func (d *armedDevice) SetTimeout(want time.Duration) (time.Duration, error) {
	if d.timeout != 0 {
		return d.timeout, d.err
	}
	if d.err != nil {
		return 0, d.err
	}
	return want, nil
}

func softwareWatchdog() *armedDevice {
	return &armedDevice{info: watchdog.Info{
		Identity: "Software Watchdog", Firmware: 0x1f, NoWayOut: watchdog.No, CausedBoot: watchdog.No,
		Features: watchdog.FeatureSetTimeout | watchdog.FeatureMagicClose | watchdog.FeatureKeepAlive,
	}}
}

// testDaemon is a daemon on a folder of its own.
type testDaemon struct {
	Daemon
	dir    string
	lines  *lines
	loaded bool
}

func newTestDaemon(t *testing.T, device *armedDevice) *testDaemon {
	d := &testDaemon{dir: shortDir(t), lines: &lines{}}
	t.Cleanup(func() { signal.Reset() })
	d.Daemon = Daemon{
		Socket: filepath.Join(d.dir, "mux.sock"), Marker: filepath.Join(d.dir, "mux.active"), UID: uint32(os.Getuid()),
		Journal: NewJournal(JournalConfig{Writers: []io.Writer{d.lines}, Sync: func() {}}),
		Getenv:  func(string) string { return "" },
		LoadDevice: func() error {
			d.loaded = true
			return nil
		},
		OpenDevice: func() (Device, error) { return device, nil },
		Harden:     func() error { return errors.New("cannot lock memory: operation not permitted") },
		Clock:      daemon.Boottime,
		Signals:    make(chan os.Signal, 8),
	}
	return d
}

func (d *testDaemon) said() []string {
	return strings.Split(strings.TrimSuffix(d.lines.text.String(), "\n"), "\n")
}

func TestDaemonFromStartToEnd(t *testing.T) {
	device := softwareWatchdog()
	d := newTestDaemon(t, device)
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(d.dir, "notify"), Net: "unixgram"})
	require.NoError(t, err)
	defer notify.Close()
	d.Getenv = func(key string) string {
		return map[string]string{"NOTIFY_SOCKET": filepath.Join(d.dir, "notify")}[key]
	}
	exit := make(chan int)
	go func() { exit <- d.Run() }()

	state := make([]byte, 100)
	n, err := notify.Read(state)
	require.NoError(t, err)
	require.Equal(t, "READY=1\nSTATUS=watching", string(state[:n]))
	info, err := os.Stat(d.Socket)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	d.Signals <- unix.SIGHUP
	d.Signals <- unix.SIGTERM
	require.Zero(t, <-exit)
	n, err = notify.Read(state)
	require.NoError(t, err)
	require.Equal(t, "STOPPING=1", string(state[:n]))
	require.True(t, d.loaded)
	require.True(t, device.disarmed)
	require.NoFileExists(t, d.Socket)
	require.Equal(t, []string{
		"Watchdog driver 'Software Watchdog', version 1f",
		"cannot lock memory: operation not permitted",
		"got SIGHUP - ignored",
		"got terminate request",
		"clean exit",
	}, d.said())
}

func TestDaemonDoesNotStart(t *testing.T) {
	const identity = "Watchdog driver 'Software Watchdog', version 1f"
	for name, test := range map[string]struct {
		prepare  func(*testDaemon, *armedDevice)
		want     []string
		disarmed bool
	}{
		"active marker": {
			prepare: func(d *testDaemon, _ *armedDevice) { require.NoError(t, os.Mkdir(d.Marker, 0o700)) },
			want:    []string{"watchdog active - unable to restart watchdog-mux"},
		},
		"no driver": {
			prepare: func(d *testDaemon, _ *armedDevice) { d.LoadDevice = func() error { return errors.New("no driver") } },
			want:    []string{"no driver"},
		},
		"a device in use": {
			prepare: func(d *testDaemon, _ *armedDevice) {
				d.OpenDevice = func() (Device, error) {
					return nil, &watchdog.BusyError{Path: "/dev/watchdog", Holders: []watchdog.Holder{{PID: 1, Name: "systemd"}}}
				}
			},
			want: []string{"watchdog open /dev/watchdog: device or resource busy, held by systemd (PID 1)"},
		},
		"no timeout": {
			prepare:  func(_ *testDaemon, device *armedDevice) { device.err = errors.New("cannot read its timeout") },
			want:     []string{identity, "cannot read its timeout"},
			disarmed: true,
		},
		"a timeout that leaves too little": {
			prepare: func(_ *testDaemon, device *armedDevice) { device.timeout = 21 * time.Second },
			want: []string{
				identity, "the watchdog has a timeout of 21 s",
				"refusing to arm the watchdog: client timeout 60 s and device timeout 21 s leave 39 s of the lock's 120 s, and 40 s are needed",
			},
			disarmed: true,
		},
		"no socket": {
			prepare:  func(d *testDaemon, _ *armedDevice) { d.Socket = filepath.Join(d.dir, "missing", "mux.sock") },
			want:     []string{identity, "bind DIR/missing/mux.sock: no such file or directory"},
			disarmed: true,
		},
		"two sockets of systemd": {
			prepare: func(d *testDaemon, _ *armedDevice) {
				d.Getenv = func(key string) string {
					return map[string]string{"LISTEN_PID": pid("%")[0], "LISTEN_FDS": "2"}[key]
				}
			},
			want: []string{"systemd passes LISTEN_FDS=2 sockets, and one is needed"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			device := softwareWatchdog()
			d := newTestDaemon(t, device)
			test.prepare(d, device)
			require.Equal(t, 1, d.Run())
			said := d.said()
			for i := range said {
				said[i] = strings.ReplaceAll(said[i], d.dir, "DIR")
			}
			require.Equal(t, test.want, said)
			require.Equal(t, test.disarmed, device.disarmed)
			require.NoFileExists(t, d.Socket)
		})
	}
}

// What cannot be stopped is fed, or a machine with a device of no use would
// reset itself for ever.
func TestDaemonFeedsARefusedDeviceThatCannotBeStopped(t *testing.T) {
	device := softwareWatchdog()
	device.info.NoWayOut = watchdog.Yes
	device.timeout = 5 * time.Minute
	d := newTestDaemon(t, device)
	d.Signals <- unix.SIGTERM // waits until the device was fed once
	require.Equal(t, 1, d.Run())
	require.NoFileExists(t, d.Socket)
	require.Contains(t, d.said(), "the watchdog cannot be stopped: keeping it alive without taking clients")
	require.Contains(t, d.said(), "clean exit")
}

func TestDaemonSaysWhatIsToBeKnownOfTheDevice(t *testing.T) {
	for name, test := range map[string]struct {
		info watchdog.Info
		want []string
	}{
		"nothing": {info: softwareWatchdog().info},
		"nowayout": {
			info: watchdog.Info{Features: watchdog.FeatureMagicClose, NoWayOut: watchdog.Yes},
			want: []string{"the watchdog cannot be stopped (nowayout): the machine is reset after the end of watchdog-mux, even a clean one"},
		},
		"no magic close": {
			info: watchdog.Info{NoWayOut: watchdog.No},
			want: []string{"the watchdog driver has no magic close: the machine is not reset if watchdog-mux crashes"},
		},
		"ours": {
			info: watchdog.Info{Features: watchdog.FeatureMagicClose, CausedBoot: watchdog.Yes},
			want: []string{"the last reset of this machine was caused by this watchdog"},
		},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, test.want, remarks(test.info)) })
	}
}

func TestMarginUnderTheLock(t *testing.T) {
	for device, ok := range map[time.Duration]bool{
		time.Second: true, DeviceTimeout: true, 20 * time.Second: true, 21 * time.Second: false, time.Hour: false,
	} {
		require.Equal(t, ok, checkMargin(device) == nil, "%s", device)
	}
}

func TestActivation(t *testing.T) {
	environment := func(pid, fds string) func(string) string {
		return func(key string) string { return map[string]string{"LISTEN_PID": pid, "LISTEN_FDS": fds}[key] }
	}
	l, err := Activated(environment("", ""), 7)
	require.NoError(t, err)
	require.Nil(t, l)
	l, err = Activated(environment("8", "1"), 7)
	require.NoError(t, err)
	require.Nil(t, l, "it was for somebody else")
	_, err = Activated(environment("7", "2"), 7)
	require.EqualError(t, err, "systemd passes LISTEN_FDS=2 sockets, and one is needed")

	path := filepath.Join(shortDir(t), "mux.sock")
	made, err := Listen(path)
	require.NoError(t, err)
	l, err = adopt(made.fd)
	require.NoError(t, err)
	l.Close()
	require.FileExists(t, path, "the path is systemd's")

	for name, kind := range map[string]int{"datagram": unix.SOCK_DGRAM, "not listening": unix.SOCK_STREAM} {
		fd, err := unix.Socket(unix.AF_UNIX, kind, 0)
		require.NoError(t, err)
		_, err = adopt(fd)
		require.ErrorContains(t, err, "not a listening Unix stream socket", name)
		require.NoError(t, unix.Close(fd))
	}
	null, err := unix.Open("/dev/null", unix.O_RDONLY, 0)
	require.NoError(t, err)
	_, err = adopt(null)
	require.ErrorIs(t, err, unix.ENOTSOCK)
	require.NoError(t, unix.Close(null))
}

func TestListenReplacesAnOldSocket(t *testing.T) {
	path := filepath.Join(shortDir(t), "mux.sock")
	first, err := Listen(path)
	require.NoError(t, err)
	second, err := Listen(path)
	require.NoError(t, err)
	second.Close()
	require.NoFileExists(t, path)
	first.Close()
}

func TestJournalNeverMakesItsCallerWait(t *testing.T) {
	r, w, err := os.Pipe() // nobody reads
	require.NoError(t, err)
	j := NewJournal(JournalConfig{Writers: []io.Writer{w}, Sync: func() {}})
	line := strings.Repeat("x", 1023)
	for range 2 * queueLines {
		j.Log(line)
	}
	j.Close(10 * time.Millisecond)
	got := make(chan string)
	go func() {
		all, _ := io.ReadAll(r)
		got <- string(all)
	}()
	<-j.written
	require.NoError(t, w.Close())
	require.Contains(t, <-got, " messages were left out\n")
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, unix.EPIPE }

func TestJournalFallsBackAndSyncsAfterItsLines(t *testing.T) {
	var fallback lines
	at := ""
	j := NewJournal(JournalConfig{
		Writers: []io.Writer{failing{}, &fallback},
		Sync: func() {
			fallback.mutex.Lock()
			defer fallback.mutex.Unlock()
			at = fallback.text.String()
		},
	})
	j.Log("last words")
	j.Sync()
	j.Close(time.Minute)
	require.Equal(t, "last words\n", at)
}

func TestProgramIsFoundInMemory(t *testing.T) {
	ranges := programRanges()
	require.NotEmpty(t, ranges)
	size := uintptr(0)
	for _, r := range ranges {
		require.Less(t, r.start, r.end)
		size += r.end - r.start
	}
	require.Greater(t, size, uintptr(1<<20))
}
