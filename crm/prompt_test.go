package crm

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/crm/nodestate"
	"pveha/internal/ha"
)

// promptCRM is a slave of a cluster of three nodes, that takes the membership
// in: node2 is the master.
func promptCRM(t *testing.T, prompt bool) (*fake, *CRM) {
	t.Helper()
	f := newFake("node1", "node2", "node3")
	f.guest("vm:1", "node3", ha.RequestStarted)
	f.manager = &ha.ManagerStatus{
		MasterNode:    "node2",
		NodeStatus:    map[string]ha.NodeState{"node1": ha.NodeOnline, "node2": ha.NodeOnline, "node3": ha.NodeOnline},
		ServiceStatus: map[ha.SID]*ha.ServiceStatus{"vm:1": started("node3")},
	}
	f.managerLock = func() bool { return false }
	cfg := f.config()
	cfg.Prompt = prompt
	c := New(f, cfg)
	mustIterate(t, c)
	require.Equal(t, ha.CRMSlave, c.State())
	return f, c
}

// die takes node2, the master, and node3 off the cluster, and lets the CRM try
// for the lock until it is to be had.
func die(t *testing.T, f *fake, c *CRM, after ha.Epoch) {
	t.Helper()
	f.members["node2"], f.members["node3"] = false, false
	died := f.now
	f.managerLock = func() bool { return f.now >= died+after }
	f.agentLock = f.lockOfTheDead(died + after + 5)
	for c.State() != ha.CRMMaster {
		mustIterate(t, c)
	}
	require.LessOrEqual(t, f.now, died+after+15)
}

func (f *fake) lockOfTheDead(free ha.Epoch) func(string) bool {
	return func(string) bool { return f.now >= free }
}

// A node that died together with the master has been away for as long as its
// lock lives by the time the next master is there. The Perl stack waits for
// another minute.
func TestNextMasterKnowsWhoIsAwayForLong(t *testing.T) {
	for prompt, want := range map[bool]ha.Epoch{true: 120 + 10, false: 120 + 60 + 5} {
		f, c := promptCRM(t, prompt)
		begin := f.now
		die(t, f, c, 120)
		for f.manager.ServiceStatus["vm:1"].Node == "node3" {
			mustIterate(t, c)
		}
		took := f.now - begin
		if prompt {
			require.LessOrEqual(t, took, want)
		} else {
			require.GreaterOrEqual(t, took, want)
		}
	}
}

// A slave that knows of a master leaves the lock alone between its rounds. As
// soon as it does not, it tries every second.
func TestSlaveTriesOnceWhileAnotherNodeKeepsTheLock(t *testing.T) {
	for _, prompt := range []bool{true, false} {
		f, c := promptCRM(t, prompt)
		tries := 0
		f.managerLock = func() bool { tries++; return false }
		f.lockKept = true
		f.taken()
		for range 3 {
			mustIterate(t, c)
		}
		slept := f.taken()
		if !prompt {
			require.Equal(t, 3*lockTries, tries, "as the Perl stack does")
			continue
		}
		require.Equal(t, 3, tries)
		require.Equal(t, slices.Repeat([]string{"manager lock: no", "sleep until +10"}, 3), slept)

		f.lockKept = false
		mustIterate(t, c)
		require.Equal(t, 3+lockTries, tries)
		f.lockKept = true
		c.RequestShutdown()
		alive, err := c.Iterate()
		require.NoError(t, err)
		require.False(t, alive)
	}
}

