package sim

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
)

func TestParseCommand(t *testing.T) {
	for text, want := range map[string]Command{
		"power node1 on":                                    {Verb: VerbPower, Node: "node1", Action: "on"},
		"  network   node1  off ":                           {Verb: VerbNetwork, Node: "node1", Action: "off"},
		"cfs node1 rw fail":                                 {Verb: VerbCFS, Node: "node1", Action: "rw", Args: []string{"fail"}},
		"pve-manager-version node1 set 9.1":                 {Verb: VerbVersion, Node: "node1", Action: "set", Args: []string{"9.1"}},
		"reboot node1":                                      {Verb: VerbReboot, Node: "node1"},
		"crm node1 disarm-ha ignore":                        {Verb: VerbCRM, Node: "node1", Action: "disarm-ha", Args: []string{"ignore"}},
		"service vm:1 started":                              {Verb: VerbService, SID: "vm:1", Action: "started"},
		"service vm:1 add node1 stopped 1":                  {Verb: VerbService, SID: "vm:1", Action: "add", Args: []string{"node1", "stopped", "1"}},
		"service vm:1 lock":                                 {Verb: VerbService, SID: "vm:1", Action: "lock"},
		"service vm:1 lock snapshot":                        {Verb: VerbService, SID: "vm:1", Action: "lock", Args: []string{"snapshot"}},
		"service vm:1 stop 0":                               {Verb: VerbService, SID: "vm:1", Action: "stop", Args: []string{"0"}},
		"service vm:1 set-static-stats maxcpu 1.5 maxmem 2": {Verb: VerbService, SID: "vm:1", Action: "set-static-stats", Args: []string{"maxcpu", "1.5", "maxmem", "2"}},
		"delay 30":                                          {Verb: VerbDelay, Number: 30},
		"skip-round lrm":                                    {Verb: VerbSkipRound, Action: "lrm", Number: 1},
		"skip-round crm 3":                                  {Verb: VerbSkipRound, Action: "crm", Number: 3},
	} {
		t.Run(text, func(t *testing.T) {
			got, err := ParseCommand(text)
			require.NoError(t, err)
			want.Text = text
			if len(want.Args) == 0 {
				require.Empty(t, got.Args)
				got.Args = nil
			}
			require.Equal(t, want, got)
		})
	}
}

func TestParseCommandErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                                        `a command needs a verb and what it is for`,
		"power":                                   `a command needs a verb and what it is for`,
		"boot node1":                              `unknown verb "boot"`,
		"power node1":                             `state is "", want on, off`,
		"power node1 On":                          `state is "On", want on, off`,
		"power node1 on now":                      `"now" is too much`,
		"network node1 down":                      `state is "down", want on, off`,
		"cfs node1 ro fail":                       `what is "ro", want rw, update`,
		"cfs node1 rw":                            `state is "", want work, fail`,
		"cfs node1 rw broken":                     `state is "broken", want work, fail`,
		"pve-manager-version node1 9.0":           `action is "9.0", want set`,
		"pve-manager-version node1 set":           `missing version`,
		"reboot node1 now":                        `"now" is too much`,
		"crm node1":                               `action is "", want stop, start, enable-node-maintenance, disable-node-maintenance, disarm-ha, arm-ha`,
		"crm node1 disarm-ha":                     `mode is "", want freeze, ignore`,
		"crm node1 arm-ha freeze":                 `"freeze" is too much`,
		"service vm:1":                            `unknown action "" for a service`,
		"service 101 started":                     `value "101" does not look like a valid ha resource id`,
		"service vm:1 enabled":                    `unknown action "enabled" for a service`,
		"service vm:1 started node1":              `"node1" is too much`,
		"service vm:1 migrate":                    `missing node`,
		"service vm:1 stop":                       `missing timeout`,
		"service vm:1 add":                        `missing node`,
		"service vm:1 add node1 started yes":      `whether it runs is "yes", want 0, 1`,
		"service vm:1 lock a b":                   `"b" is too much`,
		"service vm:1 set-static-stats":           `set-static-stats wants pairs of figure and value`,
		"service vm:1 set-static-stats maxcpu":    `set-static-stats wants pairs of figure and value`,
		"service vm:1 set-static-stats cpu 1":     `figure is "cpu", want maxcpu, maxmem`,
		"service vm:1 set-dynamic-stats cpu much": `value of cpu is "much", want a number`,
		"service vm:1 set-dynamic-stats cpu -1":   `value of cpu is "-1", want a number`,
		"service vm:1 set-dynamic-stats mem NaN":  `value of mem is "NaN", want a number`,
		"delay soon":                              `number of seconds is "soon", want a whole number`,
		"delay -1":                                `number of seconds is "-1", want a whole number`,
		"delay 99999999999999999999":              `number of seconds is "99999999999999999999", want a whole number`,
		"delay 10 s":                              `"s" is too much`,
		"skip-round manager":                      `daemon is "manager", want crm, lrm`,
		"skip-round crm twice":                    `number of rounds is "twice", want a whole number`,
		"skip-round crm 2 please":                 `"please" is too much`,
	} {
		t.Run(text, func(t *testing.T) {
			_, err := ParseCommand(text)
			require.EqualError(t, err, `command "`+text+`": `+want)
		})
	}
}

