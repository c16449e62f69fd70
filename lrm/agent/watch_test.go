package agent

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"pveha/internal/ha"
)

// vmProcess starts a process that looks like a VM's, and its pid file.
func (m *machine) vmProcess(t *testing.T, sid ha.SID) *exec.Cmd {
	t.Helper()
	cmd := &exec.Cmd{
		Path: "/bin/sh",
		Args: []string{"/usr/bin/kvm", "-c", "echo up; read x", "-pidfile", fmt.Sprintf("/var/run/qemu-server/%s.pid", sid.Name())},
	}
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { in.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() })
	_, err = io.ReadFull(out, make([]byte, 3))
	require.NoError(t, err)
	put(t, fmt.Sprintln(cmd.Process.Pid), m.paths.Run, "qemu-server", sid.Name()+".pid")
	m.files.set("nodes/node1/qemu-server/"+sid.Name()+".conf", "cores: 1\n")
	return cmd
}

func newWatcher(t *testing.T, change func(*Config)) (*machine, *Watcher) {
	t.Helper()
	var cfg Config
	m := newMachine(t, func(c *Config) {
		c.Paths.Proc = "/proc"
		if change != nil {
			change(c)
		}
		cfg = *c
	})
	w := NewWatcher(cfg)
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	return m, w
}

// until asks again until the answer is right.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		require.True(t, time.Now().Before(end), what)
	}
}

func isAlive(w *Watcher, sid ha.SID) func() bool {
	return func() bool { alive, known := w.Alive(sid); return alive && known }
}

// requireGone wants a guest never to be alive, and that to be known once the
// watcher has looked, which takes longer than a question on a slow machine.
func requireGone(t *testing.T, w *Watcher, sid ha.SID) {
	t.Helper()
	until(t, "known to be gone", func() bool {
		alive, known := w.Alive(sid)
		require.False(t, alive)
		return known
	})
}

// atOnce is long before the LRM would look for itself, which it does every ten
// seconds.
const atOnce = 5 * time.Second

func changed(t *testing.T, w *Watcher) {
	t.Helper()
	select {
	case <-w.Changed():
	case <-time.After(10 * time.Second):
		require.Fail(t, "nobody said that a guest has ended")
	}
}

func TestDeathOfAVMIsSeenAtOnce(t *testing.T) {
	m, w := newWatcher(t, nil)
	requireGone(t, w, "vm:100") // it has no process
	one, two := m.vmProcess(t, "vm:100"), m.vmProcess(t, "vm:101")
	w.Watch([]ha.SID{"vm:100", "vm:101"})
	until(t, "taken up", isAlive(w, "vm:100"))
	until(t, "taken up", isAlive(w, "vm:101"))
	require.Empty(t, w.Ended())

	began := time.Now()
	require.NoError(t, one.Process.Kill()) // and nobody waits for it
	changed(t, w)
	require.Less(t, time.Since(began), atOnce)
	require.Equal(t, []ha.SID{"vm:100"}, w.Ended())
	require.Empty(t, w.Ended(), "told once")
	requireGone(t, w, "vm:100")

	// Started again, it is taken up again with the first question.
	again := m.vmProcess(t, "vm:100")
	until(t, "taken up again", isAlive(w, "vm:100"))
	require.NoError(t, again.Process.Kill())
	require.NoError(t, two.Process.Kill())
	var ended []ha.SID
	for len(ended) < 2 {
		changed(t, w)
		ended = append(ended, w.Ended()...)
	}
	require.ElementsMatch(t, []ha.SID{"vm:100", "vm:101"}, ended)
}

func TestVMLockedForABackupIsNotTakenUp(t *testing.T) {
	m, w := newWatcher(t, nil)
	m.vmProcess(t, "vm:100")
	m.vmProcess(t, "vm:101")
	m.files.set(vmConfig, "lock: backup\n")
	w.Watch([]ha.SID{"vm:100", "vm:101"})
	until(t, "the other one", isAlive(w, "vm:101"))
	_, known := w.Alive("vm:100")
	require.False(t, known, "only its monitor knows whether it runs")
	m.files.set(vmConfig, "cores: 1\n")
	until(t, "after the backup", isAlive(w, "vm:100"))
}

