package fusemount_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/compat/cfsemu"
	"pveha/compat/cfsemu/fusemount"
)

var start = time.Unix(1_795_295_841, 0)

// bed is a mounted cluster of three nodes with a clock of its own.
type bed struct {
	t       *testing.T
	cluster *cfsemu.Cluster
	clock   *cfsemu.ManualClock
	mounts  *fusemount.Mounts
}

// needFUSE skips where there is no FUSE, but never in CI.
func needFUSE(t *testing.T) {
	t.Helper()
	if err := fusemount.Available(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no FUSE: %v", err)
		}
		t.Skipf("no FUSE: %v", err)
	}
}

func newBed(t *testing.T, cache time.Duration, timing cfsemu.Timing) *bed {
	t.Helper()
	needFUSE(t)
	nothingLeft(t)
	clock := cfsemu.NewManualClock(start)
	c, err := cfsemu.New(cfsemu.Config{Nodes: []string{"node1", "node2", "node3"}, Clock: clock, Timing: timing})
	require.NoError(t, err)
	m, err := fusemount.Mount(c, fusemount.Config{Dir: t.TempDir(), Cache: cache})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return &bed{t, c, clock, m}
}

// path is the path of a name on a node.
func (b *bed) path(node int, name string) string {
	return filepath.Join(b.mounts.Path(b.cluster.Nodes()[node-1].Name()), name)
}

// nothingLeft checks at the end that the test left no mount, goroutine or
// descriptor behind.
func nothingLeft(t *testing.T) {
	t.Helper()
	goroutines, descriptors := runtime.NumGoroutine(), openDescriptors(t)
	dir := filepath.Dir(t.TempDir()) // in which all others of the test are
	t.Cleanup(func() {
		for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if runtime.NumGoroutine() <= goroutines && len(openDescriptors(t)) <= len(descriptors) {
				break
			}
		}
		stacks := make([]byte, 1<<16)
		stacks = stacks[:runtime.Stack(stacks, true)]
		require.LessOrEqual(t, runtime.NumGoroutine(), goroutines, "goroutines left:\n%s", stacks)
		require.ElementsMatch(t, descriptors, openDescriptors(t), "descriptors left")
		mounts, err := os.ReadFile("/proc/self/mounts")
		require.NoError(t, err)
		require.NotContains(t, string(mounts), dir)
	})
}

// openDescriptors lists what is open, but for the runtime's own.
func openDescriptors(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	var open []string
	for _, e := range entries {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && target != "anon_inode:[eventpoll]" && target != "anon_inode:[eventfd]" && !strings.HasPrefix(target, "/proc/") {
			open = append(open, target)
		}
	}
	return open
}

func TestMountShowsOneTreeOnAllNodes(t *testing.T) {
	b := newBed(t, 0, cfsemu.Timing{})
	require.NoError(t, os.WriteFile(b.path(1, "ha/resources.cfg"), []byte("vm: 100\n\n"), 0o640))
	got, err := os.ReadFile(b.path(2, "ha/resources.cfg"))
	require.NoError(t, err)
	require.Equal(t, "vm: 100\n\n", string(got))
	require.NoError(t, os.Mkdir(b.path(3, "priv/lock"), 0o755))
	require.NoError(t, os.Mkdir(b.path(3, "priv/lock/l"), 0o755))
	require.ErrorIs(t, os.Mkdir(b.path(1, "priv/lock/l"), 0o755), syscall.EEXIST)
	version, err := os.ReadFile(b.path(1, ".version"))
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(string(version), "}\n}\n"), "%s", version)
}
