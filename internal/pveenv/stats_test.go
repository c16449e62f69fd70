package pveenv

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/crm/nodestate"
	"pveha/crm/usage"
	"pveha/internal/ha"
	"pveha/pmxcfsio"
)

func TestMembersKnowTheLocalNodeOnline(t *testing.T) {
	ipc := &fakeIPC{members: threeMembers}
	c, l, _, _ := answering(t, ipc)
	members, err := c.Members()
	require.NoError(t, err)
	require.Equal(t, map[string]nodestate.Member{"node1": {Online: true}, "node2": {}, "node3": {Online: true}}, members)
	require.True(t, l.Quorate())
	ipc.members = `{"nodename":"node1","version":0}` // a node without a cluster
	require.True(t, l.Quorate())
	members, err = c.Members()
	require.NoError(t, err)
	require.Len(t, members, 3, "a round asks once")
	c.Refresh()
	members, err = c.Members()
	require.NoError(t, err)
	require.Equal(t, map[string]nodestate.Member{"node1": {Online: true}}, members)
}

func TestNodeVersions(t *testing.T) {
	c, _, _, _ := answering(t, &fakeIPC{members: threeMembers, kv: map[string]string{
		"node1/kv/version-info": `{"release":"9.1","version":"9.1.6","repoid":"abc"}`, "node2/kv/version-info": `{`,
	}})
	for node, want := range map[string]string{"node1": "9.1.6", "node2": "", "node3": ""} {
		version, err := c.NodeVersion(node)
		require.NoError(t, err)
		require.Equal(t, want, version, node)
	}
}

// Rows as pvestatd writes them.
const usageText = `pve-node-9.0/node1:100:c:1795295841:0.1:8.9:0.25:0.01:34359738368:8589934592.7:0:0:0:0:0:0
pve-node-9.0/node2:U:U:1795295841:U:U:U:U:U:U
pve-node-9.0/:1:2:3:4:5:6:7:8:9
pve2-node/node3:100:c:1795295841:0.1:8:0.25:0.01:34359738368:8589934592:0:0:0:0:0
pve-vm-9.0/100:500:web:running:0:1795295841:4:0.5:4294967296:1073741824:0:0:0:0:0:0
pve-vm-9.0/101:0:db:stopped:0:1795295841:2:U:2147483648:U:0:0:U:U:U:U
pve-vm-9.0/102:7:app:prelaunch:0:1795295841:2:0:1:1:0:0:0:0:0:0
pve2.3-vm/103:500:web:running:0:1795295841:4:0.5:4294967296:1073741824:0:0:0:0:0:0
pve-vm-9.0/200:9:box:running:0:1795295841:1.5:25e-2:536870912:-5:0:0:0:0:0:0
`

var statGuests = guestList("100 qemu node1", "101 qemu node2", "102 qemu node1", "103 qemu node3", "200 lxc node3", "300 openvz node1")

func TestGuestsAreStartedWhenTheyRun(t *testing.T) {
	c, _, _, _ := answering(t, &fakeIPC{members: threeMembers, guests: statGuests, usage: usageText})
	got, err := c.BasicServices()
	require.NoError(t, err)
	stopped := func(node string) usage.Service { return usage.Service{Node: node, State: ha.RequestStopped} }
	running := func(node string) usage.Service {
		return usage.Service{Node: node, State: ha.RequestStarted, Running: true}
	}
	require.Equal(t, map[ha.SID]usage.Service{
		"vm:100": running("node1"), "vm:101": stopped("node2"), "vm:102": stopped("node1"), "vm:103": stopped("node3"),
		"ct:200": running("node3"),
	}, got)
}

func TestDynamicFigures(t *testing.T) {
	c, _, _, _ := answering(t, &fakeIPC{members: threeMembers, guests: statGuests, usage: usageText})
	got, err := c.DynamicServices()
	require.NoError(t, err)
	want := map[ha.SID]usage.ServiceStats{
		"vm:100": {CPU: 2, MaxCPU: 4, Mem: 1 << 30, MaxMem: 4 << 30},
		"vm:101": {MaxCPU: 2, MaxMem: 2 << 30},
		"vm:102": {MaxCPU: 2, Mem: 1, MaxMem: 1},
		"vm:103": {}, // in the old format, which is not looked at
		"ct:200": {CPU: 0.375, MaxCPU: 1.5, MaxMem: 512 << 20},
	}
	require.Len(t, got, len(want))
	for sid, stats := range want {
		require.Equal(t, stats, *got[sid].Stats, sid)
	}
	nodes, err := c.DynamicNodes()
	require.NoError(t, err)
	require.Equal(t, map[string]usage.NodeStats{
		"node1": {CPU: 0.25 * 8, MaxCPU: 8, Mem: 8589934592, MaxMem: 32 << 30},
		"node2": {}, // there, but nothing is known: the scheduler says so
	}, nodes)
}

