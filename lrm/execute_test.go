package lrm_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
	"pveha/lrm"
)

func TestExecute(t *testing.T) {
	const sid = ha.SID("vm:100")
	stop := func(timeout string) lrm.Order { return lrm.Order{State: ha.RequestStop, Timeout: timeout} }
	move := func(state ha.ServiceState) lrm.Order { return lrm.Order{State: state, Target: elsewhere} }
	running := func(a *agent) { a.running[sid] = true }
	refuses := func(a *agent) { a.refuse = true }
	both := func(f, g func(*agent)) func(*agent) { return func(a *agent) { f(a); g(a) } }
	broken := errors.New("broken")

	for name, test := range map[string]struct {
		order lrm.Order
		guest func(*agent)
		code  ha.ExitCode
		err   string
		want  []string
	}{
		"start": {
			order: lrm.Order{State: ha.Started},
			want:  []string{"info: starting service vm:100", "agent start vm:100", "info: service status vm:100 started"},
		},
		"start, runs already": {order: lrm.Order{State: ha.Started}, guest: running},
		"start, without effect": {
			order: lrm.Order{State: ha.Started}, guest: refuses, code: ha.ExitError,
			want: []string{"info: starting service vm:100", "agent start vm:100", "warning: unable to start service vm:100"},
		},
		"start, fails": {
			order: lrm.Order{State: ha.Started}, guest: func(a *agent) { a.startErr = broken },
			code: ha.ExitNotRun, err: "broken",
			want: []string{"info: starting service vm:100", "agent start vm:100"},
		},
		"start, effect unknown": {
			order: lrm.Order{State: ha.Started}, guest: func(a *agent) { a.laterErr = broken },
			code: ha.ExitNotRun, err: "broken",
			want: []string{"info: starting service vm:100", "agent start vm:100"},
		},
		"any, state unknown": {
			order: lrm.Order{State: ha.Started}, guest: func(a *agent) { a.runningErr = broken },
			code: ha.ExitNotRun, err: "broken",
		},
		"stop": {
			order: stop(""), guest: running,
			want: []string{"info: stopping service vm:100", "agent shutdown vm:100 ", "info: service status vm:100 stopped"},
		},
		"stop, with a timeout": {
			order: stop("30"), guest: running,
			want: []string{"info: stopping service vm:100 (timeout=30)", "agent shutdown vm:100 30", "info: service status vm:100 stopped"},
		},
		"stop, at once": {
			order: stop("0"), guest: running,
			want: []string{"info: stopping service vm:100 (timeout=0)", "agent shutdown vm:100 0", "info: service status vm:100 stopped"},
		},
		"stop, does not run": {order: stop("")},
		"stop, without effect": {
			order: stop(""), guest: both(running, refuses), code: ha.ExitError,
			want: []string{"info: stopping service vm:100", "agent shutdown vm:100 ", "info: unable to stop service vm:100 (still running)"},
		},
		"stop, fails": {
			order: stop(""), guest: both(running, func(a *agent) { a.shutdownErr = broken }),
			code: ha.ExitNotRun, err: "broken",
			want: []string{"info: stopping service vm:100", "agent shutdown vm:100 "},
		},
		"stop, effect unknown": {
			order: stop(""), guest: both(running, func(a *agent) { a.laterErr = broken }),
			code: ha.ExitNotRun, err: "broken",
			want: []string{"info: stopping service vm:100", "agent shutdown vm:100 "},
		},
		"stopped": {
			order: lrm.Order{State: ha.Stopped}, guest: running,
			want: []string{"info: stopping service vm:100", "agent shutdown vm:100 ", "info: service status vm:100 stopped"},
		},
		"stopped, is so": {order: lrm.Order{State: ha.Stopped}},
		"migrate":        {order: move(ha.Migrate), guest: running, want: []string{"agent migrate vm:100 node2"}},
		"migrate, does not run": {
			order: move(ha.Migrate), want: []string{"agent migrate vm:100 node2"},
		},
		"relocate": {order: move(ha.Relocate), guest: running, want: []string{"agent relocate vm:100 node2"}},
		"balance":  {order: move(ha.RequestStartBalance), want: []string{"agent relocate vm:100 node2"}},
		"balance, runs": {
			order: move(ha.RequestStartBalance), guest: running, code: ha.ExitIgnored,
			want: []string{"info: ignoring rebalance-on-start for service vm:100 - already running"},
		},
		"move, without effect": {
			order: move(ha.Migrate), guest: refuses, code: ha.ExitError,
			want: []string{"agent migrate vm:100 node2", "err: service vm:100 not moved (migration error)"},
		},
		"move, fails": {
			order: move(ha.Relocate), guest: func(a *agent) { a.migrateErr = broken },
			code: ha.ExitNotRun, err: "broken",
			want: []string{"agent relocate vm:100 node2"},
		},
		"move, nowhere": {
			order: lrm.Order{State: ha.Migrate}, code: ha.ExitNotRun, err: "migrate 'vm:100' failed - missing target",
		},
		"move, to where it is": {order: lrm.Order{State: ha.Relocate, Target: here}},
		"error": {
			order: lrm.Order{State: ha.Error}, guest: running,
			want: []string{"err: service vm:100 is in an error state and needs manual intervention." +
				" Look up 'ERROR RECOVERY' in the documentation."},
		},
		"request_start": {
			order: lrm.Order{State: ha.RequestStart}, code: ha.ExitUnknownCommand,
			want: []string{"err: implement me (cmd 'request_start')"},
		},
		"fence":    {order: lrm.Order{State: ha.Fence}, code: ha.ExitUnknownCommand, want: []string{"err: implement me (cmd 'fence')"}},
		"recovery": {order: lrm.Order{State: ha.Recovery}, code: ha.ExitUnknownCommand, want: []string{"err: implement me (cmd 'recovery')"}},
		"freeze":   {order: lrm.Order{State: ha.Freeze}, code: ha.ExitUnknownCommand, want: []string{"err: implement me (cmd 'freeze')"}},
		"a state of a newer stack": {
			order: lrm.Order{State: "dance"}, code: ha.ExitUnknownCommand, want: []string{"err: implement me (cmd 'dance')"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if test.guest != nil {
				test.guest(&w.guests)
			}
			test.order.SID = sid
			out := lrm.Execute(w, &w.guests, test.order, ha.ServiceConfig{Node: here}, true)
			require.Equal(t, test.code, out.Code)
			if test.err == "" {
				require.NoError(t, out.Err)
			} else {
				require.EqualError(t, out.Err, test.err)
			}
			require.Equal(t, test.want, w.take())
		})
	}
}

