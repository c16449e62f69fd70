package pveenv

import (
	"context"
	"regexp"
	"sync"

	"pveha/internal/ha"
	"pveha/pmxcfsio"
)

// Run watches for what a round of the CRM should look at, until the context
// ends, and wakes the daemon. It leaves nothing behind.
//
// A status that was only written again, with another time stamp, is no event:
// otherwise every round of one daemon would be one of all others. The CRM's own
// status is none of its events at all.
func (c *CRM) Run(ctx context.Context) {
	seen := statusFilter{read: c.read}
	var places map[uint32]pmxcfsio.Guest
	c.run(ctx, pmxcfsio.WatchConfig{Nodes: c.watchedNodes, Awaits: c.awaitedLock}, nil, func(e pmxcfsio.Event) bool {
		switch e.Change {
		case pmxcfsio.MountLost:
			return false
		case pmxcfsio.MountBack, pmxcfsio.QuorumChanged, pmxcfsio.MembersChanged:
			return true
		case pmxcfsio.GuestsChanged:
			guests, err := c.fs.Guests(ctx)
			if err == nil && samePlaces(places, guests.ByID) {
				return false // a configuration was changed, as happens all the time
			}
			places = guests.ByID
			return true
		case pmxcfsio.FileChanged:
		}
		switch e.File {
		case pmxcfsio.CommandsFile:
			waits, err := c.read(e.File)
			return err != nil || len(waits) > 0
		case pmxcfsio.LockPath(pmxcfsio.ManagerLock), pmxcfsio.ResourcesFile, pmxcfsio.RulesFile, pmxcfsio.GroupsFile, pmxcfsio.DatacenterFile:
			return true
		}
		return isLRMStatus.MatchString(e.File) && seen.isNews(e.File)
	})
}

var isLRMStatus = regexp.MustCompile(`^nodes/[^/]+/lrm_status$`)

// awaitedLock is the manager lock while another node has it: to a slave nothing
// else matters at once.
func (c *CRM) awaitedLock() string {
	if !c.manager.lock.Kept() {
		return ""
	}
	return pmxcfsio.LockPath(pmxcfsio.ManagerLock)
}

// watchedNodes are the nodes whose LRM matters: to the master, all of them.
func (c *CRM) watchedNodes() []string {
	if c.manager.lock.Left() == 0 {
		return nil
	}
	c.nodesMu.Lock()
	defer c.nodesMu.Unlock()
	return c.members
}

// Run watches for what a round of the LRM should look at, until the context
// ends, and wakes the daemon. It leaves nothing behind.
func (l *LRM) Run(ctx context.Context) {
	seen := statusFilter{read: l.read}
	var sources []source
	if l.workers != nil {
		sources = append(sources, source{changed: l.workers.Changed()})
	}
	if l.guests != nil {
		sources = append(sources, source{l.guests.Changed(), func() { l.guests.Ended() }})
	}
	l.run(ctx, pmxcfsio.WatchConfig{}, sources, func(e pmxcfsio.Event) bool {
		switch e.Change {
		case pmxcfsio.QuorumChanged, pmxcfsio.MountBack:
			return true
		case pmxcfsio.FileChanged:
			return e.File == pmxcfsio.ManagerStatusFile && seen.isNews(e.File)
		case pmxcfsio.MountLost, pmxcfsio.MembersChanged, pmxcfsio.GuestsChanged:
		}
		return false
	})
}

// source is something else that wakes a daemon.
type source struct {
	changed <-chan struct{}
	heard   func() // called when something came; nil: nothing to do
}

// run watches the cluster file system, the links and what else may end, until
// the context ends.
func (n *node) run(ctx context.Context, cfg pmxcfsio.WatchConfig, sources []source, matters func(pmxcfsio.Event) bool) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(n.ctx, cancel)
	defer stop()
	defer cancel()
	var loops sync.WaitGroup
	for _, s := range sources {
		loops.Go(func() {
			for {
				select {
				case <-s.changed:
					if s.heard != nil {
						s.heard()
					}
					n.waker.Wake()
				case <-ctx.Done():
					return
				}
			}
		})
	}
	if !n.cfg.Links.Off {
		loops.Go(func() { n.links.run(ctx) })
	}
	n.watchFiles(ctx, cfg, matters)
	loops.Wait()
}

// watchFiles wakes the daemon for every batch of changes in which one matters.
func (n *node) watchFiles(ctx context.Context, cfg pmxcfsio.WatchConfig, matters func(pmxcfsio.Event) bool) {
	watcher := n.fs.Watch(ctx, cfg)
	defer watcher.Close()
	for batch := range watcher.Events() {
		wake := false
		for _, e := range batch {
			// Each is looked at, because a filter learns from it.
			wake = matters(e) || wake
			n.note(e)
		}
		if wake {
			n.waker.Wake()
		}
	}
}

// note keeps what explains a reset of this node.
func (n *node) note(e pmxcfsio.Event) {
	switch e.Change {
	case pmxcfsio.MountLost:
		n.fence.files(false)
	case pmxcfsio.MountBack:
		n.fence.files(true)
	case pmxcfsio.QuorumChanged:
		n.view.forget()
		n.Quorate()
	case pmxcfsio.MembersChanged, pmxcfsio.GuestsChanged, pmxcfsio.FileChanged:
	}
}

// statusFilter tells a status that says something new from one that was only
// written again. It is used by one goroutine.
type statusFilter struct {
	read func(name string) ([]byte, error)
	last map[string]string // by file: its text but for its time
}

// timeStamp is the time of a status, in the forms in which both stacks write it.
// Nothing else in such a file can look like it: quotes in a text are escaped.
var (
	timeStamp = regexp.MustCompile(`"timestamp":"?[0-9]+"?`)
	noTime    = []byte(`"timestamp":0`)
)

// isNews reports whether a status has changed in more than its time since the
// last call for it. What cannot be read is news.
//
// The Perl stack writes names in another order every time, which only shows when
// the status is understood. But that is left to the round wherever it can be
// seen without: a status may be large, and change all the time.
func (f *statusFilter) isNews(name string) bool {
	raw, err := f.read(name)
	if err != nil {
		return true
	}
	text := string(timeStamp.ReplaceAllLiteral(raw, noTime))
	last, known := f.last[name]
	if f.last == nil {
		f.last = map[string]string{}
	}
	f.last[name] = text
	switch {
	case !known:
		return true
	case text == last:
		return false
	default:
		return !sameBytes(text, last) || canonical(name, text) != canonical(name, last)
	}
}

// sameBytes reports whether two texts may be the same but for the order in them.
func sameBytes(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	var more [256]int
	for i := range len(a) {
		more[a[i]]++
		more[b[i]]--
	}
	return more == [256]int{}
}

// canonical returns a status as this stack writes it, or as it is when it makes
// no sense.
func canonical(name, text string) string {
	if name == pmxcfsio.ManagerStatusFile {
		if s, err := ha.ParseManagerStatus(name, []byte(text)); err == nil {
			return string(s.Encode())
		}
	} else if s, err := ha.ParseLRMStatus(name, []byte(text)); err == nil {
		return string(s.Encode())
	}
	return text
}
