package lrm

import (
	"cmp"
	"maps"
	"slices"

	"pveha/internal/ha"
)

// workSlice is how long one round may wait for workers, in seconds.
const workSlice = 8

// job is an order that waits or is being carried out.
type job struct {
	order    Order
	tries    int // times the service was considered for a worker
	running  bool
	thenStop bool // the node shuts down: stop the service when this has ended
}

// manageServices queues what the master wants of the services of this node,
// and lets the workers go on. It returns how many orders are not done.
func (l *LRM) manageServices() (int, error) {
	now := l.env.Monotonic()
	maps.DeleteFunc(l.pauses, func(_ attempt, end ha.Epoch) bool { return now >= end })
	maps.DeleteFunc(l.retries, func(sid ha.SID, _ int) bool { return l.services[sid] == nil })
	for sid, s := range l.services {
		if s.Node != l.env.NodeName() || s.UID == "" || s.Node == "" {
			continue
		}
		switch s.State {
		case ha.Recovery, ha.Freeze, ha.RequestStart, "":
			// A service in recovery may have this node as its only choice, but
			// the master has to clear it first. One in request_start has no
			// node yet.
			continue
		case ha.Stopped, ha.RequestStop, ha.RequestStartBalance, ha.Started,
			ha.Fence, ha.Migrate, ha.Relocate, ha.Error:
		}
		o := Order{SID: sid, UID: s.UID, State: s.State, Target: s.Target, Timeout: s.Timeout}
		if l.timely(o, s.Running) {
			l.enqueue(o)
		}
	}
	return l.runOrders()
}

// takeMoves queues the moves that the master ordered before it knew that the LRM
// restarts. It freezes no service that moves, but waits for the result.
func (l *LRM) takeMoves() {
	for sid, s := range l.services {
		if s.Node != l.env.NodeName() || s.UID == "" {
			continue
		}
		switch s.State {
		case ha.Migrate, ha.Relocate, ha.RequestStartBalance:
		case ha.Stopped, ha.RequestStop, ha.RequestStart, ha.Started, ha.Fence, ha.Recovery, ha.Freeze, ha.Error:
			continue
		}
		// Where the node goes down as well, it is to be stopped if it stays.
		waiting := l.queue[sid]
		l.enqueue(Order{SID: sid, UID: s.UID, State: s.State, Target: s.Target, Timeout: s.Timeout})
		if now := l.queue[sid]; waiting != nil && now != waiting {
			now.thenStop = waiting.thenStop || waiting.order.UID == ""
		}
	}
}

// timely reports whether it is time for an order. The Perl stack looks after
// every service in every round: the master renews the order of a service that
// runs, and of one that is stopped the order holds for ever. So that extra
// rounds do not look all the time, that is left to the full ones, and not done
// at all for a guest of which we hear when it dies. running tells that the
// master knows the service to run.
func (l *LRM) timely(o Order, running bool) bool {
	if l.env.Monotonic() < l.pauses[attempt{o.SID, o.State}] {
		return false
	}
	routine := false
	switch o.State {
	case ha.Started:
		routine = running
	case ha.Stopped:
		_, routine = l.results[o.UID]
	case ha.RequestStop, ha.RequestStartBalance, ha.Migrate, ha.Relocate, ha.Error,
		ha.RequestStart, ha.Fence, ha.Recovery, ha.Freeze:
		return true
	default:
		return true
	}
	alive, known := l.env.GuestAlive(o.SID)
	switch {
	case !known:
		return l.full || !routine
	case o.State == ha.Stopped:
		return alive && (l.full || !routine)
	default:
		return !alive || !routine
	}
}

// enqueue puts an order into the queue, in place of one of the same service
// that still waits; the service keeps its place in the queue. An order whose
// result is already known is not carried out again: the master would not see
// the second result. A stopped service is the exception, for the master takes
// no result there and it should stay stopped even when no master is there.
func (l *LRM) enqueue(o Order) {
	if _, known := l.results[o.UID]; known && o.UID != "" && o.State != ha.Stopped {
		return
	}
	tries := 0
	if j := l.queue[o.SID]; j != nil {
		if j.running {
			return
		}
		tries = j.tries
	}
	l.queue[o.SID] = &job{order: o, tries: tries}
}

// runOrders starts what waits and collects what ended, for as long as the time
// slice of a round allows. It returns how many orders are not done.
func (l *LRM) runOrders() (int, error) {
	start := l.env.Monotonic()
	limit, err := l.env.MaxWorkers()
	if err != nil {
		return len(l.queue), err
	}
	services, _, err := l.env.Services()
	if err != nil {
		return len(l.queue), err
	}
	for woken := false; ; {
		l.collect(services)
		if limit <= 0 {
			l.runInline(services)
			break
		}
		if l.startWorkers(limit) == 0 || woken {
			break // what woke us is for the next round to look at
		}
		now := l.env.Monotonic()
		woken = l.env.SleepUntil(now + 1)
		if !woken && l.env.Monotonic()-start > workSlice {
			break
		}
	}
	return len(l.queue), nil
}

// waiting returns the jobs that are not running, the longest waiting first.
func (l *LRM) waiting() []*job {
	var jobs []*job
	for _, j := range l.queue {
		if !j.running {
			jobs = append(jobs, j)
		}
	}
	slices.SortFunc(jobs, func(a, b *job) int {
		return cmp.Or(cmp.Compare(b.tries, a.tries), cmp.Compare(a.order.SID, b.order.SID))
	})
	return jobs
}

func (l *LRM) runningJobs() int {
	n := 0
	for _, j := range l.queue {
		if j.running {
			n++
		}
	}
	return n
}

// startWorkers starts waiting jobs as far as the limit allows and returns how
// many run.
func (l *LRM) startWorkers(limit int) int {
	running := l.runningJobs()
	for _, j := range l.waiting() {
		j.tries++
		if running >= limit {
			continue
		}
		if err := l.env.StartWorker(j.order); err != nil {
			l.complain(ha.LevelErr, j.order.SID, "forking worker failed - %v", err)
			j.tries = -1 // it may be for this guest alone: the others are first now
			return 0
		}
		j.running = true
		running++
		l.progress()
	}
	return running
}

func (l *LRM) runInline(services map[ha.SID]ha.ServiceConfig) {
	jobs := l.waiting()
	for _, j := range jobs {
		cfg, ok := services[j.order.SID]
		out := Execute(l.env, l.agent, j.order, cfg, ok)
		if out.Err != nil {
			l.log(ha.LevelErr, j.order.SID, "%v", out.Err)
		}
		l.finish(j, out, services)
		l.progress()
	}
	if len(jobs) > 0 {
		l.forgetOldResults()
	}
}

// awaitWorkers collects what ended and starts nothing. It returns how many
// workers still run.
func (l *LRM) awaitWorkers() int {
	// Without the configuration no result can be judged, and the next round
	// tries again.
	if services, _, err := l.env.Services(); err == nil {
		l.collect(services)
	}
	return l.runningJobs()
}

// collect takes the results of the workers that ended.
func (l *LRM) collect(services map[ha.SID]ha.ServiceConfig) {
	finished := l.env.FinishedWorkers()
	for _, f := range finished {
		if j := l.queue[f.SID]; j != nil && j.running {
			l.finish(j, f.Result, services)
		}
	}
	if len(finished) > 0 {
		l.forgetOldResults()
	}
}
