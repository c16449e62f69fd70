package qb

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience bounds what should happen at once, on a machine that is busy.
const patience = 20 * time.Second

func TestMain(m *testing.M) {
	if phase := os.Getenv(dyingServerVariable); phase != "" {
		runDyingServer(phase, os.Getenv(dyingServerVariable+"_NAME"))
	}
	code := m.Run()
	if programs.folder != "" {
		_ = os.RemoveAll(programs.folder)
	}
	os.Exit(code)
}

// programs are the peers on the real libqb, compiled once.
var programs struct {
	once   sync.Once
	folder string
	err    error
}

var errNoLibqb = errors.New("gcc or libqb-dev is not installed")

// libqbProgram is the path of testdata/NAME.c compiled against the system's
// libqb. Without a compiler or the library the test is skipped, but fails in
// CI, where they are installed.
func libqbProgram(t testing.TB, name string) string {
	t.Helper()
	programs.once.Do(func() {
		if _, err := os.Stat("/usr/include/qb/qbipcs.h"); err != nil {
			programs.err = errNoLibqb
			return
		}
		if _, err := exec.LookPath("gcc"); err != nil {
			programs.err = errNoLibqb
			return
		}
		programs.folder, programs.err = os.MkdirTemp("", "libqb-*")
		for _, program := range []string{"server", "client"} {
			if programs.err != nil {
				return
			}
			output, err := exec.Command("gcc", "-Wall", "-O1", "-o", filepath.Join(programs.folder, program),
				filepath.Join("testdata", program+".c"), "-lqb").CombinedOutput()
			if err != nil {
				programs.err = fmt.Errorf("%w: %s", err, output)
			}
		}
	})
	switch {
	case errors.Is(programs.err, errNoLibqb) && os.Getenv("CI") != "true":
		t.Skipf("%v: apt-get install gcc libqb-dev", programs.err)
	case programs.err != nil:
		t.Fatal(programs.err)
	}
	return filepath.Join(programs.folder, name)
}

var nameCount atomic.Int32

// newName is a name of a socket that nobody else has.
func newName() string {
	return fmt.Sprintf("qb-test-%d-%d", os.Getpid(), nameCount.Add(1))
}

// process is a program at work, which ends when its input is closed.
type process struct {
	cmd    *exec.Cmd
	input  io.WriteCloser
	output *bufio.Scanner
}

func start(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	input, err := cmd.StdinPipe()
	require.NoError(t, err)
	output, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	p := &process{cmd: cmd, input: input, output: bufio.NewScanner(output)}
	t.Cleanup(p.end)
	return p
}

// end closes the input and waits; a process that was stopped is killed.
func (p *process) end() {
	_ = p.input.Close()
	killer := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	defer killer.Stop()
	_ = p.cmd.Wait() // how it ended is the test's business
}

func (p *process) kill(t testing.TB) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Kill())
	p.end()
}

// line is the next line of the output.
func (p *process) line(t testing.TB) string {
	t.Helper()
	require.True(t, p.output.Scan(), "the program ended: %v", p.output.Err())
	return p.output.Text()
}

// startServer starts the server on the real libqb.
func startServer(t testing.TB, name string, args ...string) *process {
	t.Helper()
	p := start(t, exec.Command(libqbProgram(t, "server"), append([]string{name}, args...)...))
	require.Equal(t, "ready", p.line(t))
	return p
}

// within is a context for what should happen at once.
func within(t testing.TB, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

func dial(t testing.TB, name string) *Conn {
	t.Helper()
	conn, err := Dial(within(t, patience), DialConfig{Name: name})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

// holdings is what this process holds that must be given back: descriptors,
// mapped rings and folders of rings.
func holdings(t testing.TB) (descriptors, maps, folders []string) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	for _, entry := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + entry.Name()); err == nil && !strings.HasPrefix(target, "/proc/") {
			descriptors = append(descriptors, target)
		}
	}
	text, err := os.ReadFile("/proc/self/maps")
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, "/qb-") {
			maps = append(maps, line)
		}
	}
	shared, err := os.ReadDir(DefaultShmDir)
	require.NoError(t, err)
	for _, entry := range shared {
		if strings.HasPrefix(entry.Name(), "qb-") && strings.Contains(entry.Name(), fmt.Sprintf("-%d-", os.Getpid())) {
			folders = append(folders, entry.Name())
		}
	}
	return descriptors, maps, folders
}

// leavesNothing fails the test if it leaves something behind. It is called
// first, so that it looks last.
func leavesNothing(t testing.TB) {
	t.Helper()
	// What the runtime keeps is opened by the first socket.
	if _, err := Dial(within(t, patience), DialConfig{Name: newName()}); err == nil {
		t.Fatal("somebody listens on a new name")
	}
	before, mapsBefore, foldersBefore := holdings(t)
	require.Empty(t, mapsBefore)
	require.Empty(t, foldersBefore)
	t.Cleanup(func() {
		after, maps, folders := holdings(t)
		require.Empty(t, maps, "memory maps")
		require.Empty(t, folders, "folders in shared memory")
		require.ElementsMatch(t, before, after, "descriptors")
	})
}
