package agent

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
	"pveha/internal/process"
)

// server is a fork server that has loaded everything.
type server struct {
	socket string
	cmd    *exec.Cmd
	ended  chan error
}

// socketName is one that is short enough for the kernel.
func socketName(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "fork")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return filepath.Join(dir, "socket")
}

// serve starts a server. At the end of the test it may have ended.
func serve(t testing.TB, program []string, settings ...string) *server {
	t.Helper()
	s := &server{socket: socketName(t), ended: make(chan error, 1)}
	s.cmd = exec.Command(program[0], append(append(program[1:len(program):len(program)], "serve", s.socket), settings...)...)
	s.cmd.Dir, s.cmd.Stderr, s.cmd.Env = "/", os.Stderr, environment()
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	require.NoError(t, s.cmd.Start())
	go func() { s.ended <- s.cmd.Wait() }()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
	})
	require.Eventually(t, func() bool {
		_, err := os.Lstat(s.socket)
		return err == nil || len(s.ended) > 0
	}, time.Minute, 5*time.Millisecond)
	return s
}

// left is what is in the folder of the socket.
func (s *server) left(t testing.TB) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(s.socket))
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// call is a caller that speaks by itself.
type call struct {
	net.Conn
	words  *bufio.Reader
	output *os.File // of what was forked
	theirs *os.File
	child  *process.Handle
}

func dial(t *testing.T, s *server) *call {
	t.Helper()
	conn, err := net.Dial("unix", s.socket)
	require.NoError(t, err)
	require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	c := &call{Conn: conn, words: bufio.NewReader(conn)}
	c.output, c.theirs, err = os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { _, _, _ = conn.Close(), c.output.Close(), c.theirs.Close() })
	var pid int
	_, err = fmt.Fscanf(c.words, "pid %d\n", &pid)
	require.NoError(t, err)
	c.child, err = process.Open(pid)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.child.Close() })
	group, err := syscall.Getpgid(pid)
	require.NoError(t, err)
	require.Equal(t, pid, group)
	return c
}

func (c *call) say(t *testing.T, text string) {
	t.Helper()
	_, err := io.WriteString(c, text)
	require.NoError(t, err)
}

func (c *call) request() string {
	return string(request([]string{"start", "vm", "100", "node=node1"}, c.theirs, c.theirs))
}

func TestNothingIsDoneBeforeTheWordGo(t *testing.T) {
	a := newAPI(t, executing, nil)
	s := serve(t, a.program)
	short := serve(t, a.program, "wait=1")
	for name, c := range map[string]struct {
		server *server
		speak  func(*call)
		stay   bool // instead of going away
	}{
		"leaves at once":           {server: s, speak: func(*call) {}},
		"leaves in the request":    {server: s, speak: func(c *call) { c.say(t, strings.TrimSuffix(c.request(), "\x00")) }},
		"leaves after the request": {server: s, speak: func(c *call) { c.say(t, c.request()) }},
		"leaves when all is ready": {server: s, speak: func(c *call) { ready(t, c) }},
		"leaves in the word":       {server: s, speak: func(c *call) { ready(t, c); c.say(t, "go") }},
		"says another word":        {server: s, speak: func(c *call) { ready(t, c); c.say(t, "gone\n") }, stay: true},
		"has no pipes":             {server: s, speak: func(c *call) { c.say(t, "out=1000\x00err=1000\x00arg=start\x00\x00") }, stay: true},
		"names no pipes":           {server: s, speak: func(c *call) { c.say(t, "out=/x\x00err=1000\x00arg=start\x00\x00") }, stay: true},
		"says nothing":             {server: short, speak: func(*call) {}, stay: true},
		"says less than all":       {server: short, speak: func(c *call) { c.say(t, "out=1\x00") }, stay: true},
		"does not say the word":    {server: short, speak: func(c *call) { ready(t, c) }, stay: true},
	} {
		t.Run(name, func(t *testing.T) {
			call := dial(t, c.server)
			c.speak(call)
			if !c.stay {
				require.NoError(t, call.Close())
			}
			require.NoError(t, call.child.Wait())
			require.NoError(t, call.theirs.Close())
			said, err := io.ReadAll(call.output)
			require.NoError(t, err)
			require.Empty(t, said)
			require.NoFileExists(t, a.record)
		})
	}
	// And the servers go on.
	a.agent.cfg.Action, a.agent.cfg.ForkServer = []string{"false"}, s.socket
	require.NoError(t, a.agent.Start("vm:100"))
	a.agent.cfg.ForkServer = short.socket
	require.NoError(t, a.agent.Start("vm:100"))
}

func ready(t *testing.T, c *call) {
	t.Helper()
	c.say(t, c.request())
	line, err := c.words.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ready\n", line)
}

