package cfsemu_test

import (
	"bytes"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/compat/cfsemu"
)

// Facts 2: modes, links and times.
func TestLayout(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	require.NoError(t, b.n1.Create("priv/shadow.cfg"))
	require.NoError(t, b.n1.Create("nodes/node2/priv/key"))
	names, err := b.n1.List("")
	require.NoError(t, err)
	require.Equal(t, strings.Fields(".clusterlog .debug .members .rrd .version .vmlist corosync.conf ha local lxc nodes openvz priv qemu-server"), names)
	for name, want := range map[string]struct{ quorate, not string }{
		"":                     {"40755", "40755"},
		".version":             {"100440", "100440"},
		".clusterlog":          {"100440", "100440"},
		".debug":               {"100640", "100640"},
		"corosync.conf":        {"100640", "100440"},
		"local":                {"120755", "120555"},
		"qemu-server":          {"120755", "120555"},
		"nodes":                {"40755", "40555"},
		"ha":                   {"40755", "40555"},
		"priv":                 {"40700", "40500"},
		"priv/shadow.cfg":      {"100600", "100400"},
		"nodes/node1/priv":     {"40700", "40500"},
		"nodes/node2/priv/key": {"100600", "100400"},
	} {
		require.Equal(t, want.quorate, mode(t, b.n3, name), name)
		require.NoError(t, b.Partition("node3"))
		require.Equal(t, want.not, mode(t, b.n3, name), name)
		require.NoError(t, b.Heal())
	}
	for link, target := range map[string]string{
		"local": "nodes/node2", "lxc": "nodes/node2/lxc", "openvz": "nodes/node2/openvz", "qemu-server": "nodes/node2/qemu-server",
	} {
		got, err := b.n2.Readlink(link)
		require.NoError(t, err)
		require.Equal(t, target, got)
		a, err := b.n2.Stat(link)
		require.NoError(t, err)
		require.EqualValues(t, len(target), a.Size)
		require.Equal(t, time.Unix(0, 0), a.Mtime)
	}
	root, err := b.n1.Stat("")
	require.NoError(t, err)
	require.Equal(t, cfsemu.Attr{Mode: syscall.S_IFDIR | 0o755, Nlink: 2, Mtime: time.Unix(0, 0)}, root)
	_, err = b.n1.Readlink("ha")
	errno(t, syscall.EINVAL, err)
}

// Facts 2: nothing below is there in a new database but what was imported.
func TestLayoutOfABareCluster(t *testing.T) {
	c, err := cfsemu.New(cfsemu.Config{Nodes: []string{"a"}, Bare: true})
	require.NoError(t, err)
	defer c.Close()
	names, err := c.Node("a").List("")
	require.NoError(t, err)
	require.Equal(t, strings.Fields(".clusterlog .debug .members .rrd .version .vmlist corosync.conf local lxc openvz qemu-server"), names)
	_, err = c.Node("a").Stat("local/x")
	errno(t, syscall.ENOENT, err)
}

// Facts 2: the write bit of the link is the quorum.
func TestLayoutLinkTellsOfQuorum(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	writable := func(n *cfsemu.Node) bool {
		a, err := n.Stat("local")
		require.NoError(t, err)
		require.Equal(t, n.Quorate(), a.Writable())
		return a.Writable()
	}
	require.True(t, writable(b.n3))
	require.NoError(t, b.Partition("node3"))
	require.False(t, writable(b.n3))
	require.True(t, writable(b.n1))
	n4, _ := local(t)
	require.True(t, writable(n4), "local mode has quorum always")
}

// Facts 6.1: sizes.
func TestFileSizeLimit(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	require.NoError(t, b.n1.Write("f", bytes.Repeat([]byte("a"), cfsemu.MaxFileSize)))
	require.Len(t, read(t, b.n2, "f"), cfsemu.MaxFileSize)
	_, err := b.n1.WriteAt("f", []byte("a"), cfsemu.MaxFileSize)
	errno(t, syscall.EFBIG, err)
	errno(t, syscall.EFBIG, b.n1.Truncate("f", cfsemu.MaxFileSize+1))
	require.Len(t, read(t, b.n2, "f"), cfsemu.MaxFileSize)
}

// Facts 6.1: what statfs tells, and that nobody holds to it.
func TestFileSystemSize(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	s, err := b.n1.Statfs()
	require.NoError(t, err)
	require.EqualValues(t, 32768, s.Blocks)
	require.EqualValues(t, 4096, s.Bsize)
	require.EqualValues(t, 262144, s.Files)
	require.EqualValues(t, 256, s.NameMax)
	require.Equal(t, s.Files-uint64(s.Ffree), uint64(len(strings.Fields("/ corosync.conf priv ha nodes"))+3*5))
	for i := range 140 {
		name := strings.Repeat("n", 100+i)
		require.NoError(t, b.n1.Write(name, []byte("a")))
		require.NoError(t, b.n1.Truncate(name, cfsemu.MaxFileSize))
	}
	s, err = b.n1.Statfs()
	require.NoError(t, err)
	require.Negative(t, s.Bfree)
}

