package sim

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
)

// at sets the time of a world.
func (w *world) at(now ha.Epoch) { w.Advance(int64(now - w.now)) }

func TestLockLifetimeToTheSecond(t *testing.T) {
	w := newWorld(t, false)
	w.at(1000)
	require.True(t, w.CRM("node1").ManagerLock())
	w.at(1120)
	require.False(t, w.CRM("node2").ManagerLock())
	w.at(1121)
	require.True(t, w.CRM("node2").ManagerLock())
	w.at(1241)
	require.False(t, w.CRM("node1").ManagerLock())
	require.True(t, w.CRM("node2").ManagerLock())
}

func TestExpiredLockCountsAsReleased(t *testing.T) {
	w := newWorld(t, false)
	require.True(t, w.CRM("node1").ManagerLock())
	w.at(121)
	require.True(t, w.CRM("node2").ReleaseManagerLock())
	require.True(t, w.CRM("node3").ManagerLock())
}

// Getting a lock is logged, refreshing it is not. Every try costs a second.
func TestLockLogAndCost(t *testing.T) {
	l := newLab(t, folder{fileHardware: `{"a": {"power": "on", "network": "on"}}`, fileServices: "{}"})
	e := l.nodes["a"].lrmEnv
	require.True(t, e.TakeAgentLock())
	require.True(t, e.TakeAgentLock())
	require.True(t, e.ReleaseAgentLock())
	require.EqualValues(t, 2, e.spent)
	require.Equal(t, []string{"info      0        a/lrm: got lock 'ha_agent_a_lock'"}, l.log)
}

func TestWatchdogToTheSecond(t *testing.T) {
	w := newWorld(t, false)
	w.at(1000)
	wd, err := w.CRM("node1").OpenWatchdog()
	require.NoError(t, err)
	w.at(1060)
	require.NoError(t, wd.Update())
	w.at(1120)
	require.Zero(t, w.resets["node1"])
	w.at(1121)
	require.Equal(t, 1, w.resets["node1"])
	require.False(t, w.nodes["node1"].power)
	require.EqualError(t, wd.Update(), "no such watchdog handle")
}

// Until the cluster looks, an expired watchdog has not fired, but its client
// cannot save it any more.
func TestExpiredWatchdogThatNobodyLookedAt(t *testing.T) {
	w := newWorld(t, false)
	wd, err := w.CRM("node1").OpenWatchdog()
	require.NoError(t, err)
	w.now = 61
	require.EqualError(t, wd.Update(), "watchdog expired")
	require.EqualError(t, wd.Close(), "watchdog expired")
	w.checkWatchdogs()
	require.Equal(t, 1, w.resets["node1"])
}

// A node that loses its network is stopped by its watchdog before its lock can
// be taken, and its guest starts elsewhere after that.
func TestFencingInOrder(t *testing.T) {
	c := newRunningLab(t, folder{fileServices: `{"vm:101": {"node": "node3", "state": "started"}}`})
	c.do("network node3 off")
	c.until("service status vm:101 started")
	c.requireLog(
		"node3/lrm: status change active => lost_agent_lock",
		"node1/crm: node 'node3': state changed from 'unknown' => 'fence'",
		"watchdog: execute power node3 off",
		"node3/lrm: killed by poweroff",
		"server 'node3' stopped by poweroff (watchdog)",
		"node1/crm: got lock 'ha_agent_node3_lock'",
		"fencing: acknowledged - got agent lock for node 'node3'",
		"recover service 'vm:101' from fenced node 'node3'",
		"service status vm:101 started",
	)
	require.Len(t, c.guest("vm:101").Runs, 1)
}

