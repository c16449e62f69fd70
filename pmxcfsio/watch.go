package pmxcfsio

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"pveha/internal/budget"
)

// Change says what a watcher saw.
type Change string

// The changes.
const (
	MountLost      Change = "lost" // pmxcfs is gone or does not answer
	MountBack      Change = "back" // pmxcfs is there again, or was restarted
	QuorumChanged  Change = "quorum"
	MembersChanged Change = "members" // who is in the cluster, or online
	GuestsChanged  Change = "guests"  // a guest, its place or its configuration
	FileChanged    Change = "file"    // File was written, made or removed
)

// order is how changes that come together are sorted.
var order = []Change{MountLost, MountBack, QuorumChanged, MembersChanged, GuestsChanged, FileChanged}

// Event is one change.
type Event struct {
	Change Change
	File   string // of FileChanged, from the root
}

// How long the pause between two looks at the change counters is. What another
// node changes is noticed that late where there is no journal; with one, looks
// are for the membership and the quorum, which are not written down.
const (
	defaultInterval   = 400 * time.Millisecond
	journaledInterval = 10 * time.Second
)

// WatchConfig says what to watch beside the files that pmxcfs counts.
type WatchConfig struct {
	// Nodes returns the nodes whose lrm_status is watched; nil: none. pmxcfs
	// does not count changes of these files, so they are read and compared.
	Nodes func() []string
	// Awaits returns the folder whose removal the watcher's owner waits for, such
	// as a lock that another node has; nil or "": none. While it is there hints
	// are a reason to look for it and for nothing else, which shows with the next
	// look that is due. Its removal is a FileChanged.
	Awaits func() string
	// Interval is the pause between two looks at the change counters. Zero is
	// 400 ms. While the journal of pmxcfs tells of changes it is 10 s at least.
	Interval time.Duration
}

// Watcher tells what changes in the cluster file system: its membership, its
// guests, and the files of the HA stack.
type Watcher struct {
	look     *looker
	hints    *hints
	interval time.Duration
	pending  map[Event]bool
	events   chan []Event
	stop     context.CancelFunc
	ended    chan struct{}
}

// Watch starts to watch. What is there at the start is no change; if there is
// no file system, MountBack says when there is. The watcher ends with ctx or by
// Close.
func (f *FS) Watch(ctx context.Context, cfg WatchConfig) *Watcher {
	ctx, stop := context.WithCancel(ctx)
	w := &Watcher{
		look:     newLooker(f, cfg),
		hints:    newHints(f),
		interval: orDefault(cfg.Interval, defaultInterval),
		pending:  map[Event]bool{},
		events:   make(chan []Event),
		stop:     stop,
		ended:    make(chan struct{}),
	}
	w.hints.renew(ctx)
	w.look.journal = w.hints.journal
	w.look.look(ctx, localHint|journalHint)
	go w.run(ctx)
	return w
}

// Events returns the channel on which changes come. What changes before it is
// received from is put together: one receive gets every change since the last,
// each once, in the order of the constants. It is closed when the watcher has
// ended.
func (w *Watcher) Events() <-chan []Event { return w.events }

// Close ends the watcher and waits until it has.
func (w *Watcher) Close() {
	w.stop()
	<-w.ended
}

func (w *Watcher) run(ctx context.Context) {
	defer close(w.ended)
	defer close(w.events)
	defer w.hints.close()
	start := time.Now() // of the budget's clock
	looks := budget.Budget{Burst: lookBurst}
	var took time.Duration // by the last look
	gap := func() time.Duration { return gapAfter(took, w.look.awaits() != "") }
	due := start.Add(w.pause()) // the next look
	timer := time.NewTimer(w.pause())
	defer timer.Stop()
	var why hint                                                                                // for the next look
	held := func() bool { return why == journalHint || why != noHint && w.look.awaits() != "" } // to the budget
	for {
		var out chan<- []Event
		var batch []Event
		if len(w.pending) > 0 {
			out, batch = w.events, sorted(w.pending)
		}
		select {
		case <-ctx.Done():
			return
		case out <- batch:
			clear(w.pending)
		case <-timer.C:
			w.hints.listen()
			began := time.Now()
			if held() {
				looks.Spend(began.Sub(start), gap())
			}
			changes := w.look.look(ctx, why)
			took = time.Since(began)
			w.note(changes)
			w.hints.learn(ctx, why, changes)
			w.look.journal = w.hints.journal
			why = noHint
			due = time.Now().Add(w.pause())
			timer.Reset(w.pause())
		case ev, open := <-w.hints.events():
			h := w.hints.understand(ctx, ev, open)
			if why |= h; h == noHint {
				continue
			}
			wait := hintDelay
			if held() {
				wait = max(wait, looks.Wait(time.Since(start), gap()))
			}
			if wait >= deafFrom {
				w.hints.rest()
			}
			if soon := time.Now().Add(wait); soon.Before(due) {
				due = soon
				timer.Reset(time.Until(due))
			}
		}
	}
}

// pause is how long to wait with a look for which there is no hint.
func (w *Watcher) pause() time.Duration {
	if w.hints.journal {
		return max(w.interval, w.look.fs.rest)
	}
	return w.interval
}

// note adds changes to those that wait to be received.
func (w *Watcher) note(changes []Event) {
	for _, e := range changes {
		if e.Change == MountLost {
			delete(w.pending, Event{Change: MountBack})
		}
		w.pending[e] = true
	}
}

func sorted(pending map[Event]bool) []Event {
	return slices.SortedFunc(maps.Keys(pending), func(a, b Event) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.Change), slices.Index(order, b.Change)), cmp.Compare(a.File, b.File))
	})
}
