package sim

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/crm"
	"pveha/internal/ha"
)

func TestParseExtendedCommands(t *testing.T) {
	for text, want := range map[string]Command{
		"at 347": {Verb: VerbAt, Number: 347},
		"end":    {Verb: VerbEnd},
		"rule add resource-affinity apart affinity=negative resources=vm:1,vm:2": {
			Verb: VerbRule, Action: "add",
			Args: []string{"resource-affinity", "apart", "affinity=negative", "resources=vm:1,vm:2"},
		},
		"rule delete apart":               {Verb: VerbRule, Action: "delete", Args: []string{"apart"}},
		"group set g nodes=node1":         {Verb: VerbGroup, Action: "set", Args: []string{"g", "nodes=node1"}},
		"datacenter set ha=static":        {Verb: VerbDatacenter, Action: "set", Args: []string{"ha=static"}},
		"service vm:1 set max_restart=3":  {Verb: VerbService, SID: "vm:1", Action: "set", Args: []string{"max_restart=3"}},
		"service vm:1 fail start always":  {Verb: VerbService, SID: "vm:1", Action: "fail", Args: []string{"start", "always"}},
		"service vm:1 fail migrate 00002": {Verb: VerbService, SID: "vm:1", Action: "fail", Args: []string{"migrate", "00002"}},
	} {
		want.Text = text
		got, err := ParseCommand(text)
		require.NoError(t, err)
		if want.Args == nil {
			got.Args = nil
		}
		require.Equal(t, want, got)
		require.True(t, got.extends(), text)
	}
	for text, want := range map[string]string{
		"at":                                   "a command needs a verb and what it is for",
		"at noon":                              `number of seconds is "noon", want a whole number`,
		"end now":                              `"now" is too much`,
		"rule":                                 "a command needs a verb and what it is for",
		"rule bend x":                          `action is "bend", want add, set, delete`,
		"rule add node-affinity":               "missing type and ID",
		"rule add node-affinity x":             "nothing to set",
		"rule set x strict":                    `"strict" is not KEY=VALUE`,
		"rule set x strict=1 strict=0":         `"strict" is given twice`,
		"rule delete":                          "missing ID",
		"group delete a b":                     `"b" is too much`,
		"group add":                            "missing ID",
		"datacenter get ha":                    `action is "get", want set`,
		"datacenter set ha=best":               `ha: value is "best", want one of ["basic" "static" "dynamic"]`,
		"datacenter set colour=blue":           "colour: no such setting",
		"datacenter set max_workers=1001":      `max_workers: value is "1001", want at most 1000`,
		"datacenter set ha-auto-rebalance=yes": `ha-auto-rebalance: value is "yes", want 0, 1`,

		"datacenter set ha-auto-rebalance-margin=NaN": `ha-auto-rebalance-margin: value is "NaN", want a number from 0 to 100`,

		"service vm:1 set":                "nothing to set",
		"service vm:1 set colour=blue":    "colour: no such property of a service",
		"service vm:1 set max_restart=-1": `max_restart: value is "-1", want a whole number`,
		"service vm:1 fail":               "missing action",
		"service vm:1 fail start":         "missing tries",
		"service vm:1 fail breathe 1":     `action is "breathe", want start, stop, migrate`,
		"service vm:1 fail start often":   `number of tries is "often", want a whole number`,
	} {
		_, err := ParseCommand(text)
		require.EqualError(t, err, `command "`+text+`": `+want)
	}
}

func TestTimesAreChecked(t *testing.T) {
	for list, want := range map[string]string{
		`[["power node1 on", "at 20"]]`: `cmdlist: step 1: command "at 20": a time stands first in its step`,
		`[["at 20"], ["at 19"]]`:        `cmdlist: step 2: command "at 19": time goes back, it was 20 before`,
		`[["end", "power node1 on"]]`:   `cmdlist: step 1: command "end": commands follow the end`,
		`[["end"], ["power node1 on"]]`: `cmdlist: step 1: command "end": commands follow the end`,
	} {
		_, err := folder{fileCommands: list}.parse()
		require.EqualError(t, err, want)
	}
}

// logOf plays a scenario to its end.
func logOf(t *testing.T, f folder) string {
	t.Helper()
	s, err := f.parse()
	require.NoError(t, err)
	var log bytes.Buffer
	c, err := New(s, Options{Log: &log, Slips: true})
	require.NoError(t, err)
	require.NoError(t, c.Run())
	return log.String()
}

