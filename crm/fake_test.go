package crm

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/cfgparse/hacfg"
	"pveha/crm/nodestate"
	"pveha/crm/usage"
	"pveha/internal/ha"
)

// fake is everything outside of one CRM: a cluster whose facts a test sets,
// with a clock that moves when somebody sleeps. Every call that has an effect
// is written to the trace, in order and together with the log lines.
type fake struct {
	now      ha.Epoch
	wallStep ha.Epoch // by which somebody has set the wall clock

	node    string // the local one
	quorate bool
	stale   bool            // the view of the cluster file system is not consistent
	members map[string]bool // nodes of the cluster: are they online
	version map[string]string

	manager    *ha.ManagerStatus // as it was written last
	lrms       map[string]*ha.LRMStatus
	commands   string
	services   map[ha.SID]ha.ServiceConfig
	edits      int // of services, for the digest
	rules      string
	groups     string
	scheduling Scheduling
	guestLocks map[ha.SID]string
	figures    map[ha.SID]usage.ServiceStats // of the guests
	sizes      map[string]usage.NodeStats    // of the nodes

	managerLock func() bool
	lockKept    bool // by another node, as is known
	agentLock   func(node string) bool
	watchdog    *fakeWatchdog // the open one, nil for none

	trace []string
	calls []string // every call that can fail, by name
	// fault lets calls fail: call n, counted from 1, before or after its
	// effect. A call that answers yes or no then answers no.
	fault func(n int, name string) (before, after error)

	// takes is told of every such call before its effect, to let time pass.
	takes func(name string)
	// wake makes the next wait end after so many seconds, 0: it does not.
	wake ha.Epoch

	quiet   bool // no trace
	onWrite func(s *ha.ManagerStatus)
	onLog   func(e ha.Entry)
	onSteal func(sid ha.SID, from string)
	uids    int
}

var (
	_       Env = (*fake)(nil)
	errDown     = errors.New("connection refused")
)

// newFake is a healthy cluster without services.
func newFake(nodes ...string) *fake {
	f := &fake{
		now: 1000, node: nodes[0], quorate: true,
		members: map[string]bool{}, version: map[string]string{},
		lrms: map[string]*ha.LRMStatus{}, services: map[ha.SID]ha.ServiceConfig{},
		scheduling: DefaultScheduling(),
		guestLocks: map[ha.SID]string{},
		figures:    map[ha.SID]usage.ServiceStats{}, sizes: map[string]usage.NodeStats{},
		managerLock: func() bool { return true },
		agentLock:   func(string) bool { return false },
	}
	for _, node := range nodes {
		f.addNode(node)
	}
	return f
}

func (f *fake) addNode(node string) {
	f.members[node] = true
	f.version[node] = "9.0.0"
	f.lrms[node] = &ha.LRMStatus{State: ha.LRMActive, Mode: ha.ModeActive}
	f.sizes[node] = usage.NodeStats{MaxCPU: 8, MaxMem: 32 << 30}
}

// guest configures a service with the defaults.
func (f *fake) guest(sid ha.SID, node string, state ha.RequestState) {
	f.configure(sid, ha.ServiceConfig{
		Node: node, State: state, Failback: true,
		MaxRestart: ha.DefaultMaxRestart, MaxRelocate: ha.DefaultMaxRelocate,
	})
}

func (f *fake) configure(sid ha.SID, cfg ha.ServiceConfig) {
	f.services[sid] = cfg
	f.edits++
}

// config numbers the orders.
func (f *fake) config() Config {
	return Config{NewUID: func(state ha.ServiceState) string {
		f.uids++
		return fmt.Sprintf("%s-%d", state, f.uids)
	}}
}

func (f *fake) note(format string, args ...any) {
	if f.quiet {
		return
	}
	f.trace = append(f.trace, fmt.Sprintf(format, args...))
}

// taken returns the trace so far and begins a new one.
func (f *fake) taken() []string {
	trace := f.trace
	f.trace = nil
	return trace
}

var levels = []ha.Level{ha.LevelDebug, ha.LevelInfo, ha.LevelNotice, ha.LevelWarning, ha.LevelErr}

func isLog(line string) bool {
	return slices.ContainsFunc(levels, func(l ha.Level) bool { return strings.HasPrefix(line, string(l)+": ") })
}

// logged returns the log lines since the last time, and forgets the rest.
func (f *fake) logged() (lines []string) {
	for _, line := range f.taken() {
		if isLog(line) {
			lines = append(lines, line)
		}
	}
	return lines
}

// effects returns what was done since the last time, and forgets the rest.
func (f *fake) effects() []string { return slices.DeleteFunc(f.taken(), isLog) }

// do is the one way through which calls go that can fail.
func (f *fake) do(name string, effect func() error) error {
	f.calls = append(f.calls, name)
	if f.takes != nil {
		f.takes(name)
	}
	var before, after error
	if f.fault != nil {
		before, after = f.fault(len(f.calls), name)
	}
	if before != nil {
		return before
	}
	if err := effect(); err != nil {
		return err
	}
	return after
}

