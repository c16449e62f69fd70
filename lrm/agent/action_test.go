package agent

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
	"pveha/internal/process"
)

// api is the action program over stand-ins for the API.
type api struct {
	*machine
	record  string
	locks   string
	program []string
	killed  string // what is said of a program that somebody has killed
	ended   string // and of one that was asked to end
}

// way is how the action program is run.
type way string

const (
	executing way = "executed"
	forking   way = "forked"
)

// ways runs a test in every way.
func ways(t *testing.T, test func(*testing.T, way)) {
	for _, w := range []way{executing, forking} {
		t.Run(string(w), func(t *testing.T) { test(t, w) })
	}
}

func newAPI(t testing.TB, w way, env map[string]string) *api {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	a := &api{
		record: filepath.Join(t.TempDir(), "record"), locks: t.TempDir(), killed: "signal: killed", ended: "signal: terminated",
		program: []string{"perl", "-I" + filepath.Join(dir, "testdata", "perl"), filepath.Join(dir, "action", "guest-action")},
	}
	t.Setenv("RECORD", a.record)
	t.Setenv("LANG", "C.UTF-8")
	for k, v := range env {
		t.Setenv(k, v)
	}
	a.machine = newMachine(t, func(c *Config) {
		c.Action = a.program
		c.Paths.Proc = "/proc"
		c.LockDir = a.locks
	})
	a.agent.patience = time.Minute // of a slow machine
	if w == forking {
		a.agent.cfg.ForkServer = serve(t, a.program).socket
		a.agent.cfg.Action = []string{"perl", "-e", "die 'it was executed'"}
		a.killed, a.ended = "died", "died"
		require.NoFileExists(t, a.record, "nothing is called before there is an action")
	}
	return a
}

// recorded returns what the API was told.
func (a *api) recorded(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile(a.record)
	require.NoError(t, err)
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}

func TestActionProgramCompiles(t *testing.T) {
	out, err := exec.Command("perl", "-wc", "-Itestdata/perl", "action/guest-action").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Equal(t, "action/guest-action syntax OK\n", string(out))
}

func TestActionsCallTheAPIAsTheHAStack(t *testing.T) { ways(t, actionsCallTheAPI) }

func actionsCallTheAPI(t *testing.T, w way) {
	for name, c := range map[string]struct {
		act  func(*Agent) error
		call string
	}{
		"start a VM":                 {func(a *Agent) error { return a.Start("vm:100") }, "Qemu vm_start node=node1 vmid=100"},
		"start a container":          {func(a *Agent) error { return a.Start("ct:200") }, "LXC::Status vm_start node=node1 vmid=200"},
		"shut a VM down":             {func(a *Agent) error { return a.Shutdown("vm:100", "") }, "Qemu vm_shutdown forceStop=1 node=node1 timeout=60 vmid=100"},
		"shut a VM down in time":     {func(a *Agent) error { return a.Shutdown("vm:100", "7") }, "Qemu vm_shutdown forceStop=1 node=node1 timeout=7 vmid=100"},
		"shut a container down":      {func(a *Agent) error { return a.Shutdown("ct:200", "90") }, "LXC::Status vm_shutdown node=node1 timeout=90 vmid=200"},
		"stop a VM at once":          {func(a *Agent) error { return a.Shutdown("vm:100", "0") }, "Qemu vm_stop node=node1 vmid=100"},
		"stop a container at once":   {func(a *Agent) error { return a.Shutdown("ct:200", "0") }, "LXC::Status vm_stop node=node1 vmid=200"},
		"migrate a VM":               {migrate("vm:100", true), "Qemu migrate_vm force=1 node=node1 online=1 target=node-2 vmid=100 with-local-disks=1"},
		"relocate a stopped VM":      {migrate("vm:100", false), "Qemu migrate_vm force=1 node=node1 online=0 target=node-2 vmid=100 with-local-disks=1"},
		"migrate a container":        {migrate("ct:200", true), "LXC migrate_vm node=node1 online=0 target=node-2 vmid=200"},
		"relocate a stopped machine": {migrate("ct:200", false), "LXC migrate_vm node=node1 online=0 target=node-2 vmid=200"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t, w, map[string]string{"CHATTER": "done OK", "WARN": "be careful"})
			require.NoError(t, c.act(a.agent))
			calls := a.recorded(t)
			require.Equal(t, []string{
				"initlog pve-ha-lrm", "environment ha", "init_request", "set_language C.UTF-8", "set_user root@pam",
				"inotify_init", "cfs_update", c.call,
			}, calls[:8])
			require.ElementsMatch(t, []string{"upid_wait every 5", "task over"}, calls[8:])
			lines := a.log.text()
			require.Contains(t, lines, "warning be careful")
			require.Contains(t, lines, "warning done OK", "what the API prints is no line of the protocol")
			require.Regexp(t, `(?m)^info Task 'UPID:node1:.*' still active, waiting$`, strings.Join(lines, "\n"))
			require.Len(t, lines, 3)
		})
	}
}

