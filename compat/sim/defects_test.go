package sim

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/cfgparse/hacfg"
	"pveha/crm"
	"pveha/crm/nodestate"
	"pveha/internal/envtest"
	"pveha/internal/ha"
	"pveha/lrm"
)

// The contract is worth what it catches: every defect here breaks one promise,
// and the clause of that promise has to notice.
func TestContractNoticesDefects(t *testing.T) {
	clauses := map[string]envtest.Clause{}
	for _, c := range envtest.Contract() {
		clauses[c.Name] = c
	}
	for _, d := range defects {
		t.Run(d.clause+"/"+d.name, func(t *testing.T) {
			require.Contains(t, clauses, d.clause)
			w := &defectiveWorld{world: newWorld(t, false), bend: d.bend}
			complaints := verdict(t, func(tb testing.TB) { clauses[d.clause].Check(tb, w) })
			require.NotEmpty(t, complaints)
			t.Log(strings.TrimSpace(complaints[0]))
		})
	}
}

// verdict returns the failures of a check.
func verdict(t *testing.T, check func(testing.TB)) []string {
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() { // FailNow ends the goroutine
		defer close(done)
		check(r)
	}()
	<-done
	return r.failures
}

// recorder notes failures instead of failing.
type recorder struct {
	testing.TB
	failures []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) FailNow() { runtime.Goexit() }

// daemonEnv is what one environment of the simulator is to both daemons.
type daemonEnv interface {
	crm.Env
	lrm.Env
}

// defectiveWorld hands out environments with a defect.
type defectiveWorld struct {
	*world
	bend func(*env) daemonEnv
}

func (w *defectiveWorld) CRM(node string) crm.Env { return w.bend(w.nodes[node].crmEnv) }
func (w *defectiveWorld) LRM(node string) lrm.Env { return w.bend(w.nodes[node].lrmEnv) }

func (w *defectiveWorld) Took(clock crm.Clock, f func()) int64 {
	switch e := clock.(type) {
	case forgetsSleep:
		return w.world.Took(e.env, f)
	case sleepsAlways:
		return w.world.Took(e.env, f)
	}
	return w.world.Took(clock, f)
}

type defect struct {
	name   string
	clause string // that has to notice
	bend   func(*env) daemonEnv
}

var defects = []defect{
	{"everybody gets the lock", "one node holds the manager lock", func(e *env) daemonEnv { return alwaysLocks{e} }},
	{"everybody gets the lock", "no lock without quorum", func(e *env) daemonEnv { return alwaysLocks{e} }},
	{"a second less", "a lock expires without a refresh", func(e *env) daemonEnv { return agesLocks{e, -1} }},
	{"for ever", "a lock expires without a refresh", func(e *env) daemonEnv { return agesLocks{e, 1000} }},
	{"a few seconds more", "a lock expires without a refresh", func(e *env) daemonEnv { return agesLocks{e, 5} }},
	{"from the first try", "a refresh gives a lock its whole lifetime", func(e *env) daemonEnv { return neverRefreshes{e} }},
	{"another's try refreshes", "a try for another's lock does not refresh it", func(e *env) daemonEnv { return refreshesOthers{e} }},
	{"whoever asks", "only the holder releases a lock", func(e *env) daemonEnv { return releasesAll{e} }},
	{"without effect", "a released lock is free at once", func(e *env) daemonEnv { return neverReleases{e} }},
	{"without quorum", "a holder without quorum can neither refresh nor release", func(e *env) daemonEnv { return releasesAll{e} }},
	{"one for all", "the locks are independent", func(e *env) daemonEnv { return oneLock{e} }},

	{"the writer's own value", "the writer may change the manager status it has written", func(e *env) daemonEnv { return keepsValues{e} }},
	{"the writer's own value", "an LRM status once read stays as it is", func(e *env) daemonEnv { return keepsValues{e} }},
	{"in place", "a manager status once read stays as it is", func(e *env) daemonEnv { return writesInPlace{e} }},
	{"merged", "a write replaces the whole manager status", func(e *env) daemonEnv { return mergesStatus{e} }},
	{"none", "the LRM status of a node that wrote none is empty", func(e *env) daemonEnv { return noLRMStatus{e} }},
	{"one for all", "every node has its own LRM status", func(e *env) daemonEnv { return oneLRMStatus{e} }},
	{"value beside the error", "a node without files gets errors and changes nothing", func(e *env) daemonEnv { return valueWithError{e} }},
	{"no error", "a node without files gets errors and changes nothing", func(e *env) daemonEnv { return emptyWithoutFiles{e} }},
	{"no check", "a node without quorum writes nothing", func(e *env) daemonEnv { return writesAlways{e} }},

	{"kept", "commands are taken in order, and once", func(e *env) daemonEnv { return keepsCommands{e} }},
	{"sorted", "commands are taken in order, and once", func(e *env) daemonEnv { return sortsCommands{e} }},
	{"lost by looking", "a command that comes later is not lost", func(e *env) daemonEnv { return looksHard{e} }},

	{"one by one", "services are changed all or none", func(e *env) daemonEnv { return changesOneByOne{e} }},
	{"one live map", "services once read stay as they are", func(e *env) daemonEnv { return liveServices{e} }},
	{"one for all", "rules belong to who reads them", func(e *env) daemonEnv { return sharedRules{e} }},
	{"from anywhere", "a guest is not stolen from where it is not", func(e *env) daemonEnv { return stealsBlindly{e} }},
	{"any lock", "a leftover lock is removed when it is one of those asked for", func(e *env) daemonEnv { return removesAnyLock{e} }},

	{"all are there", "a node that is cut off is alone", func(e *env) daemonEnv { return seesAll{e} }},
	{"never fires", "a node whose watchdog is not updated is reset", func(e *env) daemonEnv { return deafWatchdog{e} }},
	{"not closed", "a watchdog that was closed in time resets nothing", func(e *env) daemonEnv { return leakyWatchdog{e} }},
	{"not updated", "an updated watchdog resets nothing", func(e *env) daemonEnv { return leakyWatchdog{e} }},
	{"the last one counts", "a sleep takes its time", func(e *env) daemonEnv { return forgetsSleep{e} }},
	{"a second at least", "a sleep until a time that has come takes none", func(e *env) daemonEnv { return sleepsAlways{e} }},
}

