package worker

import (
	"errors"

	"pveha/internal/ha"
	"pveha/lrm"
)

// ErrBusy is that an action on the guest still runs.
var ErrBusy = errors.New("another action on the guest still runs")

// Config is what a pool works with.
type Config struct {
	Dir     string   // folder of the state, /run/pve-ha-lrm
	Command []string // of a child, to which the name of its record is added
	Log     func(ha.Entry)
}

// Job is an order with what its child has to know besides.
type Job struct {
	Order      lrm.Order
	Service    ha.ServiceConfig
	Configured bool // whether the service has a configuration
}

// Pool runs jobs in children.
type Pool struct{}

// Open opens the folder and takes over what an earlier daemon has left in it:
// children that still run, and results that it did not pass on.
func Open(cfg Config) (*Pool, error) { return &Pool{}, nil }

// Adopted returns the orders that an earlier daemon has started and whose
// results are still to come, or are there and were not passed on. Each comes
// out of Finished one day. A daemon asks for them once, when it starts.
func (p *Pool) Adopted() []lrm.Order { return nil }

// Start starts a child for a job. While one runs for the same guest it fails
// with [ErrBusy]; if that one, adopted, carries out the same order, Start
// succeeds and its result is the result.
func (p *Pool) Start(j Job) error { return nil }

// Finished returns the orders that ended since the last call. Their results
// stay in the folder until Acknowledge.
func (p *Pool) Finished() []lrm.Finished { return nil }

// Acknowledge forgets the results that Finished has returned: the daemon has
// written them where they are safe.
func (p *Pool) Acknowledge() error { return nil }

// Running is how many children run.
func (p *Pool) Running() int { return 0 }

// Changed is readable when a child has ended since the last call of Finished.
func (p *Pool) Changed() <-chan struct{} { return nil }

// Close stops watching the children. They go on.
func (p *Pool) Close() error { return nil }
