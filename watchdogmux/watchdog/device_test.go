package watchdog

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// fakeKernel is a kernel with one device, as the drivers are: some round the
// timeout, some have a fixed one, some know nothing.
type fakeKernel struct {
	identity   string
	features   Features
	nowayout   bool
	openErr    error
	supportErr error
	timeout    int // 0 is not known
	min, max   int
	fixed      bool // the timeout cannot be set
	bootStatus int
	noStatus   bool

	isOpen, running, magic bool
	fed                    int
}

const fakeFD = 7

func softdog() *fakeKernel {
	return &fakeKernel{
		identity: "Software Watchdog", timeout: 60, min: 1, max: 65535,
		features: FeatureSetTimeout | FeatureMagicClose | FeatureKeepAlive,
	}
}

func (k *fakeKernel) open(string) (int, error) {
	if k.openErr != nil {
		return -1, k.openErr
	}
	if k.isOpen {
		return -1, unix.EBUSY
	}
	k.isOpen, k.running = true, true
	return fakeFD, nil
}

func (k *fakeKernel) support(int) (*unix.WatchdogInfo, error) {
	if k.supportErr != nil {
		return nil, k.supportErr
	}
	info := &unix.WatchdogInfo{Options: uint32(k.features), Version: 3}
	copy(info.Identity[:], k.identity)
	return info, nil
}

func (k *fakeKernel) get(_ int, request uint) (int, error) {
	switch {
	case request == unix.WDIOC_GETTIMEOUT && k.timeout > 0:
		return k.timeout, nil
	case request == unix.WDIOC_GETBOOTSTATUS && !k.noStatus:
		return k.bootStatus, nil
	case request == unix.WDIOC_GETTIMELEFT && k.fed > 0:
		return k.timeout - 1, nil
	default:
		return 0, unix.EOPNOTSUPP
	}
}

func (k *fakeKernel) set(_ int, _ uint, value int) error {
	switch {
	case k.fixed:
		return unix.EOPNOTSUPP
	case value > k.max:
		return unix.EINVAL
	}
	k.timeout = max(value, k.min)
	return nil
}

func (k *fakeKernel) keepAlive(int) error {
	if !k.features.Has(FeatureKeepAlive) {
		return unix.EOPNOTSUPP
	}
	k.fed++
	return nil
}

func (k *fakeKernel) write(_ int, data []byte) error {
	if !k.isOpen {
		return unix.EBADF
	}
	k.fed++
	k.magic = data[len(data)-1] == 'V'
	return nil
}

func (k *fakeKernel) close(int) error {
	if !k.isOpen {
		return unix.EBADF
	}
	k.isOpen = false
	if !k.nowayout && (k.magic || !k.features.Has(FeatureMagicClose)) {
		k.running = false
	}
	return nil
}

// machine makes the folders of sysfs and of the processes.
func machine(t *testing.T, k *fakeKernel) Config {
	config := Config{Path: "/dev/watchdog", Sysfs: t.TempDir(), Proc: t.TempDir()}
	write := func(name, text string) {
		path := filepath.Join(config.Sysfs, "watchdog0", name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text+"\n"), 0o600))
	}
	write("identity", k.identity)
	write("nowayout", map[bool]string{false: "0", true: "1"}[k.nowayout])
	return config
}

func TestDeviceIsDescribed(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*fakeKernel)
		want   Info
		stops  bool
	}{
		"softdog": {
			want: Info{NoWayOut: No, CausedBoot: No, Features: FeatureSetTimeout | FeatureMagicClose | FeatureKeepAlive},
		},
		"nowayout": {
			change: func(k *fakeKernel) { k.nowayout = true },
			want:   Info{NoWayOut: Yes, CausedBoot: No, Features: FeatureSetTimeout | FeatureMagicClose | FeatureKeepAlive},
		},
		"the last reset was ours": {
			change: func(k *fakeKernel) { k.bootStatus = unix.WDIOF_CARDRESET | unix.WDIOF_OVERHEAT },
			want:   Info{NoWayOut: No, CausedBoot: Yes, Features: FeatureSetTimeout | FeatureMagicClose | FeatureKeepAlive},
		},
		"without a boot status": {
			change: func(k *fakeKernel) { k.noStatus = true },
			want:   Info{NoWayOut: No, CausedBoot: Unknown, Features: FeatureSetTimeout | FeatureMagicClose | FeatureKeepAlive},
		},
		"without magic close": {
			change: func(k *fakeKernel) { k.features = FeatureKeepAlive },
			want:   Info{NoWayOut: No, CausedBoot: No, Features: FeatureKeepAlive},
			stops:  true,
		},
		"without magic close, with nowayout": {
			change: func(k *fakeKernel) { k.features, k.nowayout = FeatureKeepAlive, true },
			want:   Info{NoWayOut: Yes, CausedBoot: No, Features: FeatureKeepAlive},
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := softdog()
			if test.change != nil {
				test.change(k)
			}
			d, err := open(machine(t, k), k)
			require.NoError(t, err)
			test.want.Identity, test.want.Firmware = "Software Watchdog", 3
			require.Equal(t, test.want, d.Info())
			require.Equal(t, test.stops, d.Info().StopsOnClose())
		})
	}
}

