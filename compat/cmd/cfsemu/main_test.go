package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/compat/cfsemu/fusemount"
)

func needFUSE(t *testing.T) {
	t.Helper()
	if err := fusemount.Available(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

// process is the running command.
type process struct {
	t      *testing.T
	dir    string
	in     *io.PipeWriter
	out    *bufio.Scanner
	status chan int
	errors bytes.Buffer
}

func launch(ctx context.Context, t *testing.T, args ...string) *process {
	t.Helper()
	needFUSE(t)
	p := &process{t: t, dir: t.TempDir(), status: make(chan int, 1)}
	in, give := io.Pipe()
	out, say := io.Pipe()
	p.in, p.out = give, bufio.NewScanner(out)
	args = append([]string{"--ipc", fmt.Sprintf("pve2-cmd-%d-{node}", os.Getpid())}, args...)
	go func() {
		p.status <- run(ctx, append(args, p.dir), in, say, &p.errors)
		_ = say.Close()
	}()
	return p
}

func (p *process) line() string {
	p.t.Helper()
	require.True(p.t, p.out.Scan(), "no answer: %s", p.errors.String())
	return p.out.Text()
}

func (p *process) tell(command string) string {
	p.t.Helper()
	_, err := fmt.Fprintln(p.in, command)
	require.NoError(p.t, err)
	return p.line()
}

// gone checks that the end was a clean one.
func (p *process) gone() {
	p.t.Helper()
	require.Equal(p.t, exitOK, <-p.status, p.errors.String())
	entries, err := os.ReadDir(p.dir)
	require.NoError(p.t, err)
	require.Empty(p.t, entries)
	mounts, err := os.ReadFile("/proc/self/mounts")
	require.NoError(p.t, err)
	require.NotContains(p.t, string(mounts), p.dir)
}

func TestSession(t *testing.T) {
	p := launch(context.Background(), t, "--instant", "--cache", "0s", "--manual-clock", "--stopped", "node3", "--ip", "node1=192.0.2.1",
		"--name", "test", "--restart-flag", filepath.Join(t.TempDir(), "{node}-flag"), "--shm", t.TempDir())
	require.Equal(t, fmt.Sprintf("ready %[1]s/node1 %[1]s/node2 %[1]s/node3", p.dir), p.line())
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, "node1", "f"), []byte("a"), 0o600))
	require.FileExists(t, filepath.Join(p.dir, "node2", "f"))
	require.NoDirExists(t, filepath.Join(p.dir, "node3"))
	require.Equal(t, "ok", p.tell("start node3"))
	require.FileExists(t, filepath.Join(p.dir, "node3", "f"))
	members, err := os.ReadFile(filepath.Join(p.dir, "node3", ".members"))
	require.NoError(t, err)
	require.Contains(t, string(members), `"node1": { "id": 1, "online": 1, "ip": "192.0.2.1"}`)
	require.Contains(t, string(members), `{ "name": "test",`)
	require.Equal(t, "ok", p.tell("crash node2"))
	require.True(t, strings.HasPrefix(p.tell("clock advance 1s"), "ok 20"))
	require.NoError(t, p.in.Close())
	p.gone()
}

func TestSignalEndsIt(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	p := launch(ctx, t, "--node", "only")
	require.Equal(t, "ready "+p.dir+"/only", p.line())
	require.Equal(t, "ok", p.tell("stop only"))
	cancel()
	p.gone()
	require.NoError(t, p.in.Close())
}

func TestUsage(t *testing.T) {
	var out, complaint bytes.Buffer
	require.Equal(t, exitOK, run(context.Background(), []string{"--help"}, nil, &out, &complaint))
	require.True(t, strings.HasPrefix(out.String(), "usage: cfsemu [OPTION...] DIR\n"))
	require.Empty(t, complaint.String())
	for want, args := range map[string]string{
		"one folder for the mounts is needed, not 0": "",
		"one folder for the mounts is needed, not 2": "a b",
		"give --nodes or --node, not both":           "--nodes 2 --node a d",
		"-1 nodes make no cluster":                   "--nodes -1 d",
		"flag provided but not defined: -fly":        "--fly d",
		"--ip node1: ParseAddr":                      "--ip node1=x d",
	} {
		complaint.Reset()
		require.Equal(t, exitUsage, run(context.Background(), strings.Fields(args), nil, &out, &complaint), args)
		require.True(t, strings.HasPrefix(complaint.String(), "cfsemu: "+want), "%s: %s", args, complaint.String())
	}
}

func TestFailures(t *testing.T) {
	needFUSE(t)
	dir := t.TempDir()
	for want, args := range map[string][]string{
		"cfsemu: node a is named twice":           {"--node", "a", "--node", "a", dir},
		"cfsemu: mkdir /none/of/this/node1":       {"--ipc", "", "/none/of/this"},
		"cfsemu: no node is named \"x\"":          {"--stopped", "x", dir},
		"cfsemu: IPC of node1: network namespace": {"--netns", "node1=/none", dir},
	} {
		var out, complaint bytes.Buffer
		require.Equal(t, exitFailed, run(context.Background(), args, strings.NewReader(""), &out, &complaint), args)
		require.True(t, strings.HasPrefix(complaint.String(), want), "%v: %s", args, complaint.String())
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Empty(t, entries)
	}
}