// Facts 6.1 and 6.2: names and the top folder.
func TestFileNames(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	for _, name := range []string{"ascii", "with space", "new\nline", "ünï", strings.Repeat("x", 300), ".dot", "ha/.fuse"} {
		require.NoError(t, b.n1.Write(name, []byte(name)))
		require.Equal(t, name, read(t, b.n2, name))
		require.NoError(t, b.n2.Unlink(name))
	}
	require.NoError(t, b.n1.Mkdir("top"))
}

// Facts 6.2: what can be done to what.
func TestFileOperations(t *testing.T) {
	for _, test := range []struct {
		what string
		call func(n *cfsemu.Node) error
		want syscall.Errno
	}{
		{"write .version", func(n *cfsemu.Node) error { _, err := n.WriteAt(".version", []byte("a"), 0); return err }, syscall.EIO},
		{"truncate .version", func(n *cfsemu.Node) error { return n.Truncate(".version", 0) }, syscall.EIO},
		{"truncate .debug", func(n *cfsemu.Node) error { return n.Truncate(".debug", 0) }, noError},
		{"rename from .version", func(n *cfsemu.Node) error { return n.Rename(".version", "f2") }, syscall.EACCES},
		{"rename to .version", func(n *cfsemu.Node) error { return n.Rename("f", ".version") }, syscall.EACCES},
		{"unlink .version", func(n *cfsemu.Node) error { return n.Unlink(".version") }, syscall.EACCES},
		{"unlink local", func(n *cfsemu.Node) error { return n.Unlink("local") }, syscall.EACCES},
		{"utime .version", func(n *cfsemu.Node) error { return n.Touch(".version") }, syscall.EACCES},
		{"utime of the top", func(n *cfsemu.Node) error { return n.Touch("") }, syscall.EACCES},
		{"mkdir local", func(n *cfsemu.Node) error { return n.Mkdir("local") }, syscall.EEXIST},
		{"rmdir of a full folder", func(n *cfsemu.Node) error { return n.Rmdir("nodes/node1") }, syscall.ENOTEMPTY},
		{"rmdir of a file", func(n *cfsemu.Node) error { return n.Rmdir("f") }, syscall.ENOTDIR},
		{"unlink of a folder", func(n *cfsemu.Node) error { return n.Unlink("ha") }, syscall.EISDIR},
		{"rename of a full folder", func(n *cfsemu.Node) error { return n.Rename("nodes/node1", "nodes/node9") }, syscall.ENOTEMPTY},
		{"rename of an empty folder", func(n *cfsemu.Node) error { return n.Rename("ha", "hb") }, noError},
		{"rename of a file over a folder", func(n *cfsemu.Node) error { return n.Rename("f", "ha") }, syscall.EISDIR},
		{"rename of a folder over a file", func(n *cfsemu.Node) error { return n.Rename("ha", "f") }, syscall.ENOTDIR},
		{"rename of nothing", func(n *cfsemu.Node) error { return n.Rename("none", "g") }, syscall.ENOENT},
		{"rename to nowhere", func(n *cfsemu.Node) error { return n.Rename("f", "none/f") }, syscall.ENOENT},
		{"rename to itself", func(n *cfsemu.Node) error { return n.Rename("f", "f") }, noError},
		{"rename below a file", func(n *cfsemu.Node) error { return n.Rename("ha", "f/ha") }, syscall.ENOTDIR},
		{"create below a file", func(n *cfsemu.Node) error { return n.Create("f/g") }, syscall.ENOTDIR},
		{"create of a folder's name", func(n *cfsemu.Node) error { return n.Create("ha") }, syscall.EEXIST},
		{"truncate of a folder", func(n *cfsemu.Node) error { return n.Truncate("ha", 0) }, syscall.EISDIR},
		{"truncate of nothing", func(n *cfsemu.Node) error { return n.Truncate("none", 0) }, syscall.ENOENT},
		{"list of a file", func(n *cfsemu.Node) error { _, err := n.List("f"); return err }, syscall.ENOTDIR},
		{"list of .version", func(n *cfsemu.Node) error { _, err := n.List(".version"); return err }, syscall.ENOTDIR},
		{"list of nothing", func(n *cfsemu.Node) error { _, err := n.List("none"); return err }, syscall.ENOENT},
		{"list through a link", func(n *cfsemu.Node) error { _, err := n.List("local"); return err }, noError},
		{"read of a folder", func(n *cfsemu.Node) error { _, err := n.ReadAt("ha", 0, 1); return err }, syscall.EISDIR},
		{"open of nothing", func(n *cfsemu.Node) error { return n.Open("none") }, syscall.ENOENT},
		{"chmod 0640", func(n *cfsemu.Node) error { return n.Chmod("f", 0o640) }, noError},
		{"chmod 0600", func(n *cfsemu.Node) error { return n.Chmod("f", 0o600) }, syscall.EPERM},
		{"chmod 0600, private", func(n *cfsemu.Node) error { return n.Chmod("priv", 0o600) }, noError},
		{"chmod 0640, private", func(n *cfsemu.Node) error { return n.Chmod("nodes/node1/priv", 0o640) }, syscall.EPERM},
		{"chown 0:33", func(n *cfsemu.Node) error { return n.Chown("f", 0, 33) }, noError},
		{"chown -1:-1", func(n *cfsemu.Node) error { return n.Chown("f", -1, -1) }, noError},
		{"chown 0:0", func(n *cfsemu.Node) error { return n.Chown("f", 0, 0) }, syscall.EPERM},
		{"chown 33:33", func(n *cfsemu.Node) error { return n.Chown("f", 33, 33) }, syscall.EPERM},
	} {
		t.Run(test.what, func(t *testing.T) {
			b := newBed(t, cfsemu.Timing{})
			require.NoError(t, b.n1.Create("f"))
			errno(t, test.want, test.call(b.n1))
		})
	}
}