func TestForkedProgramTellsItsExitCode(t *testing.T) {
	a := newAPI(t, executing, nil)
	s := serve(t, a.program)
	for args, want := range map[string]struct{ code, said string }{
		"start vm 100 node=node1": {"exit 0\n", "done OK\n"},
		"begin vm 100 node=node1": {"exit 2\n", "error unknown action 'begin'\n"},
		"":                        {"exit 2\n", "error usage: guest-action ACTION TYPE ID node=NODE [KEY=VALUE ...]\n"},
		"start vm 100 node=n lock=" + a.locks + "/no/folder": {"exit 3\n", "No such file or directory\n"},
	} {
		c := dial(t, s)
		c.say(t, string(request(strings.Fields(args), c.theirs, c.theirs)))
		line, err := c.words.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, "ready\n", line)
		c.say(t, "go\n")
		code, err := c.words.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, want.code, code, args)
		require.NoError(t, c.child.Wait())
		require.NoError(t, c.theirs.Close())
		said, err := io.ReadAll(c.output)
		require.NoError(t, err)
		require.True(t, strings.HasSuffix(string(said), want.said), "%s: %q", args, said)
	}
}

func TestForkServerKilledDuringAnAction(t *testing.T) {
	gate := fifo(t)
	a := newAPI(t, executing, map[string]string{"TASK_FIFO": gate})
	s := serve(t, a.program)
	a.agent.cfg.ForkServer = s.socket
	a.log.seen = make(chan string, 10)
	result := make(chan error, 1)
	go func() { result <- a.agent.Start("vm:100") }()
	require.Contains(t, <-a.log.seen, "still active, waiting")
	require.NoError(t, s.cmd.Process.Kill())
	require.Error(t, <-s.ended)
	require.Empty(t, result)
	open(t, gate)
	require.NoError(t, <-result)

	require.FileExists(t, s.socket, "which nobody listens at any more")
	go func() { result <- a.agent.Shutdown("vm:100", "0") }()
	require.Contains(t, <-a.log.seen, "still active, waiting")
	open(t, gate)
	require.NoError(t, <-result)
	require.Equal(t, []string{"Qemu vm_start node=node1 vmid=100", "Qemu vm_stop node=node1 vmid=100"}, a.calls(t))
}

// calls returns the calls of methods of the API.
func (a *api) calls(t *testing.T) []string {
	t.Helper()
	var calls []string
	for _, line := range a.recorded(t) {
		if strings.HasPrefix(line, "Qemu") || strings.HasPrefix(line, "LXC") {
			calls = append(calls, line)
		}
	}
	return calls
}

// Servers that fail in every step before the word.
func TestActionIsExecutedWhereTheForkServerFails(t *testing.T) {
	for name, answer := range map[string]func(t *testing.T, c net.Conn){
		"says nothing":         func(_ *testing.T, c net.Conn) { _, _ = io.Copy(io.Discard, c) },
		"hangs up":             func(*testing.T, net.Conn) {},
		"is none":              func(t *testing.T, c net.Conn) { tell(t, c, "220 hello\n") },
		"names no process":     func(t *testing.T, c net.Conn) { tell(t, c, "pid 0\n") },
		"names everybody":      func(t *testing.T, c net.Conn) { tell(t, c, "pid 1\n") },
		"names a dead process": func(t *testing.T, c net.Conn) { tell(t, c, "pid 2147483000\n") },
		"hangs up after pid":   func(t *testing.T, c net.Conn) { tell(t, c, fmt.Sprintf("pid %d\n", os.Getpid())) },
		"hangs after pid": func(t *testing.T, c net.Conn) {
			tell(t, c, fmt.Sprintf("pid %d\n", os.Getpid()))
			_, _ = io.Copy(io.Discard, c)
		},
		"refuses": func(t *testing.T, c net.Conn) { tell(t, c, fmt.Sprintf("pid %d\nno\n", os.Getpid())) },
		"does not wait for word": func(t *testing.T, c net.Conn) {
			tell(t, c, fmt.Sprintf("pid %d\nread", os.Getpid()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t, executing, nil)
			a.agent.patience = time.Second / 4
			a.agent.cfg.ForkServer = socketName(t)
			listener, err := net.Listen("unix", a.agent.cfg.ForkServer)
			require.NoError(t, err)
			heard := make(chan string, 1)
			go func() {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				answer(t, conn)
				rest, _ := io.ReadAll(conn)
				heard <- string(rest)
				_ = conn.Close()
			}()
			require.NoError(t, a.agent.Start("vm:100"))
			require.NoError(t, listener.Close())
			require.NotContains(t, <-heard, "go\n")
			require.Equal(t, []string{"Qemu vm_start node=node1 vmid=100"}, a.calls(t))
		})
	}
}

func tell(t *testing.T, c net.Conn, text string) {
	t.Helper()
	_, err := io.WriteString(c, text)
	require.NoError(t, err)
}

