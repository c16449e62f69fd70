package lrm_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
	"pveha/lrm"
)

// What becomes of the daemon: only itself restarts, or its node goes down,
// perhaps to come back.
type ending string

const (
	restart  ending = "restart"
	poweroff ending = "shutdown"
	reboot   ending = "reboot"
)

func (w *world) request(l *lrm.LRM, e ending) {
	w.shutdown, w.reboot = e != restart, e == reboot
	l.RequestShutdown()
}

func TestShutdownPlans(t *testing.T) {
	const unknown ha.ShutdownPolicy = "panic"
	const (
		frozen  = " LRM, stop and freeze all services"
		stopped = "shutdown LRM, stop all services" // of a reboot too
		emptied = " LRM, doing maintenance, removing this node from active list"
		already = " LRM, ignore maintenance policy, already in maintenance mode"
		manual  = " policy as manual maintenance mode is enabled"
	)
	for _, test := range []struct {
		policy ha.ShutdownPolicy
		ending ending
		mode   ha.LRMMode // without manual maintenance, with which it does not change
		text   string
		manual string // text when the node is in maintenance already
		stops  bool   // the guests are stopped before the node is
	}{
		{ha.PolicyConditional, poweroff, ha.ModeShutdown, stopped, "shutdown LRM, ignore conditional" + manual, true},
		{ha.PolicyConditional, reboot, ha.ModeRestart, "reboot" + frozen, "reboot LRM, ignore conditional" + manual, true},
		{ha.PolicyFreeze, poweroff, ha.ModeRestart, "shutdown" + frozen, "shutdown LRM, ignore freeze" + manual, true},
		{ha.PolicyFreeze, reboot, ha.ModeRestart, "reboot" + frozen, "reboot LRM, ignore freeze" + manual, true},
		{ha.PolicyFailover, poweroff, ha.ModeShutdown, stopped, "shutdown LRM, ignore failover" + manual, true},
		{ha.PolicyFailover, reboot, ha.ModeShutdown, stopped, "reboot LRM, ignore failover" + manual, true},
		{ha.PolicyMigrate, poweroff, ha.ModeMaintenance, "shutdown" + emptied, "shutdown" + already, false},
		{ha.PolicyMigrate, reboot, ha.ModeMaintenance, "reboot" + emptied, "reboot" + already, false},
		{unknown, poweroff, ha.ModeShutdown, stopped, "shutdown LRM, ignore panic" + manual, true},
		{unknown, reboot, ha.ModeRestart, "reboot" + frozen, "reboot LRM, ignore panic" + manual, true},

		// A restart of the daemon has nothing to do with the policy.
		{ha.PolicyConditional, restart, ha.ModeRestart, "", "", false},
		{ha.PolicyFreeze, restart, ha.ModeRestart, "", "", false},
		{ha.PolicyFailover, restart, ha.ModeRestart, "", "", false},
		{ha.PolicyMigrate, restart, ha.ModeRestart, "", "", false},
		{unknown, restart, ha.ModeRestart, "", "", false},
	} {
		for _, inMaintenance := range []bool{false, true} {
			name := string(test.policy) + ", " + string(test.ending)
			if inMaintenance {
				name += ", in maintenance"
			}
			t.Run(name, func(t *testing.T) {
				w := newWorld(t)
				w.workers = 4
				w.policy = test.policy
				w.maintenance(inMaintenance)
				l := w.active()
				w.request(l, test.ending)

				var want []string
				if test.ending != restart {
					want = append(want, "info: got shutdown request with shutdown policy '"+string(test.policy)+"'")
				}
				if test.policy == unknown {
					want = append(want, "err: unknown shutdown policy 'panic', fall back to conditional")
				}
				mode, text := test.mode, test.text
				if inMaintenance {
					mode, text = ha.ModeMaintenance, test.manual
				}
				switch {
				case test.ending != restart:
				case inMaintenance:
					text = "Restarting LRM in maintenance mode may be delayed until all services are moved"
				default:
					text = "restart LRM, freeze all services"
				}
				want = append(want, "info: "+text, "write active "+string(mode))
				require.Equal(t, want, w.take())
				require.Equal(t, mode, l.Mode())

				w.round(l)
				require.Equal(t, test.stops, slices.Contains(w.take(), "worker vm:100 request_stop "))
			})
		}
	}
}

