package lrm_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
	"pveha/lrm"
)

// starting is an active LRM with one worker that ends at once with code, and a
// service vm:101 that may be started again maxRestart times.
func starting(t *testing.T, maxRestart int, code *ha.ExitCode) (*world, *lrm.LRM) {
	w := newWorld(t)
	w.workers = 1
	l := w.active()
	w.onStart = func(o lrm.Order) { w.end(o.SID, *code) }
	w.assign("vm:101", ha.Started, "b")
	w.services["vm:101"] = ha.ServiceConfig{Node: here, MaxRestart: maxRestart}
	return w, l
}

func TestAFailedStartIsTriedAgainAsOftenAsConfigured(t *testing.T) {
	for maxRestart, want := range map[int][]string{
		0: {"err: unable to start service vm:101 on local node after 0 retries"},
		1: {
			"warning: restart policy: retry number 1 for service 'vm:101'",
			"err: unable to start service vm:101 on local node after 1 retries",
		},
		2: {
			"warning: restart policy: retry number 1 for service 'vm:101'",
			"warning: restart policy: retry number 2 for service 'vm:101'",
			"err: unable to start service vm:101 on local node after 2 retries",
		},
	} {
		code := ha.ExitError
		w, l := starting(t, maxRestart, &code)
		for range maxRestart {
			w.round(l)
			w.now += 5 // it is left alone for so long
			require.NotContains(t, w.written.Results, "b", "the master is not told of a try")
		}
		w.round(l)
		require.Equal(t, ha.Result{SID: "vm:101", State: ha.Started, ExitCode: ha.ExitError}, w.written.Results["b"])
		w.round(l)
		require.Equal(t, want, w.only("warning", "err"))
	}
}

func TestTriesAreCountedAnew(t *testing.T) {
	first := "warning: restart policy: retry number 1 for service 'vm:101'"
	for name, between := range map[string]func(*world, *lrm.LRM, *ha.ExitCode){
		"after a success": func(w *world, l *lrm.LRM, code *ha.ExitCode) {
			*code = ha.ExitSuccess
			w.round(l)
		},
		"after giving up": func(w *world, l *lrm.LRM, _ *ha.ExitCode) {
			w.now += 5
			w.round(l)
			w.now += 5
			w.round(l)
			w.now += 5
		},
		"after the service was gone": func(w *world, l *lrm.LRM, _ *ha.ExitCode) {
			delete(w.manager.ServiceStatus, "vm:101")
			w.round(l)
		},
	} {
		t.Run(name, func(t *testing.T) {
			code := ha.ExitError
			w, l := starting(t, 2, &code)
			w.round(l)
			require.Equal(t, []string{first}, w.only("warning"))
			between(w, l, &code)
			w.take()

			code = ha.ExitError
			w.manager.ServiceStatus["vm:101"] = &ha.ServiceStatus{State: ha.Started, Node: here, UID: "c"}
			w.round(l)
			require.Equal(t, []string{first}, w.only("warning"))
		})
	}
}

// The count belongs to the service and not to the order.
func TestTriesAreCountedOnAcrossOrders(t *testing.T) {
	code := ha.ExitError
	w, l := starting(t, 2, &code)
	w.round(l)
	w.assign("vm:101", ha.Started, "c")
	w.services["vm:101"] = ha.ServiceConfig{Node: here, MaxRestart: 2}
	w.take()
	w.round(l)
	require.Equal(t, []string{"warning: restart policy: retry number 2 for service 'vm:101'"}, w.only("warning"))
}

func TestOnlyAFailedStartIsTriedAgain(t *testing.T) {
	for _, code := range []ha.ExitCode{
		ha.ExitNotRun, ha.ExitWrongNode, ha.ExitUnknownServiceType, ha.ExitUnknownCommand,
		ha.ExitInvalidParameter, ha.ExitUnknownService, ha.ExitIgnored, 255,
	} {
		w, l := starting(t, 5, &code)
		w.round(l)
		require.Equal(t, code, w.written.Results["b"].ExitCode)
	}
	for _, state := range []ha.ServiceState{ha.RequestStop, ha.Migrate, ha.Relocate, ha.RequestStartBalance} {
		code := ha.ExitError
		w, l := starting(t, 5, &code)
		w.assign("vm:101", state, "c")
		w.round(l)
		require.Equal(t, ha.ExitError, w.written.Results["c"].ExitCode, state)
	}
}

func TestAServiceThatIsNoLongerConfiguredIsNotStartedAgain(t *testing.T) {
	code := ha.ExitError
	w, l := starting(t, 5, &code)
	delete(w.services, "vm:101")
	w.round(l)
	require.Equal(t, ha.ExitError, w.written.Results["b"].ExitCode)
}