// A Perl CRM takes over with a view of the status that is some seconds old.
func TestPromptMasterResignsWhenItsStatusHasSettled(t *testing.T) {
	f, c := promptCRM(t, true)
	f.managerLock = func() bool { return true }
	for range 100 {
		mustIterate(t, c)
	}
	f.guest("vm:2", "node1", ha.RequestStarted)
	mustIterate(t, c)
	require.Contains(t, f.manager.ServiceStatus, ha.SID("vm:2"))
	f.now = c.manager.changed + 2
	written := f.manager.Clone()
	c.RequestShutdown()
	f.taken()
	mustIterate(t, c)
	require.Equal(t, []string{
		"manager lock: yes", "update watchdog",
		"info: manager status has just changed, keeping the manager lock for 5 more seconds", "sleep until +5",
	}, f.taken())
	f.guest("vm:3", "node1", ha.RequestStarted)
	alive, err := c.Iterate()
	require.NoError(t, err)
	require.False(t, alive)
	require.Contains(t, f.taken(), "release manager lock: yes")
	require.Equal(t, written, f.manager, "it decides nothing any more")
}

// Whoever was cut off itself has seen nobody, and gives everybody the whole
// delay.
func TestSlaveForgetsWhatItSawBeforeItWasCutOff(t *testing.T) {
	for name, cut := range map[string]func(f *fake, off bool){
		"without quorum": func(f *fake, off bool) { f.quorate = !off },
		"without a view": func(f *fake, off bool) { f.stale = off },
		"without the membership": func(f *fake, off bool) {
			f.fault = map[bool]func(int, string) (error, error){true: f.failing("Members")}[off]
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, c := promptCRM(t, true)
			cut(f, true)
			f.managerLock = func() bool { return false }
			mustIterate(t, c)
			f.now += 300
			cut(f, false)
			f.members["node3"] = false
			f.managerLock = func() bool { return true }
			f.agentLock = func(string) bool { return true }
			for end := f.now + 55; f.now < end; {
				mustIterate(t, c)
				require.NotEqual(t, ha.NodeFence, f.manager.NodeStatus["node3"])
				require.Equal(t, "node3", f.manager.ServiceStatus["vm:1"].Node)
			}
			require.Equal(t, ha.CRMMaster, c.State())
		})
	}
}

// What a master saw counts when it takes over once more.
func TestSlaveThatWasMasterDoesNotGoByWhatItSawBefore(t *testing.T) {
	f, c := promptCRM(t, true)
	f.managerLock = func() bool { return true }
	for range 100 {
		mustIterate(t, c)
	}
	require.Equal(t, ha.CRMMaster, c.State())
	require.InDelta(t, int64(f.now), int64(c.seen["node3"]), 10)
}

func TestPromptMasterTriesForTheLockOfADeadNodeEveryOtherSecond(t *testing.T) {
	f, c := promptCRM(t, true)
	f.managerLock = func() bool { return true }
	for range 3 {
		mustIterate(t, c)
	}
	f.members["node3"] = false
	var tries []ha.Epoch
	f.agentLock = func(string) bool { tries = append(tries, f.now); return len(tries) == 20 }
	for len(tries) < 20 {
		mustIterate(t, c)
	}
	for i := 1; i < len(tries); i++ {
		require.LessOrEqual(t, tries[i]-tries[i-1], ha.Epoch(fencingRoundTime))
	}
	require.Equal(t, "node1", f.manager.ServiceStatus["vm:1"].Node, "and takes it over in the same round")
	f.taken()
	mustIterate(t, c)
	require.Contains(t, f.taken(), "sleep until +10")
}

// A person or a time server that sets the clock neither fences a node nor
// delays a fence, nor makes the master sleep for longer.
func TestStepOfTheWallClockChangesNothingButTimeStamps(t *testing.T) {
	for _, step := range []ha.Epoch{0, 3600, -3600, 1e9, -1e9} {
		f, c := promptCRM(t, false)
		f.managerLock = func() bool { return true }
		for range 3 {
			mustIterate(t, c)
		}
		f.wallStep = step
		mustIterate(t, c)
		require.Equal(t, ha.NodeOnline, f.manager.NodeStatus["node3"])
		died := f.now
		f.members["node3"] = false
		f.agentLock = func(string) bool { return f.now >= died+120 }
		mustIterate(t, c)
		f.wallStep = -step
		for f.manager.ServiceStatus["vm:1"].State != ha.Fence {
			mustIterate(t, c)
		}
		require.Equal(t, died+60, f.now, "the fence delay")
		for f.manager.ServiceStatus["vm:1"].Node == "node3" {
			mustIterate(t, c)
		}
		require.Equal(t, died+130, f.now)
		require.InDelta(t, int64(f.now-step), int64(f.manager.Timestamp), 10, "the status has the wall clock")
	}
}

