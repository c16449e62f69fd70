package crm

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
)

// extra runs n extra rounds of a manager, a second apart, and returns what was
// logged.
func (f *fake) extra(t testing.TB, m *Manager, n int) []string {
	t.Helper()
	f.taken()
	for range n {
		require.NoError(t, m.ExtraRound())
		f.now++
	}
	return f.logged()
}

func TestExtraRoundsActAtOnce(t *testing.T) {
	f, m := managing(t, nil)
	f.rounds(t, m, 1)
	f.guest("vm:1", "node1", ha.RequestStarted)
	require.Equal(t, []string{
		"info: adding new service 'vm:1' on node 'node1'",
		"info: service 'vm:1': state changed from 'request_start' to 'started'  (node = node1)",
	}, f.extra(t, m, 1))
	require.Equal(t, ha.Started, f.manager.ServiceStatus["vm:1"].State, "it is written")
	f.commands = "stop vm:1 30\n"
	require.NotEmpty(t, f.extra(t, m, 1))
	require.Equal(t, ha.RequestStop, f.manager.ServiceStatus["vm:1"].State)
}

func TestExtraRoundsWriteOnlyWhatHasChanged(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{"vm:1": started("node1")})
	f.rounds(t, m, 1)
	at := f.manager.Timestamp
	f.extra(t, m, 5)
	require.Equal(t, at, f.manager.Timestamp)
	f.taken()
	require.NoError(t, m.Round())
	require.Contains(t, f.taken(), "write manager status", "a full round shows that the master lives")

	f.members["node3"] = false
	require.NoError(t, m.ExtraRound())
	require.Contains(t, f.taken(), "write manager status")
}

// After a write that failed nobody knows what is there.
func TestStatusThatCouldNotBeWrittenIsWrittenByTheNextRound(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{"vm:1": started("node1")})
	f.rounds(t, m, 1)
	f.commands = "enable-node-maintenance node3\n"
	f.fault = f.failing("WriteManagerStatus")
	require.ErrorIs(t, m.ExtraRound(), errDown)
	f.fault = nil
	require.NoError(t, m.ExtraRound())
	require.True(t, f.manager.NodeRequest["node3"].Maintenance)
}

// A guest that runs is looked after once a full round: were its order renewed
// as soon as the LRM has looked, both would do nothing else.
func TestExtraRoundsDoNotRenewTheOrderOfAServiceThatRuns(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{"vm:1": {State: ha.Started, Node: "node1", UID: "o"}})
	f.report("node1", "o", ha.ExitSuccess)
	f.extra(t, m, 1)
	first := m.services["vm:1"].UID
	require.NotEqual(t, "o", first, "the first success is news")
	require.True(t, m.services["vm:1"].Running)
	f.report("node1", first, ha.ExitSuccess)
	f.extra(t, m, 3)
	require.Equal(t, first, m.services["vm:1"].UID)
	f.rounds(t, m, 1)
	require.NotEqual(t, first, m.services["vm:1"].UID)
}

// A failure is judged once, in whatever round it comes in.
func TestExtraRoundsJudgeAFailureOnce(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{
		"vm:1": {State: ha.Started, Node: "node3", UID: "o", FailedNodes: []string{"node1", "node2"}},
	})
	cfg := f.services["vm:1"]
	cfg.MaxRelocate = 5
	f.configure("vm:1", cfg)
	f.report("node3", "o", ha.ExitError)
	require.Len(t, f.extra(t, m, 4), 2)
	require.Equal(t, []string{"node1", "node2", "node3"}, m.services["vm:1"].FailedNodes)
}

func TestExtraRoundsComplainOnce(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{
		"vm:1": {State: ha.Recovery, Node: "node2"}, "vm:2": {State: "levitate", Node: "node1"},
	})
	f.rules = "node-affinity: only\n\tresources vm:1\n\tnodes node2\n\tstrict 1\n"
	f.members["node2"] = false
	lost := "err: recovering service 'vm:1' from fenced node 'node2' failed, no recovery node found"
	unknown := "err: unknown service state 'levitate'"
	full := f.rounds(t, m, 1)
	require.Contains(t, full, lost)
	require.Contains(t, full, unknown)
	require.Empty(t, f.extra(t, m, 5))
	again := f.rounds(t, m, 1)
	require.Contains(t, again, lost)
	require.Contains(t, again, unknown)
}