func TestPower(t *testing.T) {
	c := newLab(t, folder{})
	require.Equal(t, NodeView{Name: "node1", State: ha.NodeUnknown}, c.node("node1"))
	c.do(allOn...)
	require.Equal(t, NodeView{
		Name: "node1", Power: true, Network: true, State: ha.NodeUnknown,
		CRM: ha.CRMWaitForQuorum, LRM: ha.LRMWaitForAgentLock, Mode: ha.ModeActive,
	}, c.node("node1"))
	c.do("power node1 on") // it is
	c.do("service vm:104 started")
	c.until("service status vm:104 started")
	c.do("power node1 off")
	require.Equal(t, NodeView{Name: "node1", State: ha.NodeOnline}, c.node("node1"))
	require.Empty(t, c.guest("vm:104").Runs, "a guest goes down with its node")
	c.requireLog("node1/crm: status change startup => wait_for_quorum", "cmdlist: execute power node1 on",
		"execute power node1 off", "node1/crm: killed by poweroff", "node1/lrm: killed by poweroff")
}

func TestNetwork(t *testing.T) {
	c := newRunningLab(t, folder{})
	c.do("network node2 off")
	require.True(t, c.node("node2").Power)
	require.False(t, c.node("node2").Network)
	require.NotEmpty(t, c.node("node2").CRM, "its daemons still run")
	c.until("node 'node2': state changed from 'online' => 'unknown'")
	c.do("network node2 on")
	c.until("node 'node2': state changed from 'unknown' => 'online'")
	require.True(t, c.node("node2").Network)
}

func TestBrokenFileSystem(t *testing.T) {
	c := newRunningLab(t, folder{fileServices: `{"vm:101": {"node": "node1", "state": "started"}}`})
	c.do("cfs node1 rw fail")
	c.until("node1/crm: could not read manager status: cfs connection refused - not mounted?")
	c.requireLog("node1/lrm: updating service status from manager failed: cfs connection refused - not mounted?")
	require.Equal(t, []string{"node1"}, c.guest("vm:101").Runs, "a guest survives it")
	c.do("cfs node1 rw work")
	c.log = nil
	c.loops(3)
	c.requireNotInLog("cfs connection refused")
}

func TestStaleFileSystem(t *testing.T) {
	c := newRunningLab(t, folder{fileServices: `{"vm:101": {"node": "node2", "state": "started"}}`})
	c.do("cfs node1 update fail", "cfs node2 update fail")
	c.until("node1/crm: temporary inconsistent cluster state (cfs restart?), skip round")
	c.requireLog("node2/lrm: temporary inconsistent cluster state (cfs restart?), skip round")
	c.do("cfs node1 update work", "cfs node2 update work")
	c.log = nil
	c.loops(3)
	c.requireNotInLog("skip round")
	require.Equal(t, ha.CRMMaster, c.node("node1").CRM)
}