// A process that says nothing after the word may have acted, so nobody else does.
func TestActionIsNotRepeatedAfterTheWordGo(t *testing.T) {
	a := newAPI(t, executing, nil)
	a.agent.cfg.ForkServer = socketName(t)
	listener, err := net.Listen("unix", a.agent.cfg.ForkServer)
	require.NoError(t, err)
	defer listener.Close()
	idler := exec.Command("sleep", "1000")
	require.NoError(t, idler.Start())
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		tell(t, conn, fmt.Sprintf("pid %d\nready\n", idler.Process.Pid))
		for said, one := "", make([]byte, 1); !strings.HasSuffix(said, "\x00go\n"); said += string(one) {
			if _, err := conn.Read(one); err != nil {
				break
			}
		}
		_ = idler.Process.Kill()
		_ = idler.Wait()
	}()
	require.EqualError(t, a.agent.Start("vm:100"), "perl start vm:100: died")
	require.NoFileExists(t, a.record)
}

func TestTenActionsAtTheSameTime(t *testing.T) {
	a := newAPI(t, forking, nil)
	var all sync.WaitGroup
	errs := make(chan error, 10)
	for n := range 10 {
		all.Go(func() { errs <- a.agent.Start(ha.SID(fmt.Sprintf("vm:%d", 100+n))) })
	}
	all.Wait()
	var want []string
	for n := range 10 {
		require.NoError(t, <-errs)
		want = append(want, fmt.Sprintf("Qemu vm_start node=node1 vmid=%d", 100+n))
	}
	require.ElementsMatch(t, want, a.calls(t))
}

func TestForkServerEndsByItself(t *testing.T) {
	a := newAPI(t, executing, nil)
	for name, c := range map[string]struct {
		settings []string
		do       func(*server)
		left     []string
	}{
		"nobody comes": {settings: []string{"idle=1"}},
		"it is old":    {settings: []string{"life=1"}},
		"it is told":   {do: func(s *server) { require.NoError(t, s.cmd.Process.Signal(syscall.SIGTERM)) }},
		"its socket is removed": {do: func(s *server) {
			require.NoError(t, os.Remove(s.socket))
		}},
		"its socket is another's": {left: []string{"socket"}, do: func(s *server) {
			put(t, "", filepath.Dir(s.socket), "new")
			require.NoError(t, os.Rename(filepath.Join(filepath.Dir(s.socket), "new"), s.socket))
		}},
		"its folder is removed": {do: func(s *server) {
			require.NoError(t, os.RemoveAll(filepath.Dir(s.socket)))
			require.NoError(t, os.Mkdir(filepath.Dir(s.socket), 0o700))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, a.program, c.settings...)
			if c.do != nil {
				c.do(s)
			}
			require.NoError(t, <-s.ended)
			require.Equal(t, c.left, s.left(t))
		})
	}
}

// What was forked goes on when the server ends.
func TestActionOutlivesTheForkServer(t *testing.T) {
	gate := fifo(t)
	a := newAPI(t, executing, map[string]string{"TASK_FIFO": gate})
	s := serve(t, a.program, "idle=1")
	a.agent.cfg.ForkServer = s.socket
	a.log.seen = make(chan string, 10)
	result := make(chan error, 1)
	go func() { result <- a.agent.Start("vm:100") }()
	require.Contains(t, <-a.log.seen, "still active, waiting")
	require.NoError(t, <-s.ended)
	require.Empty(t, s.left(t))
	open(t, gate)
	require.NoError(t, <-result)
}

func TestForkServerOfReplacedFilesEnds(t *testing.T) {
	for name, file := range map[string]string{"a module": "PVE/API2/LXC.pm", "the program": "guest-action"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "perl"))))
			text, err := os.ReadFile(filepath.Join("action", "guest-action"))
			require.NoError(t, err)
			put(t, string(text), dir, "guest-action")
			t.Setenv("RECORD", filepath.Join(dir, "record"))

			// What was written in the second of its start may be half of an update, and
			// the kernel's seconds are a few milliseconds late.
			next := time.Now().Truncate(time.Second).Add(1100 * time.Millisecond)
			require.Eventually(t, func() bool { return time.Now().After(next) }, time.Minute, 10*time.Millisecond)
			s := serve(t, []string{"perl", "-I" + dir, filepath.Join(dir, "guest-action")})
			require.Empty(t, s.ended)
			file := filepath.Join(dir, file)
			text, err = os.ReadFile(file)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(file+".new", text, 0o600))
			require.NoError(t, os.Rename(file+".new", file))
			require.NoError(t, <-s.ended)
			require.Empty(t, s.left(t))
		})
	}
}

func TestForkServerWithoutAllModulesDoesNotServe(t *testing.T) {
	a := newAPI(t, executing, nil)
	lib := t.TempDir()
	require.NoError(t, os.CopyFS(lib, os.DirFS(filepath.Join("testdata", "perl"))))
	require.NoError(t, os.Remove(filepath.Join(lib, "PVE", "API2", "LXC.pm")))
	out, err := exec.Command("perl", "-I"+lib, a.program[2], "serve", filepath.Join(lib, "socket")).CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 3, exit.ExitCode())
	require.Contains(t, string(out), "Can't locate PVE/API2/LXC.pm")
	require.NoFileExists(t, filepath.Join(lib, "socket"))
}