func migrate(sid ha.SID, online bool) func(*Agent) error {
	return func(a *Agent) error {
		_, err := a.Migrate(sid, "node-2", online)
		return err
	}
}

func TestRelocationShutsDownFirst(t *testing.T) {
	a := newAPI(t, executing, nil)
	proc := t.TempDir()
	put(t, sockets, proc, "net", "unix")
	a.agent.cfg.Paths.Proc = proc
	moved, err := a.agent.Migrate("ct:200", "node-2", true)
	require.NoError(t, err)
	require.True(t, moved)
	calls := a.recorded(t)
	require.Contains(t, calls, "LXC::Status vm_shutdown node=node1 timeout=60 vmid=200")
	require.Equal(t, "LXC migrate_vm node=node1 online=0 target=node-2 vmid=200", calls[len(calls)-3])

	a.files.set("nodes/node1/lxc/200.conf", "")
	moved, err = a.agent.Migrate("ct:200", "node-2", true)
	require.NoError(t, err)
	require.False(t, moved, "its configuration is still here")
}

func TestAPIRefuses(t *testing.T) {
	ways(t, func(t *testing.T, w way) {
		a := newAPI(t, w, map[string]string{"REFUSE": "Parameter verification failed.\ntimeout: a \\ too many"})
		err := a.agent.Start("vm:100")
		require.EqualError(t, err, "Parameter verification failed.\ntimeout: a \\ too many")
		moved, err := a.agent.Migrate("vm:100", "node-2", true)
		require.Error(t, err)
		require.False(t, moved)
	})
}

func TestFailedTaskIsForTheGuestToTell(t *testing.T) {
	ways(t, func(t *testing.T, w way) {
		a := newAPI(t, w, map[string]string{"STATUS": "command failed: exit code 1"})
		require.NoError(t, a.agent.Start("vm:100"))
	})
}

func TestActionWithoutAPI(t *testing.T) {
	a := newAPI(t, executing, nil)
	a.agent.cfg.Action = []string{"perl", a.agent.cfg.Action[2]}
	require.ErrorContains(t, a.agent.Start("vm:100"), "Can't locate PVE/INotify.pm")
	a.agent.cfg.Action = []string{filepath.Join(a.locks, "none")}
	require.ErrorIs(t, a.agent.Start("vm:100"), os.ErrNotExist)
	a.agent.cfg.Action = nil
	require.EqualError(t, a.agent.Start("vm:100"), "start vm:100: no program is set for actions")
	require.EqualError(t, a.agent.Start("fa:1"), "unknown resource type 'fa'")
}

func TestActionProgramChecksParameters(t *testing.T) {
	for args, fail := range map[string]string{
		"":                                   "usage: guest-action ACTION TYPE ID node=NODE [KEY=VALUE ...]",
		"start vm":                           "usage: guest-action ACTION TYPE ID node=NODE [KEY=VALUE ...]",
		"begin vm 100 node=n":                "unknown action 'begin'",
		"start fa 100 node=n":                "unknown type of guest 'fa'",
		"start vm 0 node=n":                  "invalid VMID '0'",
		"start vm 10x node=n":                "invalid VMID '10x'",
		"start vm 1000000000 node=n":         "invalid VMID '1000000000'",
		"start vm 100":                       "missing parameter 'node' of start",
		"start vm 100 node=-n":               "invalid value '-n' of parameter 'node'",
		"start vm 100 node=n node=n":         "parameter 'node' given twice",
		"start vm 100 node=n timeout=1":      "unknown parameter 'timeout=1' of start",
		"start vm 100 node=n skiplock":       "unknown parameter 'skiplock' of start",
		"start vm 100 node=n lock=x":         "invalid value 'x' of parameter 'lock'",
		"shutdown vm 100 node=n":             "missing parameter 'timeout' of shutdown",
		"shutdown vm 100 node=n timeout=-1":  "invalid value '-1' of parameter 'timeout'",
		"migrate vm 100 node=n online=1":     "missing parameter 'target' of migrate",
		"migrate vm 100 node=n online=2":     "invalid value '2' of parameter 'online'",
		"migrate ct 200 node=n target=../..": "invalid value '../..' of parameter 'target'",
	} {
		cmd := exec.Command("perl", append([]string{"-Itestdata/perl", "action/guest-action"}, strings.Fields(args)...)...)
		out, err := cmd.Output()
		require.Equal(t, "error "+fail+"\n", string(out), args)
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, args)
		require.Equal(t, 2, exit.ExitCode(), args)
	}
}

