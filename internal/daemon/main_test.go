package daemon

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"pveha/internal/ha"
)

// The test binary is the daemon, when this names the folder where it is to
// live.
const testFolder = "PVE_HA_TEST_FOLDER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(testFolder); dir != "" {
		os.Exit(testProgram(dir).Main(testMachine(), os.Args[1:]))
	}
	os.Exit(m.Run())
}

// testProgram is a daemon whose behaviour files in its folder choose.
func testProgram(dir string) *Program {
	return &Program{
		Name:        "test-daemon",
		PIDFile:     filepath.Join(dir, "pid"),
		StopWait:    stopWaitOf(dir),
		OpenJournal: func(watched bool) Journal { return fileJournal{filepath.Join(dir, "log"), watched} },
		Open: func(log func(ha.Entry)) (Loop, error) {
			switch how(dir) {
			case "fails to open":
				return nil, errors.New("there is no cluster")
			case "crashes":
				panic("a defect")
			}
			return &testLoop{dir: dir, log: log, wake: make(chan struct{}, 1)}, nil
		},
		Verbs:     map[string]func([]string) int{"inner": func(args []string) int { return len(args) }},
		lockPause: 100 * time.Millisecond,
	}
}

// testMachine is this machine after its init has started us.
func testMachine() Machine {
	m := ThisMachine()
	m.StartedByInit, m.Root = os.Getenv("BY_PERSON") == "", true
	m.Systemctl = func(args ...string) error {
		fmt.Println("systemctl", args)
		if os.Getenv("SYSTEMD_FAILS") != "" {
			return errors.New("command 'systemctl' failed: exit code 1")
		}
		return nil
	}
	return m
}

func how(dir string) string {
	content, err := os.ReadFile(filepath.Join(dir, "how"))
	if err != nil {
		return ""
	}
	return string(content)
}

func stopWaitOf(dir string) time.Duration {
	if how(dir) == "does not end" {
		return 300 * time.Millisecond
	}
	return time.Minute
}

// fileJournal appends to a file.
type fileJournal struct {
	name    string
	watched bool
}

func (j fileJournal) Log(e ha.Entry) {
	f, err := os.OpenFile(j.name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	fmt.Fprintf(f, "%s: %s\n", e.Level, e.Text)
	if j.watched {
		fmt.Fprintf(os.Stderr, "%s\n", e.Text)
	}
}

func (fileJournal) Close(time.Duration) {}

// testLoop waits in every round until it is woken.
type testLoop struct {
	dir    string
	log    func(ha.Entry)
	wake   chan struct{}
	rounds int
	ending bool
}

func (l *testLoop) Iterate() (alive bool, err error) {
	l.rounds++
	if l.rounds == 1 {
		l.log(ha.Entry{Level: ha.LevelInfo, Text: "first round"})
		if how(l.dir) == "has a child" {
			child := exec.Command("/bin/sleep", "60")
			if err := child.Start(); err != nil {
				panic(err)
			}
			l.log(ha.Entry{Level: ha.LevelInfo, Text: fmt.Sprintf("child %d", child.Process.Pid)})
		}
		if how(l.dir) == "crashes in a round" {
			panic("a defect")
		}
		if how(l.dir) == "fails a round" {
			return true, errors.New("no files\n")
		}
	}
	if l.ending && how(l.dir) != "does not end" {
		return false, nil
	}
	<-l.wake
	return true, nil
}

func (l *testLoop) RequestShutdown() {
	if !l.ending {
		l.log(ha.Entry{Level: ha.LevelInfo, Text: "asked to end"})
	}
	l.ending = true
}

func (l *testLoop) Wake() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *testLoop) Close() { l.log(ha.Entry{Level: ha.LevelInfo, Text: "closed"}) }

// lab is a folder in which a daemon may live.
type lab struct {
	t   *testing.T
	dir string
}

func newLab(t *testing.T, behaviour string) *lab {
	l := &lab{t: t, dir: t.TempDir()}
	require.NoError(t, os.WriteFile(filepath.Join(l.dir, "how"), []byte(behaviour), 0o644))
	t.Cleanup(func() {
		if pid, running := pidFile(filepath.Join(l.dir, "pid")).running(); running {
			_ = unix.Kill(pid, unix.SIGKILL)
			l.until("the daemon is gone", func() bool { return !alive(pid) })
		}
	})
	return l
}

func (l *lab) command(env []string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(append(os.Environ(), testFolder+"="+l.dir), env...)
	return cmd
}

// answer is what came of a command.
type answer struct {
	code           int
	stdout, stderr string
}

// run runs a command to its end. Its outputs are files: a daemon that it leaves
// behind would keep a pipe open.
func (l *lab) run(env []string, args ...string) answer {
	l.t.Helper()
	out, err := os.CreateTemp(l.dir, "stdout")
	require.NoError(l.t, err)
	defer out.Close()
	diag, err := os.CreateTemp(l.dir, "stderr")
	require.NoError(l.t, err)
	defer diag.Close()
	cmd := l.command(env, args...)
	cmd.Stdout, cmd.Stderr = out, diag
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) {
		require.NoError(l.t, err)
	}
	return answer{code: cmd.ProcessState.ExitCode(), stdout: l.read(out.Name()), stderr: l.read(diag.Name())}
}

func (l *lab) read(name string) string {
	content, err := os.ReadFile(name)
	if err != nil {
		return ""
	}
	return string(content)
}

func (l *lab) log() string { return l.read(filepath.Join(l.dir, "log")) }

func (l *lab) until(what string, f func() bool) {
	l.t.Helper()
	require.Eventually(l.t, f, 20*time.Second, 5*time.Millisecond, what)
}

func (l *lab) started() (pid int) {
	l.t.Helper()
	require.Equal(l.t, answer{}, l.run(nil, "start"))
	pid, running := pidFile(filepath.Join(l.dir, "pid")).running()
	require.True(l.t, running, "the start ends when the daemon is there")
	return pid
}

// systemd is a socket for notifications.
func (l *lab) systemd() (path string, next func() string) {
	path = filepath.Join(l.dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(l.t, err)
	l.t.Cleanup(func() { conn.Close() })
	return path, func() string {
		l.t.Helper()
		require.NoError(l.t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
		buffer := make([]byte, 4096)
		n, err := conn.Read(buffer)
		require.NoError(l.t, err)
		first, _, _ := strings.Cut(string(buffer[:n]), "\n")
		return first
	}
}
