package lrm_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
	"pveha/lrm"
)

const (
	here      = "node1" // the local node
	elsewhere = "node2"
)

// errBroken is what a broken part of the world answers.
var errBroken = errors.New("cfs connection refused")

// world is all that an LRM sees, and what it does there: every call with an
// effect, in order. Reading has no effect.
type world struct {
	t      *testing.T
	record []string

	now      ha.Epoch
	wallStep ha.Epoch // by which somebody has set the wall clock
	wake     ha.Epoch // ends a wait after so many seconds, 0: nothing does
	watched  bool     // the deaths of guests are noticed
	onSleep  func()   // in every second of a wait

	quorate bool
	refresh bool

	manager  ha.ManagerStatus
	services map[ha.SID]ha.ServiceConfig
	readErr  error // of the manager status
	confErr  error // of the services
	writeErr error // of the LRM status
	written  *ha.LRMStatus
	onRead   func() // before the manager status is read

	lockTaken bool
	lockTime  int64  // of one try, in seconds
	onLock    func() // before a try

	openErr, updateErr, closeErr error
	onUpdate                     func() // of the watchdog

	shutdown, reboot       bool
	policy                 ha.ShutdownPolicy
	shutdownErr, policyErr error

	workers    int // how many may run; zero carries orders out inline
	workersErr error
	startErr   error
	busy       ha.SID // a guest on which another action still runs
	startTime  int64  // of one start, in seconds
	onStart    func(lrm.Order)
	ended      []lrm.Finished

	guests agent
}

// newWorld is a quorate node in good order without services.
func newWorld(t *testing.T) *world {
	w := &world{
		t:         t,
		now:       1000,
		quorate:   true,
		refresh:   true,
		lockTaken: true,
		services:  map[ha.SID]ha.ServiceConfig{},
		policy:    ha.PolicyConditional,
		manager: ha.ManagerStatus{
			NodeStatus:    map[string]ha.NodeState{here: ha.NodeOnline},
			ServiceStatus: map[ha.SID]*ha.ServiceStatus{},
			NodeRequest:   map[string]ha.NodeRequest{},
		},
	}
	w.guests = agent{w: w, running: map[ha.SID]bool{}}
	return w
}

// assign is the master giving an order for a service of this node.
func (w *world) assign(sid ha.SID, state ha.ServiceState, uid string) *ha.ServiceStatus {
	w.services[sid] = ha.ServiceConfig{Node: here, MaxRestart: ha.DefaultMaxRestart}
	s := &ha.ServiceStatus{State: state, Node: here, UID: uid}
	w.manager.ServiceStatus[sid] = s
	return s
}

// drop takes a service off this node.
func (w *world) drop(sid ha.SID) {
	w.services[sid] = ha.ServiceConfig{Node: elsewhere}
	w.manager.ServiceStatus[sid] = &ha.ServiceStatus{State: ha.Started, Node: elsewhere, UID: "there"}
}

func (w *world) maintenance(on bool) { w.manager.NodeRequest[here] = ha.NodeRequest{Maintenance: on} }

func (w *world) disarm(on bool) {
	w.manager.Disarm = nil
	if on {
		w.manager.Disarm = &ha.Disarm{Mode: ha.DisarmFreeze, State: ha.Disarming}
	}
}

func (w *world) lrm() *lrm.LRM { return lrm.New(w, &w.guests, lrm.Config{FinishMoves: true}) }

// active returns an LRM that has become active for the service vm:100, which
// runs and has its order carried out. The record begins behind that.
func (w *world) active() *lrm.LRM {
	w.t.Helper()
	w.assign("vm:100", ha.Started, "uid100")
	w.guests.running["vm:100"] = true
	workers := w.workers
	w.workers = 0
	l := w.lrm()
	w.round(l)
	w.workers = workers
	require.Equal(w.t, ha.LRMActive, l.State())
	w.take()
	return l
}

// round is a round of a daemon that goes on.
func (w *world) round(l *lrm.LRM) {
	w.t.Helper()
	alive, err := l.Iterate()
	require.NoError(w.t, err)
	require.True(w.t, alive)
}

// lastRound is a round after which the daemon ends.
func (w *world) lastRound(l *lrm.LRM) {
	w.t.Helper()
	alive, err := l.Iterate()
	require.NoError(w.t, err)
	require.False(w.t, alive)
}

// failedRound is a round that could not go on, and returns why. The daemon
// lives.
func (w *world) failedRound(l *lrm.LRM) error {
	w.t.Helper()
	alive, err := l.Iterate()
	require.Error(w.t, err)
	require.True(w.t, alive)
	return err
}

func (w *world) add(format string, args ...any) {
	w.record = append(w.record, fmt.Sprintf(format, args...))
}

// take returns the record and starts a new one.
func (w *world) take() []string {
	r := w.record
	w.record = nil
	return r
}

// only returns what of the record is one of the given kinds, and starts a new
// one. The kind is the first word.
func (w *world) only(kinds ...string) []string {
	var picked []string
	for _, line := range w.take() {
		for _, kind := range kinds {
			if len(line) >= len(kind) && line[:len(kind)] == kind {
				picked = append(picked, line)
			}
		}
	}
	return picked
}

