package pmxcfsio

import (
	"context"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// hint is a reason to look before it is time.
type hint uint8

const (
	noHint      hint = 0
	localHint   hint = 1 << 0 // a file that is watched was changed by this node
	journalHint hint = 1 << 1 // something was changed, by whatever node
)

// hintDelay is how long a look is put off to take in what follows at once: a file
// is replaced in three steps.
const hintDelay = 10 * time.Millisecond

// pmxcfs writes its journal for every refresh of a lock on any node, and a look at
// the status of every node takes long in a large cluster. So only some looks for
// the journal follow each other at once; in the long run there is one in a gap,
// so that they take one part of so many of the time.
const (
	lookBurst  = 4
	journalGap = 100 * time.Millisecond
	lookShare  = 200
	maxGap     = time.Second
)

// gapAfter is the gap when the last look took so long. Who waits for one thing
// alone has the longest.
func gapAfter(took time.Duration, awaits bool) time.Duration {
	if awaits {
		return maxGap
	}
	return min(max(journalGap, lookShare*took), maxGap)
}

// hints is news of the kernel: inotify knows of changes that were made through
// this node's mount, and of writes to the journal of pmxcfs. Neither is needed.
type hints struct {
	fs      *FS
	notify  *fsnotify.Watcher // nil while there is none to be had
	watched map[string]hint   // full names of files
	journal bool              // it is watched, and was not seen to miss changes
	deaf    bool              // to the journal, until the next look
	missed  int               // changes in a row that it did not tell of
	renewed time.Time
	missing bool // not every folder could be watched
}

// maxMissed is how many changes in a row the journal may miss: news of one may
// come after the look that finds it.
const maxMissed = 1

// renewPause is how long to wait before folders that could not be watched are
// tried again.
const renewPause = 5 * time.Second

func newHints(f *FS) *hints {
	h := &hints{fs: f, watched: map[string]hint{}}
	for _, name := range append([]string{haFolder, localName + "/" + lrmStatus}, countedFiles...) {
		h.watched[filepath.Join(f.cfg.Root, name)] = localHint
	}
	if f.cfg.Journal != "" {
		h.watched[f.cfg.Journal] = journalHint
	}
	return h
}

func (h *hints) events() <-chan fsnotify.Event {
	if h.notify == nil {
		return nil
	}
	return h.notify.Events
}

func (h *hints) close() {
	if h.notify != nil {
		_ = h.notify.Close() // there is nothing to write
	}
}

// renew watches the folders of all files anew: watches end with the mount.
func (h *hints) renew(ctx context.Context) {
	h.close()
	h.renewed, h.missing, h.journal, h.deaf, h.missed = time.Now(), true, false, false, 0
	var err error
	if h.notify, err = fsnotify.NewBufferedWatcher(eventBuffer); err != nil {
		h.notify = nil
		return
	}
	notify, m, root := h.notify, h.fs.mount, h.fs.cfg.Root
	h.missing = false
	for _, folder := range []string{root, filepath.Join(root, haFolder), filepath.Join(root, localName)} {
		// Looking up a path may hang as any use of the mount.
		_, err := query(ctx, m, func() (struct{}, error) { return struct{}{}, notify.Add(folder) })
		h.missing = h.missing || err != nil
	}
	if h.fs.cfg.Journal != "" {
		h.journal = notify.Add(filepath.Dir(h.fs.cfg.Journal)) == nil
	}
}

// deafFrom is the wait for a look from which on it pays not to listen to the
// journal meanwhile: in a busy cluster every write would wake this process up.
const deafFrom = 200 * time.Millisecond

// rest stops listening to the journal. The next look finds what it would have
// told, and listen comes before that.
func (h *hints) rest() {
	if h.notify != nil && h.journal && !h.deaf {
		h.deaf = h.notify.Remove(filepath.Dir(h.fs.cfg.Journal)) == nil
	}
}

// listen listens to the journal again.
func (h *hints) listen() {
	if h.deaf && h.notify != nil {
		h.deaf = false
		h.journal = h.notify.Add(filepath.Dir(h.fs.cfg.Journal)) == nil
	}
}

// eventBuffer is how many events may wait while a look hangs.
const eventBuffer = 64

// learn takes in what a look found. Watches are renewed when pmxcfs came back,
// and now and then while some are missing. A journal that does not tell of
// changes is not relied on.
func (h *hints) learn(ctx context.Context, why hint, found []Event) {
	if slices.Contains(found, Event{Change: MountBack}) || h.missing && time.Since(h.renewed) >= renewPause {
		h.renew(ctx)
		return
	}
	written := slices.ContainsFunc(found, func(e Event) bool { return e.Change == FileChanged })
	switch {
	case why&journalHint != 0:
		h.missed = 0
	case written:
		h.missed++
		h.journal = h.journal && h.missed <= maxMissed
	}
}

// understand returns what an event is a hint of.
func (h *hints) understand(ctx context.Context, ev fsnotify.Event, open bool) hint {
	if !open {
		h.notify = nil
		h.renew(ctx)
		return localHint | journalHint
	}
	if ev.Has(fsnotify.Create) && ev.Name == filepath.Join(h.fs.cfg.Root, haFolder) {
		h.renew(ctx)
	}
	return h.watched[ev.Name]
}
