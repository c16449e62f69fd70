package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"pveha/internal/daemon"
	"pveha/internal/ha"
	"pveha/internal/process"
	"pveha/internal/pveenv"
	"pveha/internal/worker"
	"pveha/lrm"
	"pveha/lrm/agent"
	"pveha/pmxcfsio"
	"pveha/pmxcfsio/ipcc"
)

// runDir is where the workers leave their results: a folder that is empty after
// the machine was started.
const runDir = "/run/pve-ha-lrm"

// actionProgram acts on a guest through the API.
const actionProgram = "/usr/libexec/pveha/guest-action"

// statusRefresh is how old an unchanged status may become, in seconds. The
// status command calls an LRM dead when it is older than 30.
const statusRefresh = 25

// idleRound is the time between rounds of an LRM without services, in seconds.
const idleRound = 10

// lockGrace is for how long the watchdog is updated without a refresh of the
// lock, in seconds. A cluster file system that is away for a minute then costs
// no node: the last refresh is up to 10 seconds older than the loss, and the
// multiplexer waits for 60. With those and the device's 10 the node is dead
// after 90 seconds, 30 before another can have its lock; the multiplexer refuses
// devices of more than 20.
const lockGrace = 20

// local is the daemon with all that belongs to it.
type local struct {
	*lrm.LRM
	env    *pveenv.LRM
	waker  *pveenv.Waker
	pool   *worker.Pool
	guests *agent.Watcher
	files  *ipcc.Client
	stop   context.CancelFunc
	runs   sync.WaitGroup
}

func open(log func(ha.Entry)) (daemon.Loop, error) {
	node, err := daemon.NodeName()
	if err != nil {
		return nil, err
	}
	if err := process.RelaxTimers(); err != nil {
		log(ha.Entry{Level: ha.LevelInfo, Text: fmt.Sprintf("timers stay precise, which costs processor time - %v", err)})
	}
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot start workers: %w", err)
	}
	pool, err := worker.Open(worker.Config{Dir: runDir, Command: []string{program, workerVerb}, Log: log})
	if err != nil {
		return nil, err
	}
	l := &local{waker: pveenv.NewWaker(), pool: pool, files: ipcc.New(ipcc.Config{})}
	fs, err := pmxcfsio.New(pmxcfsio.Config{IPC: l.files})
	if err != nil {
		return nil, fmt.Errorf("cluster file system: %w", err)
	}
	agents := agentConfig(node, fs, log)
	l.guests = agent.NewWatcher(agents)
	forks := agent.NewForkServer(agent.ForkServerConfig{Action: agents.Action, Socket: agents.ForkServer, Log: log})
	l.env, err = pveenv.NewLRM(pveenv.LRMConfig{
		Config:  pveenv.Config{Node: node, Files: fs, Log: log, Waker: l.waker},
		Workers: announced{pveenv.PoolWorkers{Pool: pool}, l.guests, forks.Announce},
		Guests:  l.guests,
	})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	l.runs.Go(func() { l.env.Run(ctx) })
	l.LRM = lrm.New(l.env, agent.New(agents), lrm.Config{
		StatusRefresh: statusRefresh, IdleRound: idleRound, LockGrace: lockGrace, FinishMoves: true, HoldFrozen: true,
		Adopted: pool.Adopted(),
	})
	return l, nil
}

func agentConfig(node string, files agent.Files, log func(ha.Entry)) agent.Config {
	return agent.Config{
		Node: node, Files: files, Log: log,
		Action: []string{actionProgram}, LockDir: worker.LockDir(runDir),
		ForkServer: filepath.Join(worker.LockDir(runDir), "guest-action.socket"),
	}
}

// Wake ends the wait of a round.
func (l *local) Wake() { l.waker.Wake() }

// Close ends what runs beside the daemon. Workers go on.
func (l *local) Close() {
	l.stop()
	l.env.Close()
	l.runs.Wait()
	// The process ends.
	_ = l.guests.Close()
	_ = l.pool.Close()
	_ = l.files.Close()
}