func TestOnlyTheFirstRequestCounts(t *testing.T) {
	w := newWorld(t)
	l := w.active()
	w.request(l, restart)
	w.take()
	w.request(l, poweroff)
	require.Empty(t, w.take())
	require.Equal(t, ha.ModeRestart, l.Mode())
}

// A restart freezes the services, which is safe in either case. The Perl stack
// takes a state it cannot read for a restart as well, and does not say so.
func TestAShutdownStateThatCannotBeReadCountsAsARestart(t *testing.T) {
	w := newWorld(t)
	l := w.active()
	w.shutdownErr = errBroken
	w.request(l, poweroff)
	require.Equal(t, []string{
		"err: unable to find out whether the node shuts down, assuming a restart of the daemon: cfs connection refused",
		"info: restart LRM, freeze all services",
		"write active restart",
	}, w.take())
}

func TestAPolicyThatCannotBeReadCountsAsConditional(t *testing.T) {
	w := newWorld(t)
	l := w.active()
	w.policy, w.policyErr = ha.PolicyMigrate, errBroken
	w.request(l, reboot)
	require.Equal(t, []string{
		"err: unable to get HA settings from datacenter.cfg - cfs connection refused",
		"info: got shutdown request with shutdown policy 'conditional'",
		"info: reboot LRM, stop and freeze all services",
		"write active restart",
	}, w.take())
}

func TestARequestThatCannotBeAnnouncedCountsAllTheSame(t *testing.T) {
	w := newWorld(t)
	l := w.active()
	w.quorate = false
	w.request(l, restart)
	require.Equal(t, []string{
		"info: restart LRM, freeze all services",
		"err: unable to update lrm status file - not quorate?",
	}, w.take())
	require.Equal(t, ha.ModeRestart, l.Mode())
}

func TestEndsAtOnceWhileItOnlyWaits(t *testing.T) {
	w := newWorld(t)
	l := w.lrm()
	w.round(l)
	w.request(l, restart)
	w.take()
	w.lastRound(l)
	require.Empty(t, w.take())
}

// The guests may run since before this daemon started.
func TestTakesTheLockToStopWhatTheNodeRuns(t *testing.T) {
	for name, before := range map[string]func(*world, *lrm.LRM){
		"asked while it waits for the lock": func(w *world, l *lrm.LRM) {
			w.lockTaken = false
			w.round(l)
			w.lockTaken = true
		},
		"asked before its first round": func(*world, *lrm.LRM) {},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.assign("vm:100", ha.Started, "a")
			w.guests.running["vm:100"] = true
			l := w.lrm()
			before(w, l)
			w.request(l, poweroff)
			w.take()
			w.lastRound(l)
			require.Equal(t, []string{
				"lock", "watchdog open", "agent shutdown vm:100 ", "watchdog close", "release lock",
			}, w.only("lock", "watchdog", "agent", "release"))
		})
	}
}

func TestARequestBeforeTheFirstRoundSurvivesABrokenFileSystem(t *testing.T) {
	w := newWorld(t)
	w.readErr = errBroken
	l := w.lrm()
	w.request(l, poweroff)
	w.lastRound(l)
}

func TestARestartWaitsUntilTheServicesAreFrozen(t *testing.T) {
	w := newWorld(t)
	l := w.active()
	w.request(l, restart)
	w.take()
	w.round(l)
	w.round(l)
	require.Equal(t, []string{
		"lock", "watchdog update", "write active restart", "sleep until 1020",
		"lock", "watchdog update", "write active restart", "sleep until 1030",
	}, w.take())

	w.manager.ServiceStatus["vm:100"].State = ha.Freeze
	w.lastRound(l)
	require.Equal(t, []string{
		"lock", "watchdog update", "watchdog close", "release lock", "write active restart",
	}, w.take())
	require.True(t, w.guests.running["vm:100"], "the guest runs on")
}