// A step with a time cuts the round, but not the turns of the daemons in it.
func TestStepsAtTheirTimes(t *testing.T) {
	log := logOf(t, folder{fileCommands: `[
		["at 0", "power node1 on", "power node2 on", "power node3 on"],
		["at 7", "delay 100"],
		["at 8", "skip-round crm"],
		["at 47", "network node3 off"],
		["at 95", "end"]
	]`})
	require.Contains(t, log, "info      0      cmdlist: execute power node1 on\n")
	require.Contains(t, log, "info      7      cmdlist: execute delay 100\n")
	require.Contains(t, log, "info     13      cmdlist: execute skip-round crm\n", "the daemons' turns end at 13")
	require.Contains(t, log, "info     47      cmdlist: execute network node3 off\n")
	require.Contains(t, log, "info     95     hardware: exit simulation - done\n")
	require.NotContains(t, log, "  at 7")
}

// What is driven by hand and written down with its times is the same again.
func TestDrivenByHandIsTheSameAsByTimes(t *testing.T) {
	s, err := folder{}.parse()
	require.NoError(t, err)
	var log bytes.Buffer
	var steps []string
	c, err := New(s, Options{Log: &log, Endless: true, OnExecute: func(cmd Command) { steps = append(steps, cmd.Text) }})
	require.NoError(t, err)
	c.Begin()
	do := func(at ha.Epoch, text string) {
		c.CutRound(at)
		cmd, err := ParseCommand(text)
		require.NoError(t, err)
		require.NoError(t, c.Check(cmd))
		require.NoError(t, c.Execute(cmd, logCommands))
		require.NoError(t, c.Round())
	}
	require.NoError(t, c.Round())
	do(3, "power node1 on")
	do(4, "power node2 on")
	do(11, "power node3 on")
	for range 6 {
		_, err := c.EndRound()
		require.NoError(t, err)
		require.NoError(t, c.Round())
	}
	do(150, "service vm:101 started")
	end := c.Now()
	c.End()
	require.Len(t, steps, 4)
	require.EqualValues(t, 156, c.now, "three nodes take their turns from 150 on")
	require.EqualValues(t, 170, c.RoundEnd())

	require.Equal(t, log.String(), logOf(t, folder{fileCommands: `[["at 3", "power node1 on"], ["at 4", "power node2 on"],
		["at 11", "power node3 on"], ["at 150", "service vm:101 started"], ["at ` + fmt.Sprint(end) + `", "end"]]`}))
}

func TestConfigCommands(t *testing.T) {
	l := newRunningLab(t, folder{})
	l.do("rule add node-affinity home nodes=node2:2,node3 resources=vm:101 strict=1",
		"rule add resource-affinity apart affinity=negative resources=vm:101,vm:102",
		"rule set home strict= nodes=node2",
		"group add gr nodes=node1 restricted=1",
		"service vm:102 set group=gr failback=0 max_restart=3 max_relocate=0",
		"datacenter set ha=dynamic ha-auto-rebalance=1 ha-auto-rebalance-threshold=0.5 shutdown_policy=migrate max_workers=2")
	rules, groups := l.Config()
	require.Equal(t, "node-affinity: home\n\tnodes node2\n\tresources vm:101\n\n"+
		"resource-affinity: apart\n\taffinity negative\n\tresources vm:101,vm:102\n\n", string(rules))
	require.Equal(t, "group: gr\n\tnodes node1\n\trestricted 1\n\n", string(groups))
	d := l.Detail()
	want := crm.DefaultScheduling()
	want.Mode, want.AutoRebalance.Enabled, want.AutoRebalance.Threshold = crm.SchedulerDynamic, true, 0.5
	require.Equal(t, Settings{Scheduling: want, ShutdownPolicy: ha.PolicyMigrate, MaxWorkers: 2}, d.Cluster.Settings)
	g := d.Guests[1]
	require.Equal(t, "gr", g.Group)
	require.Equal(t, []any{false, 3, 0}, []any{g.Failback, g.MaxRestart, g.MaxRelocate})

	l.do("rule delete apart", "group delete gr", "datacenter set ha= max_workers=")
	rules, groups = l.Config()
	require.NotContains(t, string(rules), "apart")
	require.Empty(t, string(groups))
	require.Zero(t, l.Detail().Cluster.Settings.MaxWorkers)
}

