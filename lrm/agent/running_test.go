package agent

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
)

// put writes a file of the machine.
func put(t *testing.T, data string, place ...string) {
	t.Helper()
	name := filepath.Join(place...)
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.WriteFile(name, []byte(data), 0o644))
}

// process adds a process to the machine.
func (m *machine) process(t *testing.T, pid int, state string, args ...string) {
	t.Helper()
	dir := filepath.Join(m.paths.Proc, strconv.Itoa(pid))
	put(t, strconv.Itoa(pid)+" (kvm) "+state+" 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20", dir, "stat")
	put(t, strings.Join(args, "\x00")+"\x00", dir, "cmdline")
}

const vmConfig = "nodes/node1/qemu-server/100.conf"

func TestAVMRuns(t *testing.T) {
	const own = "/var/run/qemu-server/100.pid"
	for name, c := range map[string]struct {
		pidFile string
		args    []string
		state   string
		want    bool
	}{
		"as made by qm":             {pidFile: "77\n", args: []string{"/usr/bin/kvm", "-id", "100", "-name", "a,debug-threads=on", "-pidfile", own, "-daemonize"}, want: true},
		"without a line break":      {pidFile: "77", args: []string{"/usr/bin/kvm", "-pidfile", own}, want: true},
		"of another architecture":   {pidFile: "77\n", args: []string{"/usr/bin/qemu-system-aarch64", "-pidfile", own}, want: true},
		"with two dashes":           {pidFile: "77\n", args: []string{"kvm", "--pidfile", own}, want: true},
		"behind empty arguments":    {pidFile: "77\n", args: []string{"kvm", "", "-pidfile", own}, want: true},
		"the last of two":           {pidFile: "77\n", args: []string{"kvm", "-pidfile", "/x", "-pidfile", own}, want: true},
		"behind one with a break":   {pidFile: "77\n", args: []string{"kvm", "-smbios", "a\nb", "-pidfile", own}, want: true},
		"another VM":                {pidFile: "77\n", args: []string{"kvm", "-pidfile", "/var/run/qemu-server/101.pid"}},
		"the first of two":          {pidFile: "77\n", args: []string{"kvm", "-pidfile", own, "-pidfile", "/x"}},
		"no value":                  {pidFile: "77\n", args: []string{"kvm", "-pidfile"}},
		"an editor":                 {pidFile: "77\n", args: []string{"vi", "-pidfile", own}},
		"a folder of qemu-":         {pidFile: "77\n", args: []string{"/opt/qemu-9/x", "-pidfile", own}},
		"a zombie":                  {pidFile: "77\n", args: []string{"kvm", "-pidfile", own}, state: "Z"},
		"another process":           {pidFile: "78\n", args: []string{"kvm", "-pidfile", own}},
		"a pid file without number": {pidFile: "x\n", args: []string{"kvm", "-pidfile", own}},
		"an empty pid file":         {pidFile: "", args: []string{"kvm", "-pidfile", own}},
		"the number zero":           {pidFile: "0\n", args: []string{"kvm", "-pidfile", own}},
		"no command line":           {pidFile: "77\n"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, nil)
			m.files.set(vmConfig, "cores: 2\n")
			put(t, c.pidFile, m.paths.Run, "qemu-server", "100.pid")
			if c.state == "" {
				c.state = "S"
			}
			m.process(t, 77, c.state, c.args...)
			if len(c.args) == 0 {
				put(t, "", m.paths.Proc, "77", "cmdline")
			}
			running, err := m.agent.Running("vm:100")
			require.NoError(t, err)
			require.Equal(t, c.want, running)
		})
	}
}

func TestNobodyRunsOnAnEmptyMachine(t *testing.T) {
	m := newMachine(t, nil)
	running, err := m.agent.Running("vm:100")
	require.NoError(t, err)
	require.False(t, running)
	// Without the list of sockets nobody can tell, which is no reason to start
	// a container again.
	_, err = m.agent.Running("ct:200")
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = m.agent.Running("fa:1")
	require.EqualError(t, err, "unknown resource type 'fa'")
}

func TestRunningVMNeedsItsConfiguration(t *testing.T) {
	m := newMachine(t, nil)
	put(t, "77\n", m.paths.Run, "qemu-server", "100.pid")
	m.process(t, 77, "S", "kvm", "-pidfile", "/var/run/qemu-server/100.pid")
	_, err := m.agent.Running("vm:100")
	require.EqualError(t, err, "Configuration file '"+vmConfig+"' does not exist")
	m.files.broken = syscall.EIO
	_, err = m.agent.Running("vm:100")
	require.ErrorIs(t, err, syscall.EIO)
}

// The form of /proc/net/unix, with the sockets of a container, of one whose
// number begins alike, and of one that is bound to a path with blanks.
const sockets = `Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 19001 @/var/lib/lxc/200/command
0000000000000000: 00000003 00000000 00000000 0001 03 19002
0000000000000000: 00000003 00000000 00000000 0001 03 19003 @/var/lib/lxc/2011/command
0000000000000000: 00000002 00000000 00010000 0001 01 19004 /var/lib/lxc/202/command
0000000000000000: 00000002 00000000 00010000 0001 01 19005 /x @/var/lib/lxc/203/command
0000000000000000: 00000002 00000000 00010000 0001 01 19006 @/var/lib/lxc/204/command2
`

func TestAContainerRuns(t *testing.T) {
	m := newMachine(t, nil)
	put(t, sockets, m.paths.Proc, "net", "unix")
	for sid, want := range map[ha.SID]bool{
		"ct:200": true, "ct:201": false, "ct:2011": true, "ct:202": false, "ct:203": false, "ct:204": false,
	} {
		running, err := m.agent.Running(sid)
		require.NoError(t, err)
		require.Equal(t, want, running, sid)
	}
}

func TestHereAndLock(t *testing.T) {
	m := newMachine(t, nil)
	here, err := m.agent.Here("vm:100")
	require.NoError(t, err)
	require.False(t, here)
	m.files.set(vmConfig, "lock: backup\n\n[a]\nlock: migrate\n")
	here, err = m.agent.Here("vm:100")
	require.NoError(t, err)
	require.True(t, here)
	lock, err := m.agent.Lock("vm:100")
	require.NoError(t, err)
	require.Equal(t, "backup", lock)
	m.files.broken = syscall.ENOTCONN
	_, err = m.agent.Here("vm:100")
	require.ErrorIs(t, err, syscall.ENOTCONN, "a file system that is away says nothing about where a guest is")
	_, err = ConfigName("fa:1", "node1")
	require.Error(t, err)
}
