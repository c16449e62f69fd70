package lrm_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
	"pveha/lrm"
)

// oneEach lets each worker end in the second after its start.
func (w *world) oneEach() {
	w.onStart = func(o lrm.Order) { w.end(o.SID, ha.ExitSuccess) }
}

func TestOrdersTheMasterDoesNotGiveToThisNode(t *testing.T) {
	for name, change := range map[string]func(*ha.ServiceStatus){
		"of another node":              func(s *ha.ServiceStatus) { s.Node = elsewhere },
		"of another node, to this":     func(s *ha.ServiceStatus) { s.Node, s.Target, s.State = elsewhere, here, ha.Migrate },
		"without a name":               func(s *ha.ServiceStatus) { s.UID = "" },
		"without a state":              func(s *ha.ServiceStatus) { s.State = "" },
		"in recovery":                  func(s *ha.ServiceStatus) { s.State = ha.Recovery },
		"frozen":                       func(s *ha.ServiceStatus) { s.State = ha.Freeze },
		"to start, node not yet known": func(s *ha.ServiceStatus) { s.State = ha.RequestStart },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.workers = 4
			l := w.active()
			change(w.assign("vm:101", ha.Started, "b"))
			w.round(l)
			require.Empty(t, w.only("worker"))
		})
	}
}

func TestAnOrderCarriesWhatTheMasterWrote(t *testing.T) {
	w := newWorld(t)
	w.workers = 4
	l := w.active()
	var orders []lrm.Order
	w.onStart = func(o lrm.Order) { orders = append(orders, o) }
	w.assign("vm:101", ha.Migrate, "b").Target = elsewhere
	w.assign("vm:102", ha.RequestStop, "c").Timeout = "30"
	w.round(l)
	require.Equal(t, []lrm.Order{
		{SID: "vm:101", UID: "b", State: ha.Migrate, Target: elsewhere},
		{SID: "vm:102", UID: "c", State: ha.RequestStop, Timeout: "30"},
	}, orders)
}

// A state that a newer stack has added is passed on, and answered by the
// worker.
func TestAnUnknownStateIsAnOrderToo(t *testing.T) {
	w := newWorld(t)
	l := w.active()
	w.assign("vm:101", "dance", "b")
	w.round(l)
	require.Equal(t, []string{"err: implement me (cmd 'dance')"}, w.only("err"))
	require.Equal(t, ha.ExitUnknownCommand, w.written.Results["b"].ExitCode)
}

func TestNoMoreThanMaxWorkersAtOnce(t *testing.T) {
	w := newWorld(t)
	w.workers = 2
	l := w.active()
	for i := range 5 {
		w.assign(ha.SID(fmt.Sprintf("vm:20%d", i)), ha.Started, fmt.Sprint(i))
	}
	w.round(l)
	require.Equal(t, []string{"worker vm:200 started 0", "worker vm:201 started 1"}, w.only("worker"))
	w.end("vm:201", ha.ExitSuccess)
	w.round(l)
	require.Equal(t, []string{"worker vm:202 started 2"}, w.only("worker"))

	w.workers = 1
	w.end("vm:200", ha.ExitSuccess)
	w.round(l)
	require.Empty(t, w.only("worker"), "one runs and one is allowed now")
	w.end("vm:202", ha.ExitSuccess)
	w.round(l)
	require.Equal(t, []string{"worker vm:203 started 3"}, w.only("worker"))
}

func TestLooksForWorkersEverySecondForEightSeconds(t *testing.T) {
	w := newWorld(t)
	w.workers = 1
	l := w.active()
	w.assign("vm:101", ha.Started, "b")
	w.round(l)
	require.Equal(t, []string{
		"lock", "watchdog update", "worker vm:101 started b",
		"sleep until 1011", "sleep until 1012", "sleep until 1013", "sleep until 1014", "sleep until 1015",
		"sleep until 1016", "sleep until 1017", "sleep until 1018", "sleep until 1019",
		"write active active", "sleep until 1020",
	}, w.take())
}

func TestARoundEndsWithItsLastWorker(t *testing.T) {
	w := newWorld(t)
	w.workers = 1
	w.oneEach()
	l := w.active()
	w.assign("vm:101", ha.Started, "b")
	w.assign("vm:102", ha.Started, "c")
	w.round(l)
	require.Equal(t, []string{
		"lock", "watchdog update",
		"worker vm:101 started b", "sleep until 1011",
		"worker vm:102 started c", "sleep until 1012",
		"write active active", "sleep until 1020",
	}, w.take())
	require.Len(t, w.written.Results, 3)
}

