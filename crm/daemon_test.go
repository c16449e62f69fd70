package crm

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
)

func TestBeginsByWaitingForQuorum(t *testing.T) {
	f := newFake("node1")
	c := New(f, Config{})
	require.Equal(t, ha.CRMWaitForQuorum, c.State())
	require.Equal(t, []string{"info: status change startup => wait_for_quorum"}, f.taken())
}

func TestOrdersHaveNamesThatDoNotRepeat(t *testing.T) {
	c := New(newFake("node1"), Config{})
	seen := map[string]bool{}
	for range 1000 {
		uid := c.cfg.NewUID(ha.Started)
		require.Len(t, uid, 22, "as long as those of the Perl stack")
		require.False(t, seen[uid])
		seen[uid] = true
	}
}

func TestStateThatDoesNotExistIsAnError(t *testing.T) {
	c := New(newFake("node1"), Config{})
	c.state = ha.CRMStartup
	alive, err := c.Iterate()
	require.True(t, alive)
	require.EqualError(t, err, "got unexpected status 'startup'")
}

// Without services a node becomes master only where something is left to do,
// and not when another master looks after it.
func TestNeedOfAMasterWithoutServices(t *testing.T) {
	const other = "node2"
	online := map[string]ha.NodeState{"node1": ha.NodeOnline, other: ha.NodeOnline}
	for name, test := range map[string]struct {
		status   ha.ManagerStatus
		commands string
		want     bool
	}{
		"nothing to do":     {},
		"a command waits":   {commands: "arm-ha\n", want: true},
		"a service is left": {status: ha.ManagerStatus{ServiceStatus: map[ha.SID]*ha.ServiceStatus{"vm:1": started("node1")}}, want: true},
		"it is disarmed":    {status: ha.ManagerStatus{Disarm: &ha.Disarm{Mode: ha.DisarmFreeze, State: ha.Disarmed}}, want: true},
		"a node left its maintenance": {
			status: ha.ManagerStatus{
				NodeStatus:  map[string]ha.NodeState{"node1": ha.NodeOnline, other: ha.NodeMaintenance},
				NodeRequest: map[string]ha.NodeRequest{other: {}},
			}, want: true,
		},
		"a node is in maintenance": {
			status: ha.ManagerStatus{
				NodeStatus:  map[string]ha.NodeState{"node1": ha.NodeOnline, other: ha.NodeMaintenance},
				NodeRequest: map[string]ha.NodeRequest{other: {Maintenance: true}},
			},
		},
		"a command waits, but another node is master": {
			status: ha.ManagerStatus{MasterNode: other, NodeStatus: online}, commands: "arm-ha\n",
		},
		"a command waits, and this node was master last": {
			status: ha.ManagerStatus{MasterNode: "node1", NodeStatus: online}, commands: "arm-ha\n", want: true,
		},
		"a command waits, and the last master is gone": {
			status:   ha.ManagerStatus{MasterNode: other, NodeStatus: map[string]ha.NodeState{other: ha.NodeUnknown}},
			commands: "arm-ha\n", want: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake("node1", other)
			f.manager, f.commands = &test.status, test.commands
			c := New(f, f.config())
			c.refreshed = true
			require.Equal(t, test.want, c.hasWork())
		})
	}
}

func TestServiceConfigThatCannotBeReadIsNoWork(t *testing.T) {
	f := newFake("node1")
	f.guest("vm:1", "node1", ha.RequestStarted)
	f.fault = f.failing("Services")
	c := New(f, f.config())
	c.refreshed, c.full = true, true
	f.taken()
	require.False(t, c.hasWork())
	require.False(t, c.mayIdle())
	require.Equal(t, slices.Repeat([]string{"err: could not read service config: connection refused"}, 2), f.taken())
}

func TestLockIsTriedSixTimesASecondApart(t *testing.T) {
	f := newFake("node1")
	tries := 0
	f.managerLock = func() bool { tries++; return tries == 6 }
	c := New(f, f.config())
	f.taken()
	require.True(t, c.takeLock())
	require.Equal(t, []string{
		"manager lock: no", "sleep 1", "manager lock: no", "sleep 1", "manager lock: no", "sleep 1",
		"manager lock: no", "sleep 1", "manager lock: no", "sleep 1", "manager lock: yes", "open watchdog",
	}, f.taken())

	tries = 6
	f.managerLock = func() bool { tries++; return false }
	require.False(t, c.takeLock())
	require.Equal(t, 12, tries)
}

// After more than five seconds there is no further try; the pause before the
// last one may end later.
func TestLockIsNotTriedForLongerThanFiveSeconds(t *testing.T) {
	for _, test := range []struct {
		seconds ha.Epoch // that a try takes
		want    int
	}{{0, 6}, {1, 4}, {2, 3}, {5, 2}, {6, 1}} {
		f := newFake("node1")
		tries := 0
		f.managerLock = func() bool {
			tries++
			f.now += test.seconds
			return false
		}
		require.False(t, New(f, f.config()).takeLock())
		require.Equalf(t, test.want, tries, "tries of %d seconds", test.seconds)
	}
}

func TestMasterWithoutServicesGoesIdleAfter90Rounds(t *testing.T) {
	f := newFake("node1")
	c := crmIn(t, f, ha.CRMMaster)
	idle := func(rounds int) {
		for range rounds {
			mustIterate(t, c)
			require.Equal(t, ha.CRMMaster, c.State())
		}
	}
	idle(89)
	f.guest("vm:1", "node1", ha.RequestIgnored) // configured is enough
	idle(1)
	delete(f.services, "vm:1")
	idle(90)
	f.taken()
	mustIterate(t, c)
	require.Equal(t, ha.CRMWaitForQuorum, c.State())
	require.Equal(t, []string{
		"manager lock: yes", "update watchdog",
		"info: cluster had no service configured for 90 rounds, going idle.",
		"release manager lock: yes", "close watchdog",
		"info: status change master => wait_for_quorum", "sleep until +5",
	}, f.taken())
	mustIterate(t, c)
	require.Equal(t, []string{"sleep until +5"}, f.taken())

	f.guest("vm:1", "node1", ha.RequestStarted)
	mustIterate(t, c)
	require.Equal(t, ha.CRMMaster, c.State())
}

func TestMasterDoesNotGoIdle(t *testing.T) {
	for name, prepare := range map[string]func(f *fake){
		"while disarmed":                  func(f *fake) { f.commands = "disarm-ha freeze" },
		"while the status cannot be read": func(f *fake) { f.fault = f.failing("ReadManagerStatus") },
		"while services cannot be read":   func(f *fake) { f.fault = f.failing("Services") },
		"without quorum":                  func(f *fake) { f.quorate = false },
		"without a fresh view":            func(f *fake) { f.stale = true },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake("node1")
			c := crmIn(t, f, ha.CRMMaster)
			prepare(f)
			for range 200 {
				mustIterate(t, c)
				require.Equal(t, ha.CRMMaster, c.State())
			}
			require.NotContains(t, f.effects(), "release manager lock: yes")
		})
	}
}
