package sim

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/crm"
	"pveha/crm/usage"
	"pveha/internal/ha"
)

// What is wrong with a scenario is said in one line that names the file and
// the place in it.
func TestParseErrors(t *testing.T) {
	for name, test := range map[string]struct {
		files folder
		want  string
	}{
		"commands: not JSON":            {folder{fileCommands: "[\n  [\"power node1 on\",]\n]"}, `cmdlist:2:21: invalid character ']' looking for beginning of value`},
		"commands: stops short":         {folder{fileCommands: "[\n[\"power node1 on\"]\n"}, `cmdlist:2:19: unexpected end of JSON input`},
		"commands: empty":               {folder{fileCommands: ""}, `cmdlist:1:1: unexpected end of JSON input`},
		"commands: line break in text":  {folder{fileCommands: "[[\"power\nnode1 on\"]]"}, `cmdlist:1:9: invalid character '\n' in string literal`},
		"commands: more behind":         {folder{fileCommands: "[]\n[]"}, `cmdlist:2:1: invalid character '[' after top-level value`},
		"commands: an object":           {folder{fileCommands: `{}`}, `cmdlist:1:1: object, want array`},
		"commands: no list in the list": {folder{fileCommands: "[[],\n \"power node1 on\"]"}, `cmdlist:2:17: string, want array`},
		"commands: a number":            {folder{fileCommands: "[[],\n [\n 7]]"}, `cmdlist:3:2: number, want string`},
		"commands: no words":            {folder{fileCommands: `[[""]]`}, `cmdlist: step 1: command "": a command needs a verb and what it is for`},
		"commands: unknown verb":        {folder{fileCommands: `[[],["power node1 on","powr node1 on"]]`}, `cmdlist: step 2: command "powr node1 on": unknown verb "powr"`},
		"commands: unknown node":        {folder{fileCommands: `[["power node9 on"]]`}, `cmdlist: step 1: command "power node9 on": no such node "node9" (there are ["node1" "node2" "node3"])`},
		"commands: unknown service":     {folder{fileCommands: `[["service vm:999 started"]]`}, `cmdlist: step 1: command "service vm:999 started": no such service vm:999 at this point`},
		"commands: deleted service":     {folder{fileCommands: `[["service vm:101 delete"],["service vm:101 lock"]]`}, `cmdlist: step 2: command "service vm:101 lock": no such service vm:101 at this point`},
		"commands: service not yet":     {folder{fileCommands: `[["service vm:1 started"],["service vm:1 add node1"]]`}, `cmdlist: step 1: command "service vm:1 started": no such service vm:1 at this point`},
		"commands: added twice":         {folder{fileCommands: `[["service vm:101 add node1"]]`}, `cmdlist: step 1: command "service vm:101 add node1": service vm:101 exists already`},
		"commands: added to no node":    {folder{fileCommands: `[["service vm:1 add node9"]]`}, `cmdlist: step 1: command "service vm:1 add node9": no such node "node9" (there are ["node1" "node2" "node3"])`},
		"commands: no agent for it":     {folder{fileCommands: `[["service dummy:1 add node1"]]`}, `cmdlist: step 1: command "service dummy:1 add node1": service "dummy:1": the simulator has vm:ID, ct:ID and fa:ID`},
		"commands: moved to no node":    {folder{fileCommands: `[["service vm:101 manual-migrate node9"]]`}, `cmdlist: step 1: command "service vm:101 manual-migrate node9": no such node "node9" (there are ["node1" "node2" "node3"])`},

		"hardware: not JSON":        {folder{fileHardware: "{\n\t\"node1\": {power: 1}}"}, `hardware_status:2:12: invalid character 'p' looking for beginning of object key string`},
		"hardware: a list":          {folder{fileHardware: "[]"}, `hardware_status:1:1: array, want object`},
		"hardware: no nodes":        {folder{fileHardware: "{}"}, `hardware_status: no node in it`},
		"hardware: node is text":    {folder{fileHardware: `{"node1": "on"}`}, `hardware_status:1:14: string, want object`},
		"hardware: power a number":  {folder{fileHardware: "{\"node1\": {\"power\": 1}}"}, `hardware_status:1:21: number for power, want string`},
		"hardware: power missing":   {folder{fileHardware: `{"b": {}, "a": {"network": "on"}}`}, `hardware_status: node a: power is "", want on, off`},
		"hardware: network unknown": {folder{fileHardware: `{"a": {"power": "on", "network": "On"}}`}, `hardware_status: node a: network is "On", want on, off`},
		"hardware: shutdown":        {folder{fileHardware: `{"a": {"power": "on", "network": "on", "shutdown": "halt"}}`}, `hardware_status: node a: shutdown is "halt", want reboot, shutdown`},
		"hardware: cores":           {folder{fileHardware: `{"a": {"power": "on", "network": "on", "maxcpu": "many"}}`}, `hardware_status: node a: maxcpu is "many", want a number`},
		"hardware: memory":          {folder{fileHardware: `{"a": {"power": "on", "network": "on", "maxmem": -1}}`}, `hardware_status: node a: maxmem is -1, want a number`},
		"hardware: file system":     {folder{fileHardware: `{"a": {"power": "on", "network": "on", "cfs": {"rw": "no"}}}`}, `hardware_status: node a: cfs rw is "no", want true or false`},

		"services: not JSON":        {folder{fileServices: `{"vm:101" {}}`}, `service_config:1:11: invalid character '{' after object key`},
		"services: type":            {folder{fileServices: `{"vm:1": {"node": "node1"}, "qm:1": {"node": "node1"}}`}, `service_config: service "qm:1": the simulator has vm:ID, ct:ID and fa:ID`},
		"services: no node":         {folder{fileServices: `{"vm:1": {}}`}, `service_config: service vm:1 has no node`},
		"services: restarts":        {folder{fileServices: `{"vm:1": {"node": "node1", "max_restart": 1.5}}`}, `service_config: vm:1: max_restart is 1.5, want a whole number`},
		"services: relocates":       {folder{fileServices: `{"vm:1": {"node": "node1", "max_relocate": {"a": 1,` + "\n" + ` "b": 2}}}`}, `service_config: vm:1: max_relocate is {"a": 1, "b": 2}, want a number`},
		"services: failback":        {folder{fileServices: `{"vm:1": {"node": "node1", "failback": "maybe"}}`}, `service_config: vm:1: failback is "maybe", want true or false`},
		"running guests: not JSON":  {folder{"service_status_node2": `{`}, `service_status_node2:1:1: unexpected end of JSON input`},
		"running guests: no truth":  {folder{"service_status_node2": `{"vm:1": 2}`}, `service_status_node2: vm:1 is 2, want true or false`},
		"statistics: not JSON":      {folder{fileStaticStats: `nothing`}, `static_service_stats:1:2: invalid character 'o' in literal null (expecting 'u')`},
		"statistics: no number":     {folder{fileDynamicStats: `{"vm:1": {"cpu": "1", "mem": "lots"}}`}, `dynamic_service_stats: vm:1: mem is "lots", want a number`},
		"datacenter: not JSON":      {folder{fileDatacenter: "ha: shutdown_policy=freeze\n"}, `datacenter.cfg:1:1: invalid character 'h' looking for beginning of value`},
		"datacenter: policy":        {folder{fileDatacenter: `{"ha": {"shutdown_policy": 3}}`}, `datacenter.cfg:1:28: number for ha.shutdown_policy, want string`},
		"datacenter: threshold":     {folder{fileDatacenter: `{"crs": {"ha-auto-rebalance-threshold": "high"}}`}, `datacenter.cfg: ha-auto-rebalance-threshold is "high", want a number`},
		"manager status: not JSON":  {folder{fileManagerStatus: "{\n  \"master_node\": }"}, `cannot read manager_status: at byte 19: expected the name of the master node`},
		"manager status: of an LRM": {folder{fileManagerStatus: `{"mode": "active"}`}, `manager_status`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := test.files.parse()
			require.Error(t, err)
			if strings.HasPrefix(name, "manager status") { // worded by its own package
				require.ErrorContains(t, err, test.want)
			} else {
				require.EqualError(t, err, test.want)
			}
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestParseWantsCommands(t *testing.T) {
	_, err := Parse("test", nil)
	require.EqualError(t, err, "cmdlist: missing")
}

// The first error is always the same one, whatever order Go's maps have.
func TestParseErrorsRepeat(t *testing.T) {
	bad := folder{
		fileHardware: `{"a": {}, "b": {}, "c": {}, "d": {}}`,
		fileServices: `{"x:1": {}, "x:2": {}, "x:3": {}}`,
	}
	for range 50 {
		_, err := bad.parse()
		require.EqualError(t, err, `hardware_status: node a: power is "", want on, off`)
	}
}

func TestDefaultsForMissingFiles(t *testing.T) {
	c := newLab(t, folder{})
	require.Equal(t, []string{"node1", "node2", "node3"}, c.scenario.Nodes())
	v := c.View()
	for _, n := range v.Nodes {
		require.Equal(t, NodeView{Name: n.Name, State: ha.NodeUnknown}, n)
	}
	require.Len(t, v.Guests, 6)
	require.Equal(t, GuestView{SID: "vm:104", Wanted: ha.RequestDisabled, Node: "node1"}, v.Guests[3])
	require.Equal(t, ha.ServiceConfig{
		Node: "node3", State: ha.RequestDisabled, Failback: true, MaxRestart: 1, MaxRelocate: 1,
	}, c.cfs.services()["vm:106"])

	env := c.nodes["node1"].crmEnv
	static, err := env.StaticServices()
	require.NoError(t, err)
	require.Equal(t, &usage.ServiceStats{MaxCPU: 4, MaxMem: 4096 << 20}, static["vm:101"].Stats)
	dynamic, err := env.DynamicServices()
	require.NoError(t, err)
	require.Equal(t, &usage.ServiceStats{CPU: 2, MaxCPU: 4, Mem: 2048 << 20, MaxMem: 4096 << 20}, dynamic["vm:101"].Stats)
	nodes, err := env.DynamicNodes()
	require.NoError(t, err)
	require.Equal(t, usage.NodeStats{MaxCPU: 24, MaxMem: 131072 << 20}, nodes["node2"])
	version, err := env.NodeVersion("node2")
	require.NoError(t, err)
	require.Equal(t, "9.0.0~2", version)
	scheduling, err := env.Scheduling()
	require.NoError(t, err)
	require.Equal(t, crm.DefaultScheduling(), scheduling)
	policy, err := env.ShutdownPolicy()
	require.NoError(t, err)
	require.Equal(t, ha.PolicyConditional, policy)
}

// Perl programs write one value in many ways.
func TestLenientValues(t *testing.T) {
	c := newLab(t, folder{
		fileHardware: `{
			"a": {"power": "on", "network": "off", "maxcpu": "12", "maxmem": 1e9, "shutdown": null,
			      "cfs": {"rw": "", "update": "0"}, "pve-manager-version": "9.1.0", "comment": "unknown key"},
			"b": {"power": "off", "network": "on", "maxcpu": null, "cfs": {"rw": 1, "update": true}}}`,
		fileServices: `{
			"vm:1": {"node": "a", "state": "enabled", "failback": "", "max_restart": "3", "max_relocate": 0, "lock": "backup"},
			"fa:2001": {"node": "b", "failback": "1", "group": "g"}}`,
		"service_status_a":  `{"vm:1": "1", "fa:2001": 0}`,
		"service_status_zz": `not of any node`,
		fileStaticStats:     `{"vm:1": {"maxcpu": "2.5", "maxmem": 1024}}`,
		fileDatacenter: `{"ha": {"shutdown_policy": "migrate"}, "crs": {"ha": "dynamic", "ha-rebalance-on-start": "1",
			"ha-auto-rebalance": true, "ha-auto-rebalance-threshold": "0.7", "ha-auto-rebalance-method": "topsis",
			"ha-auto-rebalance-hold-duration": "5", "ha-auto-rebalance-margin": 0}}`,
	})
	a, b := c.nodes["a"], c.nodes["b"]
	require.Equal(t, []any{true, false, 12.0, 1e9, "", false, false, "9.1.0"},
		[]any{a.power, a.network, *a.maxCPU, *a.maxMem, a.shutdown, a.cfsRW, a.cfsUpdate, a.version})
	require.Equal(t, []any{false, true, true, true}, []any{b.power, b.network, b.cfsRW, b.cfsUpdate})
	require.Nil(t, b.maxCPU)
	require.Equal(t, map[ha.SID]ha.ServiceConfig{
		"vm:1":    {Node: "a", State: ha.RequestStarted, MaxRestart: 3},
		"fa:2001": {Node: "b", State: ha.RequestDisabled, Failback: true, Group: "g", MaxRestart: 1, MaxRelocate: 1},
	}, c.cfs.services())
	require.Equal(t, "backup", c.cfs.guests["vm:1"].lock)
	require.Equal(t, map[ha.SID]bool{"vm:1": true, "fa:2001": false}, a.running)
	require.Equal(t, 2.5, *c.cfs.staticStats["vm:1"].cpu)
	require.Equal(t, crm.Scheduling{
		Mode: crm.SchedulerDynamic, RebalanceOnStart: true,
		AutoRebalance: crm.AutoRebalance{Enabled: true, Threshold: 0.7, Hold: 5, Margin: 0, Method: usage.TOPSIS},
	}, c.scenario.scheduling)
	require.Equal(t, ha.PolicyMigrate, c.scenario.shutdownPolicy)
}

func TestManagerStatusOfTheStart(t *testing.T) {
	c := newLab(t, folder{fileManagerStatus: `{"master_node": "node2", "node_status": {"node1": "maintenance"},
		"service_status": {"vm:101": {"state": "migrate", "node": "node1", "target": "node3", "uid": "x"}}}`})
	v := c.View()
	require.Equal(t, "node2", v.Master)
	require.Equal(t, ha.NodeMaintenance, v.Nodes[0].State)
	require.Equal(t, GuestView{SID: "vm:101", Wanted: ha.RequestDisabled, State: ha.Migrate, Node: "node1", Target: "node3"}, v.Guests[0])
}

// A scenario can be played as often as one likes.
func TestPlayingDoesNotChangeTheScenario(t *testing.T) {
	s, err := folder{fileCommands: `[["power node1 on", "power node2 on", "power node3 on"],
		["service vm:101 started", "service vm:102 lock", "service vm:103 set-static-stats maxcpu 9", "service vm:104 delete"],
		["network node3 off", "service ct:1 add node1 started 1", "crm node1 disarm-ha freeze"]]`}.parse()
	require.NoError(t, err)
	var logs [2]strings.Builder
	for i := range logs {
		c, err := New(s, Options{Log: &logs[i]})
		require.NoError(t, err)
		require.NoError(t, c.Run())
	}
	require.Equal(t, logs[0].String(), logs[1].String())
}

func TestTooManyNodes(t *testing.T) {
	cluster := func(n int) (*Cluster, error) {
		var nodes []string
		for i := range n {
			nodes = append(nodes, `"n`+strings.Repeat("x", i)+`": {"power": "off", "network": "off"}`)
		}
		s, err := folder{fileHardware: "{" + strings.Join(nodes, ",") + "}", fileServices: "{}"}.parse()
		require.NoError(t, err)
		return New(s, Options{Log: io.Discard})
	}
	_, err := cluster(30)
	require.EqualError(t, err, "unable to simulate 30 nodes: a round of all would take longer than watchdogs and locks allow (at most 29)")
	c, err := cluster(29)
	require.NoError(t, err)
	require.NoError(t, c.Run())
}
