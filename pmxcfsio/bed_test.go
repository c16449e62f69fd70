package pmxcfsio_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/compat/cfsemu"
	"pveha/compat/cfsemu/fusemount"
	"pveha/compat/cfsemu/ipcserve"
	"pveha/pmxcfsio"
	"pveha/pmxcfsio/ipcc"
)

// bed is an emulated cluster of three nodes behind real mounts, and the IPC
// beside them.
type bed struct {
	*cfsemu.Cluster
	mounts  *fusemount.Mounts
	clock   cfsemu.Clock
	name    string
	runtime string // folder of the restart flags
	journal string // folder with one of each node's journal
	gate    *sync.RWMutex
}

// beds counts those of this process. The names of their sockets are the whole
// machine's, where these tests may run more than once at a time.
var beds atomic.Int32

// needFUSE skips where there is no FUSE, but never in CI.
func needFUSE(t testing.TB) {
	t.Helper()
	if err := fusemount.Available(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no FUSE: %v", err)
		}
		t.Skipf("no FUSE: %v", err)
	}
}

func newBed(t testing.TB, clock cfsemu.Clock, cache time.Duration) *bed {
	t.Helper()
	needFUSE(t)
	leavesNothing(t)
	b := &bed{clock: clock, runtime: t.TempDir(), journal: t.TempDir(), gate: new(sync.RWMutex)}
	c, err := cfsemu.New(cfsemu.Config{
		Nodes: []string{"node1", "node2", "node3"}, Clock: clock,
		Journal: func(node string) { _ = os.WriteFile(filepath.Join(b.journal, node), []byte("a page"), 0o600) },
	})
	require.NoError(t, err)
	b.Cluster, b.name = c, fmt.Sprintf("pmxcfsio-%d-%d-", os.Getpid(), beds.Add(1))
	dir := t.TempDir()
	b.mounts, err = fusemount.Mount(c, fusemount.Config{Dir: dir, Cache: cache})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, b.mounts.Close())
		text, err := os.ReadFile("/proc/self/mounts")
		require.NoError(t, err)
		require.NotContains(t, string(text), dir)
	})
	servers, err := ipcserve.Serve(c, ipcserve.Config{
		Name: b.name + ipcserve.NodeMark, RestartFlag: filepath.Join(b.runtime, ipcserve.NodeMark),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, servers.Close()) })
	return b
}

// client is a client of the IPC on a node.
func (b *bed) client(t testing.TB, node string) *ipcc.Client {
	t.Helper()
	c := ipcc.New(ipcc.Config{
		Name: b.name + node, RestartFlag: filepath.Join(b.runtime, node), RestartGrace: 50 * time.Millisecond,
		RestartPoll: time.Millisecond,
	})
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// fs is a process on a node; with an IPC if ipc is not nil, with a journal if
// one is named.
func (b *bed) fs(t testing.TB, node string, ipc pmxcfsio.IPC, journal ...string) *pmxcfsio.FS {
	t.Helper()
	cfg := pmxcfsio.Config{Root: b.mounts.Path(node), IPC: ipc, Clock: bedClock{b.clock}, Mount: b.gated(node)}
	for _, cfg.Journal = range journal {
	}
	f, err := pmxcfsio.New(cfg)
	require.NoError(t, err)
	return f
}

// journaled is a process on node1 that watches the journal.
func (b *bed) journaled(t testing.TB, ipc pmxcfsio.IPC) *pmxcfsio.FS {
	t.Helper()
	return b.fs(t, "node1", ipc, filepath.Join(b.journal, "node1"))
}

// gatedMount keeps calls out of the kernel while pmxcfs is started: whoever
// looks up a name while an emulated mount is being made in the same process
// may wait for its maker, who waits for them.
type gatedMount struct {
	pmxcfsio.Mount
	gate *sync.RWMutex
}

func (b *bed) gated(node string) pmxcfsio.Mount {
	return gatedMount{pmxcfsio.SystemMount(b.mounts.Path(node)), b.gate}
}

func (m gatedMount) Lstat(name string) (pmxcfsio.Info, error) {
	m.gate.RLock()
	defer m.gate.RUnlock()
	return m.Mount.Lstat(name)
}

func (m gatedMount) Present(name string) (bool, error) {
	m.gate.RLock()
	defer m.gate.RUnlock()
	return m.Mount.Present(name)
}

func (m gatedMount) ReadFile(name string) ([]byte, error) {
	m.gate.RLock()
	defer m.gate.RUnlock()
	return m.Mount.ReadFile(name)
}

// start starts pmxcfs on a node where processes may be watching.
func (b *bed) start(node string) error {
	b.gate.Lock()
	defer b.gate.Unlock()
	return b.Start(node)
}

// bedClock is the clock of a bed as processes see it. A sleep makes the time
// pass where it is simulated.
type bedClock struct{ cfsemu.Clock }

func (c bedClock) Boot() time.Duration { return c.Now().Sub(time.Unix(0, 0)) }

func (c bedClock) Sleep(ctx context.Context, d time.Duration) error {
	if manual, ok := c.Clock.(*cfsemu.ManualClock); ok {
		manual.Advance(d)
		return ctx.Err()
	}
	timer, stop := c.Timer(d)
	defer stop()
	select {
	case <-timer:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// leavesNothing checks at the end of a test that it left no goroutine,
// descriptor or shared memory behind.
func leavesNothing(t testing.TB) {
	t.Helper()
	goroutines, descriptors, shm := runtime.NumGoroutine(), openNow(), files(t, "/dev/shm")
	t.Cleanup(func() {
		stacks := make([]byte, 1<<17)
		require.Eventually(t, func() bool {
			return runtime.NumGoroutine() <= goroutines+1 && len(descriptors) >= len(openNow())
		}, patience, tick, "left behind:\n%s\n%v", stacks[:runtime.Stack(stacks, true)], openNow())
		for _, name := range files(t, "/dev/shm") {
			require.True(t, !strings.Contains(name, fmt.Sprint("-", os.Getpid(), "-")) || slices.Contains(shm, name), name)
		}
	})
}

func files(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// openNow lists what is open, but for the runtime's own.
func openNow() []string {
	entries, _ := os.ReadDir("/proc/self/fd")
	var open []string
	for _, e := range entries {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && !strings.Contains(target, "[event") && !strings.HasPrefix(target, "/proc/") {
			open = append(open, target)
		}
	}
	return open
}

var realClock = cfsemu.RealClock{}
