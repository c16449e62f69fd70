package cfsemu

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// picture writes a replica down.
func (t *tree) picture() []string {
	var lines []string
	var walk func(path string, e *entry)
	walk = func(path string, e *entry) {
		lines = append(lines, fmt.Sprintf("%s %v %d %d %d %d %d %q", path, e.folder, e.inode, e.version, e.writer, e.mtime, e.size, e.data))
		for _, child := range e.entries {
			walk(path+"/"+child.name, child)
		}
	}
	walk("", t.root)
	slices.Sort(lines)
	return lines
}

// names are few, so that calls meet.
func someName(r *rand.Rand) string {
	return []string{
		"ha/manager_status", "ha/a", "ha", "d", "d/e", "d/e/f", "priv/lock", "priv/lock/l", "priv/lock/l/f", "priv/lock/m", "corosync.conf",
		"nodes/node1/qemu-server/100.conf", "nodes/node2/qemu-server/100.conf", "nodes/node2/lxc/100.conf", "nodes/node1/lxc/200.conf", "",
	}[r.IntN(16)]
}

func someCall(r *rand.Rand, c *Cluster, clock *ManualClock) {
	n := c.nodes[r.IntN(len(c.nodes))]
	name, other := someName(r), someName(r)
	switch r.IntN(14) {
	case 0, 1:
		_ = n.Mkdir(name)
	case 2:
		_ = n.Rmdir(name)
	case 3:
		_ = n.Unlink(name)
	case 4, 5:
		_ = n.Create(name)
	case 6:
		_, _ = n.WriteAt(name, make([]byte, r.IntN(10)), int64(r.IntN(10)))
	case 7:
		if a, err := n.Stat(name); err == nil && a.Size > 0 { // growing from nothing kills
			_ = n.Truncate(name, int64(r.IntN(20)))
		}
	case 8, 9:
		_ = n.Rename(name, other)
	case 10:
		_ = n.Touch(name)
	case 11:
		_ = n.Utime(name, time.Unix(0, 0))
	case 12:
		_ = n.Replace(name, []byte("replaced"))
	case 13:
		clock.Advance(time.Duration(r.IntN(60)) * time.Second)
	}
}

// Whatever is called on whichever node, connected replicas are equal, and so
// are the nodes' lists of guests; a guest list made anew holds the same IDs but
// for what the folder bug took from it.
func TestReplicasAgree(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		clock := NewManualClock(time.Unix(1_795_295_841, 0))
		c, err := New(Config{Nodes: []string{"node1", "node2", "node3"}, Clock: clock})
		require.NoError(t, err)
		for range 500 {
			someCall(r, c, clock)
		}
		require.NoError(t, c.SetDelay("node2", 3*time.Second))
		called, ticked := make(chan struct{}), make(chan struct{})
		go func() { // a delayed node's own calls wait for the clock
			defer close(ticked)
			for {
				select {
				case <-called:
					return
				default:
					clock.Advance(time.Second)
					runtime.Gosched()
				}
			}
		}()
		for range 50 {
			someCall(r, c, clock)
		}
		close(called)
		<-ticked
		clock.Advance(time.Hour)
		for _, n := range c.nodes {
			require.Equal(t, StateRunning, n.State()) // and all that is due happens
			require.Equal(t, c.nodes[0].tree.picture(), n.tree.picture(), "seed %d, %s", seed, n.name)
			require.Equal(t, c.nodes[0].guests.ids, n.guests.ids)
			var anew guestList
			anew.rebuild(n.tree)
			require.Subset(t, anew.sorted(), n.guests.sorted())
		}
		require.NoError(t, c.Close())
	}
}

// After partitions, crashes and whatever was called meanwhile, a healed cluster
// agrees again on the tree of those who had quorum.
func TestReplicasAgreeAfterPartitions(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 2))
		clock := NewManualClock(time.Unix(1_795_295_841, 0))
		c, err := New(Config{Nodes: []string{"node1", "node2", "node3"}, Clock: clock})
		require.NoError(t, err)
		for range 60 {
			name := c.nodes[r.IntN(3)].name
			action := []func(string) error{
				func(name string) error { return c.Partition(name) }, func(name string) error { return c.Heal(name) },
				c.Crash, c.Start, c.Stop, c.KillCorosync, c.StopCorosync, c.StartCorosync, c.PowerOff, c.PowerOn,
			}[r.IntN(10)]
			_ = action(name) // refused where it makes no sense
			for range 10 {
				someCall(r, c, clock)
			}
			quorate := slices.DeleteFunc(slices.Clone(c.nodes), func(n *Node) bool { return n.State() != StateRunning || !n.Quorate() })
			for _, n := range quorate {
				require.Equal(t, quorate[0].tree.picture(), n.tree.picture(), "seed %d, %s", seed, n.name)
			}
		}
		newest := slices.MaxFunc(c.nodes, func(a, b *Node) int { return int(a.tree.root.version) - int(b.tree.root.version) }).tree.picture()
		require.NoError(t, c.Heal())
		for _, n := range c.nodes {
			require.NoError(t, c.StartCorosync(n.name))
			_ = c.Start(n.name) // it may run
		}
		for _, n := range c.nodes {
			require.Equal(t, StateRunning, n.State())
			require.True(t, n.Quorate())
			require.Equal(t, newest, n.tree.picture(), "seed %d, %s", seed, n.name)
		}
		require.NoError(t, c.Close())
	}
}

// Every node writes its database for a change that takes effect there, and for
// no other.
func TestJournalTellsOfChangesOnEveryNode(t *testing.T) {
	var told []string
	c, err := New(Config{
		Nodes: []string{"node1", "node2"}, Clock: NewManualClock(time.Unix(1e9, 0)),
		Journal: func(node string) { told = append(told, node) },
	})
	require.NoError(t, err)
	defer c.Close()
	taken := func() []string {
		all := told
		told = nil
		slices.Sort(all)
		return slices.Compact(all)
	}
	taken()
	require.NoError(t, c.Node("node1").Mkdir("priv/lock"))
	require.Equal(t, []string{"node1", "node2"}, taken())
	require.Error(t, c.Node("node2").Mkdir("priv/lock"))
	_, err = c.Node("node2").Read("ha/manager_status")
	require.Error(t, err)
	require.Empty(t, taken())
}