func TestARestartWaitsForItsWorkers(t *testing.T) {
	w := newWorld(t)
	w.workers = 1
	l := w.active()
	w.assign("vm:101", ha.Started, "b")
	w.assign("vm:102", ha.Started, "c")
	w.round(l)
	w.request(l, restart)
	for sid := range w.manager.ServiceStatus {
		w.manager.ServiceStatus[sid].State = ha.Freeze
	}
	w.round(l)
	w.end("vm:101", ha.ExitSuccess)
	w.take()
	w.round(l)
	require.Equal(t, []string{"worker vm:102 started c"}, w.only("worker", "watchdog close"), "what waits is carried out")
	w.end("vm:102", ha.ExitSuccess)
	w.lastRound(l)
	require.Equal(t, []string{"watchdog close"}, w.only("watchdog close"))
}

func TestARestartTakesNoNewOrders(t *testing.T) {
	w := newWorld(t)
	w.workers = 4
	l := w.active()
	w.request(l, restart)
	w.assign("vm:101", ha.Started, "b")
	w.round(l)
	require.Empty(t, w.only("worker"))
}

// The master freezes no service that moves: it waits for the result, and the
// restart for the end of the move.
func TestARestartCarriesOutTheMovesThatTheMasterWaitsFor(t *testing.T) {
	for _, state := range []ha.ServiceState{ha.Migrate, ha.Relocate, ha.RequestStartBalance} {
		for _, code := range []ha.ExitCode{ha.ExitSuccess, ha.ExitError} {
			t.Run(fmt.Sprintf("%s, exit code %d", state, code), func(t *testing.T) {
				w := newWorld(t)
				w.workers = 1
				l := w.active()
				w.request(l, restart)
				w.manager.ServiceStatus["vm:100"].State = ha.Freeze
				w.assign("vm:101", state, "b").Target = elsewhere
				w.take()
				w.round(l)
				require.Equal(t, []string{"worker vm:101 " + string(state) + " b"}, w.only("worker", "watchdog close"))
				w.end("vm:101", code)
				w.round(l)
				require.Equal(t, code, w.written.Results["b"].ExitCode)
				require.Empty(t, w.only("worker", "watchdog close"), "once is enough")
				w.manager.ServiceStatus["vm:101"].State = ha.Freeze
				w.lastRound(l)
			})
		}
	}
}

func TestARestartLikeThePerlStacksWaitsForTheMaster(t *testing.T) {
	w := newWorld(t)
	w.workers = 1
	l := lrm.New(w, &w.guests, lrm.Config{})
	w.assign("vm:101", ha.Freeze, "a")
	w.round(l)
	w.request(l, restart)
	w.assign("vm:101", ha.Migrate, "b").Target = elsewhere
	w.round(l)
	require.Empty(t, w.only("worker", "watchdog close"))
}

// A service that was to be stopped before the node goes down moves first, and
// is stopped where that fails.
func TestARebootStopsWhatCouldNotBeMoved(t *testing.T) {
	for code, want := range map[ha.ExitCode][]string{
		ha.ExitSuccess: nil,
		ha.ExitError:   {"worker vm:101 request_stop "},
	} {
		w := newWorld(t)
		w.workers = 1
		l := w.active()
		w.assign("vm:101", ha.Migrate, "b").Target = elsewhere
		w.request(l, reboot)
		w.round(l)
		w.end("vm:100", ha.ExitSuccess)
		w.manager.ServiceStatus["vm:100"].State = ha.Freeze
		w.round(l)
		w.end("vm:101", code)
		w.take()
		w.round(l)
		require.Equal(t, want, w.only("worker"))
	}
}

