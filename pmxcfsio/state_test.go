package pmxcfsio_test

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/pmxcfsio"
	"pveha/pmxcfsio/ipcc"
)

// textMount has given texts for virtual files.
type textMount struct {
	emuMount
	texts map[string]string
}

func (m textMount) ReadFile(name string) ([]byte, error) {
	if text, ok := m.texts[name]; ok {
		return []byte(text), nil
	}
	return m.emuMount.ReadFile(name)
}

// reading is a process for which virtual files have these texts.
func reading(t testing.TB, texts map[string]string) *pmxcfsio.FS {
	t.Helper()
	e := newEmu(t, "node1")
	f, _ := e.processOn(textMount{emuMount{e.Node("node1")}, texts}, nil)
	return f
}

func TestTextsOfPmxcfsAreUnderstood(t *testing.T) {
	f := reading(t, map[string]string{
		".members": `{
"nodename": "node1",
"version": 7,
"cluster": { "name": "lab", "version": 3, "nodes": 3, "quorate": 1 },
"nodelist": {
  "node1": { "id": 1, "online": 1, "ip": "10.77.0.1"},
  "node2": { "id": 2, "online": 0}
  }
}
`,
		".vmlist": `{
"version": 6,
"ids": {
"100": { "node": "node1", "type": "qemu", "version": 2 },
"4294967295": { "node": "node3", "type": "lxc", "version": 6 }}

}
`,
		".version": `{
"starttime": 1795298787,
"clinfo": 7,
"vmlist": 6,
"ha/manager_status": 12,
"sdn/.running-config": 0,
"kvstore": {
"node1": {
"kv/version-info": 9,
"tasklist": 3}
,
"node2": {}
}
}
`,
		".rrd": "pve-vm-9.0/100:0:vm100:running:0:1795298787:1:U:1024\npve-node-9.0/node1:1:2::\nshort:1\n:no:key\nnot ended:1:2",
	})
	members, err := f.Members(ctx)
	require.NoError(t, err)
	require.Equal(t, pmxcfsio.Members{
		Node: "node1", Version: 7, Cluster: &pmxcfsio.Cluster{Name: "lab", Version: 3, Nodes: 3, Quorate: true},
		Nodes: map[string]pmxcfsio.Member{"node1": {ID: 1, Online: true, IP: "10.77.0.1"}, "node2": {ID: 2}},
	}, members)

	guests, err := f.Guests(ctx)
	require.NoError(t, err)
	require.Equal(t, pmxcfsio.Guests{Version: 6, ByID: map[uint32]pmxcfsio.Guest{
		100: {Node: "node1", Type: pmxcfsio.GuestQemu, Version: 2}, 4294967295: {Node: "node3", Type: pmxcfsio.GuestLXC, Version: 6},
	}}, guests)

	versions, err := f.Versions(ctx)
	require.NoError(t, err)
	require.Equal(t, pmxcfsio.Versions{
		StartTime: 1795298787, Members: 7, Guests: 6,
		Files: map[string]int64{"ha/manager_status": 12, "sdn/.running-config": 0},
		KV:    map[string]map[string]int64{"node1": {"kv/version-info": 9, "tasklist": 3}, "node2": {}},
	}, versions)

	usage, err := f.Usage(ctx)
	require.NoError(t, err)
	require.Equal(t, map[string]pmxcfsio.UsageRow{
		"pve-vm-9.0/100":     {"0", "vm100", "running", "0", "1795298787", "1", "U", "1024"},
		"pve-node-9.0/node1": {"1", "2"},
	}, usage)
}

func TestNodeWithoutClusterAndClusterWithoutGuests(t *testing.T) {
	f := reading(t, map[string]string{
		".members": "{\n\"nodename\": \"node4\",\n\"version\": 0\n}\n", ".vmlist": "{\n\"version\": 11\n\n}\n", ".rrd": "",
	})
	members, err := f.Members(ctx)
	require.NoError(t, err)
	require.Equal(t, "node4", members.Node)
	require.True(t, members.Quorate())
	require.Empty(t, members.Nodes)
	guests, err := f.Guests(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 11, guests.Version)
	require.Empty(t, guests.ByID)
	usage, err := f.Usage(ctx)
	require.NoError(t, err)
	require.Empty(t, usage)
}

