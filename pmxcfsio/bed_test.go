package pmxcfsio_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
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
}

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
	c, err := cfsemu.New(cfsemu.Config{Nodes: []string{"node1", "node2", "node3"}, Clock: clock})
	require.NoError(t, err)
	b := &bed{Cluster: c, clock: clock, name: fmt.Sprintf("pmxcfsio-%d-%s", os.Getpid(), t.Name()), runtime: t.TempDir()}
	b.name = strings.NewReplacer("/", "-", " ", "-").Replace(b.name)
	b.name = b.name[max(0, len(b.name)-60):]
	b.mounts, err = fusemount.Mount(c, fusemount.Config{Dir: t.TempDir(), Cache: cache})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.mounts.Close()) })
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

// fs is a process on a node; with an IPC if ipc is not nil.
func (b *bed) fs(t testing.TB, node string, ipc pmxcfsio.IPC) *pmxcfsio.FS {
	t.Helper()
	f, err := pmxcfsio.New(pmxcfsio.Config{Root: b.mounts.Path(node), IPC: ipc, Clock: bedClock{b.clock}})
	require.NoError(t, err)
	return f
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
// descriptor, mount or shared memory behind.
func leavesNothing(t testing.TB) {
	t.Helper()
	goroutines, descriptors, shm := runtime.NumGoroutine(), openNow(), files(t, "/dev/shm")
	mounts := mountPoints(t)
	t.Cleanup(func() {
		stacks := make([]byte, 1<<17)
		require.Eventually(t, func() bool {
			return runtime.NumGoroutine() <= goroutines+1 && len(descriptors) >= len(openNow())
		}, patience, tick, "left behind:\n%s\n%v", stacks[:runtime.Stack(stacks, true)], openNow())
		require.Equal(t, mounts, mountPoints(t))
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

func mountPoints(t testing.TB) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mounts")
	require.NoError(t, err)
	return strings.Count(string(text), "pmxcfsio") + strings.Count(string(text), t.Name())
}

var realClock = cfsemu.RealClock{}
