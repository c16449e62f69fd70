// Command cfsemu mounts an emulated pmxcfs, the cluster file system of Proxmox
// VE, for each node of a cluster that is not there, serves its IPC, and takes
// commands that make it fail.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"pveha/compat/cfsemu"
	"pveha/compat/cfsemu/console"
	"pveha/compat/cfsemu/fusemount"
	"pveha/compat/cfsemu/ipcserve"
)

const usage = `usage: cfsemu [OPTION...] DIR

Mounts DIR/NODE for every node, prints "ready" and the mounts, and takes commands
from standard input until it ends. "help" lists them; each is answered with one
line, "ok ..." or "error: ...". DIR must exist.

  --nodes N             nodes node1 to nodeN; 3 unless given
  --node NAME           a node of this name; may be given again
  --ip NODE=ADDRESS     the address a node announces
  --name NAME           the cluster's name, "lab" unless given
  --stopped NODE        pmxcfs of this node is not started; may be given again
  --bare                without the folders Proxmox VE makes in a new cluster
  --instant             nothing takes time, where a real cluster takes seconds
  --cache DURATION      how long the kernel keeps names and attributes; 1s unless given
  --manual-clock        a clock that stands until "clock advance"
  --ipc PATTERN         names of the IPC's abstract sockets, "pve2-{node}" unless given;
                        empty for none
  --netns NODE=PATH     serve the IPC of this node in that network namespace, as pve2
  --shm DIR             folder of the IPC's shared memory, /dev/shm unless given;
                        made if missing, and shown to containers by "expose"
  --restart-flag PATH   file that a clean stop leaves for IPC clients, with {node}

A container sees a node as its /etc/pve when DIR/NODE is bound there, until
pmxcfs is started anew, or after the command "expose NODE PID" for good; "expose"
also moves the IPC of the node into the container's network.

Exit status: 0 after the end of input, "quit", SIGTERM or SIGINT, with everything
unmounted; 1 something failed; 2 wrong usage.
`

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	status := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// list is a flag that may be given again.
type list []string

func (l *list) String() string { return strings.Join(*l, " ") }

func (l *list) Set(value string) error {
	*l = append(*l, value)
	return nil
}

// options are the command line.
type options struct {
	nodes                                  int
	names, ips, stopped, netNS             list
	name, ipc, shm, restartFlag, directory string
	bare, instant, manualClock             bool
	cache                                  time.Duration
}

// errHelp asks for the usage.
var errHelp = errors.New("help")

func parse(args []string) (o options, err error) {
	flags := flag.NewFlagSet("cfsemu", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.IntVar(&o.nodes, "nodes", 0, "")
	flags.Var(&o.names, "node", "")
	flags.Var(&o.ips, "ip", "")
	flags.Var(&o.stopped, "stopped", "")
	flags.Var(&o.netNS, "netns", "")
	flags.StringVar(&o.name, "name", "", "")
	flags.StringVar(&o.ipc, "ipc", "pve2-"+ipcserve.NodeMark, "")
	flags.StringVar(&o.shm, "shm", "", "")
	flags.StringVar(&o.restartFlag, "restart-flag", "", "")
	flags.BoolVar(&o.bare, "bare", false, "")
	flags.BoolVar(&o.instant, "instant", false, "")
	flags.BoolVar(&o.manualClock, "manual-clock", false, "")
	flags.DurationVar(&o.cache, "cache", fusemount.MeasuredCache, "")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return o, errHelp
	case err != nil:
		return o, err
	case flags.NArg() != 1:
		return o, fmt.Errorf("one folder for the mounts is needed, not %d", flags.NArg())
	case o.nodes != 0 && len(o.names) > 0:
		return o, errors.New("give --nodes or --node, not both")
	case o.nodes < 0:
		return o, fmt.Errorf("%d nodes make no cluster", o.nodes)
	}
	o.directory = flags.Arg(0)
	if o.nodes == 0 {
		o.nodes = 3
	}
	if len(o.names) == 0 {
		for i := range o.nodes {
			o.names = append(o.names, fmt.Sprintf("node%d", i+1))
		}
	}
	return o, nil
}

// config makes the cluster's configuration of the options, and its clock where
// it is not the machine's.
func (o *options) config() (cfg cfsemu.Config, clock *cfsemu.ManualClock, err error) {
	cfg = cfsemu.Config{Nodes: o.names, Name: o.name, Bare: o.bare, IPs: map[string]netip.Addr{}}
	if !o.instant {
		cfg.Timing = cfsemu.MeasuredTiming()
	}
	if o.manualClock {
		clock = cfsemu.NewManualClock(time.Now())
		cfg.Clock = clock
	}
	for node, text := range pairs(o.ips) {
		if cfg.IPs[node], err = netip.ParseAddr(text); err != nil {
			return cfg, nil, fmt.Errorf("--ip %s: %w", node, err)
		}
	}
	return cfg, clock, nil
}

func pairs(l list) map[string]string {
	all := map[string]string{}
	for _, text := range l {
		key, value, _ := strings.Cut(text, "=")
		all[key] = value
	}
	return all
}

// run is the command: arguments in, exit status out.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parse(args)
	if errors.Is(err, errHelp) {
		fmt.Fprint(stdout, usage)
		return exitOK
	}
	var cfg cfsemu.Config
	var clock *cfsemu.ManualClock
	if err == nil {
		cfg, clock, err = o.config()
	}
	if err != nil {
		fmt.Fprintf(stderr, "cfsemu: %v (see cfsemu --help)\n", err)
		return exitUsage
	}
	if err := o.serve(ctx, cfg, clock, stdin, stdout); err != nil {
		fmt.Fprintln(stderr, "cfsemu:", strings.TrimPrefix(err.Error(), "cfsemu: "))
		return exitFailed
	}
	return exitOK
}

// serve runs the cluster until the input or the context ends.
func (o *options) serve(ctx context.Context, cfg cfsemu.Config, clock *cfsemu.ManualClock, stdin io.Reader, stdout io.Writer) (err error) {
	if err := fusemount.Available(); err != nil {
		return err
	}
	cluster, err := cfsemu.New(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Close()) }()
	for _, node := range o.stopped {
		if err := cluster.Stop(node); err != nil {
			return err
		}
	}
	c := console.Console{Cluster: cluster, Clock: clock}
	if o.ipc != "" {
		if c.Servers, err = o.serveIPC(cluster); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, cluster.Close(), c.Servers.Close()) }()
		if o.shm != "" {
			c.Folders = []string{o.shm}
		}
	}
	if c.Mounts, err = fusemount.Mount(cluster, fusemount.Config{Dir: o.directory, Cache: o.cache}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Mounts.Close()) }()
	ready := []string{"ready"}
	for _, n := range cluster.Nodes() {
		ready = append(ready, c.Mounts.Path(n.Name()))
	}
	if _, err := fmt.Fprintln(stdout, strings.Join(ready, " ")); err != nil {
		return err
	}
	return c.Run(ctx, stdin, stdout)
}

func (o *options) serveIPC(cluster *cfsemu.Cluster) (*ipcserve.Servers, error) {
	if o.shm != "" {
		absolute, err := filepath.Abs(o.shm)
		if err != nil {
			return nil, err
		}
		o.shm = absolute
		if err := os.MkdirAll(o.shm, 0o755); err != nil {
			return nil, err
		}
	}
	return ipcserve.Serve(cluster, ipcserve.Config{
		Name: o.ipc, ShmDir: o.shm, RestartFlag: o.restartFlag, NetNS: pairs(o.netNS),
	})
}