type alwaysLocks struct{ *env }

func (alwaysLocks) ManagerLock() bool { return true }

// agesLocks moves the time of the last refresh.
type agesLocks struct {
	*env
	by ha.Epoch
}

func (d agesLocks) ManagerLock() bool {
	got := d.env.ManagerLock()
	if got {
		d.cluster.cfs.locks[managerLock].since += d.by
	}
	return got
}

type neverRefreshes struct{ *env }

func (d neverRefreshes) ManagerLock() bool {
	old := d.cluster.cfs.locks[managerLock]
	got := d.env.ManagerLock()
	if old != nil && got {
		d.cluster.cfs.locks[managerLock].since = old.since
	}
	return got
}

type refreshesOthers struct{ *env }

func (d refreshesOthers) ManagerLock() bool {
	got := d.env.ManagerLock()
	d.cluster.cfs.locks[managerLock].since = d.now
	return got
}

type releasesAll struct{ *env }

func (d releasesAll) ReleaseManagerLock() bool {
	_, held := d.cluster.cfs.locks[managerLock]
	delete(d.cluster.cfs.locks, managerLock)
	return held
}

type neverReleases struct{ *env }

func (neverReleases) ReleaseManagerLock() bool { return true }

type oneLock struct{ *env }

func (d oneLock) TakeAgentLock() bool        { return d.ManagerLock() }
func (d oneLock) ReleaseAgentLock() bool     { return d.ReleaseManagerLock() }
func (d oneLock) AgentLock(node string) bool { return d.ManagerLock() }

type keepsValues struct{ *env }

func (d keepsValues) WriteManagerStatus(s *ha.ManagerStatus) error {
	d.cluster.cfs.manager = s
	return nil
}

func (d keepsValues) WriteLRMStatus(s *ha.LRMStatus) error {
	d.cluster.cfs.lrms[d.node.name] = s
	return nil
}

type writesInPlace struct{ *env }

func (d writesInPlace) WriteManagerStatus(s *ha.ManagerStatus) error {
	*d.cluster.cfs.manager = *s.Clone()
	return nil
}

type mergesStatus struct{ *env }

func (d mergesStatus) WriteManagerStatus(s *ha.ManagerStatus) error {
	merged := s.Clone()
	if merged.ServiceStatus == nil {
		merged.ServiceStatus = d.cluster.cfs.manager.ServiceStatus
	}
	return d.env.WriteManagerStatus(merged)
}

