package pveenv

import (
	"errors"

	"pveha/internal/ha"
	"pveha/internal/worker"
	"pveha/lrm"
)

// NodeShutdown reports whether the node shuts down, and whether it comes back.
// The error is a [*SystemdError].
func (l *LRM) NodeShutdown() (shutdown, reboot bool, err error) {
	return l.systemd.shutdown(l.ctx)
}

// StartWorker starts an order that goes on by itself.
func (l *LRM) StartWorker(o lrm.Order) error {
	if l.workers == nil {
		return errors.New("there are no workers")
	}
	services, _, err := l.Services()
	if err != nil {
		// The node may shut down without its cluster. What is known of the
		// services is enough to stop them.
		if services = l.resources.last(); services == nil {
			return err
		}
	}
	return l.workers.Start(o, services)
}

// FinishedWorkers returns the started orders that ended since the last call.
func (l *LRM) FinishedWorkers() []lrm.Finished {
	if l.workers == nil {
		return nil
	}
	finished := l.workers.Finished()
	l.unsaved = l.unsaved || len(finished) > 0
	return finished
}

// GuestAlive reports whether a guest runs, and whether that is known.
func (l *LRM) GuestAlive(sid ha.SID) (alive, known bool) {
	if l.guests == nil {
		return false, false
	}
	return l.guests.Alive(sid)
}

// PoolWorkers lets a pool carry out orders.
type PoolWorkers struct{ *worker.Pool }

var _ Workers = PoolWorkers{}

// Start starts an order with what its child has to know of the service.
func (p PoolWorkers) Start(o lrm.Order, services map[ha.SID]ha.ServiceConfig) error {
	service, configured := services[o.SID]
	return p.Pool.Start(worker.Job{Order: o, Service: service, Configured: configured})
}
