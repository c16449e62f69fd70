package crm

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
)

func TestCommands(t *testing.T) {
	type outcome struct {
		log []string
		cmd []string // that waits for vm:1
	}
	for line, want := range map[string]outcome{
		"migrate vm:1 node2":  {[]string{"info: got crm command: migrate vm:1 node2"}, []string{"migrate", "node2"}},
		"relocate vm:1 node2": {[]string{"info: got crm command: relocate vm:1 node2"}, []string{"relocate", "node2"}},
		"stop vm:1 0":         {[]string{"info: got crm command: stop vm:1 0"}, []string{"stop", "0"}},
		"stop vm:1 60":        {[]string{"info: got crm command: stop vm:1 60"}, []string{"stop", "60"}},

		"migrate vm:9 node2":  {log: []string{"err: crm command error - no such service: migrate vm:9 node2"}},
		"stop vm:9 0":         {log: []string{"err: crm command error - no such service: stop vm:9 0"}},
		"migrate vm:1 node9":  {log: []string{"err: crm command error - node not online: migrate vm:1 node9"}},
		"relocate vm:1 node3": {log: []string{"err: crm command error - node not online: relocate vm:1 node3"}},
		"relocate vm:1 node1": {log: []string{"info: ignore crm command - service already on target node: relocate vm:1 node1"}},

		"migrate vm:1":                   {log: []string{"err: unable to parse crm command: migrate vm:1"}},
		"relocate vm:1 node2 now":        {log: []string{"err: unable to parse crm command: relocate vm:1 node2 now"}},
		"stop vm:1":                      {log: []string{"err: unable to parse crm command: stop vm:1"}},
		"levitate vm:1":                  {log: []string{"err: unable to parse crm command: levitate vm:1"}},
		" migrate vm:1 node2":            {log: []string{"err: unable to parse crm command:  migrate vm:1 node2"}},
		"disarm-ha":                      {log: []string{"err: unable to parse crm command: disarm-ha"}},
		"disarm-ha levitate":             {log: []string{"err: unable to parse crm command: disarm-ha levitate"}},
		"arm-ha now":                     {log: []string{"err: unable to parse crm command: arm-ha now"}},
		"enable-node-maintenance":        {log: []string{"err: unable to parse crm command: enable-node-maintenance"}},
		"disable-node-maintenance a b":   {log: []string{"err: unable to parse crm command: disable-node-maintenance a b"}},
		"arm-ha":                         {log: []string{"notice: ignoring arm-ha command - HA stack is not disarmed"}},
		"enable-node-maintenance node3":  {log: []string{"err: crm command error - node not online: enable-node-maintenance node3"}},
		"enable-node-maintenance node9":  {log: []string{"err: crm command error - node not online: enable-node-maintenance node9"}},
		"enable-node-maintenance node2":  {},
		"enable-node-maintenance node4":  {log: []string{"info: ignoring crm command - node node4 is already in maintenance state"}},
		"disable-node-maintenance node4": {},
		"disable-node-maintenance node2": {log: []string{"warning: clearing maintenance of node node2 requested, but it's in state online"}},
		"disable-node-maintenance node9": {log: []string{"warning: clearing maintenance of node node9 requested, but it's in state unknown"}},

		"stop vm:9 0\n\nstop vm:8 0\n\n": {log: []string{
			"err: crm command error - no such service: stop vm:9 0",
			"err: unable to parse crm command: ",
			"err: crm command error - no such service: stop vm:8 0",
		}},
		"stop vm:1 5\nmigrate vm:1 node2": { // the last one counts
			[]string{"info: got crm command: stop vm:1 5", "info: got crm command: migrate vm:1 node2"}, []string{"migrate", "node2"},
		},
	} {
		t.Run(line, func(t *testing.T) {
			// A service in state error has no use for a command, so that it stays.
			f, m := managing(t, map[ha.SID]*ha.ServiceStatus{"vm:1": {State: ha.Error, Node: "node1"}})
			f.addNode("node4")
			f.setMode("node4", ha.ModeMaintenance)
			f.members["node3"] = false
			f.rounds(t, m, 2)
			f.commands = line + "\n"
			require.Equal(t, want.log, f.rounds(t, m, 1))
			require.Equal(t, want.cmd, f.manager.ServiceStatus["vm:1"].Cmd)
			require.Empty(t, f.commands)
		})
	}
}

