package cfsemu_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/compat/cfsemu"
)

// Facts 3.1: the texts, byte for byte.
func TestMembersText(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	clinfo := counters(t, b.n1, "clinfo")[0]
	require.Equal(t, fmt.Sprintf(`{
"nodename": "node1",
"version": %d,
"cluster": { "name": "lab", "version": 3, "nodes": 3, "quorate": 1 },
"nodelist": {
  "node1": { "id": 1, "online": 1, "ip": "10.77.0.1"},
  "node2": { "id": 2, "online": 1, "ip": "10.77.0.2"},
  "node3": { "id": 3, "online": 1, "ip": "10.77.0.3"}
  }
}
`, clinfo), read(t, b.n1, cfsemu.MembersFile))

	n4, _ := local(t)
	require.Equal(t, "{\n\"nodename\": \"node4\",\n\"version\": 0\n}\n", read(t, n4, cfsemu.MembersFile))
}

// Facts 3.1: the address of a node is absent until that node has sent it.
func TestMembersTextBeforeANodeWasSeen(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	require.NoError(t, b.Stop("node3"))
	require.NoError(t, b.Stop("node1"))
	require.NoError(t, b.Start("node1"))
	require.Contains(t, read(t, b.n1, cfsemu.MembersFile), "  \"node2\": { \"id\": 2, \"online\": 1, \"ip\": \"10.77.0.2\"},\n"+
		"  \"node3\": { \"id\": 3, \"online\": 0}\n")
}

func TestMembersTextFollowsCorosyncConf(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	conf := read(t, b.n1, "corosync.conf")
	require.Contains(t, conf, "config_version: 3\n")
	require.NoError(t, b.n2.Replace("corosync.conf", []byte(strings.Replace(conf, "config_version: 3", "config_version: 17", 1))))
	require.Contains(t, read(t, b.n1, cfsemu.MembersFile), `"version": 17,`)
}

func TestVMListText(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	require.Equal(t, "{\n\"version\": 1\n\n}\n", read(t, b.n1, cfsemu.VMListFile))
	require.NoError(t, b.n1.Write("nodes/node1/qemu-server/100.conf", []byte("a")))
	require.NoError(t, b.n2.Write("nodes/node3/lxc/200.conf", []byte("a")))
	require.NoError(t, b.n2.Write("nodes/node2/openvz/101.conf", []byte("a")))
	require.Equal(t, `{
"version": 7,
"ids": {
"100": { "node": "node1", "type": "qemu", "version": 2 },
"101": { "node": "node2", "type": "openvz", "version": 6 },
"200": { "node": "node3", "type": "lxc", "version": 4 }}

}
`, read(t, b.n1, cfsemu.VMListFile))

	require.NoError(t, b.Stop("node2"))
	require.NoError(t, b.Start("node2"))
	require.Contains(t, read(t, b.n2, cfsemu.VMListFile), "\"version\": 1,\n", "counters begin anew with pmxcfs")
}

func TestVersionText(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	require.NoError(t, b.n1.SetStatus("kv/version-info", []byte("x")))
	require.NoError(t, b.n1.SetStatus("kv/version-info", []byte("y")))
	require.NoError(t, b.n1.SetStatus("tasklist", []byte("x")))
	require.NoError(t, b.n3.SetStatus("tasklist", []byte("x")))
	var counts strings.Builder
	for _, name := range cfsemu.CountedPaths() {
		fmt.Fprintf(&counts, "%q: 1,\n", name)
	}
	require.Len(t, cfsemu.CountedPaths(), 43)
	require.Equal(t, fmt.Sprintf(`{
"starttime": %d,
"clinfo": %d,
"vmlist": 1,
%s"kvstore": {
"node1": {
"kv/version-info": 1,
"tasklist": 0}
,
"node3": {
"tasklist": 0}
}
}
`, start.Unix(), counters(t, b.n1, "clinfo")[0], counts.String()), read(t, b.n1, cfsemu.VersionFile))
}