// What the Perl stack counts in rounds is a time: ninety rounds of ten seconds.
func TestExtraRoundsCountNothing(t *testing.T) {
	f, m := grouped(t)
	f.scheduling.AutoRebalance.Enabled = true
	f.extra(t, m, 30)
	require.Equal(t, groupFirstTry, m.groupRounds)
	require.Zero(t, m.imbalancedRounds)
	require.NotContains(t, f.rounds(t, m, 2), startGroups)
	require.Contains(t, f.rounds(t, m, 1), startGroups)

	f, m = uneven(t, "vm")
	f.rounds(t, m, 2)
	require.Equal(t, 2, m.imbalancedRounds)
	f.extra(t, m, 20)
	busy := f.sizes["node1"]
	f.sizes["node1"] = f.sizes["node2"] // for a moment between two full rounds
	f.extra(t, m, 1)
	f.sizes["node1"] = busy
	require.Equal(t, 2, m.imbalancedRounds)
	require.NotEmpty(t, f.rounds(t, m, 1))
}

// wakeful counts what a daemon does that is woken every so many seconds.
func wakeful(t *testing.T, every, seconds ha.Epoch) (f *fake, c *CRM, count map[string]int) {
	t.Helper()
	f = newFake("node1")
	c = crmIn(t, f, ha.CRMMaster)
	delete(f.manager.NodeStatus, "node2")
	f.wake = every
	f.taken()
	count = map[string]int{}
	for end := f.now + seconds; f.now < end; {
		mustIterate(t, c)
		count["rounds"]++
		for _, line := range f.taken() {
			count[line]++
		}
	}
	return f, c, count
}

func TestExtraRoundsDoNotRefreshTheLock(t *testing.T) {
	for _, every := range []ha.Epoch{0, 1, 3, 7, 9} {
		_, c, count := wakeful(t, every, 600)
		require.Equal(t, 60, count["manager lock: yes"])
		require.Equal(t, 60, count["update watchdog"])
		require.Equal(t, 60, c.idle)
		if every > 0 {
			require.Greater(t, count["rounds"], 100)
		}
	}
}

func TestMasterGoesIdleAfterTheSameTimeHoweverOftenItIsWoken(t *testing.T) {
	for _, every := range []ha.Epoch{0, 1, 4} {
		f, c, _ := wakeful(t, every, 890)
		require.Equal(t, ha.CRMMaster, c.State())
		for end := f.now + 20; f.now < end; {
			mustIterate(t, c)
		}
		require.Equal(t, ha.CRMWaitForQuorum, c.State())
	}
}

// An event must not make a master give up sooner than it would without: the
// file system daemon is restarted within a second or two.
func TestMasterWaitsForTheFullRoundWithoutQuorumOrAFreshView(t *testing.T) {
	for name, fail := range map[string]func(f *fake, on bool){
		"quorum":     func(f *fake, on bool) { f.quorate = !on },
		"fresh view": func(f *fake, on bool) { f.stale = on },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake("node1")
			c := crmIn(t, f, ha.CRMMaster)
			f.wake = 2
			mustIterate(t, c)
			fail(f, true)
			f.managerLock = func() bool { return f.quorate }
			f.taken()
			mustIterate(t, c)
			mustIterate(t, c)
			require.Equal(t, []string{"sleep until +8", "sleep until +6"}, f.taken())
			fail(f, false)
			mustIterate(t, c)
			require.Equal(t, ha.CRMMaster, c.State())
			require.Empty(t, slices.DeleteFunc(f.logged(), func(l string) bool { return !strings.HasPrefix(l, "err") }))
		})
	}
}

func TestMasterThatIsToEndDoesSoInAnExtraRound(t *testing.T) {
	f := newFake("node1")
	c := crmIn(t, f, ha.CRMMaster)
	f.wake = 1
	mustIterate(t, c)
	c.RequestShutdown()
	f.taken()
	alive, err := c.Iterate()
	require.NoError(t, err)
	require.False(t, alive)
	require.Contains(t, f.taken(), "release manager lock: yes")
}
