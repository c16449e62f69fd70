package sim

import (
	"errors"

	"pveha/internal/ha"
	"pveha/lrm"
)

// worker is an order that is being carried out. What it does to the guest is
// done at its start; its result is there when the time it takes is over.
type worker struct {
	lrm.Finished
	until ha.Epoch
}

// MaxWorkers is how many orders a node carries out at once. Zero, the value of
// the Perl stack's simulator, means that each is carried out within the round.
func (e *env) MaxWorkers() (int, error) { return e.cluster.maxWorkers, nil }

// StartWorker starts an order.
func (e *env) StartWorker(o lrm.Order) error {
	if e.cluster.maxWorkers == 0 {
		return errors.New("the simulation has no workers")
	}
	services, _, err := e.Services()
	if err != nil {
		return err
	}
	cfg, ok := services[o.SID]
	w := &env{cluster: e.cluster, node: e.node, daemon: e.daemon, now: e.now}
	out := lrm.Execute(w, agent{w}, o, cfg, ok)
	e.node.workers = append(e.node.workers, worker{
		Finished: lrm.Finished{SID: o.SID, Result: out},
		until:    e.Now() + ha.Epoch(w.spent),
	})
	return nil
}

// FinishedWorkers returns those whose time is over.
func (e *env) FinishedWorkers() []lrm.Finished {
	var done []lrm.Finished
	left := e.node.workers[:0]
	for _, w := range e.node.workers {
		if w.until <= e.Now() {
			done = append(done, w.Finished)
		} else {
			left = append(left, w)
		}
	}
	e.node.workers = left
	return done
}