func (w *world) Now() ha.Epoch { return w.now + w.wallStep }

func (w *world) Monotonic() ha.Epoch { return w.now }

func (w *world) Sleep(seconds int64) {
	w.add("sleep %d", seconds)
	w.pass(w.now + ha.Epoch(seconds))
}

func (w *world) SleepUntil(t ha.Epoch) (woken bool) {
	w.add("sleep until %d", t)
	woken = w.wake > 0 && w.now+w.wake <= t
	if woken {
		t = w.now + w.wake
	}
	w.pass(t)
	return woken
}

// pass lets time pass, second by second.
func (w *world) pass(until ha.Epoch) {
	for w.now < until {
		w.now++
		if w.onSleep != nil {
			w.onSleep()
		}
	}
}

func (w *world) GuestAlive(sid ha.SID) (alive, known bool) {
	return w.guests.running[sid], w.watched
}

func (w *world) Log(e ha.Entry)   { w.add("%s: %s", e.Level, e.Text) }
func (w *world) NodeName() string { return here }
func (w *world) Quorate() bool    { return w.quorate }
func (w *world) Refresh() bool    { return w.refresh }

func (w *world) ReadManagerStatus() (*ha.ManagerStatus, error) {
	if w.onRead != nil {
		w.onRead()
	}
	return &w.manager, w.readErr
}

func (w *world) WriteLRMStatus(s *ha.LRMStatus) error {
	if w.writeErr != nil {
		return w.writeErr
	}
	w.add("write %s %s", s.State, s.Mode)
	w.written = s
	return nil
}

func (w *world) Services() (map[ha.SID]ha.ServiceConfig, string, error) {
	return w.services, "", w.confErr
}

func (w *world) TakeAgentLock() bool {
	if w.onLock != nil {
		w.onLock()
	}
	w.now += ha.Epoch(w.lockTime)
	if w.lockTaken {
		w.add("lock")
	} else {
		w.add("lock refused")
	}
	return w.lockTaken
}

func (w *world) ReleaseAgentLock() bool {
	w.add("release lock")
	return true
}

func (w *world) OpenWatchdog() (ha.Watchdog, error) {
	if w.openErr != nil {
		return nil, w.openErr
	}
	w.add("watchdog open")
	return watchdog{w}, nil
}

type watchdog struct{ w *world }

func (d watchdog) Update() error {
	if d.w.updateErr == nil {
		d.w.add("watchdog update")
	}
	if d.w.onUpdate != nil {
		d.w.onUpdate()
	}
	return d.w.updateErr
}

func (d watchdog) Close() error {
	d.w.add("watchdog close")
	return d.w.closeErr
}

func (w *world) NodeShutdown() (shutdown, reboot bool, err error) {
	return w.shutdown, w.reboot, w.shutdownErr
}

func (w *world) ShutdownPolicy() (ha.ShutdownPolicy, error) { return w.policy, w.policyErr }

func (w *world) MaxWorkers() (int, error) { return w.workers, w.workersErr }

func (w *world) StartWorker(o lrm.Order) error {
	if w.startErr != nil {
		return w.startErr
	}
	if w.busy == o.SID {
		return errBroken
	}
	w.now += ha.Epoch(w.startTime)
	w.add("worker %s %s %s", o.SID, o.State, o.UID)
	if w.onStart != nil {
		w.onStart(o)
	}
	return nil
}

// end is the end of the worker of a service.
func (w *world) end(sid ha.SID, code ha.ExitCode) {
	w.ended = append(w.ended, lrm.Finished{SID: sid, Result: lrm.Outcome{Code: code}})
}

func (w *world) FinishedWorkers() []lrm.Finished {
	ended := w.ended
	w.ended = nil
	return ended
}

// agent is the guests of the node. Every one obeys, unless it is told not to.
type agent struct {
	w       *world
	running map[ha.SID]bool
	refuse  bool // actions end without an error and without effect

	startTime int64 // of an action, in seconds

	runningErr, startErr, shutdownErr, migrateErr error
	laterErr                                      error // of looking again, after an action
}

func (a *agent) Handles(serviceType string) bool { return serviceType == "vm" || serviceType == "ct" }

func (a *agent) Running(sid ha.SID) (bool, error) { return a.running[sid], a.runningErr }

func (a *agent) act(text string, err error, do func()) error {
	a.w.now += ha.Epoch(a.startTime)
	a.w.add("agent %s", text)
	a.runningErr = a.laterErr
	if err == nil && !a.refuse {
		do()
	}
	return err
}

func (a *agent) Start(sid ha.SID) error {
	return a.act("start "+string(sid), a.startErr, func() { a.running[sid] = true })
}

func (a *agent) Shutdown(sid ha.SID, timeout string) error {
	return a.act("shutdown "+string(sid)+" "+timeout, a.shutdownErr, func() { delete(a.running, sid) })
}

func (a *agent) Migrate(sid ha.SID, target string, online bool) (moved bool, err error) {
	how := "relocate"
	if online {
		how = "migrate"
	}
	err = a.act(how+" "+string(sid)+" "+target, a.migrateErr, func() {
		delete(a.running, sid)
		a.w.services[sid] = ha.ServiceConfig{Node: target}
		moved = true
	})
	return moved, err
}