func TestTextsThatMakeNoSense(t *testing.T) {
	for name, texts := range map[string][]string{
		"versions": {"", "{", "{}", "[]", `{"starttime": "soon"}`, `{"starttime": 1, "kvstore": 3}`, `{"starttime": 1} and more`},
		"members":  {"", "{}", `{"nodename": 3}`, `{"nodename": "a", "cluster": {"quorate": "yes"}}`, `{"nodename": "a", "nodelist": []}`},
		"guests":   {"", "{}", `{"version": 1, "ids": {"one": {}}}`, `{"version": 1, "ids": {"4294967296": {}}}`},
	} {
		for _, text := range texts {
			f := reading(t, map[string]string{".version": text, ".members": text, ".vmlist": text})
			err := everyUse(f)[name](ctx)
			require.ErrorIs(t, err, pmxcfsio.ErrGarbled, "%s: %s", name, text)
		}
	}
}

func TestIPCAndMountTellTheSame(t *testing.T) {
	b := newBed(t, realClock, 0)
	one, two := b.fs(t, "node1", nil), b.fs(t, "node1", b.client(t, "node1"))
	require.NoError(t, two.Write(ctx, statusFile, []byte("status")))
	for _, name := range []string{"nodes/node1/qemu-server/100.conf", "nodes/node2/lxc/200.conf"} {
		require.NoError(t, two.Write(ctx, name, []byte("memory: 512  \ncores:4\nlock: backup\nmemory: 1024\ndescription:   \n\n[snap]\ncores: 8\n")))
	}
	for what, read := range map[string]func(*pmxcfsio.FS) (any, error){
		"file":    func(f *pmxcfsio.FS) (any, error) { return f.Read(ctx, statusFile) },
		"exists":  func(f *pmxcfsio.FS) (any, error) { return f.Exists(ctx, statusFile) },
		"not":     func(f *pmxcfsio.FS) (any, error) { return f.Exists(ctx, "ha/nothing") },
		"nowhere": func(f *pmxcfsio.FS) (any, error) { return f.Exists(ctx, "nowhere/nothing") },
		"folder":  func(f *pmxcfsio.FS) (any, error) { return f.Exists(ctx, "nodes/node1") },
		"members": func(f *pmxcfsio.FS) (any, error) { return f.Members(ctx) },
		"quorate": func(f *pmxcfsio.FS) (any, error) { return f.Quorate(ctx) },
		"guests":  func(f *pmxcfsio.FS) (any, error) { return f.Guests(ctx) },
		"version": func(f *pmxcfsio.FS) (any, error) { return f.Versions(ctx) },
		"usage":   func(f *pmxcfsio.FS) (any, error) { return f.Usage(ctx) },
		"properties": func(f *pmxcfsio.FS) (any, error) {
			return f.GuestProperties(ctx, []string{"cores", "memory", "lock", "sockets"})
		},
	} {
		byMount, err := read(one)
		require.NoError(t, err, what)
		byIPC, err := read(two)
		require.NoError(t, err, what)
		require.Equal(t, byIPC, byMount, what)
	}
	properties, err := one.GuestProperties(ctx, []string{"cores", "memory", "lock"})
	require.NoError(t, err)
	want := map[string]string{"cores": "4", "memory": "1024", "lock": "backup"}
	require.Equal(t, map[uint32]map[string]string{100: want, 200: want}, properties)
	for _, f := range []*pmxcfsio.FS{one, two} {
		_, err = f.Read(ctx, "ha/nothing")
		requireFailed(t, err, pmxcfsio.ErrAbsent, syscall.ENOENT)
		_, err = f.Read(ctx, "ha")
		require.Error(t, err, "a folder")
	}
}

func TestPublishedValues(t *testing.T) {
	b := newBed(t, realClock, 0)
	client := b.client(t, "node2")
	require.NoError(t, client.SetStatus(ctx, "kv/static-info", []byte(`{"cpus":8}`)))
	f := b.fs(t, "node1", b.client(t, "node1"))
	value, err := f.KV(ctx, "node2", "static-info")
	require.NoError(t, err)
	require.Equal(t, `{"cpus":8}`, string(value))
	_, err = f.KV(ctx, "node3", "static-info")
	requireFailed(t, err, pmxcfsio.ErrAbsent, syscall.ENOENT)
	_, err = b.fs(t, "node1", nil).KV(ctx, "node2", "static-info")
	requireFailed(t, err, pmxcfsio.ErrNoIPC, 0)
	require.NotErrorIs(t, err, pmxcfsio.ErrAbsent)
	require.NoError(t, b.Stop("node1"))
	_, err = f.KV(ctx, "node2", "static-info")
	requireFailed(t, err, pmxcfsio.ErrNoIPC, 0)
}

// deafIPC does not answer, and counts how often it is asked.
type deafIPC struct {
	pmxcfsio.IPC
	asked int
	err   error
}

func (i *deafIPC) ReadFile(context.Context, string) ([]byte, error) {
	i.asked++
	return nil, i.err
}