// Facts 6.2: times are seconds of 32 bits, and a folder's stays.
func TestFileTimes(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	mtime := func(name string) int64 {
		a, err := b.n2.Stat(name)
		require.NoError(t, err)
		return a.Mtime.Unix()
	}
	b.seconds(3)
	require.NoError(t, b.n1.Create("ha/f"))
	require.Equal(t, start.Unix()+3, mtime("ha/f"))
	require.Equal(t, start.Unix(), mtime("ha"), "not changed by what comes in")
	require.NoError(t, b.n1.Utime("ha/f", time.Unix(5_000_000_000, 999)))
	require.EqualValues(t, 705_032_704, mtime("ha/f"))
	require.NoError(t, b.n1.Utime("ha", time.Unix(0, 0)))
	require.Zero(t, mtime("ha"))
}

// Facts 6.3: opening with O_TRUNC and writing are two changes, and a long
// write is several: readers see them all.
func TestWritesAreTorn(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	old := bytes.Repeat([]byte("a"), 200<<10)
	require.NoError(t, b.n1.Write("f", old))
	require.NoError(t, b.n1.Truncate("f", 0))
	require.Empty(t, read(t, b.n2, "f"))
	written, err := b.n1.WriteAt("f", old, 0)
	require.NoError(t, err)
	require.Equal(t, 128<<10, written)
	require.Len(t, read(t, b.n2, "f"), 128<<10)
	require.NoError(t, b.n1.Replace("f", []byte("short")))
	require.Equal(t, "short", read(t, b.n2, "f"))
}

func TestWritesInTheMiddle(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	require.NoError(t, b.n1.Write("f", []byte("abcdef")))
	_, err := b.n1.WriteAt("f", []byte("XY"), 2)
	require.NoError(t, err)
	require.Equal(t, "abXYef", read(t, b.n2, "f"))
	require.NoError(t, b.n1.Truncate("f", 3))
	require.Equal(t, "abX", read(t, b.n2, "f"))
	_, err = b.n1.WriteAt("f", []byte("Z"), 5)
	require.NoError(t, err)
	require.Equal(t, "abX\x00\x00Z", read(t, b.n2, "f"))
	require.NoError(t, b.n1.Truncate("f", 8))
	require.Equal(t, "abX\x00\x00Z\x00\x00", read(t, b.n2, "f"), "growing what is not empty is fine")
}

// Facts 6.5: growing an empty file kills who reads it.
func TestReadOfAFileGrownFromNothing(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	require.NoError(t, b.n1.Create("f"))
	require.NoError(t, b.n1.Truncate("f", 100))
	a, err := b.n2.Stat("f")
	require.NoError(t, err)
	require.EqualValues(t, 100, a.Size)
	_, err = b.n2.Read("f")
	errno(t, syscall.ECONNABORTED, err)
	require.Equal(t, cfsemu.StateCrashed, b.n2.State())
	require.Equal(t, cfsemu.StateRunning, b.n1.State())
	_, err = b.n2.Stat("ha")
	errno(t, syscall.ENOTCONN, err)
	require.NoError(t, b.Start("node2"))
	require.Empty(t, read(t, b.n2, "f"))
}