func TestPowerOnMendsTheFileSystem(t *testing.T) {
	c := newRunningLab(t, folder{})
	c.do("cfs node3 rw fail", "cfs node3 update fail", "power node3 off", "power node3 on")
	require.True(t, c.nodes["node3"].cfsRW)
	require.True(t, c.nodes["node3"].cfsUpdate)
}

func TestVersion(t *testing.T) {
	c := newRunningLab(t, folder{})
	c.do("pve-manager-version node2 set 9.1.2")
	version, err := c.nodes["node1"].crmEnv.NodeVersion("node2")
	require.NoError(t, err)
	require.Equal(t, "9.1.2", version)
	version, err = c.nodes["node1"].crmEnv.NodeVersion("node1")
	require.NoError(t, err)
	require.Equal(t, "9.0.0~2", version)
}

func TestRebootAndShutdown(t *testing.T) {
	for verb, back := range map[string]bool{"reboot": true, "shutdown": false} {
		t.Run(verb, func(t *testing.T) {
			c := newRunningLab(t, folder{fileServices: `{"vm:101": {"node": "node2", "state": "started"}}`})
			c.do(verb + " node2")
			c.until("execute crm node2 stop")
			require.Equal(t, ha.LRMState(""), c.node("node2").LRM, "the LRM ends before the CRM")
			require.NotEmpty(t, c.node("node2").CRM)
			c.until(verb + ": execute power node2 off")
			c.requireLog("node2/lrm: got shutdown request with shutdown policy 'conditional'",
				"stopping service vm:101", "node2/lrm: exit (loop end)", "node2/crm: exit (loop end)")
			require.Equal(t, back, c.node("node2").Power)
			require.Empty(t, c.nodes["node2"].shutdown, "it is over")
		})
	}
}

func TestRestartLRM(t *testing.T) {
	c := newRunningLab(t, folder{fileServices: `{"vm:101": {"node": "node1", "state": "started"}}`})
	c.do("restart-lrm node1")
	c.until("node1/lrm: status change startup => wait_for_agent_lock")
	c.requireLog("node1/lrm: restart LRM, freeze all services", "node1/lrm: exit (loop end)")
	c.requireNotInLog("stopping service")
	require.Equal(t, []string{"node1"}, c.guest("vm:101").Runs)
	c.do("power node3 off", "restart-lrm node3") // nothing to restart
}

func TestCRMStopAndStart(t *testing.T) {
	c := newRunningLab(t, folder{})
	require.Equal(t, "node1", c.View().Master)
	c.do("crm node1 stop")
	c.until("node1/crm: exit (loop end)")
	require.Equal(t, ha.CRMState(""), c.node("node1").CRM)
	c.until("node2/crm: status change slave => master")
	c.do("crm node1 stop", "crm node1 start", "crm node1 start")
	require.Equal(t, ha.CRMWaitForQuorum, c.node("node1").CRM)
	c.loops(3)
	require.Equal(t, ha.CRMSlave, c.node("node1").CRM)
	require.Equal(t, "node2", c.View().Master)
}

func TestMaintenanceAndDisarm(t *testing.T) {
	c := newRunningLab(t, folder{fileServices: `{"vm:101": {"node": "node3", "state": "started"}}`})
	c.do("crm node3 enable-node-maintenance")
	c.until("status change active => maintenance")
	require.Equal(t, ha.ModeMaintenance, c.node("node3").Mode)
	c.until("end migrate to node")
	require.Equal(t, ha.NodeMaintenance, c.node("node3").State)
	c.do("crm node3 disable-node-maintenance")
	c.until("node 'node3': state changed from 'maintenance' => 'online'")
	c.do("crm node1 disarm-ha freeze")
	c.until("HA stack fully disarmed, releasing CRM watchdog")
	require.Equal(t, ha.Freeze, c.guest("vm:101").State)
	c.do("crm node2 arm-ha")
	c.until("re-arming HA stack")
}