func TestSkipRound(t *testing.T) {
	c := newRunningLab(t, folder{})
	c.do("skip-round crm 2", "skip-round lrm")
	timestamp := func() ha.Epoch { return c.cfs.manager.Timestamp }
	before := timestamp()
	c.loops(2)
	require.Equal(t, before, timestamp(), "the master did nothing")
	require.Equal(t, 2, strings.Count(c.text(), "run-loop: skipping CRM round"))
	require.Equal(t, 1, strings.Count(c.text(), "run-loop: skipping LRM round"))
	c.loops(1)
	require.Greater(t, timestamp(), before)
	require.Equal(t, 2, strings.Count(c.text(), "skipping CRM round"))
}

// The steps lie five rounds apart, and a round takes twenty seconds.
func TestStepsAndDelay(t *testing.T) {
	c := newLab(t, folder{fileCommands: `[["power node1 on"], [], ["delay 130", "network node1 off"], ["network node1 on"]]`})
	require.NoError(t, c.Run())
	c.requireLog(
		"info      0     hardware: starting simulation",
		"info     20      cmdlist: execute power node1 on",
		"info    220      cmdlist: execute delay 130",
		"info    220      cmdlist: execute network node1 off",
		"info    440      cmdlist: execute network node1 on",
		"hardware: exit simulation - done",
	)
	require.Greater(t, c.Now(), ha.Epoch(440+500), "it is watched after the last command")
}

func TestManyNodesTakeLonger(t *testing.T) {
	nodes := make([]string, 0, 15)
	for i := range cap(nodes) {
		nodes = append(nodes, fmt.Sprintf(`"node%02d": {"power": "off", "network": "off"}`, i))
	}
	c := newLab(t, folder{fileHardware: "{" + strings.Join(nodes, ",") + "}", fileServices: "{}"})
	c.loops(1)
	require.EqualValues(t, 30, c.Now())
}

func TestSimulationEnds(t *testing.T) {
	t.Run("after the maximum time", func(t *testing.T) {
		c := newLab(t, folder{fileCommands: `[["delay 20000"], ["power node1 on"]]`})
		require.EqualError(t, c.Run(), "simulation exceeded maximum time (10000) - force end")
		require.Contains(t, c.log[len(c.log)-1], "hardware: exit simulation - simulation exceeded maximum time")
		require.LessOrEqual(t, c.Now(), ha.Epoch(10020))
	})
	t.Run("when a round takes too long", func(t *testing.T) {
		services := make([]string, 0, 160)
		for i := range cap(services) {
			services = append(services, fmt.Sprintf(`"vm:%d": {"node": "node2", "state": "started"}`, 100+i))
		}
		c := newLab(t, folder{fileServices: "{" + strings.Join(services, ",") + "}", fileCommands: `[["power node1 on", "power node2 on", "power node3 on"]]`})
		err := c.Run()
		require.ErrorContains(t, err, "loop took too long (3")
		require.Contains(t, c.log[len(c.log)-1], "exit simulation - loop took too long")
	})
	t.Run("when a command cannot be carried out", func(t *testing.T) {
		c := newLab(t, folder{fileCommands: `[["service vm:101 manual-migrate node2"]]`})
		require.ErrorContains(t, c.Run(), "manual-migrate requires")
	})
	t.Run("when an LRM restarts while its node goes down", func(t *testing.T) {
		c := newLab(t, folder{fileCommands: `[["power node1 on", "power node2 on"], ["restart-lrm node1", "reboot node1"]]`})
		require.ErrorContains(t, c.Run(), "told to restart its LRM and to go down")
	})
}

func TestViewShowsWhatRunsWhere(t *testing.T) {
	c := newLab(t, folder{
		fileServices:           `{"vm:1": {"node": "node1"}, "vm:2": {"node": "node3"}}`,
		prefixGuests + "node1": `{"vm:1": 1}`,
		prefixGuests + "node3": `{"vm:1": 1, "vm:2": 0}`,
	})
	require.Equal(t, []string{"node1", "node3"}, c.guest("vm:1").Runs)
	require.Empty(t, c.guest("vm:2").Runs)
}
