package crm

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/crm/usage"
	"pveha/internal/ha"
)

func TestChangeOfTheSchedulerModeIsLogged(t *testing.T) {
	f := newFake("node1")
	m := f.master(t)
	require.Empty(t, f.logged(), "basic is not worth a line")
	mode := func(mode SchedulerMode) []string {
		f.scheduling.Mode = mode
		return f.rounds(t, m, 1)
	}
	require.NotContains(t, strings.Join(mode(SchedulerBasic), "\n"), "scheduler")
	require.Equal(t, []string{"info: switching scheduler mode from 'basic' to 'static'"}, mode(SchedulerStatic))
	require.Empty(t, mode(SchedulerStatic))
	require.Equal(t, []string{"info: switching scheduler mode from 'static' to 'dynamic'"}, mode(SchedulerDynamic))
	require.Equal(t, []string{"info: switching scheduler mode from 'dynamic' to 'basic'"}, mode(SchedulerBasic))
	require.Equal(t, []string{
		"info: switching scheduler mode from 'basic' to 'levitating'",
		"warning: got unknown scheduler mode 'levitating', using 'basic'",
	}, mode("levitating"))
	require.IsType(t, &usage.Basic{}, m.usage)
}

func TestModeOfTheSchedulerIsLoggedAtTheStart(t *testing.T) {
	f := newFake("node1")
	f.scheduling.Mode = SchedulerDynamic
	f.master(t)
	require.Equal(t, []string{"info: using scheduler mode 'dynamic'"}, f.logged())
}

func TestSchedulerWithoutItsFiguresFallsBackToBasic(t *testing.T) {
	for name, test := range map[string]struct {
		mode   SchedulerMode
		change func(f *fake)
		want   string
	}{
		"static guests":  {SchedulerStatic, func(f *fake) { f.fault = f.failing("StaticServices") }, "connection refused"},
		"dynamic guests": {SchedulerDynamic, func(f *fake) { f.fault = f.failing("DynamicServices") }, "connection refused"},
		"static nodes": {
			SchedulerStatic, func(f *fake) { f.fault = f.failing("StaticNodes") },
			"did not get static node usage information - connection refused",
		},
		"dynamic nodes": {
			SchedulerDynamic, func(f *fake) { f.fault = f.failing("DynamicNodes") },
			"did not get dynamic node usage information - connection refused",
		},
		"a node": {
			SchedulerStatic, func(f *fake) { delete(f.sizes, "node2") },
			"did not get static node usage information for 'node2'",
		},
		"the size of a node": {
			SchedulerDynamic, func(f *fake) { f.sizes["node3"] = usage.NodeStats{MaxCPU: 4} },
			"dynamic node usage information for 'node3' missing memory",
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, m := managing(t, map[ha.SID]*ha.ServiceStatus{"vm:1": started("node1")})
			f.scheduling.Mode = test.mode
			test.change(f)
			require.Equal(t, []string{
				"info: switching scheduler mode from 'basic' to '" + string(test.mode) + "'",
				"warning: fallback to 'basic' scheduler mode, init for '" + string(test.mode) + "' failed - " + test.want,
			}, f.rounds(t, m, 1))
			scores, err := m.usage.Scores("vm:1")
			require.NoError(t, err)
			require.Equal(t, []float64{1, 0, 0}, scores, "counting services always works")
		})
	}
}

func TestGuestsOutsideOfHACountAsLoad(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{"vm:1": started("node1")})
	f.guest("vm:2", "node2", ha.RequestIgnored)
	f.guest("vm:3", "node3", ha.RequestStarted)
	m.rules = compile(t, "")
	require.NoError(t, m.rebuildUsage())
	scores, err := m.usage.Scores("vm:1")
	require.NoError(t, err)
	require.Equal(t, []float64{1, 0, 1}, scores, "those that run")
}

func TestScoresThatCannotBeHadAreLogged(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{"vm:1": {State: ha.RequestStart, Node: "node2"}})
	f.scheduling.Mode, f.scheduling.RebalanceOnStart = SchedulerStatic, true
	require.Equal(t, []string{
		"info: switching scheduler mode from 'basic' to 'static'",
		"err: unable to score nodes according to static usage for service 'vm:1' - " +
			"did not get static service usage information for 'vm:1'",
		"info: service vm:1: re-balance selected new node node1 for startup",
		"warning: unable to add service 'vm:1' - did not get static service usage information for 'vm:1'",
		"info: service 'vm:1': state changed from 'request_start' to 'request_start_balance'  (node = node2, target = node1)",
	}, f.rounds(t, m, 1))
}
