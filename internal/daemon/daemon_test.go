package daemon

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestStartPutsTheDaemonIntoTheBackground(t *testing.T) {
	l := newLab(t, "")
	require.Equal(t, answer{stdout: "stopped\n"}, l.run(nil, "status"))
	pid := l.started()
	require.Equal(t, fmt.Sprintf("%d\n", pid), l.read(filepath.Join(l.dir, "pid")))
	require.Equal(t, answer{stdout: "running\n"}, l.run(nil, "status"))
	session, err := unix.Getsid(pid)
	require.NoError(t, err)
	require.Equal(t, pid, session, "it has a session of its own")
	for fd, want := range map[int]string{0: os.DevNull, 1: os.DevNull} {
		target, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, fd))
		require.NoError(t, err)
		require.Equal(t, want, target)
	}
	l.until("it runs", func() bool { return l.log() == "info: starting server\ninfo: first round\n" })

	require.Equal(t, answer{}, l.run(nil, "stop"))
	require.False(t, alive(pid), "a stop waits")
	require.Equal(t, "info: starting server\ninfo: first round\ninfo: received signal TERM\n"+
		"info: asked to end\ninfo: server stopped\ninfo: closed\n", l.log())
	require.NoFileExists(t, filepath.Join(l.dir, "pid"))
	require.NoFileExists(t, filepath.Join(l.dir, "pid.lock"))
	require.Equal(t, answer{stdout: "stopped\n"}, l.run(nil, "status"))
	require.Equal(t, answer{}, l.run(nil, "stop"), "again")
}

func TestSecondStartIsRefused(t *testing.T) {
	l := newLab(t, "")
	pid := l.started()
	second := l.run(nil, "start")
	text := fmt.Sprintf("start failed - can't acquire lock '%s/pid.lock' - daemon already started (pid = %d)\n", l.dir, pid)
	require.Equal(t, answer{code: 255, stderr: text}, second)
	require.Contains(t, l.log(), "err: "+text)
	require.True(t, alive(pid))
	require.Equal(t, fmt.Sprintf("%d\n", pid), l.read(filepath.Join(l.dir, "pid")))
}

func TestStartTellsWhyItFailed(t *testing.T) {
	l := newLab(t, "fails to open")
	require.Equal(t, answer{code: 255, stderr: "start failed - there is no cluster\n"}, l.run(nil, "start"))
	require.Equal(t, "info: starting server\nerr: start failed - there is no cluster\n", l.log())
	require.NoFileExists(t, filepath.Join(l.dir, "pid"))

	l = newLab(t, "crashes")
	got := l.run(nil, "start")
	require.Equal(t, 255, got.code)
	require.Contains(t, got.stderr, "panic: a defect", "its last words are not lost")
	require.Contains(t, got.stderr, "start failed - the server ended before it was ready: exit status 2\n")
	crashed := pidFile(filepath.Join(l.dir, "pid"))
	l.until("its last thread is gone", func() bool { return !crashed.locked() })
	require.Equal(t, answer{stdout: "stopped\n"}, l.run(nil, "status"))
	require.NoError(t, os.WriteFile(filepath.Join(l.dir, "how"), nil, 0o644))
	l.started() // what the crash left is in nobody's way

	require.NoError(t, os.WriteFile(filepath.Join(l.dir, "how"), nil, 0o644))
	l = newLab(t, "")
	require.NoError(t, os.Mkdir(filepath.Join(l.dir, "pid"), 0o755))
	got = l.run(nil, "start")
	require.Equal(t, answer{code: 255, stderr: fmt.Sprintf("start failed - can't open pid file '%s/pid' - is a directory\n", l.dir)}, got)
}

func TestStopKillsADaemonThatDoesNotEnd(t *testing.T) {
	l := newLab(t, "does not end")
	pid := l.started()
	require.Equal(t, answer{}, l.run(nil, "stop"))
	require.False(t, alive(pid))
	require.Contains(t, l.log(), "err: server still running - send KILL\n")
	require.NoFileExists(t, filepath.Join(l.dir, "pid"), "it is cleaned up behind it")
	require.NoFileExists(t, filepath.Join(l.dir, "pid.lock"))
}

// The number in a pid file that was left behind may be anybody's by now.
func TestStopLeavesOthersAlone(t *testing.T) {
	l := newLab(t, "")
	other := exec.Command("/bin/sleep", "60")
	require.NoError(t, other.Start())
	defer func() { _ = other.Process.Kill(); _ = other.Wait() }()
	require.NoError(t, os.WriteFile(filepath.Join(l.dir, "pid"), fmt.Appendf(nil, "%d\n", other.Process.Pid), 0o644))
	require.Equal(t, answer{stdout: "stopped\n"}, l.run(nil, "status"))
	require.Equal(t, answer{}, l.run(nil, "stop"))
	require.True(t, alive(other.Process.Pid))
	require.NoFileExists(t, filepath.Join(l.dir, "pid"))
}

