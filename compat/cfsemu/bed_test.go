package cfsemu_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/compat/cfsemu"
)

var start = time.Unix(1_795_295_841, 0)

const (
	noError    = syscall.Errno(0)
	lockFolder = "priv/lock"
)

// bed is a cluster of three nodes whose clock the test moves.
type bed struct {
	*cfsemu.Cluster
	t          *testing.T
	clock      *cfsemu.ManualClock
	n1, n2, n3 *cfsemu.Node
}

func newBed(t *testing.T, timing cfsemu.Timing) *bed {
	t.Helper()
	clock := cfsemu.NewManualClock(start)
	c, err := cfsemu.New(cfsemu.Config{Nodes: []string{"node1", "node2", "node3"}, Clock: clock, Timing: timing})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return &bed{c, t, clock, c.Node("node1"), c.Node("node2"), c.Node("node3")}
}

// local is one node in local mode.
func local(t *testing.T) (*cfsemu.Node, *cfsemu.ManualClock) {
	t.Helper()
	clock := cfsemu.NewManualClock(start)
	c, err := cfsemu.New(cfsemu.Config{Nodes: []string{"node4"}, Clock: clock, Local: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c.Node("node4"), clock
}

// seconds moves the clock.
func (b *bed) seconds(s float64) { b.clock.Advance(time.Duration(s * float64(time.Second))) }

// now is the time on the nodes' clocks.
func (b *bed) now() time.Time { return b.clock.Now() }

// errno wants an error to be just that.
func errno(t *testing.T, want syscall.Errno, err error, what ...any) {
	t.Helper()
	if want == noError {
		require.NoError(t, err, what...)
		return
	}
	require.ErrorIs(t, err, want, what...)
}

// waits runs a call that has to wait and returns its result to come. It
// returns when the call waits.
func (b *bed) waits(call func() error) <-chan error {
	b.t.Helper()
	waiting := b.clock.Waiting()
	result := make(chan error, 1)
	go func() { result <- call() }()
	require.Eventually(b.t, func() bool { return b.clock.Waiting() > waiting }, 10*time.Second, time.Millisecond, "the call does not wait")
	return result
}

// counters reads the change counters of a node.
func counters(t *testing.T, n *cfsemu.Node, names ...string) []int {
	t.Helper()
	text, err := n.Read(cfsemu.VersionFile)
	require.NoError(t, err)
	values := make([]int, len(names))
	for i, name := range names {
		_, after, found := strings.Cut(string(text), fmt.Sprintf("\n%q: ", name))
		require.True(t, found, "%s in %s", name, text)
		_, err := fmt.Sscanf(after, "%d", &values[i])
		require.NoError(t, err)
	}
	return values
}

// counted returns by how much an action moves a counter.
func counted(t *testing.T, n *cfsemu.Node, name string, action func()) int {
	t.Helper()
	before := counters(t, n, name)[0]
	action()
	return counters(t, n, name)[0] - before
}

func read(t *testing.T, n *cfsemu.Node, name string) string {
	t.Helper()
	data, err := n.Read(name)
	require.NoError(t, err, name)
	return string(data)
}

func mode(t *testing.T, n *cfsemu.Node, name string) string {
	t.Helper()
	a, err := n.Stat(name)
	require.NoError(t, err, name)
	return fmt.Sprintf("%o", a.Mode)
}