func TestWorkersAreGivenBySID(t *testing.T) {
	w := newWorld(t)
	w.workers = 9
	l := w.active()
	for _, sid := range []ha.SID{"vm:9", "ct:200", "vm:10", "vm:101"} {
		w.assign(sid, ha.Started, string(sid))
	}
	w.round(l)
	require.Equal(t, []string{
		"worker ct:200 started ct:200", "worker vm:10 started vm:10", "worker vm:101 started vm:101", "worker vm:9 started vm:9",
	}, w.only("worker"))
}

func TestWhoWaitedLongestIsFirst(t *testing.T) {
	w := newWorld(t)
	w.workers = 1
	l := w.active()
	w.assign("vm:300", ha.Started, "a")
	w.round(l)
	w.assign("vm:400", ha.Started, "b")
	w.round(l)
	w.assign("vm:200", ha.Started, "c") // comes later, with a lower ID
	w.round(l)
	w.take()
	for _, sid := range []ha.SID{"vm:300", "vm:400", "vm:200"} {
		w.end(sid, ha.ExitSuccess)
		w.round(l)
	}
	require.Equal(t, []string{"worker vm:400 started b", "worker vm:200 started c"}, w.only("worker"))
}

// In the Perl stack a service that waits goes to the end whenever the master's
// orders are read again, so that many stopped services with lower IDs keep it
// waiting for ever.
func TestNobodyStarvesBehindServicesThatAreStoppedAgainAndAgain(t *testing.T) {
	w := newWorld(t)
	w.workers = 1
	w.oneEach()
	l := w.active()
	for i := range 30 { // more than the nine that a round can serve
		w.assign(ha.SID(fmt.Sprintf("vm:2%02d", i)), ha.Stopped, fmt.Sprint(i))
	}
	w.assign("vm:900", ha.Started, "z")
	for range 4 {
		w.round(l)
	}
	require.Contains(t, w.take(), "worker vm:900 started z")
}

func TestAGuestThatCannotHaveAWorkerDoesNotKeepTheOthersFromTheirs(t *testing.T) {
	w := newWorld(t)
	w.workers = 4
	l := w.active()
	w.assign("vm:101", ha.Started, "b")
	w.assign("vm:102", ha.Started, "c")
	w.assign("vm:103", ha.Started, "d")
	w.busy = "vm:101"
	for range 3 {
		w.round(l)
	}
	require.Equal(t, []string{"worker vm:102 started c", "worker vm:103 started d"}, w.only("worker"))
	w.busy = ""
	w.round(l)
	require.Equal(t, []string{"worker vm:101 started b"}, w.only("worker"))
}

func TestAStartThatFailsEndsTheLookForWorkers(t *testing.T) {
	w := newWorld(t)
	w.workers = 4
	l := w.active()
	w.assign("vm:101", ha.Started, "b")
	w.assign("vm:102", ha.Started, "c")
	w.startErr = errBroken
	w.round(l)
	require.Equal(t, []string{
		"lock", "watchdog update",
		"err: forking worker failed - cfs connection refused",
		"write active active", "sleep until 1020",
	}, w.take())

	w.startErr = nil
	w.round(l)
	require.Equal(t, []string{"worker vm:102 started c", "worker vm:101 started b"}, w.only("worker"), "nothing is lost")
}

func TestWorkersGoOnWhenAnotherCannotStart(t *testing.T) {
	w := newWorld(t)
	w.workers = 4
	l := w.active()
	w.assign("vm:101", ha.Migrate, "b").Target = elsewhere
	w.round(l)
	w.assign("vm:102", ha.Started, "c")
	w.startErr = errBroken
	w.round(l)
	w.startErr = nil
	w.end("vm:101", ha.ExitSuccess)
	w.take()
	w.round(l)
	require.Equal(t, []string{"worker vm:102 started c"}, w.only("worker"), "the other one ran all the time")
	require.Equal(t, ha.ExitSuccess, w.written.Results["b"].ExitCode)
}

func TestAResultMayComeRoundsLater(t *testing.T) {
	w := newWorld(t)
	w.workers = 1
	l := w.active()
	w.assign("vm:101", ha.Migrate, "b").Target = elsewhere
	for range 10 {
		w.round(l)
		require.NotContains(t, w.written.Results, "b")
	}
	require.Equal(t, []string{"worker vm:101 migrate b"}, w.only("worker"))
	w.end("vm:101", ha.ExitError)
	w.round(l)
	require.Equal(t, ha.Result{SID: "vm:101", State: ha.Migrate, ExitCode: ha.ExitError}, w.written.Results["b"])
}

