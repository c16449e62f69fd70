package agent

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"pveha/internal/ha"
	"pveha/internal/process"
)

const (
	// lookWait is how long a question may take. Looking at a guest that is not
	// watched yet takes microseconds, unless the cluster file system or a
	// process hangs.
	lookWait = 50 * time.Millisecond
	// socketsFresh is how long the list of containers may be used, so that a
	// round that asks for every container reads it once.
	socketsFresh = 20 * time.Millisecond
)

// Watcher tells whether guests run, and when those that ran have ended, at
// once: of a VM by its process, of a container by its control group. It may be
// used by many goroutines.
type Watcher struct {
	agent   *Agent
	changed chan struct{}
	poke    chan struct{}
	closing chan struct{}
	loops   sync.WaitGroup

	mu     sync.Mutex
	closed bool
	guests map[ha.SID]*watched
	ended  map[ha.SID]bool // and not told yet
	groups *groups         // nil before the first container

	pending map[ha.SID]bool // to be looked at
	pass    chan struct{}   // closed when pending has been looked at
	slow    bool            // a look takes too long to wait for

	containers   map[string]bool // those that ran
	containersAt time.Time       // when they did
}

// watched is what is known of one guest.
type watched struct {
	armed   bool            // it runs, and its end will be noticed
	absent  bool            // it did not run when last seen
	vm      *process.Handle // of an armed VM
	trouble string          // why it could not be taken up, as logged
}

// NewWatcher returns a watcher of no guests, for the guests that an agent with
// this configuration handles.
func NewWatcher(cfg Config) *Watcher {
	w := &Watcher{
		agent: New(cfg), changed: make(chan struct{}, 1),
		poke: make(chan struct{}, 1), closing: make(chan struct{}),
		guests: map[ha.SID]*watched{}, ended: map[ha.SID]bool{},
		pending: map[ha.SID]bool{}, pass: make(chan struct{}),
	}
	w.loops.Go(w.loop)
	return w
}

// Watch makes guests the ones that are watched, in place of those before. It
// may be called at any time: nothing happens for a guest that is watched
// already, and one that does not run is taken up by a later call when it does.
func (w *Watcher) Watch(guests []ha.SID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, sid := range slices.Sorted(maps.Keys(w.guests)) {
		if !slices.Contains(guests, sid) {
			w.forget(sid)
		}
	}
	for _, sid := range guests {
		w.want(sid)
	}
}

// Alive reports whether a guest runs, and whether that is known: the end of one
// that runs will be noticed, and one that does not was looked for just now. A
// guest that was not watched is watched from now on.
//
// It waits for nobody but for [lookWait] once, and then not again until what
// hangs has come back. A VM that is locked for a backup stays unknown, if it was
// not seen to run before: it may only wait for the backup to start it, which its
// monitor knows.
func (w *Watcher) Alive(sid ha.SID) (alive, known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	g := w.want(sid)
	if g == nil {
		return false, false
	}
	if !g.armed && !w.slow {
		w.await(w.pass)
	}
	// A guest that could not be looked at is not what it was before.
	return g.armed, g.armed || g.absent && !w.slow
}

// await waits until what is pending now has been looked at, or for too long.
// The lock is held, but not meanwhile.
func (w *Watcher) await(pass <-chan struct{}) {
	w.mu.Unlock()
	late := time.NewTimer(lookWait)
	defer late.Stop()
	slow := false
	select {
	case <-pass:
	case <-w.closing:
	case <-late.C:
		slow = true
	}
	w.mu.Lock()
	select {
	case <-pass: // after all
	default:
		w.slow = w.slow || slow
	}
}

// Changed is readable when a guest has ended since the last call of Ended.
func (w *Watcher) Changed() <-chan struct{} { return w.changed }

// Ended returns the guests that ended since the last call, in order.
func (w *Watcher) Ended() []ha.SID {
	w.mu.Lock()
	defer w.mu.Unlock()
	ended := slices.Sorted(maps.Keys(w.ended))
	clear(w.ended)
	return ended
}

// Close ends all watching and waits until nothing is left of it.
func (w *Watcher) Close() error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return nil
	}
	w.closed = true
	for _, sid := range slices.Sorted(maps.Keys(w.guests)) {
		w.forget(sid)
	}
	close(w.closing)
	w.mu.Unlock()
	w.loops.Wait()
	if w.groups != nil {
		return w.groups.Close()
	}
	return nil
}

// want has a guest taken up, and returns what is known of it, nil if it is none.
// The lock is held.
func (w *Watcher) want(sid ha.SID) *watched {
	if w.closed || !w.agent.Handles(sid.Type()) {
		return nil
	}
	g := w.guests[sid]
	if g == nil {
		g = &watched{}
		w.guests[sid] = g
	}
	if !g.armed {
		w.pending[sid] = true
		notify(w.poke)
	}
	return g
}

