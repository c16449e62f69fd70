package crm

import (
	"errors"
	"fmt"
	"slices"

	"pveha/crm/nodestate"
	"pveha/crm/usage"
	"pveha/internal/ha"
)

func (f *fake) ManagerLock() bool {
	got, _ := get(f, "ManagerLock", f.managerLock)
	f.note("manager lock: %s", yes(got))
	return got
}

func (f *fake) ManagerLockKept() bool { return f.lockKept }

func (f *fake) ReleaseManagerLock() bool {
	released, _ := get(f, "ReleaseManagerLock", func() bool { return true })
	f.note("release manager lock: %s", yes(released))
	return released
}

func (f *fake) AgentLock(node string) bool {
	got, _ := get(f, "AgentLock", func() bool { return f.agentLock(node) })
	f.note("agent lock of %s: %s", node, yes(got))
	return got
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// fakeWatchdog is a connection to the multiplexer.
type fakeWatchdog struct{ *fake }

func (f *fake) OpenWatchdog() (ha.Watchdog, error) {
	w := &fakeWatchdog{f}
	err := f.do("OpenWatchdog", func() error {
		if f.watchdog != nil {
			return errors.New("watchdog already open")
		}
		f.note("open watchdog")
		f.watchdog = w
		return nil
	})
	if err != nil {
		f.watchdog = nil
		return nil, err
	}
	return w, nil
}

func (w *fakeWatchdog) Update() error {
	return w.do("watchdog.Update", func() error {
		w.note("update watchdog")
		return w.mustBeOpen()
	})
}

// Close ends the connection even when the goodbye could not be said.
func (w *fakeWatchdog) Close() error {
	err := w.do("watchdog.Close", func() error {
		w.note("close watchdog")
		return w.mustBeOpen()
	})
	w.watchdog = nil
	return err
}

func (w *fakeWatchdog) mustBeOpen() error {
	if w.watchdog != w {
		return errors.New("no such watchdog handle")
	}
	return nil
}

func (f *fake) RemoveLocks(sid ha.SID, locks []string, node string) (removed string, err error) {
	err = f.do("RemoveLocks", func() error {
		if lock := f.guestLocks[sid]; slices.Contains(locks, lock) {
			f.note("remove lock %s of %s on %s", lock, sid, node)
			delete(f.guestLocks, sid)
			removed = lock
		}
		return nil
	})
	return removed, err
}

func (f *fake) Steal(sid ha.SID, from, to string) error {
	return f.do("Steal", func() error {
		cfg, ok := f.services[sid]
		if !ok || cfg.Node != from {
			return fmt.Errorf("rename of the configuration of '%s' from '%s' to '%s' failed", sid, from, to)
		}
		if f.onSteal != nil {
			f.onSteal(sid, from)
		}
		f.note("steal %s from %s to %s", sid, from, to)
		cfg.Node = to
		f.services[sid] = cfg // the file of services stays as it is
		return nil
	})
}

func (f *fake) BasicServices() (map[ha.SID]usage.Service, error) {
	return get(f, "BasicServices", func() map[ha.SID]usage.Service { return f.known(false) })
}

func (f *fake) StaticServices() (map[ha.SID]usage.Service, error) {
	return get(f, "StaticServices", func() map[ha.SID]usage.Service { return f.known(true) })
}

func (f *fake) DynamicServices() (map[ha.SID]usage.Service, error) {
	return get(f, "DynamicServices", func() map[ha.SID]usage.Service { return f.known(true) })
}

// known returns every guest, with its figures when they are asked for.
func (f *fake) known(figures bool) map[ha.SID]usage.Service {
	all := make(map[ha.SID]usage.Service, len(f.services))
	for sid, cfg := range f.services {
		s := usage.Service{Node: cfg.Node, State: cfg.State, Running: cfg.State == ha.RequestStarted}
		if stats, ok := f.figures[sid]; ok && figures {
			s.Stats = &stats
		}
		all[sid] = s
	}
	return all
}

func (f *fake) StaticNodes() (map[string]usage.NodeStats, error) {
	return get(f, "StaticNodes", func() map[string]usage.NodeStats { return f.sizes })
}

func (f *fake) DynamicNodes() (map[string]usage.NodeStats, error) {
	return get(f, "DynamicNodes", func() map[string]usage.NodeStats { return f.sizes })
}

func (f *fake) Notify(n nodestate.FenceNotification) { f.note("notify: %s: %s", n.Prefix, n.Subject) }
