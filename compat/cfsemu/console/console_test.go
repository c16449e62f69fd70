package console_test

import (
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/compat/cfsemu"
	"pveha/compat/cfsemu/console"
	"pveha/compat/cfsemu/fusemount"
	"pveha/compat/cfsemu/ipcserve"
)

func newConsole(t *testing.T) *console.Console {
	t.Helper()
	clock := cfsemu.NewManualClock(time.Unix(1_795_295_841, 0))
	c, err := cfsemu.New(cfsemu.Config{Nodes: []string{"node1", "node2", "node3"}, Clock: clock})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return &console.Console{Cluster: c, Clock: clock}
}

// tell gives commands and returns the answers.
func tell(t *testing.T, c *console.Console, lines ...string) []string {
	t.Helper()
	var out strings.Builder
	require.NoError(t, c.Run(context.Background(), strings.NewReader(strings.Join(lines, "\n")), &out))
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

func TestEveryLineIsAnsweredByOne(t *testing.T) {
	c := newConsole(t)
	script := []struct{ line, want string }{
		{"state", "ok node1=running,quorate,online:node1+node2+node3 node2=running,quorate,online:node1+node2+node3 node3=running,quorate,online:node1+node2+node3"},
		{"  partition   node3  ", "ok"},
		{"crash node2", "ok"},
		{"state", "ok node1=running,quorate,online:node1 node2=crashed,quorate,online:node1+node2 node3=running,no-quorum,online:node3"},
		{"crash node2", "error: pmxcfs on node2 is not running: it is crashed"},
		{"start node2", "ok"},
		{"heal", "ok"},
		{"corosync kill node1", "ok"},
		{"corosync start node1", "ok"},
		{"corosync stop node1", "ok"},
		{"corosync start node1", "ok"},
		{"poweroff node2", "ok"},
		{"poweron node2", "ok"},
		{"stop node3", "ok"},
		{"start node3", "ok"},
		{"fault error EIO node=node1 op=read path=ha/* skip=1 count=2 after", "ok 1"},
		{"fault delay 30s op=stat path=ha/x", "ok 2"},
		{"fault hang op=rmdir", "ok 3"},
		{"fault truncate 10 path=ha/y", "ok 4"},
		{"hits 1", "ok 0"},
		{"unfault 2", "ok"},
		{"unfault 2", "error: there is no fault 2"},
		{"unfault all", "ok"},
		{"kv node1 version-info {\"version\": \"9.0.1\"}", "ok"},
		{"usage node1 pve-vm-9.0/100 0:vm100:running", "ok"},
		{"log node1 hello there", "ok"},
		{"delay node3 1s", "ok"},
		{"delay node3 0s", "ok"},
		{"clock", "ok 2026-11-21T21:17:21Z"},
		{"clock advance 5m", "ok 2026-11-21T21:22:21Z"},
		{"clock step node2 -1h", "ok 2026-11-21T21:22:21Z"},
		{"quit", "ok"},
		{"state", ""},
	}
	var lines, want []string
	for _, s := range script {
		lines = append(lines, s.line, "") // empty lines are not answered
		if s.want != "" {
			want = append(want, s.want)
		}
	}
	require.Equal(t, want, tell(t, c, lines...))
	value, err := c.Cluster.Node("node3").Status("node1", "version-info")
	require.NoError(t, err)
	require.Equal(t, `{"version": "9.0.1"}`, string(value))
	require.Equal(t, int64(1_795_295_841+300-3600), c.Cluster.Node("node2").Now())
}

func TestHelpNamesEveryCommandOnOneLine(t *testing.T) {
	answer := tell(t, newConsole(t), "help")
	require.Len(t, answer, 1)
	for _, name := range strings.Fields("partition heal stop start crash fault kv clock state quit expose") {
		require.Contains(t, answer[0], name)
	}
}

func TestWrongCommandsAreExplained(t *testing.T) {
	for line, want := range map[string]string{
		"fly":                     `error: there is no command "fly", see help`,
		"crash":                   "error: use: crash NODE",
		"crash a b":               "error: use: crash NODE",
		"crash node9":             `error: no node is named "node9", the nodes are node1, node2, node3`,
		"partition":               "error: use: partition NODE...",
		"corosync fly node1":      "error: use: corosync stop|kill|start NODE",
		"corosync stop":           "error: use: corosync stop|kill|start NODE",
		"fault error EFUN":        `error: "EFUN" is no error of the system, use a name such as EIO`,
		"fault error EIO op=fly":  `error: "fly" is no operation of the file system`,
		"fault delay 3":           "error: time: missing unit in duration",
		"unfault x":               "error: use: unfault ID|all",
		"unfault":                 "error: use: unfault ID|all",
		"hits":                    "error: use: hits ID",
		"hits x":                  "error: use: hits ID",
		"kv node1":                "error: use: kv NODE KEY [VALUE]",
		"kv node9 a b":            `error: no node is named "node9"`,
		"usage node1 a":           "error: use: usage NODE KEY DATA",
		"delay node1":             "error: use: delay NODE DURATION",
		"delay node1 x":           "error: time: invalid duration",
		"clock back":              "error: use: clock | clock advance DURATION | clock step NODE DURATION",
		"clock advance -1s":       "error: time does not go back",
		"clock advance x":         "error: time: invalid duration",
		"clock step node9 1s":     "error: no node is named",
		"expose node1 1":          "error: use: expose NODE PID [TARGET]",
		"withdraw node1":          "error: use: withdraw NODE",
		"fault":                   "error: use: fault error ERRNO|",
		"fault error":             "error: use: fault error ERRNO|",
		"fault fire 3":            "error: use: fault error ERRNO|",
		"fault hang what=ever":    "error: use: fault error ERRNO|",
		"fault hang path=[":       "error: the pattern",
		"fault truncate many":     "error: strconv.ParseInt",
		"fault hang skip=several": "error: strconv.Atoi",
	} {
		answer := tell(t, newConsole(t), line)
		require.Len(t, answer, 1, line)
		require.True(t, strings.HasPrefix(answer[0], want), "%s: %s", line, answer[0])
	}
	c := newConsole(t)
	c.Clock = nil
	require.Equal(t, []string{"error: the clock is the machine's: start with a clock of its own"}, tell(t, c, "clock advance 1s"))
}

// broken is an output that is gone.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("gone") }

func TestRunEnds(t *testing.T) {
	goroutines := runtime.NumGoroutine()
	c := newConsole(t)
	ctx, cancel := context.WithCancel(context.Background())
	in, give := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx, in, io.Discard) }()
	cancel()
	require.NoError(t, <-ended)
	require.NoError(t, give.Close())
	require.ErrorContains(t, c.Run(context.Background(), strings.NewReader("state\nstate\n"), broken{}), "gone")
	require.NoError(t, c.Run(context.Background(), strings.NewReader(""), broken{}))
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= goroutines+1 }, 5*time.Second, time.Millisecond)
}