type noLRMStatus struct{ *env }

func (d noLRMStatus) ReadLRMStatus(node string) (*ha.LRMStatus, error) {
	return d.cluster.cfs.lrms[node], nil
}

type oneLRMStatus struct{ *env }

func (d oneLRMStatus) WriteLRMStatus(s *ha.LRMStatus) error {
	for _, node := range d.cluster.names {
		d.cluster.cfs.lrms[node] = s.Clone()
	}
	return nil
}

type valueWithError struct{ *env }

func (d valueWithError) ReadManagerStatus() (*ha.ManagerStatus, error) {
	return d.cluster.cfs.manager, d.mounted()
}

type emptyWithoutFiles struct{ *env }

func (d emptyWithoutFiles) ReadLRMStatus(node string) (*ha.LRMStatus, error) {
	if s, err := d.env.ReadLRMStatus(node); err == nil {
		return s, nil
	}
	return &ha.LRMStatus{}, nil
}

type writesAlways struct{ *env }

func (d writesAlways) Steal(sid ha.SID, from, to string) error {
	return d.cluster.cfs.place(sid, from, to)
}

type keepsCommands struct{ *env }

func (d keepsCommands) TakeCommands() (string, error) { return d.cluster.cfs.commands, nil }

type sortsCommands struct{ *env }

func (d sortsCommands) TakeCommands() (string, error) {
	content, err := d.env.TakeCommands()
	lines := ha.CommandLines(content)
	slices.Sort(lines)
	return strings.Join(lines, "\n"), err
}

type looksHard struct{ *env }

func (d looksHard) CommandsPending() (bool, error) {
	content, err := d.TakeCommands()
	return content != "", err
}

type changesOneByOne struct{ *env }

func (d changesOneByOne) UpdateServices(changes map[ha.SID]crm.ServiceChange) error {
	var failed error
	for sid, c := range changes {
		if err := d.env.UpdateServices(map[ha.SID]crm.ServiceChange{sid: c}); err != nil {
			failed = err
		}
	}
	return failed
}

type liveServices struct{ *env }

func (d liveServices) UpdateServices(changes map[ha.SID]crm.ServiceChange) error {
	live := d.cluster.cfs.services()
	for sid, change := range changes {
		c := live[sid]
		c.State = change.State
		live[sid] = c
	}
	return nil
}

type sharedRules struct{ *env }

var theRules, _ = hacfg.ParseRules(fileRules, []byte(envtest.Rules))

func (sharedRules) Rules() (*hacfg.Rules, error) { return theRules, nil }

type stealsBlindly struct{ *env }

func (d stealsBlindly) Steal(sid ha.SID, _, to string) error {
	if g := d.cluster.cfs.guests[sid]; g != nil {
		return d.env.Steal(sid, g.Node, to)
	}
	return nil
}

type removesAnyLock struct{ *env }

func (d removesAnyLock) RemoveLocks(sid ha.SID, _ []string, node string) (string, error) {
	return d.env.RemoveLocks(sid, []string{envtest.GuestLock}, node)
}

type seesAll struct{ *env }

func (d seesAll) Members() (map[string]nodestate.Member, error) {
	members := map[string]nodestate.Member{}
	for _, name := range d.cluster.names {
		members[name] = nodestate.Member{Online: true}
	}
	return members, nil
}

// fakeDog is a watchdog that does nothing.
type fakeDog struct{}

func (fakeDog) Update() error { return nil }
func (fakeDog) Close() error  { return nil }

type deafWatchdog struct{ *env }

func (deafWatchdog) OpenWatchdog() (ha.Watchdog, error) { return fakeDog{}, nil }

type leakyWatchdog struct{ *env }

func (d leakyWatchdog) OpenWatchdog() (ha.Watchdog, error) {
	_, err := d.env.OpenWatchdog()
	return fakeDog{}, err
}

type forgetsSleep struct{ *env }

func (d forgetsSleep) Sleep(seconds int64) { d.spent = seconds }

type sleepsAlways struct{ *env }

func (d sleepsAlways) SleepUntil(t ha.Epoch) (woken bool) {
	woken = d.env.SleepUntil(t)
	d.Sleep(1)
	return woken
}