func TestCommandsToTheCRMAreQueuedInOrder(t *testing.T) {
	c := newLab(t, folder{})
	c.do("service vm:101 migrate node2", "crm node1 enable-node-maintenance", "service vm:102 stop 10",
		"crm node3 disarm-ha ignore", "service vm:103 relocate nowhere", "crm node3 arm-ha", "crm node1 disable-node-maintenance")
	require.Equal(t, "migrate vm:101 node2\nenable-node-maintenance node1\nstop vm:102 10\n"+
		"disarm-ha ignore\nrelocate vm:103 nowhere\narm-ha\ndisable-node-maintenance node1\n", c.cfs.commands)
}

func TestServiceStates(t *testing.T) {
	c := newRunningLab(t, folder{fileServices: `{"vm:101": {"node": "node1", "state": "stopped"}}`})
	for _, step := range []struct {
		state string
		want  GuestView
	}{
		{"started", GuestView{State: ha.Started, Runs: []string{"node1"}}},
		{"ignored", GuestView{Runs: []string{"node1"}}},
		{"disabled", GuestView{State: ha.Stopped}},
		{"started", GuestView{State: ha.Started, Runs: []string{"node1"}}},
		{"stopped", GuestView{State: ha.Stopped}},
	} {
		c.do("service vm:101 " + step.state)
		c.loops(5)
		step.want.SID, step.want.Node, step.want.Wanted = "vm:101", "node1", ha.RequestState(step.state)
		require.Equal(t, step.want, c.guest("vm:101"), step.state)
	}
}

func TestMigrateAndRelocate(t *testing.T) {
	c := newRunningLab(t, folder{fileServices: `{"vm:101": {"node": "node1", "state": "started"}, "ct:102": {"node": "node1", "state": "started"}}`})
	c.do("service vm:101 migrate node2")
	c.until("node1/lrm: service vm:101 - end migrate to node 'node2'")
	c.requireNotInLog("stopping service vm:101")
	c.until("node2/lrm: service status vm:101 started")
	c.loops(2)
	c.do("service vm:101 relocate node3")
	c.until("node2/lrm: service vm:101 - end relocate to node 'node3'")
	c.requireLog("node2/lrm: stopping service vm:101 (relocate)", "node2/lrm: service status vm:101 stopped")
	c.until("node3/lrm: service status vm:101 started")
	require.Equal(t, []string{"node3"}, c.guest("vm:101").Runs)
	c.do("service ct:102 migrate node2")
	c.until("node1/lrm: service ct:102 - end relocate to node 'node2'")
	c.requireLog("unable to live migrate running container, fallback to relocate", "service ct:102 - start relocate")
}

func TestStopCommand(t *testing.T) {
	c := newRunningLab(t, folder{fileServices: `{"vm:101": {"node": "node1", "state": "started"}}`})
	c.do("service vm:101 stop 17")
	c.until("stopping service vm:101 (timeout=17)")
	c.loops(3)
	require.Equal(t, GuestView{SID: "vm:101", Wanted: ha.RequestStopped, State: ha.Stopped, Node: "node1"}, c.guest("vm:101"))
}

func TestAddAndDelete(t *testing.T) {
	c := newRunningLab(t, folder{fileServices: "{}"})
	c.do("service vm:1 add node2", "service vm:2 add node3 stopped", "service vm:3 add node1 started 1")
	require.Equal(t, GuestView{SID: "vm:1", Wanted: ha.RequestStarted, Node: "node2"}, c.guest("vm:1"))
	require.Equal(t, GuestView{SID: "vm:2", Wanted: ha.RequestStopped, Node: "node3"}, c.guest("vm:2"))
	require.Equal(t, []string{"node1"}, c.guest("vm:3").Runs)
	c.until("node2/lrm: service status vm:1 started")
	c.requireNotInLog("starting service vm:3")
	c.do("service vm:1 delete")
	require.Len(t, c.View().Guests, 2)
	c.until("removing stale service 'vm:1'")
	require.NotContains(t, c.cfs.staticStats, ha.SID("vm:1"))
}

