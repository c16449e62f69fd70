package lrm

import (
	"fmt"

	"pveha/internal/ha"
)

// ExecEnv is what carrying out an order needs of its surroundings.
type ExecEnv interface {
	Journal
	NodeName() string
}

// Execute carries out one order, to its end. A worker process calls it with
// the order it was started for. cfg is the configuration of the service, and
// configured tells whether it has one.
func Execute(env ExecEnv, agent Agent, o Order, cfg ha.ServiceConfig, configured bool) Outcome {
	x := execution{env: env, agent: agent, Order: o}
	code, err := x.run(cfg, configured)
	if err != nil {
		return Outcome{Code: ha.ExitNotRun, Err: err}
	}
	return Outcome{Code: code}
}

type execution struct {
	env   ExecEnv
	agent Agent
	Order
}

func (x *execution) log(level ha.Level, format string, args ...any) {
	x.env.Log(ha.Entry{Level: level, SID: x.SID, Text: fmt.Sprintf(format, args...)})
}

func (x *execution) run(cfg ha.ServiceConfig, configured bool) (ha.ExitCode, error) {
	switch {
	case !x.agent.Handles(x.SID.Type()):
		x.log(ha.LevelErr, "service type '%s' not implemented", x.SID.Type())
		return ha.ExitUnknownServiceType, nil
	case !configured:
		x.log(ha.LevelErr, "missing resource configuration for '%s'", x.SID)
		return ha.ExitUnknownService, nil
	case x.State == ha.Error:
		x.log(ha.LevelErr, "service %s is in an error state and needs manual intervention."+
			" Look up 'ERROR RECOVERY' in the documentation.", x.SID)
		return ha.ExitSuccess, nil
	case cfg.Node != x.env.NodeName():
		x.log(ha.LevelErr, "service '%s' not on this node", x.SID)
		return ha.ExitWrongNode, nil
	}
	running, err := x.agent.Running(x.SID)
	if err != nil {
		return ha.ExitNotRun, err
	}
	switch x.State {
	case ha.Started:
		return x.start(running)
	case ha.RequestStop, ha.Stopped:
		return x.stop(running)
	case ha.Migrate, ha.Relocate, ha.RequestStartBalance:
		return x.move(cfg, running)
	case ha.RequestStart, ha.Fence, ha.Recovery, ha.Freeze, ha.Error:
	}
	x.log(ha.LevelErr, "implement me (cmd '%s')", x.State)
	return ha.ExitUnknownCommand, nil
}

func (x *execution) start(running bool) (ha.ExitCode, error) {
	if running {
		return ha.ExitSuccess, nil
	}
	x.log(ha.LevelInfo, "starting service %s", x.SID)
	if err := x.agent.Start(x.SID); err != nil {
		return ha.ExitNotRun, err
	}
	running, err := x.agent.Running(x.SID)
	if err != nil {
		return ha.ExitNotRun, err
	}
	if !running {
		x.log(ha.LevelWarning, "unable to start service %s", x.SID)
		return ha.ExitError, nil
	}
	x.log(ha.LevelInfo, "service status %s started", x.SID)
	return ha.ExitSuccess, nil
}

func (x *execution) stop(running bool) (ha.ExitCode, error) {
	if !running {
		return ha.ExitSuccess, nil
	}
	if x.Timeout != "" {
		x.log(ha.LevelInfo, "stopping service %s (timeout=%s)", x.SID, x.Timeout)
	} else {
		x.log(ha.LevelInfo, "stopping service %s", x.SID)
	}
	if err := x.agent.Shutdown(x.SID, x.Timeout); err != nil {
		return ha.ExitNotRun, err
	}
	running, err := x.agent.Running(x.SID)
	if err != nil {
		return ha.ExitNotRun, err
	}
	if running {
		x.log(ha.LevelInfo, "unable to stop service %s (still running)", x.SID)
		return ha.ExitError, nil
	}
	x.log(ha.LevelInfo, "service status %s stopped", x.SID)
	return ha.ExitSuccess, nil
}

func (x *execution) move(cfg ha.ServiceConfig, running bool) (ha.ExitCode, error) {
	if x.Target == "" {
		return ha.ExitNotRun, fmt.Errorf("%s '%s' failed - missing target", x.State, x.SID)
	}
	if cfg.Node == x.Target {
		return ha.ExitSuccess, nil
	}
	if x.State == ha.RequestStartBalance && running {
		x.log(ha.LevelInfo, "ignoring rebalance-on-start for service %s - already running", x.SID)
		return ha.ExitIgnored, nil
	}
	moved, err := x.agent.Migrate(x.SID, x.Target, x.State == ha.Migrate)
	if err != nil {
		return ha.ExitNotRun, err
	}
	if !moved {
		x.log(ha.LevelErr, "service %s not moved (migration error)", x.SID)
		return ha.ExitError, nil
	}
	return ha.ExitSuccess, nil
}