// forget ends the watching of a guest. The lock is held.
func (w *Watcher) forget(sid ha.SID) {
	g := w.guests[sid]
	delete(w.guests, sid)
	if g.vm != nil {
		_ = g.vm.Close() // nothing was written to it
	}
	if w.groups != nil {
		w.groups.Remove(sid)
	}
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// loop looks at guests, away from those who ask, because their configuration
// is read for that.
func (w *Watcher) loop() {
	for {
		select {
		case <-w.closing:
			return
		case <-w.poke:
		}
		w.mu.Lock()
		pending := slices.Sorted(maps.Keys(w.pending))
		clear(w.pending)
		pass := w.pass
		w.pass = make(chan struct{})
		w.mu.Unlock()
		for _, sid := range pending {
			absent, err := w.takeUp(sid)
			w.report(sid, absent, err)
		}
		w.mu.Lock()
		w.slow = false
		close(pass)
		w.mu.Unlock()
	}
}

// report notes what came of looking at a guest, and logs why it cannot be
// watched, once. It is found dead all the same when somebody looks.
func (w *Watcher) report(sid ha.SID, absent bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	g := w.guests[sid]
	if g == nil {
		return
	}
	g.absent = absent && !g.armed
	trouble := ""
	if err != nil {
		trouble = err.Error()
	}
	if trouble != "" && trouble != g.trouble {
		w.agent.log(ha.LevelWarning, sid, "end of '%s' will not be noticed at once: %s", sid, trouble)
	}
	g.trouble = trouble
}

// takeUp arms a guest if it runs, and tells if it does not.
func (w *Watcher) takeUp(sid ha.SID) (absent bool, err error) {
	if sid.Type() == "ct" {
		return w.takeUpContainer(sid)
	}
	pid, err := w.agent.cfg.Paths.vmProcess(sid)
	if err != nil || pid == 0 {
		return err == nil, err
	}
	vm, err := process.Open(pid)
	if err != nil {
		return false, err
	}
	// What the number stands for can no longer change: is it the VM?
	again, err := w.agent.cfg.Paths.vmProcess(sid)
	lock := "backup"
	if err == nil && again == pid {
		lock, err = w.agent.Lock(sid)
	}
	if err != nil || again != pid || lock == "backup" || !w.arm(sid, vm) {
		_ = vm.Close() // nothing was written to it
	}
	return false, err
}

// arm marks a guest that runs, and false if it is not wanted any more.
func (w *Watcher) arm(sid ha.SID, vm *process.Handle) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	g := w.guests[sid]
	if g == nil || w.closed {
		return false
	}
	if g.armed { // by the time it was asked for again
		return false
	}
	g.armed, g.absent, g.vm = true, false, vm
	if vm != nil {
		w.loops.Go(func() {
			if vm.Wait() == nil {
				w.end(sid, vm)
			}
		})
	}
	return true
}

// end takes note that a guest has ended: a VM by the process it was, a
// container with nil.
func (w *Watcher) end(sid ha.SID, vm *process.Handle) {
	w.mu.Lock()
	defer w.mu.Unlock()
	g := w.guests[sid]
	if g == nil || !g.armed || g.vm != vm {
		return
	}
	if vm != nil {
		_ = vm.Close() // nothing was written to it
	}
	g.armed, g.absent, g.vm = false, true, nil
	w.ended[sid] = true
	w.containersAt = time.Time{}
	notify(w.changed)
}

// lose takes note that nobody would notice the end of a container any more.
func (w *Watcher) lose(sid ha.SID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if g := w.guests[sid]; g != nil {
		g.armed = false
	}
}

// takeUpContainer arms a container if it runs.
func (w *Watcher) takeUpContainer(sid ha.SID) (absent bool, err error) {
	runs, err := w.containerRuns(sid)
	if err != nil || !runs {
		return err == nil, err
	}
	groups, err := w.controlGroups()
	if err != nil {
		return false, err
	}
	// First armed, then watched: its end is told of an armed guest only.
	if !w.arm(sid, nil) {
		return false, nil
	}
	if err := groups.Add(sid); err != nil {
		w.lose(sid)
		return false, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.guests[sid] == nil { // forgotten meanwhile
		groups.Remove(sid)
	}
	return false, nil
}

// containerRuns looks a container up in the list of those that run, which is
// read once for all of them.
func (w *Watcher) containerRuns(sid ha.SID) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if time.Since(w.containersAt) > socketsFresh {
		running, err := w.agent.cfg.Paths.containers()
		if err != nil {
			return false, err
		}
		w.containers, w.containersAt = running, time.Now()
	}
	return w.containers[sid.Name()], nil
}

// controlGroups returns the watch over control groups, made when first needed.
func (w *Watcher) controlGroups() (*groups, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, errors.New("closed")
	}
	if w.groups == nil {
		g, err := watchGroups(w.agent.cfg.Paths, func(sid ha.SID) { w.end(sid, nil) }, w.lose)
		if err != nil {
			return nil, err
		}
		w.groups = g
	}
	return w.groups, nil
}