func TestLockAndUnlock(t *testing.T) {
	c := newRunningLab(t, folder{fileServices: `{"vm:101": {"node": "node1", "state": "stopped"}}`})
	lock := func() string { return c.cfs.guests["vm:101"].lock }
	c.do("service vm:101 lock")
	require.Equal(t, "backup", lock())
	c.do("service vm:101 lock snapshot", "service vm:101 unlock backup")
	require.Equal(t, "snapshot", lock(), "another lock stays")
	c.do("service vm:101 started")
	c.until("service 'vm:101' locked (snapshot), unable to start!")
	c.do("service vm:101 unlock snapshot", "service vm:101 disabled")
	require.Empty(t, lock())
	c.loops(2)
	c.do("service vm:101 started")
	c.until("service status vm:101 started")
	c.do("service vm:101 lock migrate", "service vm:101 migrate node2")
	c.until("service 'vm:101' locked (migrate), unable to migrate!")
	c.do("service vm:101 stopped")
	c.until("service 'vm:101' locked (migrate), unable to shutdown!")
	c.do("service vm:101 unlock")
	require.Empty(t, lock())
}

func TestManualMigrate(t *testing.T) {
	c := newRunningLab(t, folder{fileServices: `{"vm:101": {"node": "node1", "state": "started"}}`})
	move, err := ParseCommand("service vm:101 manual-migrate node2")
	require.NoError(t, err)
	require.EqualError(t, c.Execute(move, logCommands),
		"manual-migrate requires service in 'ignored' state or disarm-ha ignore mode")
	c.do("service vm:101 ignored")
	require.NoError(t, c.Execute(move, logCommands))
	require.Equal(t, "node2", c.guest("vm:101").Node)
	c.do("service vm:101 started", "crm node1 disarm-ha ignore")
	c.until("fully disarmed")
	c.do("service vm:101 manual-migrate node3")
	require.Equal(t, "node3", c.guest("vm:101").Node)
}

func TestStatistics(t *testing.T) {
	c := newRunningLab(t, folder{})
	c.do("service vm:101 set-static-stats maxcpu 9.5", "service vm:101 set-dynamic-stats mem 256 cpu 1.5")
	services, err := c.nodes["node1"].crmEnv.DynamicServices()
	require.NoError(t, err)
	require.Equal(t, 9.5, services["vm:101"].Stats.MaxCPU)
	require.Equal(t, uint64(4096<<20), services["vm:101"].Stats.MaxMem, "as it was")
	require.Equal(t, 1.5, services["vm:101"].Stats.CPU)
	require.Equal(t, uint64(256<<20), services["vm:101"].Stats.Mem)
}

// What cannot be carried out ends a scenario with an error that says why.
func TestExecuteErrors(t *testing.T) {
	c := newLab(t, folder{})
	for text, want := range map[string]string{
		"power node9 on":                           "no such node 'node9'",
		"service vm:999 started":                   "no such service 'vm:999'",
		"service vm:999 set-static-stats maxcpu 1": "no such service 'vm:999'",
		"service vm:101 add node1":                 "resource ID 'vm:101' already defined",
		"service vm:999 add node9":                 "no such node 'node9'",
		"service vm:101 manual-migrate node9":      "no such node 'node9'",
	} {
		cmd, err := ParseCommand(text)
		require.NoError(t, err)
		require.EqualError(t, c.Execute(cmd, "test"), want, text)
	}
	require.EqualError(t, c.Execute(Command{Verb: "dance", Text: "dance"}, "test"), `unknown command "dance"`)
}