func TestAShutdownEndsWithItsLastStop(t *testing.T) {
	w := newWorld(t)
	w.workers = 1
	l := w.active()
	w.assign("vm:101", ha.Stopped, "b")
	w.assign("vm:102", ha.Freeze, "c") // whatever the state
	w.manager.ServiceStatus["vm:103"] = &ha.ServiceStatus{State: ha.Started, Node: elsewhere, UID: "d"}
	w.oneEach()
	w.round(l)
	w.request(l, poweroff)
	w.onStart = nil
	w.take()
	for _, sid := range []ha.SID{"vm:100", "vm:101", "vm:102"} {
		w.round(l)
		require.Equal(t, []string{"worker " + string(sid) + " request_stop "}, w.only("worker", "watchdog close"))
		w.end(sid, ha.ExitSuccess)
	}
	w.lastRound(l)
	require.Equal(t, []string{"lock", "watchdog update", "watchdog close", "release lock", "write active shutdown"}, w.take())
	require.NotContains(t, w.written.Results, "", "nobody ordered the stops")
}

func TestAfterAFailedStopTheWatchdogStaysOpen(t *testing.T) {
	for name, out := range map[string]lrm.Outcome{
		"with a code":   {Code: ha.ExitError},
		"with an error": {Code: ha.ExitNotRun, Err: errBroken},
		"by a signal":   {Signal: 15},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.workers = 4
			l := w.active()
			w.request(l, poweroff)
			w.onStart = func(o lrm.Order) { w.ended = []lrm.Finished{{SID: o.SID, Result: out}} }
			w.take()
			w.lastRound(l)
			require.Empty(t, w.only("watchdog close", "release"), "the guest may still run")
		})
	}
}

func TestAShutdownGoesOnAfterARoundThatCouldNot(t *testing.T) {
	for _, e := range []ending{restart, poweroff} {
		w := newWorld(t)
		l := w.active()
		w.request(l, e)
		w.confErr = errBroken
		w.round(l)
		w.workersErr, w.confErr = errBroken, nil
		w.round(l)
		require.Equal(t, []string{
			"err: got unexpected error - cfs connection refused", "err: got unexpected error - cfs connection refused",
		}, w.only("err", "watchdog close"))
		w.workersErr, w.readErr = nil, errBroken
		w.round(l)
		w.readErr = nil
		w.manager.ServiceStatus["vm:100"].State = ha.Freeze
		w.lastRound(l)
	}
}

func TestAShutdownEndsWhenTheWatchdogWillNotClose(t *testing.T) {
	for _, e := range []ending{restart, poweroff} {
		w := newWorld(t)
		l := w.active()
		w.request(l, e)
		w.manager.ServiceStatus["vm:100"].State = ha.Freeze
		w.closeErr = errBroken
		w.take()
		w.lastRound(l)
		require.Equal(t, []string{"err: got unexpected error - cfs connection refused"}, w.only("err", "release"))
	}
}

// In the Perl stack no stop is queued for a service with a running worker. A
// guest whose start is under way then runs on, without a watchdog, while the
// node goes down.
func TestAServiceWithARunningWorkerIsStoppedAfterwards(t *testing.T) {
	for name, test := range map[string]struct {
		state ha.ServiceState
		code  ha.ExitCode
		stop  bool
	}{
		"its start went well":     {ha.Started, ha.ExitSuccess, true},
		"its start failed":        {ha.Started, ha.ExitError, true},
		"its stop failed":         {ha.RequestStop, ha.ExitError, true},
		"its move failed":         {ha.Migrate, ha.ExitError, true},
		"it was not to be moved":  {ha.RequestStartBalance, ha.ExitIgnored, true},
		"it is on another node":   {ha.Migrate, ha.ExitSuccess, false},
		"it is there, but not up": {ha.Relocate, ha.ExitSuccess, false},
	} {
		for _, e := range []ending{poweroff, reboot} {
			t.Run(name+", "+string(e), func(t *testing.T) {
				w := newWorld(t)
				w.workers = 4
				l := w.active()
				s := w.assign("vm:101", test.state, "b")
				if test.state != ha.Started && test.state != ha.RequestStop {
					s.Target = elsewhere
				}
				w.round(l)
				w.request(l, e)
				w.oneEach()
				w.manager.ServiceStatus["vm:100"].State = ha.Freeze
				w.round(l)
				s.State = ha.Freeze
				w.end("vm:101", test.code)
				w.take()
				w.lastRound(l)
				stops := w.only("worker vm:101")
				require.Equal(t, test.stop, slices.Equal(stops, []string{"worker vm:101 request_stop "}), stops)
			})
		}
	}
}