func TestMountIsReadWhileTheIPCDoesNotAnswer(t *testing.T) {
	e := newEmu(t, "node1")
	require.NoError(t, e.Node("node1").Write(statusFile, []byte("by the mount")))
	ipc := &deafIPC{err: errors.Join(ipcc.ErrUnreachable, syscall.ECONNREFUSED)}
	f, _ := e.processOn(emuMount{e.Node("node1")}, ipc)
	for range 5 {
		data, err := f.Read(ctx, statusFile)
		require.NoError(t, err)
		require.Equal(t, "by the mount", string(data))
	}
	require.Equal(t, 1, ipc.asked, "it is left alone for a while")
	e.clock.Advance(3 * time.Second)
	_, err := f.Read(ctx, statusFile)
	require.NoError(t, err)
	require.Equal(t, 2, ipc.asked)

	ipc.err = &ipcc.RequestError{Request: "read", Errno: syscall.EACCES}
	e.clock.Advance(3 * time.Second)
	for range 2 {
		_, err = f.Read(ctx, statusFile)
		requireFailed(t, err, pmxcfsio.ErrDenied, syscall.EACCES)
	}
	require.Equal(t, 4, ipc.asked, "an answer is an answer")
}

// windowMount shows a file that is being replaced as missing, for some calls.
type windowMount struct {
	pmxcfsio.Mount
	missing int
	list    []string
}

func (m *windowMount) ReadFile(name string) ([]byte, error) {
	if strings.HasPrefix(name, "ha/") && m.missing > 0 {
		m.missing--
		return nil, syscall.ENOENT
	}
	return m.Mount.ReadFile(name)
}

func (m *windowMount) ReadDir(name string) ([]string, error) {
	if m.list != nil {
		return m.list, nil
	}
	return m.Mount.ReadDir(name)
}

func TestFileThatIsBeingReplacedIsNotAbsent(t *testing.T) {
	for name, list := range map[string][]string{
		"removed file put aside": {".fuse_hidden0000000400000001", "resources.cfg"},
		"only the new one there": {"manager_status.tmp.17"},
		"already there":          {"manager_status"},
	} {
		e := newEmu(t, "node1")
		require.NoError(t, e.Node("node1").Write(statusFile, []byte("content")))
		f, _ := e.processOn(&windowMount{emuMount{e.Node("node1")}, 5, list}, nil)
		data, err := f.Read(ctx, statusFile)
		require.NoError(t, err, name)
		require.Equal(t, "content", string(data))
	}
	e := newEmu(t, "node1")
	w := &windowMount{emuMount{e.Node("node1")}, 1, []string{"resources.cfg"}}
	f, _ := e.processOn(w, nil)
	_, err := f.Read(ctx, statusFile)
	require.ErrorIs(t, err, pmxcfsio.ErrAbsent, "nothing tells of it")
	w.missing, w.list = 1_000_000, []string{".fuse_hidden1"}
	_, err = f.Read(ctx, statusFile)
	require.ErrorIs(t, err, pmxcfsio.ErrAbsent, "not for ever")
}

func TestListsAreSortedAndWithoutWhatIsPutAside(t *testing.T) {
	e := newEmu(t, "node1")
	f, _ := e.processOn(&windowMount{emuMount{e.Node("node1")}, 0, []string{"b", ".fuse_hidden1", "a"}}, nil)
	names, err := f.List(ctx, "ha")
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, names)
}

func TestNamesThatLeadElsewhereAreRefused(t *testing.T) {
	e := newEmu(t, "node1")
	f, _ := e.process("node1")
	for _, name := range []string{"", "/etc/passwd", "../x", "ha/../../x", "ha//x", "ha/", "a\x00b"} {
		_, readErr := f.Read(ctx, name)
		_, statErr := f.Stat(ctx, name)
		_, listErr := f.List(ctx, name)
		_, existsErr := f.Exists(ctx, name)
		for _, err := range []error{
			readErr, statErr, listErr, existsErr, f.Write(ctx, name, nil), f.Remove(ctx, name), f.Mkdir(ctx, name),
			f.Rename(ctx, name, "ha/x"), f.Rename(ctx, "ha/x", name),
		} {
			require.ErrorIs(t, err, pmxcfsio.ErrBadName, name)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	for _, cfg := range []pmxcfsio.Config{{ReadTimeout: -1}, {WriteTimeout: -1}, {MaxHanging: -1}} {
		_, err := pmxcfsio.New(cfg)
		require.Error(t, err)
	}
	f, err := pmxcfsio.New(pmxcfsio.Config{})
	require.NoError(t, err)
	require.Equal(t, "/etc/pve", f.Root())
}

var _ pmxcfsio.IPC = (*ipcc.Client)(nil)
