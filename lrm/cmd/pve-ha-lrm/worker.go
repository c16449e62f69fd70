package main

import (
	"fmt"
	"os"
	"time"

	"pveha/internal/daemon"
	"pveha/internal/ha"
	"pveha/internal/worker"
	"pveha/lrm"
	"pveha/lrm/agent"
	"pveha/pmxcfsio"
	"pveha/pmxcfsio/ipcc"
)

// lastWords is how long a worker that has ended waits for the journal.
const lastWords = 5 * time.Second

// carryOut is the program of a worker: it carries out the order in the record
// that the pool of the daemon names.
func carryOut(args []string) int {
	if len(args) != 1 {
		fmt.Fprintf(os.Stderr, "usage: %s %s RECORD (the daemon calls it)\n", name, workerVerb)
		return 2
	}
	log := journal(false)
	defer log.Close(lastWords)
	return worker.Child(args[0], func(job worker.Job) lrm.Outcome { return execute(job, log.Log) }, log.Log)
}

func execute(job worker.Job, log func(ha.Entry)) lrm.Outcome {
	failed := func(err error) lrm.Outcome { return lrm.Outcome{Code: ha.ExitNotRun, Err: err} }
	node, err := daemon.NodeName()
	if err != nil {
		return failed(err)
	}
	client := ipcc.New(ipcc.Config{})
	defer func() { _ = client.Close() }() // the process ends
	fs, err := pmxcfsio.New(pmxcfsio.Config{IPC: client})
	if err != nil {
		return failed(err)
	}
	guests := agent.New(agentConfig(node, fs, log))
	return lrm.Execute(surroundings{node, log}, guests, job.Order, job.Service, job.Configured)
}

// surroundings are what an order needs to know.
type surroundings struct {
	node string
	log  func(ha.Entry)
}

// Log writes to the journal.
func (s surroundings) Log(e ha.Entry) { s.log(e) }

// NodeName is the name of the local node.
func (s surroundings) NodeName() string { return s.node }