// Every state is answered the same way by a service that cannot be handled
// here, and its guest is left alone.
func TestExecuteRefuses(t *testing.T) {
	for _, state := range ha.ServiceStates {
		for name, test := range map[string]struct {
			sid        ha.SID
			cfg        ha.ServiceConfig
			configured bool
			code       ha.ExitCode
			want       string
		}{
			"a type it does not know": {
				"fa:100",
				ha.ServiceConfig{Node: here},
				true,
				ha.ExitUnknownServiceType, "err: service type 'fa' not implemented",
			},
			"a service without configuration": {
				"vm:100",
				ha.ServiceConfig{},
				false,
				ha.ExitUnknownService, "err: missing resource configuration for 'vm:100'",
			},
			"a guest of another node": {
				"vm:100",
				ha.ServiceConfig{Node: elsewhere},
				true,
				ha.ExitWrongNode, "err: service 'vm:100' not on this node",
			},
		} {
			t.Run(name+", "+string(state), func(t *testing.T) {
				w := newWorld(t)
				w.guests.runningErr = errBroken // asking is an error
				out := lrm.Execute(w, &w.guests, lrm.Order{SID: test.sid, State: state, Target: here}, test.cfg, test.configured)
				if state == ha.Error && test.code == ha.ExitWrongNode {
					require.Equal(t, lrm.Outcome{}, out, "an error succeeds wherever the guest is")
					return
				}
				require.Equal(t, lrm.Outcome{Code: test.code}, out)
				require.Equal(t, []string{test.want}, w.take())
			})
		}
	}
}
