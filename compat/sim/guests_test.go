package sim

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/crm/usage"
	"pveha/internal/ha"
)

// failing returns a lab with one service that fails on purpose.
func failing(t *testing.T, sid, settings string) *lab {
	t.Helper()
	return newLab(t, folder{fileServices: fmt.Sprintf(`{%q: {"node": "node2", "state": "started"%s}}`, sid, settings)})
}

func TestBehaviourOfDigits(t *testing.T) {
	for name, want := range map[string]behaviour{
		"fa:1":      {},
		"fa:12":     {},
		"fa:100":    {failures: map[string]int{"start": 0, "migrate": 0}},
		"fa:923":    {failures: map[string]int{"start": 2, "migrate": 3}},
		"fa:1001":   {failures: map[string]int{"start": 0, "migrate": 0}, cannotStop: true},
		"fa:110002": {failures: map[string]int{"start": 1, "migrate": 0}, onlyNode: 2},
	} {
		require.Equal(t, want, behaviourOf(ha.SID(name)), name)
	}
}

func TestGuestThatFailsToStart(t *testing.T) {
	t.Run("once, and is tried again", func(t *testing.T) {
		c := failing(t, "fa:110", "")
		c.do(allOn...)
		c.until("service status fa:110 started")
		require.Equal(t, 1, strings.Count(c.text(), "unable to start service fa:110"))
	})
	t.Run("twice, and is relocated", func(t *testing.T) {
		c := failing(t, "fa:120", "")
		c.do(allOn...)
		c.until("service status fa:120 started")
		require.Equal(t, 2, strings.Count(c.text(), "node2/lrm: starting service fa:120"))
		require.NotEqual(t, []string{"node2"}, c.guest("fa:120").Runs)
	})
	t.Run("always, and is given up", func(t *testing.T) {
		c := failing(t, "fa:190", "")
		c.do(allOn...)
		c.loops(20)
		require.Equal(t, ha.Error, c.guest("fa:190").State)
		require.Empty(t, c.guest("fa:190").Runs)
	})
	t.Run("on one node only", func(t *testing.T) {
		c := failing(t, "fa:190002", "")
		c.do(allOn...)
		c.until("service status fa:190002 started")
		require.NotEqual(t, []string{"node2"}, c.guest("fa:190002").Runs)
	})
	t.Run("after a success it fails again", func(t *testing.T) {
		c := failing(t, "fa:110", "")
		c.do(allOn...)
		c.until("service status fa:110 started")
		c.do("service fa:110 stopped")
		c.loops(4)
		c.do("service fa:110 started")
		c.loops(6)
		require.Equal(t, 2, strings.Count(c.text(), "unable to start service fa:110"))
		require.Len(t, c.guest("fa:110").Runs, 1)
	})
}

func TestGuestThatFailsToMigrate(t *testing.T) {
	c := failing(t, "fa:101", "")
	c.do(allOn...)
	c.until("service status fa:101 started")
	c.do("service fa:101 migrate node3")
	c.until("service fa:101 not moved (migration error)")
	c.loops(3)
	require.Equal(t, []string{"node2"}, c.guest("fa:101").Runs)
	c.do("service fa:101 migrate node3")
	c.until("end migrate to node 'node3'")
}

func TestGuestThatCannotStop(t *testing.T) {
	c := failing(t, "fa:1001", "")
	c.do(allOn...)
	c.until("service status fa:1001 started")
	c.do("service fa:1001 stopped")
	c.until("unable to stop service fa:1001 (still running)")
	require.Equal(t, []string{"node2"}, c.guest("fa:1001").Runs)
	c.loops(2)
	require.Equal(t, ha.Error, c.guest("fa:1001").State)
}

func TestActionOnAGuestThatIsGone(t *testing.T) {
	c := newLab(t, folder{})
	a := agent{c.nodes["node1"].lrmEnv}
	require.EqualError(t, a.Start("vm:999"), "no such service 'vm:999'")
	require.EqualError(t, a.Shutdown("vm:999", ""), "no such service 'vm:999'")
	_, err := a.Migrate("vm:999", "node2", true)
	require.EqualError(t, err, "no such service 'vm:999'")
	_, err = a.Migrate("vm:102", "node3", true)
	require.EqualError(t, err, "current_node for 'vm:102' does not match (node1 != node2)")
	require.True(t, a.Handles("vm") && a.Handles("ct") && a.Handles("fa"))
	require.False(t, a.Handles("dummy"))
}

func TestOvercommit(t *testing.T) {
	c := newLab(t, folder{
		fileHardware: `{"node1": {"power": "off", "network": "off", "maxcpu": 4, "maxmem": 1000},
			"node2": {"power": "off", "network": "off", "maxcpu": 4, "maxmem": 1000}}`,
		fileServices:           `{"vm:1": {"node": "node1"}, "vm:2": {"node": "node1"}, "vm:3": {"node": "node2"}}`,
		fileStaticStats:        `{"vm:1": {"maxcpu": 2, "maxmem": 500}, "vm:2": {"maxcpu": 2, "maxmem": 600}, "vm:3": {"maxcpu": 9, "maxmem": 9000}}`,
		fileDynamicStats:       `{"vm:1": {"cpu": 2.5, "mem": 500}, "vm:2": {"cpu": 2, "mem": 601}, "vm:3": {"cpu": 9, "mem": 9000}}`,
		prefixGuests + "node1": `{"vm:1": 1, "vm:2": 1}`,
	})
	nodes, err := c.nodes["node1"].crmEnv.DynamicNodes()
	require.NoError(t, err)
	require.Equal(t, []string{
		"warning     0     hardware: overcommitted cpu on 'vm:1'",
		"warning     0     hardware: overcommitted mem on 'vm:2'",
		"warning     0     hardware: overcommitted cpu on 'node1'",
		"warning     0     hardware: overcommitted mem on 'node1'",
	}, c.log)
	require.Equal(t, 4.5, nodes["node1"].CPU)
	require.Equal(t, uint64(1101), nodes["node1"].Mem)
	require.Zero(t, nodes["node2"].CPU, "what does not run uses nothing")
}

func TestMissingFigures(t *testing.T) {
	c := newLab(t, folder{
		fileServices:     `{"vm:1": {"node": "node1"}}`,
		fileHardware:     `{"node1": {"power": "off", "network": "off"}}`,
		fileDynamicStats: `{"vm:1": {"cpu": 1}}`,
	})
	e := c.nodes["node1"].crmEnv
	_, err := e.DynamicServices()
	require.EqualError(t, err, "no usage figures for 'vm:1'")
	_, err = e.DynamicNodes()
	require.Error(t, err)
	nodes, err := e.StaticNodes()
	require.NoError(t, err)
	require.Equal(t, map[string]usage.NodeStats{"node1": {}}, nodes, "zeros stand for what is not known")
}

func TestDebugMessagesAreNotLogged(t *testing.T) {
	c := newLab(t, folder{})
	e := c.nodes["node1"].crmEnv
	e.Log(ha.Entry{Level: ha.LevelDebug, Text: "whatever"})
	e.Log(ha.Entry{Level: ha.LevelNotice, Text: "line\n"})
	require.Equal(t, []string{"noti      0    node1/crm: line"}, c.log)
}
