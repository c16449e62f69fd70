package pmxcfsio

// Inline makes all calls of the mount in the caller's goroutine, for mounts
// that never hang and clocks that are simulated.
func (f *FS) Inline() { f.mount.inline = true }
