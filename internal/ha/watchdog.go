package ha

// Watchdog is an open client of the watchdog multiplexer. Unless it is updated
// in time or closed, the machine is reset.
type Watchdog interface {
	// Update keeps the machine alive for another while.
	Update() error
	// Close ends the protection. The client is gone even after an error.
	Close() error
}
