package pmxcfsio

import "time"

// Inline makes all calls of the mount in the caller's goroutine, for mounts
// that never hang and clocks that are simulated.
func (f *FS) Inline() { f.mount.inline = true }

// WriteFailed is how a mount says that a file was made and not written whole.
func WriteFailed(err error) error { return &stageError{stageWrite, err} }

// HoldFor limits work under a domain lock to d.
func (f *FS) HoldFor(d time.Duration) { f.hold = d }

// SystemMount is system calls below a root.
func SystemMount(root string) Mount { return systemMount{root} }

// RestFor makes watchers pause for d while a journal tells of changes.
func (f *FS) RestFor(d time.Duration) { f.rest = d }