func TestExpose(t *testing.T) {
	if err := fusemount.Available(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	c := newConsole(t)
	var err error
	c.Servers, err = ipcserve.Serve(c.Cluster, ipcserve.Config{Name: "pve2-console-" + strconv.Itoa(os.Getpid()) + ipcserve.NodeMark})
	require.NoError(t, err)
	c.Mounts, err = fusemount.Mount(c.Cluster, fusemount.Config{Dir: t.TempDir()})
	require.NoError(t, err)
	defer func() {
		require.NoError(t, c.Mounts.Close())
		require.NoError(t, c.Servers.Close())
	}()
	attr := &os.ProcAttr{Sys: &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET}}
	process, err := os.StartProcess("/bin/sleep", []string{"sleep", "60"}, attr)
	require.NoError(t, err)
	defer func() {
		require.NoError(t, process.Kill())
		_, err := process.Wait()
		require.NoError(t, err)
	}()
	pid, target := strconv.Itoa(process.Pid), t.TempDir()
	require.Eventually(t, func() bool { // it makes its namespaces first
		name, err := os.ReadFile("/proc/" + pid + "/comm")
		return err == nil && string(name) == "sleep\n"
	}, 5*time.Second, time.Millisecond)
	require.Equal(t, []string{"ok"}, tell(t, c, "expose node1 "+pid+" "+target))
	require.FileExists(t, "/proc/"+pid+"/root"+target+"/.version")
	require.NoFileExists(t, target+"/.version")
	requireSocket := func(want bool) {
		t.Helper()
		sockets, err := os.ReadFile("/proc/" + pid + "/net/unix")
		require.NoError(t, err)
		require.Equal(t, want, strings.Contains(string(sockets), "@pve2@"))
	}
	requireSocket(true)
	require.Equal(t, []string{"ok"}, tell(t, c, "withdraw node1"))
	require.NoFileExists(t, "/proc/"+pid+"/root"+target+"/.version")
	requireSocket(false)

	require.Equal(t, []string{"ok"}, tell(t, c, "expose node1 "+strconv.Itoa(os.Getpid())+" "+target), "our own namespaces will do")
	require.FileExists(t, target+"/.version")
	require.Contains(t, tell(t, c, "expose node1 0")[0], "error: mount namespace of node1")
	require.Contains(t, tell(t, c, "expose node1 x")[0], "error: use: expose")
	require.Contains(t, tell(t, c, "withdraw node9")[0], "error: no node")
	require.Contains(t, tell(t, c, "withdraw")[0], "error: use: withdraw")
}
