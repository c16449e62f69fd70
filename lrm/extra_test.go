package lrm_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
	"pveha/lrm"
)

// guarded is an active LRM whose guest vm:100 runs, is known to run, and is
// looked after by nobody as long as it lives.
func guarded(t *testing.T) (*world, *lrm.LRM) {
	w := newWorld(t)
	w.workers, w.watched = 4, true
	l := w.active()
	w.manager.ServiceStatus["vm:100"].Running = true
	w.assign("vm:100", ha.Started, "armed").Running = true
	w.take()
	return w, l
}

func TestAnEventIsActedOnAtOnce(t *testing.T) {
	w, l := guarded(t)
	w.wake = 3
	w.round(l)
	w.assign("vm:101", ha.Started, "b")
	w.take()
	w.round(l)
	require.Equal(t, []string{"worker vm:101 started b"}, w.only("worker", "lock", "watchdog"),
		"and the lock, which is three seconds old, is left alone")
}

func TestExtraRoundsNeitherCountNorRefresh(t *testing.T) {
	for _, wake := range []ha.Epoch{0, 1, 3, 7} {
		w := newWorld(t)
		l := w.active()
		w.drop("vm:100")
		w.wake = wake
		begin := w.now
		locks := 0
		for l.State() == ha.LRMActive {
			w.round(l)
			for _, line := range w.take() {
				if line == "lock" {
					locks++
				}
			}
		}
		require.GreaterOrEqual(t, w.now, begin+600)
		require.LessOrEqual(t, w.now, begin+620)
		require.Equal(t, 61, locks)
	}
}

// A guest of which we would hear if it died needs no worker that looks. When it
// dies, it is started at once, for the order is there and has no result yet.
func TestAGuestThatIsWatchedIsLeftAloneUntilItDies(t *testing.T) {
	w, l := guarded(t)
	for range 10 {
		w.round(l)
	}
	require.Empty(t, w.only("worker"))

	delete(w.guests.running, "vm:100")
	w.wake = 2
	w.round(l)
	require.Equal(t, []string{"worker vm:100 started armed"}, w.only("worker"))
	w.end("vm:100", ha.ExitSuccess)
	w.guests.running["vm:100"] = true
	for range 3 {
		w.round(l)
	}
	require.Empty(t, w.only("worker"))
	require.Contains(t, w.written.Results, "armed", "the master is told, and arms it anew")
}

// The master has to hear of a start that it does not know of yet.
func TestAWatchedGuestIsReportedToAMasterThatDoesNotKnow(t *testing.T) {
	w, l := guarded(t)
	w.assign("vm:100", ha.Started, "after a freeze")
	w.round(l)
	require.Equal(t, []string{"worker vm:100 started after a freeze"}, w.only("worker"))
}

// Where deaths are not noticed, a worker looks, as in the Perl stack: once in
// ten seconds, however often the LRM is woken.
func TestAGuestThatIsNotWatchedIsLookedAfterEveryTenSeconds(t *testing.T) {
	for _, wake := range []ha.Epoch{0, 1, 4} {
		w, l := guarded(t)
		w.watched, w.wake = false, wake
		looked := 0
		w.onStart = func(o lrm.Order) {
			looked++
			w.end(o.SID, ha.ExitSuccess)
			// The master arms it anew as soon as it hears of it.
			w.assign("vm:100", ha.Started, fmt.Sprint("armed ", looked)).Running = true
		}
		for end := w.now + 100; w.now < end; {
			w.round(l)
		}
		require.InDelta(t, 10, looked, 1)
	}
}

func TestAStoppedServiceIsStoppedAgainInFullRoundsOnly(t *testing.T) {
	for name, test := range map[string]struct {
		watched, runs bool
		want          int
	}{
		"not watched":                      {false, false, 10},
		"watched, and stopped":             {true, false, 0},
		"watched, and started by a person": {true, true, 10},
	} {
		t.Run(name, func(t *testing.T) {
			w, l := guarded(t)
			w.watched, w.wake = test.watched, 1
			w.assign("vm:101", ha.Stopped, "s")
			if test.runs {
				w.guests.running["vm:101"] = true
			}
			stops := 0
			w.onStart = func(o lrm.Order) {
				if o.SID == "vm:101" {
					stops++
				}
				w.end(o.SID, ha.ExitError)
			}
			for end := w.now + 100; w.now < end; {
				w.round(l)
			}
			require.InDelta(t, test.want, stops, 1)
		})
	}
}