func TestMaintenanceIsRequestedAndCleared(t *testing.T) {
	f, m := managing(t, nil)
	f.commands = "enable-node-maintenance node2\nenable-node-maintenance node3"
	f.rounds(t, m, 1)
	require.Equal(t, map[string]ha.NodeRequest{"node2": {Maintenance: true}, "node3": {Maintenance: true}}, f.manager.NodeRequest)
	f.commands = "disable-node-maintenance node2"
	f.rounds(t, m, 1)
	require.Equal(t, map[string]ha.NodeRequest{"node2": {}, "node3": {Maintenance: true}}, f.manager.NodeRequest)
}

func TestCommandOfAService(t *testing.T) {
	const migrate, relocate = "migrate vm:1 node2", "relocate vm:1 node2"
	for name, test := range map[string]struct {
		state   ha.ServiceState
		command string
		want    []string // behind the line that the command was taken
		after   ha.ServiceStatus
	}{
		"started, migrate": {
			state: ha.Started, command: migrate,
			want: []string{
				"info: migrate service 'vm:1' to node 'node2'",
				"info: service 'vm:1': state changed from 'started' to 'migrate'  (node = node1, target = node2)",
			},
			after: ha.ServiceStatus{State: ha.Migrate, Node: "node1", Target: "node2"},
		},
		"started, relocate": {
			state: ha.Started, command: relocate,
			want: []string{
				"info: relocate service 'vm:1' to node 'node2'",
				"info: service 'vm:1': state changed from 'started' to 'relocate'  (node = node1, target = node2)",
			},
			after: ha.ServiceStatus{State: ha.Relocate, Node: "node1", Target: "node2"},
		},
		"stopped, migrate": {
			state: ha.Stopped, command: migrate,
			want:  []string{"info: service 'vm:1': state changed from 'stopped' to 'migrate'  (node = node1, target = node2)"},
			after: ha.ServiceStatus{State: ha.Migrate, Node: "node1", Target: "node2"},
		},
		"started, stop within a time": {
			state: ha.Started, command: "stop vm:1 60",
			want: []string{
				"info: request graceful stop with timeout '60' for service 'vm:1'",
				"info: service 'vm:1': state changed from 'started' to 'request_stop'  (timeout = 60)",
			},
			after: ha.ServiceStatus{State: ha.RequestStop, Node: "node1", Timeout: "60"},
		},
		"started, stop at once": {
			state: ha.Started, command: "stop vm:1 0",
			want: []string{
				"info: request immediate service hard-stop for service 'vm:1'",
				"info: service 'vm:1': state changed from 'started' to 'request_stop'  (timeout = 0)",
			},
			after: ha.ServiceStatus{State: ha.RequestStop, Node: "node1", Timeout: "0"},
		},
		"started, stop within a time that ends in letters": {
			state: ha.Started, command: "stop vm:1 12abc",
			want: []string{
				"info: request graceful stop with timeout '12abc' for service 'vm:1'",
				"info: service 'vm:1': state changed from 'started' to 'request_stop'  (timeout = 12abc)",
			},
			after: ha.ServiceStatus{State: ha.RequestStop, Node: "node1", Timeout: "12abc"},
		},
		"started, stop within a time that is none": {
			state: ha.Started, command: "stop vm:1 soon",
			want: []string{
				"info: request immediate service hard-stop for service 'vm:1'",
				"info: service 'vm:1': state changed from 'started' to 'request_stop'  (timeout = soon)",
			},
			after: ha.ServiceStatus{State: ha.RequestStop, Node: "node1", Timeout: "soon"},
		},
		"stopped, stop": {
			state: ha.Stopped, command: "stop vm:1 0",
			want:  []string{"info: ignore service 'vm:1' stop request - service already stopped"},
			after: ha.ServiceStatus{State: ha.Stopped, Node: "node1"},
		},
		"a state that has no use for it keeps it": {
			state: ha.Error, command: migrate,
			after: ha.ServiceStatus{State: ha.Error, Node: "node1", Cmd: []string{"migrate", "node2"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, m := managing(t, map[ha.SID]*ha.ServiceStatus{"vm:1": {State: test.state, Node: "node1"}})
			if test.state == ha.Stopped {
				f.want("vm:1", ha.RequestStopped)
			}
			f.commands = test.command
			require.Equal(t, append([]string{"info: got crm command: " + test.command}, test.want...), f.rounds(t, m, 1))
			test.after.UID = f.manager.ServiceStatus["vm:1"].UID
			require.Equal(t, &test.after, f.manager.ServiceStatus["vm:1"])
			wanted := ha.RequestStarted
			if test.state == ha.Stopped || test.after.State == ha.RequestStop {
				wanted = ha.RequestStopped
			}
			require.Equal(t, wanted, f.services["vm:1"].State)
		})
	}
}

// Commands can be older than the state of the cluster when they come to their
// service: a change of master may lie in between.
func TestCommandThatCameTooLate(t *testing.T) {
	for _, state := range []ha.ServiceState{ha.Started, ha.Stopped} {
		for name, test := range map[string]struct {
			cmd  []string
			want string
		}{
			"target not online":  {[]string{"migrate", "node3"}, "err: ignore service 'vm:1' migrate request - node 'node3' not online"},
			"on its target":      {[]string{"relocate", "node1"}, "info: ignore service 'vm:1' relocate request - service already on node 'node1'"},
			"not known":          {[]string{"levitate"}, "err: unknown command 'levitate' for service 'vm:1'"},
			"empty":              {[]string{}, "err: unknown command '' for service 'vm:1'"},
			"without its target": {[]string{"migrate"}, "err: ignore service 'vm:1' migrate request - node '' not online"},
		} {
			t.Run(string(state)+", "+name, func(t *testing.T) {
				f, m := managing(t, map[ha.SID]*ha.ServiceStatus{"vm:1": {State: state, Node: "node1", Cmd: test.cmd}})
				f.members["node3"] = false
				if state == ha.Stopped {
					f.want("vm:1", ha.RequestStopped)
				}
				require.Equal(t, []string{"info: node 'node3': state changed from 'online' => 'unknown'", test.want}, f.rounds(t, m, 1))
				require.Equal(t, &ha.ServiceStatus{State: state, Node: "node1"}, f.manager.ServiceStatus["vm:1"])
			})
		}
	}
}

// A stop must not be forgotten half-way: a service that stopped while its
// configuration says started would be started again.
func TestStopIsTriedAgainWhenTheConfigurationCannotBeWritten(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{"vm:1": {State: ha.Started, Node: "node1", UID: "o"}})
	f.commands = "stop vm:1 60"
	f.fault = f.failing("UpdateServices")
	f.guest("vm:2", "node1", ha.RequestStarted)
	require.Contains(t, f.rounds(t, m, 1), "err: stopping service 'vm:1' failed, trying again: connection refused")
	require.Equal(t, ha.Started, f.manager.ServiceStatus["vm:1"].State)
	require.Equal(t, []string{"stop", "60"}, f.manager.ServiceStatus["vm:1"].Cmd)
	require.Equal(t, ha.Started, f.manager.ServiceStatus["vm:2"].State, "the others are not held up")
	f.fault = nil
	f.rounds(t, m, 1)
	require.Equal(t, &ha.ServiceStatus{State: ha.RequestStop, Node: "node1", UID: "request_stop-3", Timeout: "60"}, f.manager.ServiceStatus["vm:1"])
	require.Equal(t, ha.RequestStopped, f.services["vm:1"].State)
}

// A command that waits does not survive a change of state that it did not
// cause.
func TestCommandIsDroppedWhenTheServiceChanges(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{"vm:1": {State: ha.RequestStop, Node: "node1", UID: "o"}})
	f.want("vm:1", ha.RequestStopped)
	f.commands = "migrate vm:1 node2"
	f.rounds(t, m, 1)
	require.Equal(t, []string{"migrate", "node2"}, f.manager.ServiceStatus["vm:1"].Cmd)
	f.report("node1", "o", ha.ExitSuccess)
	require.Equal(t, []string{"info: service 'vm:1': state changed from 'request_stop' to 'stopped'"}, f.rounds(t, m, 1))
	require.Nil(t, f.manager.ServiceStatus["vm:1"].Cmd)
}