func TestPIDFileThatIsNone(t *testing.T) {
	for _, content := range []string{"", "\n", "x\n", "-5\n", "12x\n"} {
		l := newLab(t, "")
		require.NoError(t, os.WriteFile(filepath.Join(l.dir, "pid"), []byte(content), 0o644))
		require.Equal(t, answer{stdout: "stopped\n"}, l.run(nil, "status"), "%q", content)
		require.Equal(t, answer{}, l.run(nil, "stop"), "%q", content)
	}
}

// What a daemon has started must not keep the lock of one that was killed.
func TestChildrenDoNotInheritTheLock(t *testing.T) {
	l := newLab(t, "has a child")
	pid := l.started()
	child := 0
	l.until("it has its child", func() bool {
		_, err := fmt.Sscanf(l.log(), "info: starting server\ninfo: first round\ninfo: child %d", &child)
		return err == nil
	})
	defer func() { _ = unix.Kill(child, unix.SIGKILL) }()
	require.NoError(t, unix.Kill(pid, unix.SIGKILL))
	file := pidFile(filepath.Join(l.dir, "pid"))
	l.until("it is dead, and its last thread gone", func() bool { return !alive(pid) && !file.locked() })
	require.True(t, alive(child))
	require.Equal(t, answer{stdout: "stopped\n"}, l.run(nil, "status"))
	require.NotEqual(t, pid, l.started())
}

func TestRestartReplacesTheDaemon(t *testing.T) {
	l := newLab(t, "")
	require.Equal(t, answer{}, l.run(nil, "restart"), "one that does not run is started")
	first, running := pidFile(filepath.Join(l.dir, "pid")).running()
	require.True(t, running)
	require.Equal(t, answer{}, l.run(nil, "restart"))
	second, running := pidFile(filepath.Join(l.dir, "pid")).running()
	require.True(t, running)
	require.NotEqual(t, first, second)
	require.False(t, alive(first))
}

// begin starts the daemon in the foreground.
func (l *lab) begin(env []string, args ...string) (cmd *exec.Cmd, stderr *bytes.Buffer, end func() error) {
	l.t.Helper()
	cmd = l.command(env, args...)
	stderr = &bytes.Buffer{}
	cmd.Stderr = stderr
	require.NoError(l.t, cmd.Start())
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	l.t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, stderr, func() error {
		select {
		case err := <-done:
			return err
		case <-time.After(20 * time.Second):
			l.t.Fatal("the daemon does not end")
			return nil
		}
	}
}

func TestSystemdIsToldHowTheDaemonFares(t *testing.T) {
	l := newLab(t, "")
	path, next := l.systemd()
	cmd, _, end := l.begin([]string{"NOTIFY_SOCKET=" + path, "WATCHDOG_USEC=60000000"}, "start")
	require.Equal(t, "READY=1", next())
	require.Equal(t, fmt.Sprintf("%d\n", cmd.Process.Pid), l.read(filepath.Join(l.dir, "pid")), "it stays the process that was started")

	require.NoError(t, cmd.Process.Signal(unix.SIGHUP))
	var told []string
	for len(told) == 0 || told[len(told)-1] != "READY=1" {
		told = append(told, next())
	}
	require.Equal(t, "RELOADING=1", told[len(told)-2])
	require.Contains(t, l.log(), "info: received signal HUP\n")

	require.NoError(t, cmd.Process.Signal(unix.SIGTERM))
	rounds := 0
	for {
		what := next()
		if what == "STOPPING=1" {
			break
		}
		require.Equal(t, "WATCHDOG=1", what)
		rounds++
	}
	require.NoError(t, end())
	require.NotContains(t, strings.SplitAfter(l.log(), "HUP\n")[0], "asked to end")
}

func TestDebugStaysInTheForeground(t *testing.T) {
	for _, args := range [][]string{{"start", "--debug"}, {"start", "--debug", "1"}, {"start", "-debug=yes"}} {
		l := newLab(t, "")
		cmd, stderr, end := l.begin([]string{"BY_PERSON=1"}, args...)
		l.until("it runs", func() bool { return strings.Contains(l.log(), "first round") })
		require.Equal(t, fmt.Sprintf("%d\n", cmd.Process.Pid), l.read(filepath.Join(l.dir, "pid")))
		require.NoError(t, cmd.Process.Signal(unix.SIGINT))
		require.NoError(t, end())
		require.Equal(t, "starting server\nfirst round\nreceived signal INT\nasked to end\nserver stopped\nclosed\n", stderr.String())
	}
}

