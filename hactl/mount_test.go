package hactl_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/compat/cfsemu"
	"pveha/compat/cfsemu/fusemount"
)

// mounted is an emulated cluster with a real mount for each node.
type mounted struct {
	t       *testing.T
	clock   *cfsemu.ManualClock
	cluster *cfsemu.Cluster
	mounts  *fusemount.Mounts
}

func mountCluster(t *testing.T) *mounted {
	t.Helper()
	if err := fusemount.Available(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	clock := cfsemu.NewManualClock(time.Now())
	cluster, err := cfsemu.New(cfsemu.Config{Nodes: []string{"node1", "node2"}, Clock: clock})
	require.NoError(t, err)
	mounts, err := fusemount.Mount(cluster, fusemount.Config{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, mounts.Close()) })
	return &mounted{t: t, clock: clock, cluster: cluster, mounts: mounts}
}

func (m *mounted) write(name, data string) {
	require.NoError(m.t, m.cluster.Node("node1").Replace(name, []byte(data)))
}

func (m *mounted) read(name string) string {
	data, err := m.cluster.Node("node2").Read(name)
	require.NoError(m.t, err)
	return string(data)
}

// run runs the command on a node.
func (m *mounted) run(node, kill string, args ...string) (stdout, stderr string, err error) {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(),
		rootVariable+"="+m.mounts.Path(node), nodeVariable+"="+node, killVariable+"="+kill, "LC_ALL=C.UTF-8")
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	err = cmd.Run()
	return out.String(), problems.String(), err
}

const twoResources = "vm: 100\n\nvm: 101\n\n"

// Two commands on two nodes at the same time, a hundred times: each change is
// there afterwards, and so is each command for the CRM.
func TestTwoAtOnceLoseNothing(t *testing.T) {
	const clusters, rounds = 10, 10
	var all sync.WaitGroup
	for range clusters {
		m := mountCluster(t)
		m.write("ha/resources.cfg", twoResources)
		all.Go(func() {
			if err := m.fight(rounds); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// fight lets two nodes edit at the same time, the configuration and the queue
// of commands by turns.
func (m *mounted) fight(rounds int) error {
	var queued []string
	config := twoResources
	for round := range rounds {
		edit := func(sid string) []string { return []string{"set", sid, "--comment", fmt.Sprint("round ", round)} }
		if round%2 == 1 {
			edit = func(sid string) []string { return []string{"crm-command", "stop", sid, fmt.Sprint(round)} }
			queued = append(queued, fmt.Sprint("stop vm:100 ", round), fmt.Sprint("stop vm:101 ", round))
		} else {
			config = strings.ReplaceAll(twoResources, "\n\n", fmt.Sprintf("\n\tcomment round %d\n\n", round))
		}
		var both sync.WaitGroup
		problems := make([]error, 2)
		for i, node := range []string{"node1", "node2"} {
			both.Go(func() {
				_, stderr, err := m.run(node, "", edit(fmt.Sprint("vm:", 100+i))...)
				if err != nil {
					problems[i] = fmt.Errorf("%s, round %d: %w: %s", node, round, err, stderr)
				}
			})
		}
		both.Wait()
		if err := errors.Join(problems...); err != nil {
			return err
		}
	}
	if got := m.read("ha/resources.cfg"); got != config {
		return fmt.Errorf("lost update: want %q, got %q", config, got)
	}
	got := strings.Split(strings.TrimSpace(m.read("ha/crm_commands")), "\n")
	slices.Sort(got)
	slices.Sort(queued)
	if !slices.Equal(got, queued) {
		return fmt.Errorf("lost command: want %q, got %q", queued, got)
	}
	return nil
}

// Whenever the command is killed, the file is the old or the new one, and the
// next command finds nothing in its way but a lock that expires.
func TestKilledAtAnyPoint(t *testing.T) {
	for name, test := range map[string]struct {
		when string
		seen []string // what the kills leave, at one point or another
	}{
		"before a use of the mount": {"", []string{twoResources, edited}},
		"behind a use of the mount": {"+", []string{twoResources, edited}},
		"in the middle of a write":  {"/", []string{twoResources}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := mountCluster(t)
			seen := map[string]bool{}
			passed := 0
			for at := 1; passed < usesAtMost; at++ { // most uses have no middle
				found, killed := m.killedAt(fmt.Sprint(at, test.when))
				if !killed {
					passed++
					continue
				}
				passed = 0
				seen[found] = true
			}
			require.ElementsMatch(t, test.seen, slices.Collect(maps.Keys(seen)))
		})
	}
}

// usesAtMost is more often than an edit uses the mount.
const usesAtMost = 40

const edited = "vm: 100\n\tcomment new\n\nvm: 101\n\n"

// killedAt kills an edit at some point, and returns what it left of the file.
// The next edit, after the lifetime of a lock, succeeds.
func (m *mounted) killedAt(point string) (found string, killed bool) {
	t := m.t
	m.write("ha/resources.cfg", twoResources)
	_, stderr, err := m.run("node1", point, "set", "vm:100", "--comment", "new")
	found = m.read("ha/resources.cfg")
	require.Contains(t, []string{twoResources, edited}, found, "killed at %s", point)
	if err == nil {
		require.Equal(t, edited, found)
		return found, false
	}
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit, stderr)
	status, ok := exit.Sys().(syscall.WaitStatus)
	require.True(t, ok)
	require.Equal(t, syscall.SIGKILL, status.Signal(), "killed at %s: %s", point, stderr)

	m.clock.Advance(2 * cfsemu.LockLifetime)
	_, stderr, err = m.run("node2", "", "set", "vm:101", "--comment", "after")
	require.NoError(t, err, "after a kill at %s: %s", point, stderr)
	require.Contains(t, m.read("ha/resources.cfg"), "vm: 101\n\tcomment after\n")
	return found, true
}

func TestNothingIsLeftBehindOnTheMount(t *testing.T) {
	m := mountCluster(t)
	m.write("ha/resources.cfg", twoResources)
	_, stderr, err := m.run("node1", "", "set", "vm:100", "--state", "stopped")
	require.NoError(t, err, stderr)
	for _, folder := range []string{"ha", "priv/lock"} {
		entries, err := os.ReadDir(filepath.Join(m.mounts.Path("node1"), folder))
		require.NoError(t, err)
		for _, e := range entries {
			require.Equal(t, "resources.cfg", e.Name(), "in %s", folder)
		}
	}
}
