package pmxcfsio

import (
	"context"
	"errors"
	"time"
)

// Change says what a watcher saw.
type Change string

// The changes.
const (
	FileChanged    Change = "file"    // File was written, made or removed
	MembersChanged Change = "members" // who is in the cluster, or online
	QuorumChanged  Change = "quorum"
	GuestsChanged  Change = "guests" // a guest, its place or its configuration
	MountLost      Change = "lost"   // pmxcfs is gone or does not answer
	MountBack      Change = "back"   // pmxcfs is there again, or was restarted
)

// Event is one change.
type Event struct {
	Change Change
	File   string // of FileChanged, from the root
}

// WatchConfig says what to watch.
type WatchConfig struct {
	// Nodes returns the nodes whose lrm_status is watched; nil: none. pmxcfs
	// does not count changes of these files, so they are read and compared.
	Nodes func() []string
	// Interval is the pause between two looks at the change counters. Zero is
	// 300 ms.
	Interval time.Duration
}

// Watcher tells what changes in the cluster file system.
type Watcher struct {
	events chan []Event
}

// Watch starts to watch. What is there at the start is no change. The watcher
// ends with ctx or by Close.
func (f *FS) Watch(ctx context.Context, cfg WatchConfig) (*Watcher, error) {
	return nil, errors.ErrUnsupported
}

// Events returns the channel on which changes come. What changes before it is
// received from is put together: one receive gets every change since the last,
// each once. It is closed when the watcher has ended.
func (w *Watcher) Events() <-chan []Event { return w.events }

// Close ends the watcher and waits until it has.
func (w *Watcher) Close() {}