// fifo makes a named pipe on which a task waits.
func fifo(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, syscall.Mkfifo(name, 0o600))
	return name
}

// open lets a task that waits on a named pipe go on.
func open(t *testing.T, fifo string) {
	t.Helper()
	w, err := os.OpenFile(fifo, os.O_WRONLY, 0)
	require.NoError(t, err)
	require.NoError(t, w.Close())
}

func TestTaskOfADeadProgramIsFollowed(t *testing.T) { ways(t, taskOfADeadProgramIsFollowed) }

func taskOfADeadProgramIsFollowed(t *testing.T, w way) {
	gate := fifo(t)
	a := newAPI(t, w, map[string]string{"TASK_FIFO": gate, "DIE_WITH_TASK": "1"})
	a.log.seen = make(chan string, 10)
	result := make(chan error, 1)
	go func() { result <- a.agent.Start("vm:100") }()
	require.Equal(t, "err perl start vm:100: "+a.killed, <-a.log.seen)
	require.Empty(t, result, "the task still runs")
	require.NotContains(t, a.recorded(t), "task over")
	open(t, gate)
	require.NoError(t, <-result)
	require.Contains(t, a.recorded(t), "task over")
}

func TestSecondActionWaitsForTheFirst(t *testing.T) { ways(t, secondActionWaits) }

func secondActionWaits(t *testing.T, w way) {
	gate := fifo(t)
	a := newAPI(t, w, map[string]string{"TASK_FIFO": gate})
	a.log.seen = make(chan string, 10)
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { first <- a.agent.Start("vm:100") }()
	require.Contains(t, <-a.log.seen, "still active, waiting")
	go func() { second <- a.agent.Shutdown("vm:100", "") }()
	require.Equal(t, "warning another action on the guest still runs, waiting", <-a.log.seen)
	require.NotContains(t, a.recorded(t), "Qemu vm_shutdown forceStop=1 node=node1 timeout=60 vmid=100")
	open(t, gate)
	require.NoError(t, <-first)
	require.Contains(t, <-a.log.seen, "still active, waiting")
	open(t, gate)
	require.NoError(t, <-second)
}

// The task holds the lock of the guest even when nobody waits for it any more.
func TestTaskKeepsOthersFromTheGuest(t *testing.T) { ways(t, taskKeepsOthersOut) }

func taskKeepsOthersOut(t *testing.T, w way) {
	gate := fifo(t)
	a := newAPI(t, w, map[string]string{"TASK_FIFO": gate, "DIE_WITH_TASK": "1"})
	a.log.seen = make(chan string, 10)
	go func() { _ = a.agent.Start("vm:100") }()
	require.Contains(t, <-a.log.seen, a.killed)

	lock, err := os.Open(filepath.Join(a.locks, "vm-100.action"))
	require.NoError(t, err)
	defer lock.Close()
	require.ErrorIs(t, syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), syscall.EWOULDBLOCK)
	open(t, gate)
	require.NoError(t, syscall.Flock(int(lock.Fd()), syscall.LOCK_EX))
}

func TestSilentProgramIsEnded(t *testing.T) { ways(t, silentProgramIsEnded) }

func silentProgramIsEnded(t *testing.T, w way) {
	sign := filepath.Join(t.TempDir(), "hangs")
	a := newAPI(t, w, map[string]string{"HANG": sign})
	a.agent.cfg.Silence = 3 * time.Second // for Perl to start
	began := time.Now()
	err := a.agent.Start("vm:100")
	require.EqualError(t, err, "perl start vm:100: no sign of life for 3s ("+a.ended+")")
	require.Less(t, time.Since(began), 30*time.Second)
	require.FileExists(t, sign)
	require.Equal(t, []string{"err perl start vm:100: no sign of life for 3s, ending it"}, a.log.text())
}

func TestSilentProgramThatWillNotEnd(t *testing.T) {
	ways(t, func(t *testing.T, w way) {
		sign := filepath.Join(t.TempDir(), "hangs")
		a := newAPI(t, w, map[string]string{"HANG": sign, "STUBBORN": "1"})
		a.agent.cfg.Silence = 3 * time.Second // for Perl to start
		require.EqualError(t, a.agent.Start("vm:100"), "perl start vm:100: no sign of life for 3s ("+a.killed+")")
		require.FileExists(t, sign)
		require.Len(t, a.log.text(), 1)
	})
}

