package lrm_test

import (
	"maps"

	"pveha/internal/ha"
	"pveha/lrm"
)

// What the LRM sees of its history, and does to it.

var (
	_ lrm.Env   = (*history)(nil)
	_ lrm.Agent = (*history)(nil)
)

// fails reports whether this call of the cluster file system fails.
func (h *history) fails() error {
	if h.now < h.outageAt && h.one(2) {
		return errBroken
	}
	return nil
}

func (h *history) Now() ha.Epoch       { return h.now }
func (h *history) Sleep(seconds int64) { h.pass(seconds) }

// SleepUntil is cut short by events in every second history.
func (h *history) SleepUntil(t ha.Epoch) (woken bool) {
	seconds := int64(t - h.now)
	if h.events && seconds > 0 && h.one(2) {
		seconds, woken = h.rnd.Int64N(seconds), true
	}
	h.pass(seconds)
	return woken
}
func (h *history) Monotonic() ha.Epoch { return h.now }

// GuestAlive notices deaths where there are events.
func (h *history) GuestAlive(sid ha.SID) (alive, known bool) {
	return h.guests[sid] != nil, h.events && !h.one(10)
}
func (h *history) Log(e ha.Entry)   { h.note("%s: %s", e.Level, e.Text) }
func (h *history) NodeName() string { return here }
func (h *history) Quorate() bool    { return h.quorate }
func (h *history) Refresh() bool    { return h.fails() == nil }

// ReadManagerStatus returns what was there when the node had quorum last.
func (h *history) ReadManagerStatus() (*ha.ManagerStatus, error) {
	if err := h.fails(); err != nil {
		return nil, err
	}
	if h.quorate || h.view == nil {
		h.view = h.published
	}
	for sid, g := range h.guests {
		switch {
		case !activeHere(h.view, sid):
			g.owed = false
		case h.client != nil && !g.late:
			g.owed = true
		}
	}
	return h.view, nil
}

func (h *history) WriteLRMStatus(s *ha.LRMStatus) error {
	if err := h.fails(); err != nil {
		return err
	}
	for uid := range s.Results {
		h.told[uid] = true
	}
	h.saw("mode " + string(s.Mode))
	h.written = s
	return nil
}

func (h *history) Services() (map[ha.SID]ha.ServiceConfig, string, error) {
	return h.configs, "", h.fails()
}

// place moves the configuration of a guest.
func (h *history) place(sid ha.SID, node string) {
	h.configs = maps.Clone(h.configs)
	h.configs[sid] = ha.ServiceConfig{Node: node, MaxRestart: ha.DefaultMaxRestart}
}

// take takes or refreshes the agent lock.
func (h *history) take(who string) bool {
	if h.lock.holder != "" && h.lock.holder != who && h.now-h.lock.since <= lockLifetime {
		return false
	}
	h.lock.holder, h.lock.since = who, h.now
	return true
}

func (h *history) TakeAgentLock() bool {
	got := h.quorate && h.fails() == nil && h.take(here)
	h.note("lock: %v", got)
	return got
}

func (h *history) ReleaseAgentLock() bool {
	if !h.quorate || h.fails() != nil || h.lock.holder != here {
		return false
	}
	h.note("lock released")
	h.lock.holder = ""
	return true
}

type client struct {
	h       *history
	updated ha.Epoch
	broken  bool
}

func (h *history) OpenWatchdog() (ha.Watchdog, error) {
	h.check(h.client == nil, "a second watchdog")
	if h.storm && h.one(20) {
		return nil, errBroken
	}
	h.note("watchdog open")
	h.client = &client{h: h, updated: h.now}
	return h.client, nil
}

func (c *client) Update() error {
	c.h.check(c == c.h.client, "an update of a closed watchdog")
	if c.broken {
		return errBroken
	}
	c.updated = c.h.now
	return nil
}

func (c *client) Close() error {
	h := c.h
	h.check(c == h.client, "a watchdog closed twice")
	h.check(len(h.workers) == 0, "watchdog closed while a worker runs")
	h.saw("closed " + string(h.daemon.State()))
	h.note("watchdog close")
	h.client = nil
	if c.broken {
		return errBroken // and the reset comes all the same
	}
	h.resetAt = 0
	return nil
}

func (h *history) NodeShutdown() (shutdown, reboots bool, err error) {
	return h.leaving != restart, h.leaving == reboot, h.fails()
}

func (h *history) ShutdownPolicy() (ha.ShutdownPolicy, error) { return h.policy, h.fails() }

func (h *history) MaxWorkers() (int, error) { return h.limit, h.fails() }

func (h *history) StartWorker(o lrm.Order) error {
	if h.storm && h.one(30) {
		return errBroken
	}
	h.note("worker of %s starts: %s %s", o.SID, o.State, o.UID)
	h.saw("orders " + string(h.daemon.State()))
	h.check(h.workers[o.SID] == nil, "a second worker of %s", o.SID)
	h.check(len(h.workers) < h.limit, "more than %d workers", h.limit)
	h.check(o.State == ha.Stopped || !h.told[o.UID], "order %s is carried out again", o.UID)
	h.check(o.State != ha.Started || h.protected(), "%s is to be started without a watchdog", o.SID)
	h.workers[o.SID] = &worker{order: o, until: h.now + 1 + ha.Epoch(h.rnd.IntN(25))}
	return nil
}

func (h *history) FinishedWorkers() []lrm.Finished {
	ended := h.ended
	h.ended = nil
	return ended
}

// The agent. An order that is carried out within the round takes its time.

func (h *history) Handles(string) bool { return true }

func (h *history) Running(sid ha.SID) (bool, error) { return h.guests[sid] != nil, nil }

// act is an action on a guest: some fail, and some have no effect.
func (h *history) act(do func()) error {
	if h.storm && h.one(15) {
		return errBroken
	}
	if !h.storm || !h.one(15) {
		do()
	}
	return nil
}

func (h *history) Start(sid ha.SID) error {
	h.pass(int64(h.rnd.IntN(4)))
	return quiet{h}.Start(sid)
}

func (h *history) Shutdown(sid ha.SID, timeout string) error {
	h.pass(int64(h.rnd.IntN(4)))
	return quiet{h}.Shutdown(sid, timeout)
}

func (h *history) Migrate(sid ha.SID, target string, online bool) (moved bool, err error) {
	h.pass(int64(h.rnd.IntN(4)))
	return quiet{h}.Migrate(sid, target, online)
}

// quiet is the agent in a worker: the time has passed already.
type quiet struct{ *history }

func (q quiet) Start(sid ha.SID) error {
	return q.act(func() {
		q.check(q.protected(), "%s is started without a watchdog", sid)
		q.saw("started")
		q.note("%s runs", sid)
		q.guests[sid] = &guest{owed: activeHere(q.view, sid)}
	})
}

func (q quiet) Shutdown(sid ha.SID, _ string) error {
	return q.act(func() {
		q.note("%s is stopped", sid)
		delete(q.guests, sid)
	})
}

func (q quiet) Migrate(sid ha.SID, target string, _ bool) (moved bool, err error) {
	err = q.act(func() {
		q.saw("moved out")
		q.note("%s is moved out", sid)
		delete(q.guests, sid)
		q.place(sid, target)
		moved = true
	})
	return moved, err
}
