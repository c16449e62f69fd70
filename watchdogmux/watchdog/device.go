package watchdog

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// DefaultPath is the first watchdog device of the machine.
const DefaultPath = "/dev/watchdog"

// Config says where the device and what the kernel tells of it are. Empty
// fields stand for the real places.
type Config struct {
	Path  string // of the device, DefaultPath
	Sysfs string // folder of the watchdog class, /sys/class/watchdog
	Proc  string // folder of the processes, /proc
}

func (c Config) withDefaults() Config {
	set := func(s *string, value string) {
		if *s == "" {
			*s = value
		}
	}
	set(&c.Path, DefaultPath)
	set(&c.Sysfs, "/sys/class/watchdog")
	set(&c.Proc, "/proc")
	return c
}

// Features are the WDIOF bits of a driver.
type Features uint32

// What a driver can do, as linux/watchdog.h numbers it.
const (
	FeatureSetTimeout Features = unix.WDIOF_SETTIMEOUT    // the timeout can be set
	FeatureMagicClose Features = unix.WDIOF_MAGICCLOSE    // closing without a 'V' leaves the device running
	FeatureKeepAlive  Features = unix.WDIOF_KEEPALIVEPING // it takes keep-alives by ioctl
)

// Has tells whether all the given features are there.
func (f Features) Has(want Features) bool { return f&want == want }

// Answer is what the kernel says on a question that it may not answer.
type Answer string

// The answers.
const (
	Yes     Answer = "yes"
	No      Answer = "no"
	Unknown Answer = "unknown"
)

// Info describes an open device.
type Info struct {
	Identity string // of the driver, such as "Software Watchdog"
	Firmware uint32 // version of the firmware, 0 for most drivers
	Features Features
	// NoWayOut says that the device cannot be stopped once it runs, whatever
	// is written to it.
	NoWayOut Answer
	// CausedBoot says that this device caused the last reset of the machine.
	// Drivers that cannot remember say no.
	CausedBoot Answer
}

// StopsOnClose tells whether the device stops when its holder dies. The
// kernel stops a device without magic close at every close, so that nothing
// resets the machine after a crash of the holder.
func (i Info) StopsOnClose() bool {
	return !i.Features.Has(FeatureMagicClose) && i.NoWayOut != Yes
}

// Device is an open, and therefore running, watchdog.
type Device struct {
	kernel kernel
	path   string
	fd     int
	info   Info
}

// BusyError says that another process has the device.
type BusyError struct {
	Path    string
	Holders []Holder // empty when nobody was found
}

// Error names the holders.
func (e *BusyError) Error() string {
	if len(e.Holders) == 0 {
		return fmt.Sprintf("open %s: %v, and no process shows it as open", e.Path, unix.EBUSY)
	}
	text := fmt.Sprintf("open %s: %v, held by", e.Path, unix.EBUSY)
	for i, h := range e.Holders {
		if i > 0 {
			text += ","
		}
		text += " " + h.String()
	}
	return text
}

// Unwrap returns EBUSY.
func (e *BusyError) Unwrap() error { return unix.EBUSY }

// Open opens the device, which starts it with the timeout that it has. A
// device that somebody else has open is a BusyError.
func Open(config Config) (*Device, error) { return open(config.withDefaults(), system{}) }

func open(config Config, k kernel) (*Device, error) {
	fd, err := k.open(config.Path)
	switch {
	case errors.Is(err, unix.EBUSY):
		return nil, &BusyError{Path: config.Path, Holders: Holders(config)}
	case err != nil:
		return nil, &os.PathError{Op: "open", Path: config.Path, Err: err}
	}
	d := &Device{kernel: k, path: config.Path, fd: fd}
	support, err := k.support(fd)
	if err != nil {
		err = d.failed("read its features", err)
		return nil, errors.Join(err, d.Disarm())
	}
	d.info = Info{
		Identity:   unix.ByteSliceToString(support.Identity[:]),
		Firmware:   support.Version,
		Features:   Features(support.Options),
		CausedBoot: d.causedBoot(),
	}
	d.info.NoWayOut = noWayOut(config, d.info.Identity)
	return d, nil
}

func (d *Device) causedBoot() Answer {
	status, err := d.kernel.get(d.fd, unix.WDIOC_GETBOOTSTATUS)
	switch {
	case err != nil:
		return Unknown
	case status&unix.WDIOF_CARDRESET != 0:
		return Yes
	default:
		return No
	}
}

// Info returns what was learnt when the device was opened.
func (d *Device) Info() Info { return d.info }

// SetTimeout asks for a timeout, in whole seconds, and returns the one that
// the device has then. A device may round it, or may have a fixed one: only
// what was read back counts. An error that comes with a timeout says why the
// device keeps the one it has.
func (d *Device) SetTimeout(want time.Duration) (time.Duration, error) {
	setErr := d.kernel.set(d.fd, unix.WDIOC_SETTIMEOUT, int(want/time.Second))
	if setErr != nil {
		setErr = d.failed(fmt.Sprintf("set a timeout of %d s", int(want/time.Second)), setErr)
	}
	got, err := d.Timeout()
	if err != nil {
		return 0, errors.Join(setErr, err)
	}
	return got, setErr
}

// Timeout returns how long after the last keep-alive the machine is reset.
func (d *Device) Timeout() (time.Duration, error) {
	return d.seconds("read its timeout", unix.WDIOC_GETTIMEOUT)
}

// TimeLeft returns the time until the reset. Many drivers cannot tell.
func (d *Device) TimeLeft() (time.Duration, error) {
	return d.seconds("read the time left", unix.WDIOC_GETTIMELEFT)
}

func (d *Device) seconds(what string, request uint) (time.Duration, error) {
	v, err := d.kernel.get(d.fd, request)
	if err != nil {
		return 0, d.failed(what, err)
	}
	return time.Duration(v) * time.Second, nil
}

var (
	anyByte   = []byte{0}
	magicByte = []byte{'V'}
)

// KeepAlive starts the timeout anew. It does not allocate.
func (d *Device) KeepAlive() error {
	var err error
	if d.info.Features.Has(FeatureKeepAlive) {
		err = d.kernel.keepAlive(d.fd)
	} else {
		err = d.kernel.write(d.fd, anyByte)
	}
	if err != nil {
		return d.failed("keep it alive", err)
	}
	return nil
}

// Disarm stops the device with the magic byte and closes it. With NoWayOut it
// is closed and runs on. The device is of no use afterwards.
func (d *Device) Disarm() error {
	if d.fd < 0 {
		return d.failed("stop it", os.ErrClosed)
	}
	var problems []error
	if err := d.kernel.write(d.fd, magicByte); err != nil {
		problems = append(problems, d.failed("stop it", err))
	}
	if err := d.kernel.close(d.fd); err != nil {
		problems = append(problems, d.failed("close it", err))
	}
	d.fd = -1
	return errors.Join(problems...)
}

func (d *Device) failed(what string, err error) error {
	return fmt.Errorf("watchdog %s: cannot %s: %w", d.path, what, err)
}
