package fusemount_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"pveha/compat/cfsemu"
	"pveha/compat/cfsemu/fusemount"
)

// mountsAt lists what is mounted at a path, as in /proc/self/mountinfo but
// without what differs from mount to mount.
func mountsAt(t *testing.T, path string) (found []string) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		mount, filesystem, _ := strings.Cut(line, " - ")
		if fields := strings.Fields(mount); fields[4] == path {
			found = append(found, fields[5]+" "+strings.TrimSpace(filesystem))
		}
	}
	return found
}

// startWithin starts a node. Should that hang, it cuts the new mount's
// connection, so that the test fails instead of the machine.
func (b *bed) startWithin(limit time.Duration, node int) {
	b.t.Helper()
	started := make(chan error, 1)
	go func() { started <- b.cluster.Start(b.cluster.Nodes()[node-1].Name()) }()
	select {
	case err := <-started:
		require.NoError(b.t, err)
	case <-time.After(limit):
		_ = unix.Unmount(b.path(node, ""), unix.MNT_FORCE)
		<-started
		b.t.Fatalf("node %d did not start within %v", node, limit)
	}
}

// Look-ups of others, which hang until the node runs, keep no node from
// starting, whenever they come.
func TestStartWhileOthersLookUp(t *testing.T) {
	b := newBed(t, 0, cfsemu.MeasuredTiming())
	var pollers sync.WaitGroup
	over := make(chan struct{})
	t.Cleanup(pollers.Wait)
	t.Cleanup(func() { close(over) })
	for i := range 4 {
		name := b.path(1, fmt.Sprintf("none-%d", i))
		pollers.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
					_, _ = os.Lstat(name) // fails in many ways
				}
			}
		})
	}
	for range 30 {
		require.NoError(t, b.cluster.Stop("node1"))
		b.startWithin(10*time.Second, 1)
	}
	b.clock.Advance(time.Second) // lets the look-ups go
}

// What the kernel keeps of the dead mount's root does not hide that it is dead.
func TestStartSoonAfterACrash(t *testing.T) {
	b := newBed(t, time.Hour, cfsemu.Timing{})
	top := b.path(1, "")
	for range 3 {
		_, err := os.Lstat(top)
		require.NoError(t, err)
		require.NoError(t, b.cluster.Crash("node1"))
		_, err = os.Lstat(top)
		require.NoError(t, err, "from the cache")
		require.NoError(t, b.cluster.Start("node1"))
		require.Len(t, mountsAt(t, top), 1)
	}
	require.NoError(t, b.cluster.Crash("node1"))
	fd, err := unix.Open(top, unix.O_PATH|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	require.ErrorContains(t, b.cluster.Start("node1"), "fuse: failed to access mountpoint "+top)
	require.NoError(t, unix.Close(fd))
	require.NoError(t, b.mounts.Close())
	require.Empty(t, mountsAt(t, top))
}

// A mount follows into namespaces that get what is mounted in the folder above
// it, as containers do, and goes from there with a clean stop.
func TestMountPropagates(t *testing.T) {
	for _, tool := range []string{"nsenter", "unshare"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	needFUSE(t)
	nothingLeft(t)
	dir := t.TempDir()
	require.NoError(t, unix.Mount("none", dir, "tmpfs", 0, ""))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, 0)) })
	require.NoError(t, unix.Mount("", dir, "", unix.MS_SHARED, ""))
	inside := startContainer(t, exec.Command("unshare", "--mount", "--propagation=slave", "sh", "-c", "echo; exec cat"))

	c, err := cfsemu.New(cfsemu.Config{Nodes: []string{"node1"}, Clock: cfsemu.NewManualClock(start)})
	require.NoError(t, err)
	m, err := fusemount.Mount(c, fusemount.Config{Dir: dir})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	top := filepath.Join(dir, "node1")
	require.Equal(t, []string{
		"rw,nosuid,nodev,relatime fuse /dev/fuse rw,user_id=0,group_id=0,default_permissions,allow_other",
	}, mountsAt(t, top))
	require.Equal(t, "nodes/node1", inside.run("readlink "+top+"/local"))
	require.NoError(t, c.Crash("node1"))
	require.Contains(t, inside.run("ls "+top), "Transport endpoint is not connected")
	require.NoError(t, c.Start("node1"))
	require.Equal(t, "nodes/node1", inside.run("readlink "+top+"/local"))
	require.NoError(t, c.Stop("node1"))
	require.Empty(t, inside.run("ls -A "+top))
}

// A mount that finds no place to be shown leaves nothing behind.
func TestMountThatCannotBeShown(t *testing.T) {
	needFUSE(t)
	nothingLeft(t)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "node1"), nil, 0o600))
	c, err := cfsemu.New(cfsemu.Config{Nodes: []string{"node1"}, Clock: cfsemu.NewManualClock(start)})
	require.NoError(t, err)
	_, err = fusemount.Mount(c, fusemount.Config{Dir: dir})
	require.ErrorContains(t, err, "mount "+filepath.Join(dir, "node1")+": ")
}
