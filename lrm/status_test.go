package lrm_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
	"pveha/lrm"
)

func TestDoesNothingBeforeAStatusIsWritten(t *testing.T) {
	for name, block := range map[string]func(*world){
		"no quorum":          func(w *world) { w.quorate = false },
		"a write that fails": func(w *world) { w.writeErr = errBroken },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.assign("vm:100", ha.Started, "a")
			block(w)
			l := w.lrm()
			w.round(l)
			w.round(l)
			require.Empty(t, w.only("lock", "watchdog", "agent", "write"))

			w.quorate, w.writeErr = true, nil
			w.round(l)
			require.Equal(t, "write wait_for_agent_lock active", w.take()[0])
			require.Equal(t, ha.LRMActive, l.State())
		})
	}
}

func TestEndsBeforeAStatusIsWritten(t *testing.T) {
	w := newWorld(t)
	w.quorate = false
	l := w.lrm()
	l.RequestShutdown()
	w.lastRound(l)
	require.Empty(t, w.only("write"))
}

func TestOneStatusAtStartServesAllOfAProcess(t *testing.T) {
	w := newWorld(t)
	process := &lrm.Process{}
	w.round(lrm.New(w, &w.guests, lrm.Config{Process: process}))
	require.Len(t, w.only("write"), 2)
	w.round(lrm.New(w, &w.guests, lrm.Config{Process: process}))
	require.Len(t, w.only("write"), 1)
}

func TestTheStatusTellsStateModeTimeAndResults(t *testing.T) {
	w := newWorld(t)
	w.assign("vm:100", ha.Started, "a")
	l := w.lrm()
	w.round(l)
	require.Equal(t, &ha.LRMStatus{
		State: ha.LRMActive, Mode: ha.ModeActive, Timestamp: 1000,
		Results: map[string]ha.Result{"a": {SID: "vm:100", State: ha.Started, ExitCode: ha.ExitSuccess}},
	}, w.written)

	first := w.written
	w.assign("vm:100", ha.RequestStop, "b")
	w.round(l)
	require.Contains(t, first.Results, "a", "what was written is the environment's own")
}

func TestAStatusThatCannotBeWrittenDoesNotStopTheRound(t *testing.T) {
	w := newWorld(t)
	l := w.active()
	w.writeErr = errBroken
	w.round(l)
	require.Equal(t, []string{
		"lock", "watchdog update",
		"err: unable to write lrm status file - cfs connection refused",
		"sleep until 1020",
	}, w.take())
	w.quorate = false
	w.round(l)
	require.Empty(t, w.only("err"), "without quorum it is not even tried")
}

func TestTheModeFollowsTheManager(t *testing.T) {
	w := newWorld(t)
	l := w.lrm()
	mode := func() ha.LRMMode { w.round(l); return l.Mode() }
	require.Equal(t, ha.ModeActive, mode())
	w.maintenance(true)
	require.Equal(t, ha.ModeMaintenance, mode())
	w.disarm(true)
	require.Equal(t, ha.ModeMaintenance, mode(), "maintenance comes first")
	w.maintenance(false)
	require.Equal(t, ha.ModeDisarm, mode())
	w.disarm(false)
	require.Equal(t, ha.ModeActive, mode())

	w.manager.NodeRequest[elsewhere] = ha.NodeRequest{Maintenance: true}
	require.Equal(t, ha.ModeActive, mode(), "another node's maintenance")
	w.maintenance(true)
	mode()
	w.readErr = errBroken
	w.maintenance(false)
	require.Equal(t, ha.ModeMaintenance, mode(), "what was read last holds")
}

// From the request to end on, the mode says how the LRM ends.
func TestTheModeIsFixedOnceTheDaemonEnds(t *testing.T) {
	w := newWorld(t)
	l := w.active()
	l.RequestShutdown()
	require.Equal(t, ha.ModeRestart, l.Mode())
	w.maintenance(true)
	w.disarm(true)
	w.round(l)
	require.Equal(t, ha.ModeRestart, l.Mode())
	require.Equal(t, ha.LRMActive, l.State())
}
