package lrm

import (
	"maps"

	"pveha/internal/ha"
)

// finish takes the outcome of a job.
func (l *LRM) finish(j *job, out Outcome, services map[ha.SID]ha.ServiceConfig) {
	o := j.order
	delete(l.queue, o.SID)
	switch {
	case out.Err != nil:
		l.log(ha.LevelErr, o.SID, "resource agent %s finished - failed to execute", o.SID)
		out.Code = ha.ExitNotRun
	case out.Signal != 0:
		l.log(ha.LevelErr, o.SID, "resource agent %s finished - got signal %d", o.SID, out.Signal)
		out.Code = ha.ExitNotRun
	}
	if j.thenStop && !hasMoved(o, out.Code) {
		l.enqueue(ownStop(o.SID))
	}
	if o.UID == "" { // a stop of our own before the node goes down
		if out.Code != ha.ExitSuccess {
			l.shutdownErrors++
		}
		return
	}
	code := out.Code
	l.pause(o, code)
	if o.State == ha.Started {
		code = l.judgeStart(o.SID, code, services[o.SID].MaxRestart)
	}
	if code == ha.ExitTryAgain {
		return // tell nobody: the order is queued again in the next round
	}
	l.results[o.UID] = ha.Result{SID: o.SID, State: o.State, ExitCode: code}
}

// attempt is what is tried with a service.
type attempt struct {
	sid   ha.SID
	state ha.ServiceState
}

// retryPause is how long a service is left alone after something failed with
// it, in seconds, before the same is tried again, on the order of whomever. In
// the Perl stack what failed is tried again in the next round, two to ten
// seconds later, and what kept it from working may have passed by then.
const retryPause = 5

// pause puts off what has failed.
func (l *LRM) pause(o Order, code ha.ExitCode) {
	key := attempt{o.SID, o.State}
	delete(l.pauses, key)
	if code != ha.ExitSuccess {
		l.pauses[key] = l.env.Monotonic() + retryPause
	}
}

// hasMoved reports whether an order has taken the service to another node.
func hasMoved(o Order, code ha.ExitCode) bool {
	return o.Target != "" && code == ha.ExitSuccess
}

// judgeStart applies the restart policy to the result of a start.
func (l *LRM) judgeStart(sid ha.SID, code ha.ExitCode, maxRestart int) ha.ExitCode {
	if code == ha.ExitSuccess {
		l.retries[sid] = 0
	}
	if code != ha.ExitError {
		return code
	}
	if l.retries[sid] >= maxRestart {
		l.log(ha.LevelErr, sid, "unable to start service %s on local node after %d retries", sid, l.retries[sid])
		l.retries[sid] = 0
		return ha.ExitError
	}
	l.retries[sid]++
	l.log(ha.LevelWarning, sid, "restart policy: retry number %d for service '%s'", l.retries[sid], sid)
	return ha.ExitTryAgain
}

// forgetOldResults drops the results of orders that the master has replaced.
func (l *LRM) forgetOldResults() {
	valid := make(map[string]bool, len(l.services))
	for _, s := range l.services {
		valid[s.UID] = true
	}
	maps.DeleteFunc(l.results, func(uid string, _ ha.Result) bool { return !valid[uid] })
}