func TestAResultComesThroughALostLock(t *testing.T) {
	w := newWorld(t)
	w.workers = 1
	l := w.active()
	w.assign("vm:101", ha.Started, "b")
	w.round(l)
	w.lockTaken = false
	w.round(l)
	w.end("vm:101", ha.ExitSuccess)
	w.round(l)
	w.lockTaken = true
	w.round(l)
	require.Contains(t, w.written.Results, "b")
}

func TestAnOrderIsReplacedWhileItWaits(t *testing.T) {
	w := newWorld(t)
	w.workers = 1
	l := w.active()
	w.assign("vm:101", ha.Started, "b")
	w.assign("vm:102", ha.Started, "c")
	w.round(l)
	w.assign("vm:102", ha.Migrate, "d").Target = elsewhere
	w.round(l)
	w.take()
	w.end("vm:101", ha.ExitSuccess)
	w.round(l)
	require.Equal(t, []string{"worker vm:102 migrate d"}, w.only("worker"))
}

func TestAnOrderIsNotReplacedWhileItRuns(t *testing.T) {
	w := newWorld(t)
	w.workers = 4
	l := w.active()
	w.assign("vm:101", ha.Started, "b")
	w.round(l)
	w.assign("vm:101", ha.RequestStop, "c")
	w.round(l)
	require.Equal(t, []string{"worker vm:101 started b"}, w.only("worker"))
	w.end("vm:101", ha.ExitSuccess)
	w.round(l)
	require.NotContains(t, w.written.Results, "b", "the master does not want it any more")
	require.Empty(t, w.only("worker"), "it ended in a round whose orders were read before")
	w.round(l)
	require.Equal(t, []string{"worker vm:101 request_stop c"}, w.only("worker"))
}

func TestAnOrderIsCarriedOutOnce(t *testing.T) {
	w := newWorld(t)
	w.workers = 4
	w.onStart = func(o lrm.Order) { w.end(o.SID, ha.ExitError) }
	l := w.active()
	w.assign("vm:101", ha.RequestStop, "b")
	for range 5 {
		w.round(l)
	}
	require.Equal(t, []string{"worker vm:101 request_stop b"}, w.only("worker"), "its failure is for the master to judge")

	w.assign("vm:101", ha.RequestStop, "c")
	w.round(l)
	require.Equal(t, []string{"worker vm:101 request_stop c"}, w.only("worker"), "a new name is a new order")
}

// The master takes no result of a stopped service, and it should stay stopped
// even when there is no master.
func TestAStoppedServiceIsStoppedAgainAndAgain(t *testing.T) {
	w := newWorld(t)
	l := w.active()
	w.assign("vm:101", ha.Stopped, "b")
	for range 3 {
		w.guests.running["vm:101"] = true
		w.round(l)
	}
	require.Equal(t, []string{"agent shutdown vm:101 ", "agent shutdown vm:101 ", "agent shutdown vm:101 "}, w.only("agent"))
	require.Contains(t, w.written.Results, "b")
}

func TestAnAgentThatWantsAnotherTryGetsIt(t *testing.T) {
	w := newWorld(t)
	w.workers = 4
	l := w.active()
	w.assign("vm:101", ha.RequestStop, "b")
	w.onStart = func(o lrm.Order) { w.end(o.SID, ha.ExitTryAgain) }
	w.round(l)
	require.NotContains(t, w.written.Results, "b", "nobody is told")
	w.oneEach()
	w.round(l)
	require.Equal(t, ha.ExitSuccess, w.written.Results["b"].ExitCode)
	require.Equal(t, []string{"worker vm:101 request_stop b", "worker vm:101 request_stop b"}, w.only("worker"))
}

func TestAWorkerThatDoesNotEndByItself(t *testing.T) {
	for name, test := range map[string]struct {
		out  lrm.Outcome
		want string
	}{
		"an error": {
			lrm.Outcome{Code: ha.ExitSuccess, Err: errBroken},
			"err: resource agent vm:101 finished - failed to execute",
		},
		"a signal": {
			lrm.Outcome{Code: ha.ExitSuccess, Signal: 9},
			"err: resource agent vm:101 finished - got signal 9",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.workers = 4
			l := w.active()
			w.assign("vm:101", ha.Migrate, "b").Target = elsewhere
			w.onStart = func(o lrm.Order) { w.ended = []lrm.Finished{{SID: o.SID, Result: test.out}} }
			w.round(l)
			require.Equal(t, []string{test.want}, w.only("err"))
			require.Equal(t, ha.ExitNotRun, w.written.Results["b"].ExitCode)
		})
	}
}