func TestClusterLogText(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	b.seconds(5)
	require.NoError(t, b.n2.Log("root@pam", "pve-ha-lrm", 96, 6, "end \"ä\"\n"))
	text := read(t, b.n1, cfsemu.ClusterLogFile)
	require.True(t, strings.HasPrefix(text, fmt.Sprintf("{\n\"data\": [\n{\"uid\": 2, \"time\": %d, \"pri\": 6, "+
		"\"tag\": \"pve-ha-lrm\", \"pid\": 96, \"node\": \"node2\", \"user\": \"root@pam\", \"msg\": \"end \\\"\\u00e4\\\"#010\"},\n{\"uid\": 1, ",
		start.Unix()+5)), text)
	require.True(t, strings.HasSuffix(text, "\"msg\": \"starting cluster log\"}\n]\n}\n"), text)

	for i := range 60 {
		require.NoError(t, b.n1.Log("root@pam", "t", 1, 6, fmt.Sprint(i)))
	}
	text = read(t, b.n3, cfsemu.ClusterLogFile)
	require.Equal(t, 50, strings.Count(text, "\"uid\""), "at most 50")
	require.Contains(t, text, "{\n\"data\": [\n{\"uid\": 61,", "newest first")
}

func TestClusterLogIsMergedAfterAPartition(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	require.NoError(t, b.Partition("node3"))
	b.seconds(1)
	require.NoError(t, b.n3.Log("u", "t", 1, 6, "alone"))
	b.seconds(1)
	require.NoError(t, b.n1.Log("u", "t", 1, 6, "together"))
	require.NotContains(t, read(t, b.n1, cfsemu.ClusterLogFile), "alone")
	require.NoError(t, b.Heal())
	for _, n := range b.Nodes() {
		text := read(t, n, cfsemu.ClusterLogFile)
		require.Less(t, strings.Index(text, "together"), strings.Index(text, "alone"), "%s: %s", n.Name(), text)
	}
}

func TestRRDText(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	require.Empty(t, read(t, b.n1, cfsemu.RRDFile))
	require.NoError(t, b.n2.SetStatus("rrd/pve-vm-9.0/100", []byte("0:vm100:running:0:1795295841:1\x00")))
	require.Empty(t, read(t, b.n1, cfsemu.RRDFile), "the text is kept for two seconds")
	b.seconds(2)
	require.Equal(t, "pve-vm-9.0/100:0:vm100:running:0:1795295841:1\n", read(t, b.n1, cfsemu.RRDFile))
	b.seconds(298)
	require.NotEmpty(t, read(t, b.n1, cfsemu.RRDFile))
	b.seconds(2)
	require.Empty(t, read(t, b.n1, cfsemu.RRDFile), "not sent again for five minutes")
}

func TestDebugFile(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	require.Equal(t, "0\n", read(t, b.n1, cfsemu.DebugFile))
	write := func(text string) error {
		_, err := b.n1.WriteAt(cfsemu.DebugFile, []byte(text), 0)
		return err
	}
	errno(t, syscall.EIO, write("1"), "shorter")
	errno(t, syscall.EIO, write("on"))
	require.NoError(t, write("1\n"))
	require.Equal(t, "1\n", read(t, b.n1, cfsemu.DebugFile))
	require.Equal(t, "0\n", read(t, b.n2, cfsemu.DebugFile), "the other nodes' own")
	require.NoError(t, write("0\n"))
	require.Equal(t, "0\n", read(t, b.n1, cfsemu.DebugFile))
}

// Facts 3.2: the text is made by stat, for all processes of the node.
func TestVirtualFilesAreMadeByStat(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	readAt := func(offset int64, size int) string {
		data, err := b.n1.ReadAt(cfsemu.VMListFile, offset, size)
		require.NoError(t, err)
		return string(data)
	}
	stat := func() {
		_, err := b.n1.Stat(cfsemu.VMListFile)
		require.NoError(t, err)
	}
	require.Empty(t, readAt(0, 4096), "nobody has looked yet")
	stat()
	before := readAt(0, 4096)
	require.NoError(t, b.n2.Create("nodes/node2/lxc/100.conf"))
	require.Equal(t, before, readAt(0, 4096), "stale without another look")
	head := readAt(0, 12)
	stat()
	after := readAt(0, 4096)
	require.Contains(t, after, "node2")
	require.NotEqual(t, after, head+readAt(12, 4096)[1:], "sanity")
	require.NoError(t, b.n2.Unlink("nodes/node2/lxc/100.conf"))
	torn := readAt(0, 20)
	stat()
	torn += readAt(20, 4096)
	require.NotEqual(t, after, torn, "a stat between two reads tears the text")
}