func TestAServiceWithARunningWorkerIsNotStoppedByARestart(t *testing.T) {
	w := newWorld(t)
	w.workers = 4
	l := w.active()
	w.assign("vm:101", ha.Started, "b")
	w.round(l)
	w.request(l, restart)
	w.manager.ServiceStatus["vm:100"].State = ha.Freeze
	w.manager.ServiceStatus["vm:101"].State = ha.Freeze
	w.end("vm:101", ha.ExitSuccess)
	w.take()
	w.lastRound(l)
	require.Empty(t, w.only("worker"))
}

func TestAShutdownWithALostLockWaits(t *testing.T) {
	for _, e := range []ending{restart, poweroff, reboot} {
		w := newWorld(t)
		w.policy = ha.PolicyFailover
		l := w.active()
		w.assign("vm:101", ha.RequestStop, "b")
		w.lockTaken = false
		w.round(l)
		w.request(l, e)
		w.take()
		w.round(l)
		require.Equal(t, []string{
			"err: got shutdown request in state 'lost_agent_lock' - detected 2 running services",
		}, w.only("err", "watchdog", "agent", "release"))
		w.lockTaken = true
		if e == restart {
			w.round(l)
			require.Equal(t, ha.LRMActive, l.State())
		} else {
			w.lastRound(l)
			require.Equal(t, []string{"watchdog update", "agent shutdown vm:100 ", "watchdog close"}, w.only("watchdog", "agent"))
		}
	}
}

func TestARestartWithALockLostForNinetySecondsGivesUp(t *testing.T) {
	w := newWorld(t)
	l := w.active()
	w.lockTaken = false
	w.round(l)
	lost := w.now - 5
	w.request(l, restart)
	w.now = lost + 85 // the tries take five more
	w.round(l)
	require.NotContains(t, w.take(), "err: lost agent lock and restart request for over 90 seconds - giving up!")
	w.now = lost + 86
	w.lastRound(l)
	require.Equal(t, []string{
		"err: lost agent lock and restart request for over 90 seconds - giving up!",
	}, w.only("err", "watchdog", "agent", "release"))
}

func TestAShutdownWithALostLockNeverGivesUp(t *testing.T) {
	w := newWorld(t)
	l := w.active()
	w.lockTaken = false
	w.round(l)
	w.request(l, poweroff)
	w.now += 1000
	w.round(l)
	w.round(l)
}

func TestAShutdownWithALostLockEndsWithoutAService(t *testing.T) {
	w := newWorld(t)
	l := w.active()
	w.lockTaken = false
	w.round(l)
	w.request(l, restart)
	w.manager.ServiceStatus["vm:100"].State = ha.Freeze
	w.take()
	w.lastRound(l)
	require.Equal(t, []string{"watchdog close"}, w.only("watchdog", "err", "release"), "the lock is not ours to release")
}

// The Perl stack closes the watchdog here while a worker still runs.
func TestAShutdownWithALostLockWaitsForItsWorkers(t *testing.T) {
	w := newWorld(t)
	w.workers = 1
	l := w.active()
	w.assign("vm:101", ha.Started, "b")
	w.assign("vm:102", ha.Started, "c")
	w.round(l)
	w.lockTaken = false
	w.round(l)
	w.request(l, restart)
	for _, s := range w.manager.ServiceStatus {
		s.State = ha.Freeze
	}
	w.take()
	w.round(l)
	w.confErr = errBroken
	w.end("vm:101", ha.ExitSuccess)
	w.round(l)
	require.Empty(t, w.only("watchdog", "worker", "err"))
	w.confErr = nil
	w.lastRound(l)
	require.Equal(t, []string{"watchdog close"}, w.only("watchdog", "worker"), "what waits is not started")
}