func TestAResultNobodyWaitsForIsIgnored(t *testing.T) {
	w := newWorld(t)
	w.workers = 1
	l := w.active()
	w.assign("vm:101", ha.Started, "b")
	w.assign("vm:102", ha.Started, "c")
	w.end("vm:999", ha.ExitSuccess)
	w.end("vm:102", ha.ExitSuccess)
	w.round(l)
	require.NotContains(t, w.written.Results, "b")
	require.NotContains(t, w.written.Results, "c", "it only waits for a worker")
}

func TestAResultIsKeptUntilItsOrderIsReplaced(t *testing.T) {
	t.Run("of a worker", func(t *testing.T) { testResultIsKept(t, 4) })
	t.Run("within the round", func(t *testing.T) { testResultIsKept(t, 0) })
}

func testResultIsKept(t *testing.T, workers int) {
	w := newWorld(t)
	w.workers = workers
	w.oneEach()
	l := w.active()
	w.assign("vm:101", ha.RequestStop, "b")
	w.assign("vm:102", ha.RequestStop, "c")
	w.round(l)
	require.Contains(t, w.written.Results, "b")

	// Other orders end meanwhile, and the service moves to another node.
	w.manager.ServiceStatus["vm:101"].Node = elsewhere
	w.assign("vm:102", ha.Started, "d")
	w.round(l)
	require.Contains(t, w.written.Results, "b", "the master still knows that name")
	require.NotContains(t, w.written.Results, "c")
	require.Contains(t, w.written.Results, "d")

	w.manager.ServiceStatus["vm:101"].UID = "e"
	w.round(l)
	require.Contains(t, w.written.Results, "b", "it goes when the next order ends")
	w.assign("vm:102", ha.RequestStop, "f")
	w.round(l)
	require.NotContains(t, w.written.Results, "b")
	require.Contains(t, w.written.Results, "f")
}

func TestOrdersAreCarriedOutInTheRoundWithoutWorkers(t *testing.T) {
	for _, limit := range []int{0, -1} {
		w := newWorld(t)
		w.workers = limit
		w.assign("vm:102", ha.Started, "c")
		w.assign("vm:101", ha.Started, "b")
		w.assign("vm:103", ha.RequestStop, "d")
		w.guests.startErr = errBroken
		l := w.lrm()
		w.take()
		w.round(l)
		require.Equal(t, []string{
			"write wait_for_agent_lock active", "lock", "watchdog open",
			"info: status change wait_for_agent_lock => active",
			"info: starting service vm:101", "agent start vm:101",
			"err: cfs connection refused", "err: resource agent vm:101 finished - failed to execute",
			"info: starting service vm:102", "agent start vm:102",
			"err: cfs connection refused", "err: resource agent vm:102 finished - failed to execute",
			"write active active", "sleep until 1005", // both may be tried again then
		}, w.take())
		require.Len(t, w.written.Results, 3)
	}
}

// A worker outlives its daemon. The next one neither starts a second for the
// same guest, nor loses the result, nor gives up its watchdog before.
func TestAWorkerOfAnEarlierDaemonIsAdopted(t *testing.T) {
	w := newWorld(t)
	w.workers = 2
	w.assign("vm:101", ha.Migrate, "b").Target = elsewhere
	w.assign("vm:102", ha.Started, "c")
	l := lrm.New(w, &w.guests, lrm.Config{Adopted: []lrm.Order{{SID: "vm:101", UID: "b", State: ha.Migrate, Target: elsewhere}}})
	w.round(l)
	require.Equal(t, []string{"worker vm:102 started c"}, w.only("worker"))
	w.end("vm:102", ha.ExitSuccess)
	w.end("vm:101", ha.ExitSuccess)
	w.round(l)
	require.Equal(t, ha.Result{SID: "vm:101", State: ha.Migrate, ExitCode: ha.ExitSuccess}, w.written.Results["b"])
}

// What an earlier process could not stop was its shutdown's: the node went on.
func TestAStopOfAnEarlierShutdownThatFailedDoesNotResetTheNode(t *testing.T) {
	w := newWorld(t)
	w.workers = 1
	w.onStart = func(o lrm.Order) { w.end(o.SID, ha.ExitSuccess) }
	w.assign("vm:100", ha.Started, "a")
	w.guests.running["vm:100"] = true
	l := lrm.New(w, &w.guests, lrm.Config{Adopted: []lrm.Order{{SID: "vm:100", State: ha.RequestStop}}})
	w.end("vm:100", ha.ExitError)
	w.round(l)
	w.take()
	w.request(l, poweroff)
	w.lastRound(l)
	require.Equal(t, []string{"watchdog update", "watchdog close"}, w.only("watchdog"))
}