// Facts 3.3: what bumps a counter.
func TestCounters(t *testing.T) {
	const name = "ha/manager_status"
	write := func(n *cfsemu.Node, size int) {
		for offset := 0; offset < size; {
			written, err := n.WriteAt(name, make([]byte, size-offset), int64(offset))
			require.NoError(t, err)
			offset += written
		}
	}
	for _, test := range []struct {
		what   string
		made   bool
		action func(n *cfsemu.Node)
		want   int
	}{
		{"create", false, func(n *cfsemu.Node) { require.NoError(t, n.Create(name)) }, 1},
		{"write", true, func(n *cfsemu.Node) { write(n, 100) }, 1},
		{"write of 300 KiB", true, func(n *cfsemu.Node) { write(n, 300<<10) }, 3},
		{"O_TRUNC of an empty file", true, func(n *cfsemu.Node) { require.NoError(t, n.Truncate(name, 0)) }, 1},
		{"O_TRUNC and write", true, func(n *cfsemu.Node) { require.NoError(t, n.Write(name, []byte("a"))) }, 2},
		{"utime", true, func(n *cfsemu.Node) { require.NoError(t, n.Touch(name)) }, 1},
		{"unlink", true, func(n *cfsemu.Node) { require.NoError(t, n.Unlink(name)) }, 1},
		{"rename over it", true, func(n *cfsemu.Node) { require.NoError(t, n.Replace(name, []byte("a"))) }, 1},
		{"rename away", true, func(n *cfsemu.Node) { require.NoError(t, n.Rename(name, "ha/other")) }, 1},
		{"read", true, func(n *cfsemu.Node) { read(t, n, name) }, 0},
		{"refused", true, func(n *cfsemu.Node) { errno(t, syscall.EEXIST, n.Create(name)) }, 0},
	} {
		t.Run(test.what, func(t *testing.T) {
			b := newBed(t, cfsemu.Timing{})
			if test.made {
				require.NoError(t, b.n1.Create(name))
			}
			for _, n := range b.Nodes() {
				before := counters(t, n, name)[0]
				if n == b.n1 {
					test.action(n)
					require.Equal(t, test.want, counters(t, n, name)[0]-before, n.Name())
				} else {
					require.Equal(t, counters(t, b.n1, name)[0], before, "the same on %s", n.Name())
				}
			}
		})
	}
}

func TestCounterOfUncountedFiles(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	before := read(t, b.n1, cfsemu.VersionFile)
	require.NoError(t, b.n1.Write("nodes/node1/lrm_status", []byte("{}")))
	require.NoError(t, b.n1.Write("ha/none", []byte("{}")))
	require.NoError(t, b.n1.Mkdir("priv/lock"))
	require.Equal(t, before, read(t, b.n1, cfsemu.VersionFile))
}

func TestCounterOfTheGuestList(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	const conf, moved = "nodes/node1/qemu-server/100.conf", "nodes/node2/qemu-server/100.conf"
	bumps := func(action func() error) int {
		return counted(t, b.n3, "vmlist", func() { require.NoError(t, action()) })
	}
	require.Equal(t, 2, bumps(func() error { return b.n1.Write(conf, []byte("a")) }))
	require.Equal(t, 0, bumps(func() error { return b.n1.Touch(conf) }))
	require.Equal(t, 2, bumps(func() error { return b.n1.Rename(conf, moved) }))
	require.Equal(t, 1, bumps(func() error { return b.n1.Unlink(moved) }))
}

// Facts 3.3: a restart resets all, a resync with updates bumps every one by 1.
func TestCountersAfterRestartAndResync(t *testing.T) {
	const name = "ha/manager_status"
	b := newBed(t, cfsemu.Timing{})
	require.NoError(t, b.n1.Write(name, []byte("a")))
	b.seconds(7)
	require.NoError(t, b.Stop("node2"))
	require.NoError(t, b.Start("node2"))
	require.Equal(t, []int{1, 1}, counters(t, b.n2, name, "ha/groups.cfg"))
	require.Contains(t, read(t, b.n2, cfsemu.VersionFile), fmt.Sprintf("{\n\"starttime\": %d,\n", start.Add(7*time.Second).Unix()))

	require.NoError(t, b.Partition("node3"))
	before := counters(t, b.n3, name, "ha/groups.cfg", "vmlist")
	require.NoError(t, b.Heal())
	require.Equal(t, before, counters(t, b.n3, name, "ha/groups.cfg", "vmlist"), "nothing new")
	require.NoError(t, b.Partition("node3"))
	require.NoError(t, b.n1.Write("other", []byte("a")))
	require.NoError(t, b.Heal())
	for i, count := range counters(t, b.n3, name, "ha/groups.cfg", "vmlist") {
		require.Equal(t, before[i]+1, count, "counter %d", i)
	}
	require.Equal(t, "a", read(t, b.n3, "other"))
}
