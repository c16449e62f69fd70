package ipcserve_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/compat/cfsemu"
	"pveha/compat/cfsemu/ipcserve"
	"pveha/pmxcfsio/ipcc"
)

var start = time.Unix(1_795_295_841, 0)

type bed struct {
	t       *testing.T
	cluster *cfsemu.Cluster
	clock   *cfsemu.ManualClock
	servers *ipcserve.Servers
}

func newBed(t *testing.T) *bed {
	t.Helper()
	goroutines := runtime.NumGoroutine()
	t.Cleanup(func() {
		for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > goroutines && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		stacks := make([]byte, 1<<16)
		stacks = stacks[:runtime.Stack(stacks, true)]
		require.LessOrEqual(t, runtime.NumGoroutine(), goroutines, "goroutines left:\n%s", stacks)
	})
	clock := cfsemu.NewManualClock(start)
	c, err := cfsemu.New(cfsemu.Config{Nodes: []string{"node1", "node2", "node3"}, Clock: clock})
	require.NoError(t, err)
	s, err := ipcserve.Serve(c, ipcserve.Config{
		Name:        fmt.Sprintf("pve2-%d-%s-%s", os.Getpid(), t.Name(), ipcserve.NodeMark),
		RestartFlag: filepath.Join(t.TempDir(), ipcserve.NodeMark, "cfs-restart-flag"),
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, c.Close())
		require.NoError(t, s.Close())
	})
	return &bed{t, c, clock, s}
}

// client asks the IPC of a node.
func (b *bed) client(node string) *ipcc.Client {
	c := ipcc.New(ipcc.Config{
		Name: b.servers.Name(node), RestartFlag: b.servers.RestartFlag(node), RestartGrace: 5 * time.Second,
		RestartPoll: time.Millisecond, Timeout: 10 * time.Second,
	})
	b.t.Cleanup(func() { require.NoError(b.t, c.Close()) })
	return c
}

func TestRequestsAreAnsweredWithTheNodesView(t *testing.T) {
	b, ctx := newBed(t), context.Background()
	n1, c1, c2 := b.cluster.Node("node1"), b.client("node1"), b.client("node2")
	require.NoError(t, n1.Write("nodes/node1/qemu-server/100.conf", []byte("name: web\ntags: a;b\n[snap]\nname: old\n")))

	versions, err := c1.Versions(ctx)
	require.NoError(t, err)
	shown, err := n1.Read(cfsemu.VersionFile)
	require.NoError(t, err)
	require.Equal(t, string(shown), string(versions))

	members, err := c2.ClusterInfo(ctx)
	require.NoError(t, err)
	require.Contains(t, string(members), `"nodename": "node2",`)
	guests, err := c2.GuestList(ctx)
	require.NoError(t, err)
	require.Contains(t, string(guests), `"100": { "node": "node1", "type": "qemu", "version": 2 }`)

	conf, err := c2.ReadFile(ctx, "/nodes/node1/qemu-server/100.conf")
	require.NoError(t, err)
	require.Equal(t, "name: web\ntags: a;b\n[snap]\nname: old\n", string(conf))
	_, err = c2.ReadFile(ctx, "ha/none")
	require.ErrorIs(t, err, syscall.ENOENT)
	_, err = c2.ReadFile(ctx, "ha")
	require.ErrorIs(t, err, syscall.ENOENT)

	properties, err := c1.GuestProperties(ctx, 100, []string{"name", "tags", "memory"})
	require.NoError(t, err)
	require.Equal(t, "{\n\"100\":{\"name\": \"web\",\"tags\": \"a;b\"}\n}\n", string(properties))
	_, err = c1.GuestProperty(ctx, 101, "name")
	require.ErrorIs(t, err, syscall.ENOENT)
}

func TestStatusUsageAndLogReachTheOtherNodes(t *testing.T) {
	b, ctx := newBed(t), context.Background()
	c1, c2 := b.client("node1"), b.client("node2")
	require.NoError(t, c1.SetStatus(ctx, "version-info", []byte(`{"version":"9.0.1"}`)))
	value, err := c2.Status(ctx, "node1", "version-info")
	require.NoError(t, err)
	require.Equal(t, `{"version":"9.0.1"}`, strings.TrimSuffix(string(value), "\x00"))
	_, err = c2.Status(ctx, "", "version-info")
	require.ErrorIs(t, err, syscall.ENOENT)
	require.ErrorIs(t, c1.SetStatus(ctx, "big", make([]byte, cfsemu.MaxStatusSize)), syscall.EFBIG)
	require.NoError(t, c1.RemoveStatus(ctx, "version-info"))
	_, err = c2.Status(ctx, "node1", "version-info")
	require.ErrorIs(t, err, syscall.ENOENT)

	require.NoError(t, c1.SetStatus(ctx, "rrd/pve-vm-9.0/100", []byte("0:vm100:running:0:1:1")))
	b.clock.Advance(2 * time.Second)
	usage, err := c2.Usage(ctx)
	require.NoError(t, err)
	require.Contains(t, string(usage), "pve-vm-9.0/100:0:vm100:running:0:1:1\n")

	require.NoError(t, c1.Log(ctx, ipcc.LogEntry{Priority: 6, Ident: "root@pam", Tag: "pve-ha-lrm", Message: "end task"}))
	log, err := c2.ClusterLog(ctx, "root@pam", 1)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("{\n\"data\": [\n{\"uid\": 2, \"time\": %d, \"pri\": 6, \"tag\": \"pve-ha-lrm\", \"pid\": %d, "+
		"\"node\": \"node1\", \"user\": \"root@pam\", \"msg\": \"end task\"}\n]\n}\n", start.Unix()+2, os.Getpid()), string(log))
}

