package crm

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
)

const (
	clientTimeout = 60 // of the watchdog multiplexer, in seconds
	resetBy       = clientTimeout + 10
	lockLifetime  = 120
)

// protection follows the lock and the watchdog of a master.
type protection struct {
	locked, fed ha.Epoch
	worst       ha.Epoch // longest silence of the watchdog
	unsafe      []string
}

// watch lets every call take a share of a second.
func (f *fake) watch(t testing.TB, perSecond int) *protection {
	t.Helper()
	p := &protection{locked: f.now, fed: f.now}
	calls := 0
	f.takes = func(name string) {
		if calls++; calls%perSecond == 0 {
			f.now++
		}
		switch name {
		case "ManagerLock":
			p.locked = f.now
		case "watchdog.Update", "OpenWatchdog":
			if f.now+resetBy > p.locked+lockLifetime {
				p.unsafe = append(p.unsafe, fmt.Sprintf("at %d the watchdog is fed for a lock of %d", f.now, p.locked))
			}
			p.fed = f.now
		}
		p.worst = max(p.worst, f.now-p.fed)
	}
	return p
}

// A master that takes over the services of a dead node moves a thousand
// configurations, and each takes its time.
func TestSlowRoundThatGetsOnKeepsItsWatchdog(t *testing.T) {
	f := newFake("node1", "node2")
	c := crmIn(t, f, ha.CRMMaster)
	f.manager.ServiceStatus = map[ha.SID]*ha.ServiceStatus{}
	for i := range 1000 {
		sid := ha.SID(fmt.Sprintf("vm:%d", 1000+i))
		f.guest(sid, "node2", ha.RequestStarted)
		f.manager.ServiceStatus[sid] = &ha.ServiceStatus{State: ha.Fence, Node: "node2", UID: string(sid)}
	}
	f.manager.NodeStatus["node2"] = ha.NodeFence
	f.members["node2"] = false
	f.agentLock = func(string) bool { return true }
	m, err := c.takeOver()
	require.NoError(t, err)
	c.manager = m
	f.quiet = true
	p := f.watch(t, 5)
	begin := f.now
	mustIterate(t, c)
	require.Greater(t, f.now-begin, ha.Epoch(350), "it was slow indeed")
	require.Less(t, p.worst, ha.Epoch(20))
	require.Empty(t, p.unsafe)
	for _, s := range f.manager.ServiceStatus {
		require.Equal(t, "node1", s.Node)
	}
}

// A watchdog is never fed for a lock that could not be refreshed: another may
// have it by the time.
func TestSlowRoundThatLosesItsLockDoesNotFeedTheWatchdog(t *testing.T) {
	f := newFake("node1", "node2")
	c := crmIn(t, f, ha.CRMMaster)
	for i := range 100 {
		f.guest(ha.SID(fmt.Sprintf("vm:%d", 1000+i)), "node1", ha.RequestStarted)
	}
	f.taken()
	f.takes = func(name string) {
		if name == "ReadLRMStatus" {
			f.now += 15
			f.managerLock = func() bool { return false }
		}
	}
	mustIterate(t, c)
	trace := f.taken()
	require.Equal(t, []string{"manager lock: yes", "update watchdog"}, trace[:2])
	require.NotContains(t, trace[2:], "update watchdog")
	require.Contains(t, trace[2:], "manager lock: no")
	require.NotContains(t, trace, "write manager status", "another master may have written")

	f.takes, f.managerLock = nil, func() bool { return true }
	mustIterate(t, c)
	require.Equal(t, ha.CRMMaster, c.State())
	require.Contains(t, f.taken(), "write manager status")
}

// A call that hangs is no progress, whatever other goroutines do.
func TestRoundThatHangsDoesNotFeedTheWatchdog(t *testing.T) {
	f := newFake("node1", "node2")
	c := crmIn(t, f, ha.CRMMaster)
	p := f.watch(t, 1000)
	slow := f.takes
	f.takes = func(name string) {
		slow(name)
		if name == "WriteManagerStatus" {
			f.now += 300
			slow("nothing")
		}
	}
	f.commands = "enable-node-maintenance node2\n"
	mustIterate(t, c)
	require.GreaterOrEqual(t, p.worst, ha.Epoch(300))
	require.Empty(t, p.unsafe)
}

// Services that would change for ever must not look like progress for ever.
func TestRoundEndsThoughServicesDoNotComeToRest(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{"vm:1": {State: ha.Stopped, Node: "node1"}})
	f.want("vm:1", ha.RequestStarted)
	passes := 0
	m.progress = func() { // nobody's fault: as a defect would
		passes++
		m.services["vm:1"].State = ha.Stopped
	}
	m.cfg.OnChange = nil
	f.taken()
	require.NoError(t, m.Round())
	require.Contains(t, f.logged(), "err: services do not come to rest, going on in the next round")
	require.Less(t, passes, 10*maxPasses)
}