func TestTaskOfASilentProgramIsFollowed(t *testing.T) {
	task := exec.Command("sleep", "1000")
	require.NoError(t, task.Start())
	reaped := make(chan error, 1)
	go func() { reaped <- task.Wait() }()
	state, err := process.Table{}.State(task.Process.Pid)
	require.NoError(t, err)
	m := newMachine(t, func(cfg *Config) {
		cfg.Silence = time.Second
		cfg.Paths.Proc = "/proc"
		cfg.Action = []string{"sh", "-c", fmt.Sprintf("echo task UPID:node1:%08X:%08X:00000001:qmstart:100:root@pam:; exec sleep 1000", task.Process.Pid, state.Start)}
	})
	m.log.seen = make(chan string, 10)
	result := make(chan error, 1)
	go func() { result <- m.agent.Start("vm:100") }()
	require.Equal(t, "err sh start vm:100: no sign of life for 1s, ending it", <-m.log.seen)
	require.Equal(t, "err sh start vm:100: no sign of life for 1s (signal: terminated)", <-m.log.seen)
	require.Empty(t, result)
	require.NoError(t, task.Process.Kill())
	require.Error(t, <-reaped)
	require.NoError(t, <-result)
}

// A program of another kind in its place: what it says and how it ends.
func TestProgramsThatMisbehave(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		fail   string
		log    []string
	}{
		"good":              {script: "echo task UPID:x; echo done OK", log: nil},
		"says nothing":      {script: "exit 0", fail: "sh start vm:100: ended without a result"},
		"fails":             {script: "exit 9", fail: "sh start vm:100: exit status 9"},
		"fails after done":  {script: "echo done OK; exit 9", fail: "sh start vm:100: exit status 9"},
		"dies":              {script: "kill -9 $$", fail: "sh start vm:100: signal: killed"},
		"complains":         {script: "echo 'oh dear' >&2; echo done OK", log: []string{"warning oh dear"}},
		"says what it is":   {script: "echo hello world; echo done OK", log: []string{"warning sh start vm:100: unexpected line 'hello world'"}},
		"says a lot":        {script: "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo done OK", fail: "sh start vm:100: ended without a result"},
		"leaves a child":    {script: "sleep 1000 & echo $! >\"$PIDS\"; echo done OK"},
		"logs two lines":    {script: `printf '%s\n' 'log err a\nb \\n' 'done OK'`, log: []string{"err a\nb \\n"}},
		"a task of no kind": {script: "echo task x; exit 9", fail: "unable to parse worker upid 'x'", log: []string{"err sh start vm:100: exit status 9"}},
		"a task that ended": {script: "echo task UPID:n:7FFFFFF0:00000001:00000001:qmstart:100:root@pam:; exit 9", log: []string{"err sh start vm:100: exit status 9"}},
	} {
		t.Run(name, func(t *testing.T) {
			pids := filepath.Join(t.TempDir(), "pids")
			t.Setenv("PIDS", pids)
			m := newMachine(t, func(cfg *Config) { cfg.Action = []string{"sh", "-c", c.script} })
			began := time.Now()
			err := m.agent.Start("vm:100")
			require.Less(t, time.Since(began), 30*time.Second)
			if c.fail == "" {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, c.fail)
			}
			require.Equal(t, c.log, m.log.text())
			if data, err := os.ReadFile(pids); err == nil {
				pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
				require.NoError(t, err)
				state, err := process.Table{}.State(pid)
				require.NoError(t, err)
				require.True(t, state.Alive, "what the program started goes on")
				require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
			}
		})
	}
}

func TestForeignLanguageIsNoNews(t *testing.T) {
	ways(t, func(t *testing.T, w way) {
		a := newAPI(t, w, map[string]string{"LANG": "xx_YY.UTF-8"})
		require.NoError(t, a.agent.Start("vm:100"))
		require.Contains(t, a.recorded(t), "set_language xx_YY.UTF-8")
		require.Len(t, a.log.text(), 1, "and that is the task's")
	})
}

func TestActionRunsWithThePathOfTheOriginal(t *testing.T) {
	m := newMachine(t, func(cfg *Config) {
		cfg.Action = []string{"/bin/sh", "-c", `echo "log info $PATH $PWD $*"; echo done OK`, "guest-action"}
	})
	t.Setenv("PATH", "/nowhere")
	require.NoError(t, m.agent.Shutdown("vm:100", "12"))
	require.Equal(t, []string{"info /sbin:/bin:/usr/sbin:/usr/bin / shutdown vm 100 node=node1 timeout=12"}, m.log.text())
}