// What has failed is left alone for five seconds, on whose order ever; a try
// that fails at once would be one of many in a second otherwise.
func TestWhatFailedIsLeftAloneForAWhile(t *testing.T) {
	for _, state := range []ha.ServiceState{ha.Started, ha.Migrate, ha.Relocate} {
		w, l := guarded(t)
		w.wake = 1
		tries := []ha.Epoch{}
		w.onStart = func(o lrm.Order) {
			tries = append(tries, w.now)
			w.end(o.SID, ha.ExitError)
			// The master wants it once more, as soon as it hears of the failure.
			w.assign("vm:101", state, fmt.Sprint("order ", len(tries))).Target = elsewhere
		}
		w.assign("vm:101", state, "first").Target = elsewhere
		w.services["vm:101"] = ha.ServiceConfig{Node: here, MaxRestart: 2}
		for end := w.now + 60; w.now < end; {
			w.round(l)
		}
		require.Greater(t, len(tries), 6, "it is tried again as soon as it may be")
		for i := 1; i < len(tries); i++ {
			require.GreaterOrEqual(t, tries[i]-tries[i-1], ha.Epoch(5))
		}
	}
}

func TestAStopIsNotPutOffByAStartThatFailed(t *testing.T) {
	w, l := guarded(t)
	w.wake = 1
	w.onStart = func(o lrm.Order) { w.end(o.SID, ha.ExitError) }
	w.assign("vm:101", ha.Started, "b")
	w.round(l)
	w.assign("vm:101", ha.RequestStop, "c")
	w.take()
	w.round(l)
	require.Equal(t, []string{"worker vm:101 request_stop c"}, w.only("worker"))
}

// An event must not make a node give up sooner than it would without: the file
// system daemon is restarted within a second or two.
func TestAnActiveNodeWaitsForTheFullRoundWithoutQuorumOrAFreshView(t *testing.T) {
	for name, fail := range map[string]func(w *world, on bool){
		"quorum":     func(w *world, on bool) { w.quorate = !on },
		"fresh view": func(w *world, on bool) { w.refresh = !on },
	} {
		t.Run(name, func(t *testing.T) {
			w, l := guarded(t)
			w.wake = 2
			w.round(l)
			fail(w, true)
			w.lockTaken = false
			w.take()
			w.round(l)
			w.round(l)
			for _, line := range w.take() {
				require.True(t, strings.HasPrefix(line, "sleep until"), line)
			}
			fail(w, false)
			w.lockTaken = true
			w.round(l)
			require.Equal(t, ha.LRMActive, l.State())
		})
	}
}

func TestAWorkerThatEndsEndsTheWaitForWorkers(t *testing.T) {
	w, l := guarded(t)
	w.assign("vm:101", ha.Started, "b")
	w.assign("vm:102", ha.Migrate, "c").Target = elsewhere
	w.onStart = func(o lrm.Order) {
		if o.SID == "vm:101" {
			w.end("vm:101", ha.ExitSuccess)
			w.wake = 0
		}
	}
	begin := w.now
	w.round(l) // nothing wakes it: it looks every second, for vm:102 runs on
	require.Equal(t, begin+10, w.now)
	require.Contains(t, w.written.Results, "b")

	w.wake = 1
	w.take()
	begin = w.now
	w.round(l)
	require.Equal(t, []string{fmt.Sprintf("sleep until %d", begin+1), fmt.Sprintf("sleep until %d", begin+10)}, w.only("sleep"))
}

func TestADaemonThatIsToEndDoesSoInAnExtraRound(t *testing.T) {
	w, l := guarded(t)
	w.wake = 1
	w.round(l)
	l.RequestShutdown()
	w.round(l)
	w.manager.ServiceStatus["vm:100"].State = ha.Freeze
	w.take()
	w.lastRound(l)
	require.Equal(t, []string{"watchdog close", "release lock"}, w.only("watchdog", "release"))
}
