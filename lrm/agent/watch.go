package agent

import (
	"errors"
	"maps"
	"slices"
	"sync"

	"pveha/internal/ha"
	"pveha/internal/process"
)

// Watcher tells when guests that ran have ended, at once: of a VM by its
// process, of a container by its control group. It may be used by many
// goroutines.
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
}

// watched is what is known of one guest.
type watched struct {
	armed   bool            // it runs, and its end will be noticed
	ended   bool            // it was armed before and has not been seen since
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

// Alive reports whether a guest runs, as far as that is known without asking
// anybody, and whether it is. One that was not watched is watched from now on.
//
// A guest is known to run as long as its end would be noticed, and known not to
// after it was, until it is taken up again. A VM that is locked for a backup is
// never taken up: it may only wait for the backup to start it, which its
// monitor knows.
func (w *Watcher) Alive(sid ha.SID) (alive, known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.want(sid)
	g := w.guests[sid]
	if g == nil {
		return false, false
	}
	return g.armed, g.armed || g.ended
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

// want has a guest taken up. The lock is held.
func (w *Watcher) want(sid ha.SID) {
	if w.closed || !w.agent.Handles(sid.Type()) {
		return
	}
	g := w.guests[sid]
	if g == nil {
		g = &watched{}
		w.guests[sid] = g
	}
	if !g.armed {
		notify(w.poke)
	}
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

// loop takes guests up, away from those who ask, because their configuration
// is read for that.
func (w *Watcher) loop() {
	for {
		select {
		case <-w.closing:
			return
		case <-w.poke:
		}
		w.mu.Lock()
		var idle []ha.SID
		for sid, g := range w.guests {
			if !g.armed {
				idle = append(idle, sid)
			}
		}
		w.mu.Unlock()
		slices.Sort(idle)
		for _, sid := range idle {
			w.report(sid, w.takeUp(sid))
		}
	}
}

// report logs why a guest cannot be watched, once. It is found dead all the
// same when somebody looks.
func (w *Watcher) report(sid ha.SID, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	g := w.guests[sid]
	if g == nil {
		return
	}
	trouble := ""
	if err != nil {
		trouble = err.Error()
	}
	if trouble != "" && trouble != g.trouble {
		w.agent.log(ha.LevelWarning, sid, "end of '%s' will not be noticed at once: %s", sid, trouble)
	}
	g.trouble = trouble
}

// takeUp arms a guest if it runs.
func (w *Watcher) takeUp(sid ha.SID) error {
	if sid.Type() == "ct" {
		return w.takeUpContainer(sid)
	}
	pid, err := w.agent.cfg.Paths.vmProcess(sid)
	if err != nil || pid == 0 {
		return err
	}
	vm, err := process.Open(pid)
	if err != nil {
		return err
	}
	// What the number stands for can no longer change: is it the VM?
	again, err := w.agent.cfg.Paths.vmProcess(sid)
	lock := "backup"
	if err == nil && again == pid {
		lock, err = w.agent.Lock(sid)
	}
	if err != nil || again != pid || lock == "backup" || !w.arm(sid, vm) {
		_ = vm.Close() // nothing was written to it
		return err
	}
	return nil
}

// arm marks a guest that runs, and false if it is not wanted any more.
func (w *Watcher) arm(sid ha.SID, vm *process.Handle) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	g := w.guests[sid]
	if g == nil || w.closed {
		return false
	}
	g.armed, g.ended, g.vm = true, false, vm
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
	g.armed, g.ended, g.vm = false, true, nil
	w.ended[sid] = true
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
func (w *Watcher) takeUpContainer(sid ha.SID) error {
	runs, err := w.agent.cfg.Paths.containerRuns(sid)
	if err != nil || !runs {
		return err
	}
	groups, err := w.containers()
	if err != nil {
		return err
	}
	// First armed, then watched: its end is told of an armed guest only.
	if !w.arm(sid, nil) {
		return nil
	}
	if err := groups.Add(sid); err != nil {
		w.lose(sid)
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.guests[sid] == nil { // forgotten meanwhile
		groups.Remove(sid)
	}
	return nil
}

// containers returns the watch over control groups, made when first needed.
func (w *Watcher) containers() (*groups, error) {
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