// A process that stood still, or hung in a call, has not seen whether a node was
// away meanwhile: one that is away at the moment gets the whole delay.
func TestSlaveThatStoodStillForgetsWhatItSaw(t *testing.T) {
	for name, hang := range map[string]func(f *fake, c *CRM){
		"trying for the lock": func(f *fake, c *CRM) {
			f.managerLock = func() bool { f.now += 100; f.members["node3"] = false; return true }
			mustIterate(t, c)
			f.managerLock = func() bool { return true }
		},
		"between rounds": func(f *fake, _ *CRM) {
			f.now += 100
			f.members["node3"] = false
			f.managerLock = func() bool { return true }
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, c := promptCRM(t, true)
			begin := f.now + 100
			hang(f, c)
			f.agentLock = func(string) bool { return true }
			for f.manager.ServiceStatus["vm:1"].Node == "node3" {
				mustIterate(t, c)
			}
			require.GreaterOrEqual(t, f.now, begin+60)
		})
	}
}

// A lock is free too early where somebody set the clock of the node that counts.
func TestAFreeLockIsNoProofBeforeTheNodeCanBeDead(t *testing.T) {
	for prompt, want := range map[bool]ha.Epoch{true: awayToDie, false: nodestate.FenceDelay} {
		f, c := promptCRM(t, prompt)
		f.managerLock = func() bool { return true }
		f.agentLock = func(string) bool { return true }
		for range 3 {
			mustIterate(t, c)
		}
		died := f.now
		f.members["node3"] = false
		for f.manager.ServiceStatus["vm:1"].Node == "node3" {
			mustIterate(t, c)
		}
		require.InDelta(t, int64(died+want), int64(f.now), masterRoundTime)
		require.GreaterOrEqual(t, f.now-died+masterRoundTime, want, "since it was seen last")
	}
}

// A node that is back cannot be away: from the time on that it knows it is to be
// fenced, its watchdog runs out.
func TestANodeThatIsBackBeforeItIsFencedIsFencedAllTheSame(t *testing.T) {
	f, c := promptCRM(t, true)
	f.managerLock = func() bool { return true }
	free := ha.Epoch(0)
	f.agentLock = func(string) bool { return free > 0 && f.now >= free }
	mustIterate(t, c)
	f.members["node3"] = false
	for f.manager.NodeStatus["node3"] != ha.NodeFence {
		mustIterate(t, c)
	}
	f.members["node3"] = true
	begin := f.now
	free = begin + 120
	for f.manager.ServiceStatus["vm:1"].State != ha.Started || f.manager.NodeStatus["node3"] == ha.NodeFence {
		mustIterate(t, c)
		require.Less(t, f.now, begin+140)
	}
}

// Without work an event brings some, so a prompt CRM looks seldom.
func TestPromptCRMLooksSeldomWithoutWork(t *testing.T) {
	for prompt, wait := range map[bool]ha.Epoch{false: 5, true: 10} {
		f := newFake("n1", "n2")
		cfg := f.config()
		cfg.Prompt = prompt
		c := New(f, cfg)
		for range 10 {
			before := f.now
			alive, err := c.Iterate()
			require.NoError(t, err)
			require.True(t, alive)
			require.Equal(t, ha.CRMWaitForQuorum, c.State())
			require.Equal(t, wait, f.now-before)
		}
	}
}