func TestNobodyWaitsForAFileSystemThatHangs(t *testing.T) {
	m, w := newWatcher(t, nil)
	m.vmProcess(t, "vm:100")
	m.vmProcess(t, "vm:101")
	until(t, "taken up", isAlive(w, "vm:101"))
	m.files.mu.Lock()
	m.files.hang = make(chan struct{})
	m.files.mu.Unlock()
	began := time.Now()
	for range 50 {
		_, known := w.Alive("vm:100")
		require.False(t, known)
		_, known = w.Alive("vm:102")
		require.False(t, known, "nobody could look for it")
		require.True(t, isAlive(w, "vm:101")(), "watched before")
	}
	require.Less(t, time.Since(began), 50*lookWait, "of a hundred that would wait")
	close(m.files.hang)
	until(t, "taken up when it is back", isAlive(w, "vm:100"))
	requireGone(t, w, "vm:102")
}

func TestGuestsNoLongerWatched(t *testing.T) {
	m, w := newWatcher(t, nil)
	before := descriptors(t)
	vm := m.vmProcess(t, "vm:100")
	w.Watch([]ha.SID{"vm:100", "vm:102", "fa:1"})
	until(t, "taken up", isAlive(w, "vm:100"))
	w.Watch([]ha.SID{"vm:102"})
	require.NoError(t, vm.Process.Kill())
	require.Error(t, vm.Wait())
	require.Empty(t, w.Ended())
	require.NoError(t, w.Close())
	w.Watch([]ha.SID{"vm:100"})
	_, known := w.Alive("vm:100")
	require.False(t, known)
	until(t, "no descriptor is left", func() bool { return len(descriptors(t)) <= len(before) })
}

// descriptors are what this process has open.
func descriptors(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	var open []string
	for _, e := range entries {
		to, _ := os.Readlink("/proc/self/fd/" + e.Name())
		open = append(open, to)
	}
	return open
}

func TestCloseLeavesNothing(t *testing.T) {
	goroutines, open := runtime.NumGoroutine(), descriptors(t)
	m, w := emulated(t)
	cmd := m.vmProcess(t, "vm:100")
	pid := fmt.Sprint(cmd.Process.Pid)
	require.NoError(t, os.Symlink("/proc/"+pid, filepath.Join(m.paths.Proc, pid)))
	w.Watch([]ha.SID{"vm:100", "ct:200"})
	until(t, "taken up", isAlive(w, "vm:100"))
	until(t, "taken up", isAlive(w, "ct:200"))
	require.NoError(t, w.Close())
	require.NoError(t, w.Close(), "twice")
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	until(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= goroutines })
	until(t, "no descriptor is left", func() bool { return len(descriptors(t)) <= len(open) })
}

// container sets the control group of container 200.
func (m *machine) container(t *testing.T, populated int) {
	t.Helper()
	put(t, fmt.Sprintf("populated %d\nfrozen 0\n", populated), m.paths.Cgroup, "lxc", "200", "cgroup.events")
}

// emulated is a watcher on a machine whose containers are files.
func emulated(t *testing.T) (*machine, *Watcher) {
	t.Helper()
	proc := t.TempDir()
	put(t, sockets, proc, "net", "unix")
	m, w := newWatcher(t, func(c *Config) { c.Paths.Proc = proc })
	m.container(t, 1)
	return m, w
}

func TestDeathOfAContainerIsSeenAtOnce(t *testing.T) {
	m, w := emulated(t)
	w.Watch([]ha.SID{"ct:200"})
	until(t, "taken up", isAlive(w, "ct:200"))

	// Frozen and thawed.
	put(t, "populated 1\nfrozen 1\n", m.paths.Cgroup, "lxc", "200", "cgroup.events")
	// Empty, but its monitor still cleans up.
	m.container(t, 0)
	require.True(t, isAlive(w, "ct:200")())
	// Gone.
	put(t, "", m.paths.Proc, "net", "unix")
	began := time.Now()
	changed(t, w)
	require.Less(t, time.Since(began), atOnce)
	require.Equal(t, []ha.SID{"ct:200"}, w.Ended())
	requireGone(t, w, "ct:200")

	put(t, sockets, m.paths.Proc, "net", "unix")
	m.container(t, 1)
	until(t, "taken up again", isAlive(w, "ct:200"))
	require.NoError(t, os.RemoveAll(filepath.Join(m.paths.Cgroup, "lxc", "200")))
	put(t, "", m.paths.Proc, "net", "unix")
	changed(t, w)
	require.Equal(t, []ha.SID{"ct:200"}, w.Ended())
}