// Facts 6.4: IDs of guests are unique in the cluster.
func TestGuestIDs(t *testing.T) {
	const conf = "nodes/node1/qemu-server/100.conf"
	for _, test := range []struct {
		what string
		call func(b *bed) error
		want syscall.Errno
	}{
		{"create on another node", func(b *bed) error { return b.n2.Create("nodes/node2/qemu-server/100.conf") }, syscall.EEXIST},
		{"create as another type", func(b *bed) error { return b.n1.Create("nodes/node1/lxc/100.conf") }, syscall.EEXIST},
		{"rename of a file to a foreign ID", func(b *bed) error {
			require.NoError(b.t, b.n2.Create("nodes/node2/x"))
			return b.n2.Rename("nodes/node2/x", "nodes/node2/lxc/100.conf")
		}, syscall.EEXIST},
		{"move by the new node", func(b *bed) error { return b.n2.Rename(conf, "nodes/node2/qemu-server/100.conf") }, noError},
		{"move by a third node", func(b *bed) error { return b.n3.Rename(conf, "nodes/node2/qemu-server/100.conf") }, noError},
		{"to another type", func(b *bed) error { return b.n1.Rename(conf, "nodes/node1/lxc/100.conf") }, noError},
		{"missing source", func(b *bed) error {
			return b.n1.Rename("nodes/node1/qemu-server/9.conf", "nodes/node2/qemu-server/9.conf")
		}, syscall.ENOENT},
		{"missing target folder", func(b *bed) error { return b.n1.Rename(conf, "nodes/node9/qemu-server/100.conf") }, syscall.ENOENT},
		{"onto another ID of the target", func(b *bed) error { return b.n1.Rename(conf, "nodes/node2/qemu-server/200.conf") }, noError},
		{"onto an ID of a third place", func(b *bed) error { return b.n1.Rename(conf, "nodes/node3/qemu-server/200.conf") }, syscall.EEXIST},
	} {
		t.Run(test.what, func(t *testing.T) {
			b := newBed(t, cfsemu.Timing{})
			require.NoError(t, b.n1.Create(conf))
			require.NoError(t, b.n2.Create("nodes/node2/qemu-server/200.conf"))
			errno(t, test.want, test.call(b))
		})
	}
}

func TestGuestMovesAtOnceForAll(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	require.NoError(t, b.n1.Create("local/qemu-server/100.conf"))
	require.NoError(t, b.n1.Create("nodes/node2/qemu-server/200.conf"))
	require.NoError(t, b.n3.Rename("nodes/node1/qemu-server/100.conf", "nodes/node2/qemu-server/100.conf"))
	for _, n := range b.Nodes() {
		require.Contains(t, read(t, n, cfsemu.VMListFile), `"100": { "node": "node2", "type": "qemu"`)
	}
	errno(t, syscall.ENOENT, b.n1.Rename("nodes/node1/qemu-server/100.conf", "nodes/node1/qemu-server/100.conf"), "the second of two who move it")
	require.NoError(t, b.n1.Rename("nodes/node2/qemu-server/100.conf", "nodes/node2/qemu-server/200.conf"))
	require.NotContains(t, read(t, b.n1, cfsemu.VMListFile), `"100"`, "both old entries become one")
	require.Contains(t, read(t, b.n1, cfsemu.VMListFile), `"200"`)
}

func TestGuestNames(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	require.NoError(t, b.n1.Mkdir("nodes/ghost"))
	require.NoError(t, b.n1.Mkdir("nodes/ghost/lxc"))
	for name, want := range map[string]string{
		"99.conf": `"99": { "node": "ghost"`, "4294967295.conf": `"4294967295": {`,
		"0100.conf": "", "104.conf.bak": "", "105.CONF": "", "4294967296.conf": "", "x.conf": "", "12": "",
	} {
		require.NoError(t, b.n1.Create("nodes/ghost/lxc/"+name))
		text := read(t, b.n2, cfsemu.VMListFile)
		if want == "" {
			require.Equal(t, "{\n\"version\": ", text[:len("{\n\"version\": ")])
			require.NotContains(t, text, "ids", name)
		} else {
			require.Contains(t, text, want)
		}
		require.NoError(t, b.n1.Unlink("nodes/ghost/lxc/"+name))
	}
}

// Facts 6.4: the bug with a folder of a guest's name.
func TestGuestVanishesWithAFolderOfItsName(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	require.NoError(t, b.n1.Create("nodes/node1/qemu-server/100.conf"))
	require.NoError(t, b.n2.Mkdir("nodes/node2/qemu-server/100.conf"))
	require.NoError(t, b.n2.Rmdir("nodes/node2/qemu-server/100.conf"))
	require.NotContains(t, read(t, b.n1, cfsemu.VMListFile), `"100"`)
	_, err := b.n1.WriteAt("nodes/node1/qemu-server/100.conf", []byte("a"), 0)
	require.NoError(t, err)
	require.Contains(t, read(t, b.n1, cfsemu.VMListFile), `"100"`, "until its file is written again")
}
