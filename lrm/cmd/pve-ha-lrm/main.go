// Command pve-ha-lrm is the daemon of the local resource manager: it runs on
// every node and carries out there what the cluster resource manager decides.
package main

import (
	"os"
	"runtime"
	"time"

	"pveha/internal/daemon"
	"pveha/internal/pveenv"
)

const name = "pve-ha-lrm"

// stopWait is how long a stop waits for the daemon, as with the Perl stack: it
// has to wait for guests that shut down or move away.
const stopWait = time.Hour

// workerVerb is the command that carries out one order, in a process of its
// own.
const workerVerb = "worker"

func main() {
	// A daemon waits nearly all the time, and a second thread of control would only
	// wake up to find that out. A call that hangs holds up none of the others.
	runtime.GOMAXPROCS(1)
	program := daemon.Program{
		Name: name, StopWait: stopWait, OpenJournal: journal, Open: open,
		Verbs: map[string]func([]string) int{workerVerb: carryOut},
	}
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