// get is do for a call that only reads.
func get[T any](f *fake, name string, value func() T) (got T, err error) {
	err = f.do(name, func() error {
		got = value()
		return nil
	})
	if err != nil {
		var nothing T
		return nothing, err
	}
	return got, nil
}

func (f *fake) Now() ha.Epoch { return f.now + f.wallStep }

func (f *fake) Monotonic() ha.Epoch { return f.now }

func (f *fake) Sleep(seconds int64) {
	f.note("sleep %d", seconds)
	f.now += ha.Epoch(seconds)
}

func (f *fake) SleepUntil(t ha.Epoch) (woken bool) {
	f.note("sleep until +%d", max(0, t-f.Monotonic()))
	woken = f.wake > 0 && f.now+f.wake < t
	if woken {
		t = f.now + f.wake
	}
	f.now = max(f.now, t)
	return woken
}

func (f *fake) Log(e ha.Entry) {
	f.note("%s: %s", e.Level, e.Text)
	if f.onLog != nil {
		f.onLog(e)
	}
}

func (f *fake) NodeName() string { return f.node }

func (f *fake) Quorate() bool {
	quorate, _ := get(f, "Quorate", func() bool { return f.quorate })
	return quorate
}

func (f *fake) Refresh() bool {
	fresh, _ := get(f, "Refresh", func() bool { return !f.stale })
	return fresh
}

func (f *fake) Members() (map[string]nodestate.Member, error) {
	return get(f, "Members", func() map[string]nodestate.Member {
		all := map[string]nodestate.Member{}
		for node, online := range f.members {
			all[node] = nodestate.Member{Online: online}
		}
		return all
	})
}

func (f *fake) NodeVersion(node string) (string, error) {
	return get(f, "NodeVersion", func() string { return f.version[node] })
}

func (f *fake) ReadManagerStatus() (*ha.ManagerStatus, error) {
	return get(f, "ReadManagerStatus", func() *ha.ManagerStatus {
		if f.manager == nil {
			return &ha.ManagerStatus{}
		}
		return f.manager
	})
}

func (f *fake) WriteManagerStatus(s *ha.ManagerStatus) error {
	return f.do("WriteManagerStatus", func() error {
		f.note("write manager status")
		f.manager = s.Clone()
		if f.onWrite != nil {
			f.onWrite(f.manager)
		}
		return nil
	})
}

func (f *fake) ReadLRMStatus(node string) (*ha.LRMStatus, error) {
	return get(f, "ReadLRMStatus", func() *ha.LRMStatus {
		if s := f.lrms[node]; s != nil {
			return s
		}
		return &ha.LRMStatus{}
	})
}

func (f *fake) CommandsPending() (bool, error) {
	return get(f, "CommandsPending", func() bool { return f.commands != "" })
}

// TakeCommands keeps its promise: when it fails the queue is as it was.
func (f *fake) TakeCommands() (string, error) {
	queue, err := get(f, "TakeCommands", func() string { return f.commands })
	if err == nil {
		f.commands = ""
	}
	return queue, err
}

func (f *fake) Services() (map[ha.SID]ha.ServiceConfig, string, error) {
	all, err := get(f, "Services", func() map[ha.SID]ha.ServiceConfig { return f.services })
	return all, fmt.Sprint(f.edits), err
}

func (f *fake) UpdateServices(changes map[ha.SID]ServiceChange) error {
	return f.do("UpdateServices", func() error {
		for _, sid := range slices.Sorted(maps.Keys(changes)) {
			cfg, ok := f.services[sid]
			if !ok {
				return fmt.Errorf("no such resource '%s'", sid)
			}
			change := changes[sid]
			if change.State != "" {
				cfg.State = change.State
			}
			if change.Failback != nil {
				cfg.Failback = *change.Failback
			}
			if change.DeleteGroup {
				cfg.Group = ""
			}
			f.note("configure %s: state %s, failback %t, group '%s'", sid, cfg.State, cfg.Failback, cfg.Group)
			f.configure(sid, cfg)
		}
		return nil
	})
}

func (f *fake) Rules() (*hacfg.Rules, error) {
	return get(f, "Rules", func() *hacfg.Rules {
		r, _ := hacfg.ParseRules("rules.cfg", []byte(f.rules))
		return r
	})
}

func (f *fake) WriteRules(r *hacfg.Rules) error {
	return f.do("WriteRules", func() error {
		raw, err := r.Write()
		if err == nil {
			f.note("write rules")
			f.rules = string(raw)
		}
		return err
	})
}

func (f *fake) Groups() (*hacfg.Groups, error) {
	return get(f, "Groups", func() *hacfg.Groups {
		g, _ := hacfg.ParseGroups("groups.cfg", []byte(f.groups))
		return g
	})
}

func (f *fake) DeleteGroups() error {
	return f.do("DeleteGroups", func() error {
		f.note("delete groups")
		f.groups = ""
		return nil
	})
}

func (f *fake) Scheduling() (Scheduling, error) {
	return get(f, "Scheduling", func() Scheduling { return f.scheduling })
}

// master is a manager that has taken over what the cluster is like.
func (f *fake) master(t testing.TB) *Manager {
	t.Helper()
	m, err := newManager(f, f.config())
	require.NoError(t, err)
	return m
}