func TestCheckRefusesWhatCannotBeDone(t *testing.T) {
	l := newRunningLab(t, folder{fileRules: "node-affinity: home\n\tnodes node1\n\tresources vm:101\n\n"})
	l.do("power node3 off", "restart-lrm node1", "reboot node2")
	for text, want := range map[string]string{
		"power node9 on":                      "no such node 'node9'",
		"power node2 on":                      "node2 is going down: wait until it is off, or switch it off",
		"reboot node3":                        "node3 is off already",
		"crm node3 start":                     "node3 is off: its CRM cannot be started",
		"shutdown node1":                      "the LRM of node1 is being restarted: wait until that is over",
		"restart-lrm node2":                   "node2 is going down: its LRM is not restarted any more",
		"service vm:101 add node1":            "resource ID 'vm:101' already defined",
		"service vm:999 add node9":            "no such node 'node9'",
		"service xy:999 add node1":            `service "xy:999": the simulator has vm:ID, ct:ID and fa:ID`,
		"service vm:999 started":              "no such service 'vm:999'",
		"service vm:999 migrate node1":        "no such service 'vm:999'",
		"service vm:101 migrate node9":        "no such node 'node9'",
		"service vm:101 manual-migrate node2": "manual-migrate requires service in 'ignored' state or disarm-ha ignore mode",
		"rule add node-affinity home nodes=node1 resources=vm:102": "HA rule 'home' already defined",
		"rule add node-affinity out nodes=node1 resources=101":     "property 'resources': invalid format - value does not look like a valid ha resource id",
		"rule set gone strict=1":                                   "HA rule 'gone' does not exist",
		"rule delete gone":                                         "HA rule 'gone' does not exist",
		"group delete gone":                                        "no such ha group 'gone'",
		"at 100":                                                   "only a scenario has times and an end",
	} {
		cmd, err := ParseCommand(text)
		require.NoError(t, err)
		require.EqualError(t, l.Check(cmd), `command "`+text+`": `+want)
	}
}

func TestFailOnDemand(t *testing.T) {
	l := newRunningLab(t, folder{})
	l.do("service vm:101 fail start 1", "service vm:101 started")
	l.until("unable to start service vm:101")
	l.until("service status vm:101 started")
	require.Empty(t, l.Detail().Guests[0].Fail, "the one try is used up")

	l.do("service vm:101 fail migrate always", "service vm:101 migrate node2")
	l.until("service vm:101 not moved (migration error)")
	require.Equal(t, map[string]int{"migrate": -1}, l.Detail().Guests[0].Fail)
	l.do("service vm:101 fail migrate 0", "service vm:101 fail stop always", "service vm:101 stopped")
	l.until("unable to stop service vm:101 (still running)")
}

// With workers a node starts only some guests at a time.
func TestWorkersTakeTheirTime(t *testing.T) {
	services := `{`
	for _, id := range []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"} {
		services += `"vm:` + id + `": {"node": "node1", "state": "started"},`
	}
	services = services[:len(services)-1] + `}`
	most := 0
	l := newLab(t, folder{fileServices: services, fileDatacenter: `{"max_workers": 1}`})
	l.do(allOn...)
	started := 0
	for range 20 {
		l.loops(1)
		d := l.Detail()
		most = max(most, d.Nodes[0].Running-started)
		started = d.Nodes[0].Running
	}
	require.Equal(t, 12, started)
	require.Less(t, most, 12, "not all in one round")
	l.do("power node1 off")
	require.Zero(t, l.Detail().Nodes[0].Orders)
}

func TestExplainIsQuiet(t *testing.T) {
	l := newRunningLab(t, folder{
		fileDatacenter: `{"crs": {"ha": "dynamic"}}`,
		fileDynamicStats: `{"vm:101": {"cpu": 99, "mem": 1}, "vm:102": {"cpu": 1, "mem": 1}, "vm:103": {"cpu": 1, "mem": 1},
			"vm:104": {"cpu": 1, "mem": 1}, "vm:105": {"cpu": 1, "mem": 1}, "vm:106": {"cpu": 1, "mem": 1}}`,
	})
	l.do("service vm:101 started")
	l.until("service status vm:101 started")
	l.log = nil
	e, err := l.Explain("vm:101")
	require.NoError(t, err)
	require.Equal(t, "node1", e.Node)
	require.Len(t, e.Nodes, 3)
	require.Empty(t, l.log)
	_, err = l.Explain("vm:999")
	require.ErrorIs(t, err, crm.ErrNotManaged)
}