// Facts 7.3 and 7.4: a clean stop leaves the restart flag and clients wait; a
// crash refuses at once.
func TestClientsMeetStopsAndCrashes(t *testing.T) {
	b, ctx := newBed(t), context.Background()
	c := b.client("node1")
	_, err := c.Versions(ctx)
	require.NoError(t, err)

	require.NoError(t, b.cluster.Crash("node1"))
	require.NoFileExists(t, b.servers.RestartFlag("node1"))
	_, err = c.Versions(ctx)
	require.ErrorIs(t, err, ipcc.ErrUnreachable)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	require.NoError(t, b.cluster.Start("node1"))
	_, err = c.Versions(ctx)
	require.NoError(t, err)

	require.NoError(t, b.cluster.Stop("node1"))
	require.FileExists(t, b.servers.RestartFlag("node1"))
	answered := make(chan error, 1)
	go func() {
		_, err := c.Versions(ctx)
		answered <- err
	}()
	require.NoError(t, b.cluster.Start("node1"))
	require.NoError(t, <-answered)
	require.NoFileExists(t, b.servers.RestartFlag("node1"))
}

func TestFaultsHitRequests(t *testing.T) {
	b, ctx := newBed(t), context.Background()
	c := b.client("node2")
	_, err := b.cluster.Inject(cfsemu.Fault{
		Node: "node2", Op: cfsemu.OpIPC, Path: "get_config/ha/**", Count: 1, Kind: cfsemu.FaultError, Errno: syscall.EIO,
	})
	require.NoError(t, err)
	_, err = c.ReadFile(ctx, "corosync.conf")
	require.NoError(t, err)
	_, err = c.ReadFile(ctx, "ha/manager_status")
	require.ErrorIs(t, err, syscall.EIO)
	_, err = c.ReadFile(ctx, "ha/manager_status")
	require.ErrorIs(t, err, syscall.ENOENT)

	_, err = b.cluster.Inject(cfsemu.Fault{Op: cfsemu.OpIPC, Path: "get_fs_version", Kind: cfsemu.FaultHang})
	require.NoError(t, err)
	bounded, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	_, err = c.Versions(bounded)
	require.ErrorIs(t, err, ipcc.ErrTimeout)
}

// Facts 6.5: reading a file that was grown from nothing kills pmxcfs, through
// the IPC too.
func TestAReadThatKills(t *testing.T) {
	b, ctx := newBed(t), context.Background()
	n := b.cluster.Node("node1")
	require.NoError(t, n.Create("f"))
	require.NoError(t, n.Truncate("f", 100))
	_, err := b.client("node1").ReadFile(ctx, "f")
	require.Error(t, err)
	require.Equal(t, cfsemu.StateCrashed, n.State())
	require.NoError(t, b.cluster.Start("node1"))
	content, err := b.client("node1").ReadFile(ctx, "f")
	require.NoError(t, err)
	require.Empty(t, content)
}

// A server in another network namespace is found there and nowhere else.
func TestServerInANetworkNamespace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to make a network namespace")
	}
	name := fmt.Sprintf("cfsemu-%d", os.Getpid())
	require.NoError(t, exec.Command("ip", "netns", "add", name).Run())
	defer func() { require.NoError(t, exec.Command("ip", "netns", "del", name).Run()) }()
	path := "/run/netns/" + name
	requireSocket := func(inside, outside bool) {
		t.Helper()
		sockets, err := exec.Command("ip", "netns", "exec", name, "cat", "/proc/net/unix").Output()
		require.NoError(t, err)
		require.Equal(t, inside, strings.Contains(string(sockets), "@pve2@"), "zeros fill the name")
		sockets, err = os.ReadFile("/proc/net/unix")
		require.NoError(t, err)
		require.Equal(t, outside, strings.Contains(string(sockets), "@pve2-"+name+"@"))
	}
	c, err := cfsemu.New(cfsemu.Config{Nodes: []string{"node1"}})
	require.NoError(t, err)
	s, err := ipcserve.Serve(c, ipcserve.Config{Name: "pve2-" + name, NetNS: map[string]string{"node1": path}})
	require.NoError(t, err)
	requireSocket(true, false)
	require.Equal(t, "pve2", s.Name("node1"))
	require.NoError(t, s.Enter("node1", ""))
	requireSocket(false, true)
	require.NoError(t, s.Enter("node1", path))
	requireSocket(true, false)
	require.ErrorContains(t, s.Enter("node1", "/run/netns/none-of-this"), "network namespace /run/netns/none-of-this")
	require.ErrorContains(t, s.Enter("node9", ""), "no node")
	require.NoError(t, c.Close())
	require.NoError(t, s.Close())

	_, err = ipcserve.Serve(c, ipcserve.Config{Name: "pve2-none", NetNS: map[string]string{"node1": "/run/netns/none-of-this"}})
	require.ErrorContains(t, err, "network namespace /run/netns/none-of-this")
}
