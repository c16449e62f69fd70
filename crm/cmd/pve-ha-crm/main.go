// Command pve-ha-crm is the daemon of the cluster resource manager: one runs on
// every node, and one of them decides for the cluster.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"pveha/crm"
	"pveha/internal/daemon"
	"pveha/internal/ha"
	"pveha/internal/process"
	"pveha/internal/pveenv"
	"pveha/pmxcfsio"
	"pveha/pmxcfsio/ipcc"
)

const name = "pve-ha-crm"

// stopWait is how long a stop waits for the daemon, as with the Perl stack.
const stopWait = time.Minute

func main() {
	// A daemon waits nearly all the time, and a second thread of control would only
	// wake up to find that out. A call that hangs holds up none of the others.
	runtime.GOMAXPROCS(1)
	program := daemon.Program{Name: name, StopWait: stopWait, OpenJournal: journal, Open: open}
	os.Exit(program.Main(daemon.ThisMachine(), os.Args[1:]))
}

// journal is the system's, and for a person who watches the standard error too.
func journal(watched bool) daemon.Journal {
	node, _ := daemon.NodeName() // only one of many fields
	cfg := pveenv.JournalConfig{Identifier: name, Node: node, Fallback: os.Stderr}
	if watched {
		cfg.Copy, cfg.Fallback = os.Stderr, nil
	}
	return pveenv.OpenJournal(cfg)
}

// master is the daemon with all that belongs to it.
type master struct {
	*crm.CRM
	env   *pveenv.CRM
	waker *pveenv.Waker
	files *ipcc.Client
	stop  context.CancelFunc
	runs  sync.WaitGroup
}

func open(log func(ha.Entry)) (daemon.Loop, error) {
	node, err := daemon.NodeName()
	if err != nil {
		return nil, err
	}
	if err := process.RelaxTimers(); err != nil {
		log(ha.Entry{Level: ha.LevelInfo, Text: fmt.Sprintf("timers stay precise, which costs processor time - %v", err)})
	}
	m := &master{waker: pveenv.NewWaker(), files: ipcc.New(ipcc.Config{})}
	fs, err := pmxcfsio.New(pmxcfsio.Config{IPC: m.files})
	if err != nil {
		return nil, fmt.Errorf("cluster file system: %w", err)
	}
	m.env, err = pveenv.NewCRM(pveenv.CRMConfig{Config: pveenv.Config{Node: node, Files: fs, Log: log, Waker: m.waker}})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	m.stop = stop
	m.runs.Go(func() { m.env.Run(ctx) })
	m.CRM = crm.New(m.env, crm.Config{Prompt: true})
	return m, nil
}

// Wake ends the wait of a round.
func (m *master) Wake() { m.waker.Wake() }

// Close ends what runs beside the daemon.
func (m *master) Close() {
	m.stop()
	m.env.Close()
	m.runs.Wait()
	_ = m.files.Close() // the process ends
}
