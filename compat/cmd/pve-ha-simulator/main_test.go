package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// asCommand makes this test binary the command itself.
const asCommand = "PVE_HA_SIMULATOR_TEST"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// process is the command, running, and a person's browser.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	base string
	http *http.Client
}

func start(t *testing.T, args ...string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asCommand+"=1", "DISPLAY=", "WAYLAND_DISPLAY=")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "The cluster is at ")
	require.True(t, ok, line)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	u, err := url.Parse(address)
	require.NoError(t, err)
	p := &process{t, cmd, u.Scheme + "://" + u.Host, &http.Client{Jar: jar}}
	answer, err := p.http.Get(address)
	require.NoError(t, err)
	answer.Body.Close()
	require.Equal(t, http.StatusOK, answer.StatusCode)
	return p
}

func (p *process) post(path, body string) {
	p.t.Helper()
	answer, err := p.http.Post(p.base+"/api/"+path, "application/json", strings.NewReader(body))
	require.NoError(p.t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(p.t, err)
	require.Equal(p.t, http.StatusOK, answer.StatusCode, string(text))
}

// shown is what a page that comes now is told, but for the clock.
func (p *process) shown() (frames string, round float64) {
	p.t.Helper()
	answer, err := p.http.Get(p.base + "/api/events")
	require.NoError(p.t, err)
	defer answer.Body.Close()
	in := bufio.NewReader(answer.Body)
	for {
		line, err := in.ReadBytes('\n')
		require.NoError(p.t, err)
		data, ok := bytes.CutPrefix(line, []byte("data: "))
		if !ok {
			continue
		}
		var start struct {
			Base   json.RawMessage
			Frames []map[string]any
		}
		require.NoError(p.t, json.Unmarshal(data, &start))
		all, err := json.Marshal(start)
		require.NoError(p.t, err)
		round, ok = start.Frames[len(start.Frames)-1]["round"].(float64)
		require.True(p.t, ok)
		return string(all), round
	}
}

func (p *process) end(signal syscall.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(signal))
	err := p.cmd.Wait()
	if signal != syscall.SIGKILL {
		require.NoError(p.t, err)
	}
}

// Whatever a page has been told is there again after the end of the process:
// told to end, or killed in the middle of its work.
func TestNothingIsLost(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "cluster")
	p := start(t, "--no-browser", dir)
	p.post("step", `{"rounds": 8}`)
	p.post("commands", `{"commands": ["network node3 off", "service vm:101 lock"]}`)
	p.post("step", `{"rounds": 3}`)
	want, _ := p.shown()
	p.end(syscall.SIGKILL)

	p = start(t, dir, "--no-browser")
	got, _ := p.shown()
	require.JSONEq(t, want, got)
	p.post("commands", `{"commands": ["service vm:101 unlock"]}`)
	want, _ = p.shown()
	p.end(syscall.SIGTERM)

	p = start(t, "--no-browser", "--listen", "127.0.0.1:0", dir)
	got, _ = p.shown()
	require.JSONEq(t, want, got)

	// Killed while time passes, it knows at least what was told before.
	p.post("clock", `{"paused": false, "speed": 100}`)
	var round float64
	for range 3 {
		before := round
		for round <= before {
			_, round = p.shown()
		}
	}
	p.end(syscall.SIGKILL)
	p = start(t, "--no-browser", dir)
	_, after := p.shown()
	require.GreaterOrEqual(t, after, round)
	p.end(syscall.SIGINT)
}

func TestBrokenFolder(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(dir+"/hardware_status", []byte("{"), 0o644))
	var stdout, stderr bytes.Buffer
	require.Equal(t, exitFailed, run([]string{"--no-browser", dir}, &stdout, &stderr))
	require.Equal(t, "pve-ha-simulator: "+dir+": hardware_status:1:1: unexpected end of JSON input (nothing in it was changed)\n", stderr.String())
	require.Empty(t, stdout.String())
}

func TestMisuse(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"unknown option":    {[]string{"--fast"}, "flag provided but not defined: -fast"},
		"two folders":       {[]string{"a", "b"}, "one folder holds the session, not 2"},
		"no port":           {[]string{"--listen", "localhost"}, "--listen wants HOST:PORT: address localhost: missing port in address"},
		"option at the end": {[]string{"a", "--listen"}, "flag needs an argument: -listen"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			require.Equal(t, exitUsage, run(test.args, &stdout, &stderr))
			require.Empty(t, stdout.String())
			require.Equal(t, "pve-ha-simulator: "+test.want+" (see pve-ha-simulator --help)\n", stderr.String())
		})
	}
	var stdout, stderr bytes.Buffer
	require.Equal(t, exitOK, run([]string{"--help"}, &stdout, &stderr))
	require.Equal(t, usage, stdout.String())
}

// Nobody else reaches it unless told so.
func TestLoopbackOnly(t *testing.T) {
	opts, err := parse([]string{"x"})
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:0", opts.listen)
	require.Equal(t, "x", opts.dir)
	require.True(t, opts.browser)
}

func TestLoopback(t *testing.T) {
	for ip, want := range map[string]bool{"127.0.0.1": true, "::1": true, "0.0.0.0": false, "::": false, "192.0.2.1": false} {
		require.Equal(t, want, loopback(&net.TCPAddr{IP: net.ParseIP(ip)}), ip)
	}
	require.Equal(t, "localhost:80", address("0.0.0.0", &net.TCPAddr{Port: 80}))
	require.Equal(t, "localhost:80", address("", &net.TCPAddr{Port: 80}))
	require.Equal(t, "[::1]:80", address("::1", &net.TCPAddr{Port: 80}))
}

func TestNewFolderInTheStateOfTheUser(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	a, err := folder(options{})
	require.NoError(t, err)
	b, err := folder(options{})
	require.NoError(t, err)
	require.NotEqual(t, a, b)
	require.DirExists(t, a)
	require.Contains(t, a, "/pve-ha-simulator/"+time.Now().Format("2006"))
}
