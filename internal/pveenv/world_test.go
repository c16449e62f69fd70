package pveenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/compat/cfsemu"
	"pveha/compat/cfsemu/fusemount"
	"pveha/compat/cfsemu/ipcserve"
	"pveha/crm"
	"pveha/internal/envtest"
	"pveha/internal/ha"
	"pveha/lrm"
	"pveha/pmxcfsio"
	"pveha/pmxcfsio/ipcc"
)

var epoch = time.Unix(1_795_295_841, 0)

// testClock is the clock of a process on a simulated cluster.
type testClock struct{ *cfsemu.ManualClock }

func (c testClock) Boot() time.Duration { return c.Now().Sub(epoch) + 100*time.Hour }

func (c testClock) Sleep(ctx context.Context, d time.Duration) error {
	fired, stop := c.Timer(d)
	defer stop()
	select {
	case <-fired:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pump lets time pass while everybody waits for it, in steps of 100 ms. Without
// it a call that sleeps on a simulated clock would never return.
func pump(t testing.TB, clock *cfsemu.ManualClock) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(2 * time.Millisecond)
		defer ticker.Stop()
		for quiet := 0; ; {
			select {
			case <-stop:
				return
			case <-ticker.C:
			}
			if clock.Waiting() == 0 {
				quiet = 0
			} else if quiet++; quiet > 2 {
				clock.Advance(100 * time.Millisecond)
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-stopped })
}

// machine is a node of the world with its two daemons.
type machine struct {
	name string
	mux  *fakeMux
	bus  *bus
	crm  *worldCRM
	lrm  *worldLRM
}

// world is an emulated cluster behind real mounts and the real IPC, on a
// simulated clock.
type world struct {
	t        testing.TB
	clock    *cfsemu.ManualClock
	cluster  *cfsemu.Cluster
	mounts   *fusemount.Mounts
	servers  *ipcserve.Servers
	names    []string
	machines map[string]*machine
	stale    map[string]int // faults by node
	log      recorder
}

// worldCRM and worldLRM start the multiplexer of a node that was switched on
// again with the first client that does not date from before.
type (
	worldCRM struct {
		*CRM
		mux *fakeMux
	}
	worldLRM struct {
		*LRM
		mux *fakeMux
	}
)

func (e *worldCRM) OpenWatchdog() (ha.Watchdog, error) {
	e.mux.start()
	return e.CRM.OpenWatchdog()
}

func (e *worldLRM) OpenWatchdog() (ha.Watchdog, error) {
	e.mux.start()
	return e.LRM.OpenWatchdog()
}

// buses are shared by all worlds: systemd does nothing in most of them.
var buses struct {
	once sync.Once
	err  error
	all  []*bus
	dirs []string
}

func sharedBuses(t testing.TB, n int) []*bus {
	t.Helper()
	buses.once.Do(func() {
		for range n {
			var dir string
			if dir, buses.err = os.MkdirTemp("", "pveenv"); buses.err != nil {
				return
			}
			buses.dirs = append(buses.dirs, dir)
			var b *bus
			if b, buses.err = startBus(dir); buses.err != nil {
				return
			}
			buses.all = append(buses.all, b)
		}
	})
	require.NoError(t, buses.err)
	return buses.all
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, b := range buses.all {
		b.stop()
	}
	for _, dir := range buses.dirs {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

var worlds atomic.Int64

func newWorld(t testing.TB) *world {
	t.Helper()
	if err := fusemount.Available(); err != nil {
		t.Skipf("no mounts can be made here: %v", err)
	}
	if _, err := exec.LookPath("dbus-daemon"); err != nil {
		t.Skip("there is no dbus-daemon here")
	}
	w := &world{
		t: t, clock: cfsemu.NewManualClock(epoch), names: []string{"node1", "node2", "node3"},
		machines: map[string]*machine{}, stale: map[string]int{},
	}
	var err error
	w.cluster, err = cfsemu.New(cfsemu.Config{Nodes: w.names, Clock: w.clock})
	require.NoError(t, err)
	w.fill()
	w.mounts, err = fusemount.Mount(w.cluster, fusemount.Config{Dir: shortDir(t)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.mounts.Close()) })
	w.servers, err = ipcserve.Serve(w.cluster, ipcserve.Config{
		Name:        fmt.Sprintf("pveenv-%d-%d-%s", os.Getpid(), worlds.Add(1), ipcserve.NodeMark),
		RestartFlag: filepath.Join(shortDir(t), ipcserve.NodeMark),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.servers.Close()) })
	pump(t, w.clock)
	for i, b := range sharedBuses(t, len(w.names)) {
		b.setJobs()
		w.machines[w.names[i]] = w.newMachine(w.names[i], b)
	}
	return w
}

// fill writes what a new world has.
func (w *world) fill() {
	n := w.cluster.Node(w.names[0])
	write := func(name, text string) { require.NoError(w.t, n.Replace(name, []byte(text)), name) }
	write("ha/rules.cfg", envtest.Rules)
	write("ha/groups.cfg", envtest.Groups)
	write("ha/resources.cfg", `vm: 101

ct: 102
	failback 0
	max_restart 2
	max_relocate 3
	state stopped

vm: 103
	group both
	max_relocate 0
	state disabled

`)
	write("nodes/"+w.names[0]+"/qemu-server/101.conf", "cores: 2\nmemory: 1024\n")
	write("nodes/"+w.names[1]+"/lxc/102.conf", "cores: 1\nmemory: 512\n")
	write("nodes/"+w.names[2]+"/qemu-server/103.conf", "cores: 2\nlock: "+envtest.GuestLock+"\nmemory: 1024\n")
	for _, name := range w.names {
		node := w.cluster.Node(name)
		require.NoError(w.t, node.SetStatus("kv/version-info", []byte(`{"release":"9.1","version":"9.1.6","repoid":"x"}`+"\x00")))
		require.NoError(w.t, node.SetStatus("kv/static-info", []byte(`{"cpus":8,"memory":34359738368,"cgroup-mode":2}`+"\x00")))
	}
	require.NoError(w.t, n.SetStatus("rrd/pve-vm-9.0/101",
		fmt.Appendf(nil, "100:web:running:0:%d:2:0.5:1073741824:536870912:0:0:0:0:0:0\x00", w.clock.Now().Unix())))
}

// files is the cluster file system as one process of a node uses it.
func (w *world) files(node string) *pmxcfsio.FS {
	client := ipcc.New(ipcc.Config{
		Name: w.servers.Name(node), RestartFlag: w.servers.RestartFlag(node),
		RestartGrace: 100 * time.Millisecond, RestartPoll: time.Millisecond,
	})
	w.t.Cleanup(func() { require.NoError(w.t, client.Close()) })
	fs, err := pmxcfsio.New(pmxcfsio.Config{Root: w.mounts.Path(node), IPC: client, Clock: testClock{w.clock}})
	require.NoError(w.t, err)
	return fs
}

func (w *world) config(node string, m *machine) Config {
	return Config{
		Node: node, Files: w.files(node), Log: w.log.log, Clock: testClock{w.clock},
		WatchdogSocket: m.mux.path, StateDir: w.t.TempDir(), Links: LinkConfig{Off: true},
	}
}

func (w *world) newMachine(name string, b *bus) *machine {
	m := &machine{name: name, bus: b, mux: newFakeMux(w.t, w.clock.Now)}
	c, err := NewCRM(CRMConfig{Config: w.config(name, m)})
	require.NoError(w.t, err)
	w.t.Cleanup(c.Close)
	l, err := NewLRM(LRMConfig{Config: w.config(name, m), SystemBus: b.address})
	require.NoError(w.t, err)
	w.t.Cleanup(l.Close)
	m.crm, m.lrm = &worldCRM{c, m.mux}, &worldLRM{l, m.mux}
	return m
}

func (w *world) Nodes() []string         { return w.names }
func (w *world) CRM(node string) crm.Env { return w.machines[node].crm }
func (w *world) LRM(node string) lrm.Env { return w.machines[node].lrm }
func (w *world) Slack() int64            { return 0 }

func (w *world) Advance(seconds int64) {
	for range seconds {
		for _, name := range w.names {
			w.machines[name].mux.look()
		}
		w.clock.Advance(time.Second)
	}
	for _, name := range w.names {
		w.machines[name].mux.look()
	}
}

// Took counts by the clock's whole seconds, as the daemons do.
func (w *world) Took(clock crm.Clock, f func()) int64 {
	before := clock.Monotonic()
	f()
	return int64(clock.Monotonic() - before)
}

func (w *world) Queue(line string) {
	n := w.cluster.Node(w.names[0])
	text, err := n.Read(pmxcfsio.CommandsFile)
	if err != nil && !errors.Is(err, syscall.ENOENT) {
		require.NoError(w.t, err)
	}
	require.NoError(w.t, n.Replace(pmxcfsio.CommandsFile, append(text, line+"\n"...)))
}

func (w *world) Resets(node string) (int, error) { return w.machines[node].mux.resets, nil }

func (w *world) Lacks() map[envtest.Condition]string { return nil }

func (w *world) Set(c envtest.Condition, node string, on bool) error {
	m := w.machines[node]
	switch c { //nolint:exhaustive // the suite of the cluster file system has conditions of its own
	case envtest.CutOff:
		if on {
			return w.cluster.Partition(node)
		}
		return w.cluster.Heal(node)
	case envtest.NoFiles:
		if on {
			return w.cluster.Crash(node)
		}
		return w.cluster.Start(node)
	case envtest.Stale:
		if !on {
			w.cluster.RemoveFault(w.stale[node])
			return nil
		}
		id, err := w.cluster.Inject(cfsemu.Fault{
			Node: node, Op: cfsemu.OpIPC, Path: "get_fs_version", Kind: cfsemu.FaultError, Errno: syscall.EIO,
		})
		w.stale[node] = id
		return err
	case envtest.PoweredOff:
		if on {
			m.mux.stop()
			return w.cluster.PowerOff(node)
		}
		return w.cluster.PowerOn(node)
	case envtest.ShuttingDown:
		m.bus.setJobs("shutdown.target", "poweroff.target")
	case envtest.Rebooting:
		m.bus.setJobs("shutdown.target", "reboot.target")
	default:
		return errors.ErrUnsupported
	}
	return nil
}

func TestContract(t *testing.T) {
	envtest.Run(t, func(t *testing.T) envtest.World { return newWorld(t) })
}
