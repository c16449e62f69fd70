// Command ha-manager is the command line of the HA stack.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"golang.org/x/term"

	"pveha/hactl"
	"pveha/hactl/whatif"
	"pveha/internal/pveenv"
	"pveha/pmxcfsio"
	"pveha/pmxcfsio/ipcc"
)

// root is where the cluster file system is mounted. Builds for tests set
// another one.
var root = pmxcfsio.DefaultRoot

func main() { os.Exit(run()) }

// heapGrowth lets the heap grow to some dozens of MB before the first garbage
// collection: most commands have ended by then.
const heapGrowth = 1000

func run() int {
	debug.SetGCPercent(heapGrowth)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	env, end, err := environment()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer end()
	stdio := hactl.Stdio{Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv}
	if term.IsTerminal(int(os.Stdout.Fd())) {
		stdio.Terminal = terminal{}
	}
	return hactl.Run(ctx, env, stdio, os.Args[1:])
}

// environment is the cluster that this node is in. Only the usual mount has a
// pmxcfs behind it that can be asked.
func environment() (hactl.Env, func(), error) {
	node, err := hactl.Hostname()
	if err != nil {
		return hactl.Env{}, nil, err
	}
	cfg := pmxcfsio.Config{Root: root}
	end := func() {}
	if root == pmxcfsio.DefaultRoot {
		client := ipcc.New(ipcc.Config{})
		cfg.IPC, end = client, func() { _ = client.Close() }
	}
	fs, err := pmxcfsio.New(cfg)
	if err != nil {
		return hactl.Env{}, nil, err
	}
	env := hactl.Live(hactl.LiveConfig{FS: fs, IPC: cfg.IPC, Node: node, Root: os.Geteuid() == 0})
	env.Picture = func(context.Context) (hactl.Picture, error) { return picture(node, fs) }
	return env, end, nil
}

// picture takes a picture of the cluster through the environment of its master,
// which is asked and nothing else.
func picture(node string, fs *pmxcfsio.FS) (hactl.Picture, error) {
	master, err := pveenv.NewCRM(pveenv.CRMConfig{Config: pveenv.Config{Node: node, Files: fs}})
	if err != nil {
		return nil, err
	}
	defer master.Close()
	return whatif.Take(master)
}

// terminal is the terminal that the command was started from.
type terminal struct{}

func (terminal) Size() (columns, rows int) {
	columns, rows, err := term.GetSize(int(os.Stdout.Fd()))
	if err != nil {
		return 0, 0
	}
	return columns, rows
}

func (terminal) Keys() (<-chan byte, func(), error) {
	in := int(os.Stdin.Fd())
	if !term.IsTerminal(in) {
		return nil, func() {}, nil
	}
	state, err := term.MakeRaw(in)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read single keys: %w", err)
	}
	keys := make(chan byte)
	go func() {
		for {
			var key [1]byte
			if n, err := os.Stdin.Read(key[:]); n == 0 || err != nil {
				return
			}
			keys <- key[0]
		}
	}()
	return keys, func() { _ = term.Restore(in, state) }, nil
}