func TestStaticFigures(t *testing.T) {
	c, _, _, lines := answering(t, &fakeIPC{
		members: threeMembers, usage: usageText,
		guests: guestList("1 qemu a", "2 qemu a", "3 qemu a", "4 qemu a", "5 qemu a", "6 qemu a",
			"11 lxc a", "12 lxc a", "13 lxc a", "14 lxc a"),
		properties: `{"2":{"cores":"4","sockets":"2","memory":"2048"},"3":{"cores":"4","vcpus":"3","memory":"current=4096"},
			"4":{"cores":"0","sockets":"3","cpulimit":"1","vcpus":"0"},"5":{"memory":"8"},"6":{"memory":"much","cores":"2"},
			"12":{"cores":"2","cpulimit":"1.5","memory":"1024"},"13":{"cores":"2","cpulimit":"0"},"14":{"memory":"0"}}`,
		kv: map[string]string{
			"node1/kv/static-info": `{"cpus":8,"memory":34359738368,"cgroup-mode":2}`,
			"node2/kv/static-info": `{"cpus":"16","memory":"68719476736"}`,
			"node3/kv/static-info": `oops`,
		},
	})
	got, err := c.StaticServices()
	require.NoError(t, err)
	for sid, want := range map[ha.SID]usage.ServiceStats{
		"vm:1":  {MaxCPU: 1, MaxMem: 512 << 20},
		"vm:2":  {MaxCPU: 8, MaxMem: 2 << 30},
		"vm:3":  {MaxCPU: 3, MaxMem: 4 << 30},
		"vm:4":  {MaxCPU: 3, MaxMem: 512 << 20},
		"ct:11": {MaxCPU: 0, MaxMem: 512 << 20},
		"ct:12": {MaxCPU: 1.5, MaxMem: 1 << 30},
		"ct:13": {MaxCPU: 2, MaxMem: 512 << 20},
		"ct:14": {MaxCPU: 0, MaxMem: 512 << 20},
	} {
		require.NotNil(t, got[sid].Stats, sid)
		require.Equal(t, want, *got[sid].Stats, sid)
	}
	for _, sid := range []ha.SID{"vm:5", "vm:6"} {
		require.Nil(t, got[sid].Stats, sid)
		require.Equal(t, "maxmem", got[sid].Missing, "one guest that makes no sense costs the others nothing")
	}
	nodes, err := c.StaticNodes()
	require.NoError(t, err)
	require.Equal(t, map[string]usage.NodeStats{
		"node1": {MaxCPU: 8, MaxMem: 32 << 30}, "node2": {MaxCPU: 16, MaxMem: 64 << 30},
	}, nodes)
	require.Len(t, lines.texts(), 1)
	require.Contains(t, lines.texts()[0], "unable to decode static node info for 'node3' - ")
}

// Guests and nodes of one round are measured by the same data.
func TestUsageDataServeForTwoSeconds(t *testing.T) {
	ipc := &fakeIPC{members: threeMembers, guests: statGuests, usage: usageText}
	c, _, clock, _ := answering(t, ipc)
	for range 3 {
		_, err := c.DynamicServices()
		require.NoError(t, err)
		_, err = c.DynamicNodes()
		require.NoError(t, err)
	}
	require.Equal(t, 1, ipc.asked["usage"])
	require.NoError(t, clock.Sleep(t.Context(), usageAge))
	_, err := c.DynamicNodes()
	require.NoError(t, err)
	require.Equal(t, 2, ipc.asked["usage"])

	ipc.fail = map[string]syscall.Errno{"usage": syscall.EIO}
	require.NoError(t, clock.Sleep(t.Context(), time.Hour))
	_, err = c.DynamicServices()
	require.ErrorIs(t, err, syscall.EIO)
}

func TestFiguresThatCannotBeAskedForAreErrors(t *testing.T) {
	ipc := &fakeIPC{members: threeMembers, guests: statGuests, usage: usageText, properties: "{}"}
	c, _, _, _ := answering(t, ipc)
	for request, calls := range map[string][]func() error{
		"guests":     {func() error { _, err := c.BasicServices(); return err }},
		"properties": {func() error { _, err := c.StaticServices(); return err }},
		"members":    {func() error { _, err := c.StaticNodes(); return err }, func() error { _, err := c.Members(); return err }},
		"status":     {func() error { _, err := c.StaticNodes(); return err }, func() error { _, err := c.NodeVersion("node1"); return err }},
	} {
		ipc.fail = map[string]syscall.Errno{request: syscall.EACCES}
		for _, call := range calls {
			c.Refresh()
			require.ErrorIs(t, call(), syscall.EACCES, request)
		}
	}
}

func TestNumbers(t *testing.T) {
	for text, want := range map[string]uint64{
		"": 0, "U": 0, "-1": 0, "NaN": 0, "nan": 0, "inf": 1<<63 - 1, "1e400": 1<<63 - 1, "12.9": 12, "1e3": 1000,
	} {
		require.Equal(t, want, memory(text), text)
	}
	require.Equal(t, "", column(pmxcfsio.UsageRow{"1"}, 3))
	require.Equal(t, "", column(nil, 0))
}