func TestNoWayOutIsUnknownWithoutSysfs(t *testing.T) {
	k := softdog()
	config := machine(t, k)
	d, err := open(Config{Path: config.Path, Sysfs: t.TempDir(), Proc: config.Proc}, k)
	require.NoError(t, err)
	require.Equal(t, Unknown, d.Info().NoWayOut)
	require.NoError(t, d.Disarm())

	k.identity = "another driver's"
	d, err = open(config, k)
	require.NoError(t, err)
	require.Equal(t, Unknown, d.Info().NoWayOut)
}

func TestTimeoutIsReadBack(t *testing.T) {
	for name, test := range map[string]struct {
		change  func(*fakeKernel)
		ask     time.Duration
		want    time.Duration
		problem string
	}{
		"as asked":             {ask: 10 * time.Second, want: 10 * time.Second},
		"rounded":              {change: func(k *fakeKernel) { k.min = 30 }, ask: 10 * time.Second, want: 30 * time.Second},
		"fixed":                {change: func(k *fakeKernel) { k.fixed = true }, ask: 10 * time.Second, want: time.Minute, problem: "watchdog /dev/watchdog: cannot set a timeout of 10 s: operation not supported"},
		"out of range":         {ask: 100000 * time.Second, want: time.Minute, problem: "cannot set a timeout of 100000 s: invalid argument"},
		"fixed, and not known": {change: func(k *fakeKernel) { k.fixed, k.timeout = true, 0 }, ask: 10 * time.Second, problem: "cannot read its timeout: operation not supported"},
	} {
		t.Run(name, func(t *testing.T) {
			k := softdog()
			if test.change != nil {
				test.change(k)
			}
			d, err := open(machine(t, k), k)
			require.NoError(t, err)
			got, err := d.SetTimeout(test.ask)
			require.Equal(t, test.want, got)
			if test.problem == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, test.problem)
			}
		})
	}
}

func TestKeepAlive(t *testing.T) {
	for name, features := range map[string]Features{
		"by ioctl": FeatureKeepAlive | FeatureMagicClose,
		"by write": FeatureMagicClose,
	} {
		t.Run(name, func(t *testing.T) {
			k := softdog()
			k.features = features
			d, err := open(machine(t, k), k)
			require.NoError(t, err)
			_, err = d.TimeLeft()
			require.ErrorIs(t, err, unix.EOPNOTSUPP)
			require.NoError(t, d.KeepAlive())
			require.Equal(t, 1, k.fed)
			left, err := d.TimeLeft()
			require.NoError(t, err)
			require.Equal(t, 59*time.Second, left)
			require.Zero(t, testing.AllocsPerRun(100, func() { _ = d.KeepAlive() }))
			require.False(t, k.magic)
		})
	}
}

func TestDisarm(t *testing.T) {
	for name, test := range map[string]struct {
		change  func(*fakeKernel)
		running bool
	}{
		"magic close":         {},
		"nowayout":            {change: func(k *fakeKernel) { k.nowayout = true }, running: true},
		"without magic close": {change: func(k *fakeKernel) { k.features = 0 }},
	} {
		t.Run(name, func(t *testing.T) {
			k := softdog()
			if test.change != nil {
				test.change(k)
			}
			d, err := open(machine(t, k), k)
			require.NoError(t, err)
			require.NoError(t, d.Disarm())
			require.False(t, k.isOpen)
			require.Equal(t, test.running, k.running)
			require.ErrorIs(t, d.Disarm(), os.ErrClosed)
		})
	}
}

func TestOpenFails(t *testing.T) {
	k := softdog()
	k.openErr = unix.ENODEV
	_, err := open(machine(t, k), k)
	require.EqualError(t, err, "open /dev/watchdog: no such device")

	k = softdog()
	k.supportErr = unix.ENOTTY
	_, err = open(machine(t, k), k)
	require.ErrorIs(t, err, unix.ENOTTY)
	require.False(t, k.isOpen, "the device is left running")
	require.False(t, k.running)

	_, err = Open(Config{Path: filepath.Join(t.TempDir(), "watchdog")})
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestHolderIsNamed(t *testing.T) {
	k := softdog()
	k.openErr = unix.EBUSY
	config := machine(t, k)
	_, err := open(config, k)
	require.EqualError(t, err, "open /dev/watchdog: device or resource busy, and no process shows it as open")

	process := func(pid, name string, targets ...string) {
		require.NoError(t, os.MkdirAll(filepath.Join(config.Proc, pid, "fd"), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(config.Proc, pid, "comm"), []byte(name+"\n"), 0o600))
		for i, target := range targets {
			require.NoError(t, os.Symlink(target, filepath.Join(config.Proc, pid, "fd", string(rune('3'+i)))))
		}
	}
	process("1", "systemd", "/dev/null", "/dev/watchdog0")
	process("20", "other", "/dev/watchdog1")
	_, err = open(config, k)
	require.EqualError(t, err, "open /dev/watchdog: device or resource busy, held by systemd (PID 1)")
	var busy *BusyError
	require.True(t, errors.As(err, &busy))
	require.ErrorIs(t, err, unix.EBUSY)

	process("100", "watchdog-mux", "/dev/watchdog", "/dev/watchdog")
	require.Equal(t, []Holder{{1, "systemd"}, {100, "watchdog-mux"}}, Holders(config))
	config.Path = "/dev/watchdog0"
	require.Equal(t, []Holder{{1, "systemd"}, {100, "watchdog-mux"}}, Holders(config))
	config.Path = "/dev/watchdog1"
	require.Equal(t, []Holder{{20, "other"}}, Holders(config))
}