func TestSignals(t *testing.T) {
	for sig, name := range signalNames {
		if sig == unix.SIGHUP {
			continue
		}
		t.Run(name, func(t *testing.T) {
			l := newLab(t, "")
			cmd, _, end := l.begin(nil, "start", "--debug")
			l.until("it runs", func() bool { return strings.Contains(l.log(), "first round") })
			for _, harmless := range []os.Signal{unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGPIPE, unix.SIGHUP} {
				require.NoError(t, cmd.Process.Signal(harmless))
			}
			// Signals that come together are taken in any order.
			l.until("it has heard", func() bool { return strings.Contains(l.log(), "received signal HUP\n") })
			require.NoError(t, cmd.Process.Signal(sig))
			require.NoError(t, end())
			require.Contains(t, l.log(), "info: received signal "+name+"\ninfo: asked to end\ninfo: server stopped\n")
		})
	}
}

func TestSecondInterruptEndsADaemonThatDoesNot(t *testing.T) {
	l := newLab(t, "does not end")
	cmd, _, end := l.begin(nil, "start", "--debug")
	l.until("it runs", func() bool { return strings.Contains(l.log(), "first round") })
	for range 3 {
		require.NoError(t, cmd.Process.Signal(unix.SIGTERM))
	}
	require.NoError(t, cmd.Process.Signal(unix.SIGINT))
	l.until("it has heard", func() bool {
		return strings.Contains(l.log(), "received signal INT\n") && strings.Contains(l.log(), "asked to end\n")
	})
	require.NoError(t, cmd.Process.Signal(unix.SIGINT))
	require.EqualError(t, end(), "signal: interrupt")
	require.Equal(t, 1, strings.Count(l.log(), "asked to end"))
}

// A round that cannot go on is no reason to end: the node would be reset.
func TestRoundThatFailsIsToldAndTheNextFollows(t *testing.T) {
	l := newLab(t, "fails a round")
	cmd, _, end := l.begin(nil, "start", "--debug")
	l.until("it has failed", func() bool { return strings.Contains(l.log(), "err: got unexpected error - no files\n") })
	require.NoError(t, cmd.Process.Signal(unix.SIGTERM))
	require.NoError(t, end(), "the pause after it ends with a signal")
}

// Neither is a defect of the daemon.
func TestRoundThatPanicsIsToldAndTheNextFollows(t *testing.T) {
	l := newLab(t, "crashes in a round")
	cmd, _, end := l.begin(nil, "start", "--debug")
	l.until("it has failed", func() bool { return strings.Contains(l.log(), "err: got unexpected error - a defect\n") })
	require.Contains(t, l.log(), "err: a defect ended this round: a defect\ngoroutine ")
	require.Contains(t, l.log(), "(*testLoop).Iterate", "with its place")
	require.NoError(t, cmd.Process.Signal(unix.SIGTERM))
	require.NoError(t, end(), "and it still ends as it should")
}

func TestCommandsOfAPersonGoToSystemd(t *testing.T) {
	l := newLab(t, "")
	for _, verb := range []string{"start", "stop", "restart"} {
		require.Equal(t, answer{stdout: "systemctl [" + verb + " test-daemon]\n"}, l.run([]string{"BY_PERSON=1"}, verb))
		require.Equal(t, answer{code: 255, stdout: "systemctl [" + verb + " test-daemon]\n", stderr: "command 'systemctl' failed: exit code 1\n"},
			l.run([]string{"BY_PERSON=1", "SYSTEMD_FAILS=1"}, verb))
	}
	require.Empty(t, l.log())
}

func TestStartWantsRoot(t *testing.T) {
	l := newLab(t, "")
	m := testMachine()
	m.Root, m.StartedByInit = false, true
	var diag bytes.Buffer
	m.Stderr = &diag
	require.Equal(t, 255, testProgram(l.dir).Main(m, []string{"start"}))
	require.Equal(t, "start failed - please run as root\n", diag.String())
}

func TestNotifierWithoutSystemd(t *testing.T) {
	n, err := NewNotifier("")
	require.NoError(t, err)
	require.Nil(t, n)
	n.Send("READY=1")
	n.Close()

	n, err = NewNotifier("@pveha-nobody-listens")
	require.NoError(t, err)
	n.Send("READY=1")
	n.Close()
}

func TestClocksGoOn(t *testing.T) {
	boot, mono := Boottime(), monotonic()
	require.Positive(t, boot)
	require.LessOrEqual(t, boot, Boottime())
	require.LessOrEqual(t, mono, monotonic())
}