func TestContainerThatReboots(t *testing.T) {
	m, w := emulated(t)
	w.Watch([]ha.SID{"ct:200"})
	until(t, "taken up", isAlive(w, "ct:200"))
	emptying := func() int {
		w.groups.mu.Lock()
		defer w.groups.mu.Unlock()
		return len(w.groups.emptying)
	}
	require.NoError(t, os.RemoveAll(filepath.Join(m.paths.Cgroup, "lxc", "200")))
	until(t, "noticed", func() bool { return emptying() == 1 })
	m.container(t, 1)
	until(t, "and that it is back", func() bool { return emptying() == 0 })
	require.Empty(t, w.Ended())
	require.True(t, isAlive(w, "ct:200")())

	put(t, "", m.paths.Proc, "net", "unix")
	m.container(t, 0)
	changed(t, w)
	require.Equal(t, []ha.SID{"ct:200"}, w.Ended(), "watched in its new control group")
}

func TestContainerWithoutControlGroupIsReportedOnce(t *testing.T) {
	m, w := emulated(t)
	require.NoError(t, os.RemoveAll(filepath.Join(m.paths.Cgroup, "lxc")))
	for range 3 {
		w.Watch([]ha.SID{"ct:200"})
		until(t, "reported", func() bool { return len(m.log.text()) > 0 })
	}
	_, known := w.Alive("ct:200")
	require.False(t, known)
	require.Len(t, m.log.text(), 1)
	require.Contains(t, m.log.text()[0], "warning end of 'ct:200' will not be noticed at once: ")
}

// cgroup2 returns a new control group for the test.
func cgroup2(t *testing.T) string {
	t.Helper()
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var fs unix.Statfs_t
		if unix.Statfs(root, &fs) != nil || fs.Type != unix.CGROUP2_SUPER_MAGIC {
			continue
		}
		dir := filepath.Join(root, fmt.Sprintf("pveha-test-%d", os.Getpid()))
		if err := os.MkdirAll(filepath.Join(dir, "lxc", "200"), 0o755); err != nil {
			t.Skipf("no control group can be made here: %v", err)
		}
		t.Cleanup(func() {
			for _, d := range []string{filepath.Join(dir, "lxc", "200"), filepath.Join(dir, "lxc"), dir} {
				until(t, "removed", func() bool { err := os.Remove(d); return err == nil || os.IsNotExist(err) })
			}
		})
		return dir
	}
	t.Skip("no cgroup2 is mounted here")
	return ""
}

func TestDeathOfAContainerInTheKernelsWords(t *testing.T) {
	dir := cgroup2(t)
	proc := t.TempDir()
	put(t, sockets, proc, "net", "unix")
	m, w := newWatcher(t, func(c *Config) { c.Paths.Cgroup, c.Paths.Proc = dir, proc })
	cmd := exec.Command("sleep", "1000")
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	put(t, fmt.Sprint(cmd.Process.Pid), dir, "lxc", "200", "cgroup.procs")
	events, err := os.ReadFile(filepath.Join(dir, "lxc", "200", "cgroup.events"))
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(events), "populated 1\n"), "%s", events)

	w.Watch([]ha.SID{"ct:200"})
	until(t, "taken up", isAlive(w, "ct:200"))
	put(t, "", m.paths.Proc, "net", "unix")
	began := time.Now()
	require.NoError(t, cmd.Process.Kill())
	changed(t, w)
	require.Less(t, time.Since(began), atOnce)
	require.Equal(t, []ha.SID{"ct:200"}, w.Ended())
}

// One round of an LRM with stopped VMs and containers.
func BenchmarkAlive(b *testing.B) {
	proc := b.TempDir()
	require.NoError(b, os.MkdirAll(filepath.Join(proc, "net"), 0o755))
	require.NoError(b, os.WriteFile(filepath.Join(proc, "net", "unix"), []byte(strings.Repeat(sockets, 100)), 0o644))
	w := NewWatcher(Config{Node: "node1", Files: &memory{}, Paths: Paths{Proc: proc, Run: b.TempDir()}})
	defer w.Close()
	for b.Loop() {
		for i := range 100 {
			w.Alive(ha.SID(fmt.Sprintf("vm:%d", 100+i)))
			w.Alive(ha.SID(fmt.Sprintf("ct:%d", 300+i)))
		}
	}
}
