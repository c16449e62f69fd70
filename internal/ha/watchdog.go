package ha

// Watchdog is an open client of the watchdog multiplexer. Unless it is updated
// in time or closed, the machine is reset.
type Watchdog interface {
	Update() error
	Close() error
}
