// Package watchdog opens, feeds and stops a watchdog device of the kernel,
// and makes sure that there is one.
//
// An open device resets the machine unless it is fed in time. Closing it stops
// it only after the byte 'V' was written (magic close), and not at all when
// the driver was loaded with nowayout. There is one odd case: a driver
// without magic close stops at every close, also when its holder crashes; see
// Info.StopsOnClose.
//
// The device is reached by path, and the kernel behind a small interface, so
// that the same cases run against a fake one and, in a virtual machine, the
// real one.
package watchdog
