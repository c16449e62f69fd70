package cfsemu_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/compat/cfsemu"
)

// online tells whom a node takes for online, and whether it has quorum.
func online(t *testing.T, n *cfsemu.Node) (ids string, quorate bool) {
	t.Helper()
	text := read(t, n, cfsemu.MembersFile)
	for i, name := range []string{"node1", "node2", "node3"} {
		if strings.Contains(text, `"`+name+`": { "id": `+string(rune('1'+i))+`, "online": 1`) {
			ids += string(rune('1' + i))
		}
	}
	return ids, strings.Contains(text, `"quorate": 1`)
}

func requireMembers(t *testing.T, n *cfsemu.Node, wantIDs string, wantQuorum bool) {
	t.Helper()
	ids, quorate := online(t, n)
	require.Equal(t, wantIDs, ids, "online, as %s sees it", n.Name())
	require.Equal(t, wantQuorum, quorate, "quorum of %s", n.Name())
	require.Equal(t, wantQuorum, n.Quorate())
}

// Facts 7.1 and 1.6: both sides block after a hard drop, reads never do.
func TestPartitionBlocksChangesOnBothSides(t *testing.T) {
	b := newBed(t, cfsemu.MeasuredTiming())
	require.NoError(t, b.n1.Create("f"))
	require.NoError(t, b.Partition("node3"))
	first := b.waits(func() error { return b.n3.Touch("f") })
	second := b.waits(func() error { _, err := b.n3.WriteAt("f", []byte("3"), 0); return err })
	third := b.waits(func() error { return b.n3.Mkdir("d") })
	majority := b.waits(func() error { _, err := b.n1.WriteAt("f", []byte("1"), 0); return err })
	for _, n := range b.Nodes() {
		require.Empty(t, read(t, n, "f"), "reads do not block")
		_, err := n.List("ha")
		require.NoError(t, err)
		requireMembers(t, n, "123", true)
	}
	b.seconds(7.9)
	requireMembers(t, b.n1, "123", true)
	require.Empty(t, majority)
	b.seconds(0.08)
	requireMembers(t, b.n1, "12", true)
	requireMembers(t, b.n2, "12", true)
	requireMembers(t, b.n3, "3", false)
	require.NoError(t, <-majority)
	errno(t, syscall.EPERM, <-first, "the first under way")
	b.seconds(0.46)
	require.Empty(t, second)
	b.seconds(0.01)
	errno(t, syscall.EBUSY, <-second, "the others")
	errno(t, syscall.EBUSY, <-third, "the others")
	require.Equal(t, "1", read(t, b.n2, "f"))
	require.Empty(t, read(t, b.n3, "f"))
}

// Facts 7.1: what works without quorum.
func TestWithoutQuorum(t *testing.T) {
	for _, test := range []struct {
		what string
		call func(n *cfsemu.Node) error
		want syscall.Errno
	}{
		{"read", func(n *cfsemu.Node) error { _, err := n.Read("ha/f"); return err }, noError},
		{"list", func(n *cfsemu.Node) error { _, err := n.List("ha"); return err }, noError},
		{"stat", func(n *cfsemu.Node) error { _, err := n.Stat("ha/f"); return err }, noError},
		{"open for writing", func(n *cfsemu.Node) error { return n.Open("ha/f") }, noError},
		{"write", func(n *cfsemu.Node) error { _, err := n.WriteAt("ha/f", []byte("a"), 0); return err }, syscall.EACCES},
		{"O_TRUNC", func(n *cfsemu.Node) error { return n.Truncate("ha/f", 0) }, syscall.EACCES},
		{"create", func(n *cfsemu.Node) error { return n.Create("ha/g") }, syscall.EACCES},
		{"mkdir", func(n *cfsemu.Node) error { return n.Mkdir("ha/d") }, syscall.EACCES},
		{"mkdir of a lock", func(n *cfsemu.Node) error { return n.Mkdir("priv/lock/l") }, syscall.EACCES},
		{"rmdir", func(n *cfsemu.Node) error { return n.Rmdir("priv/lock/k") }, syscall.EACCES},
		{"rename", func(n *cfsemu.Node) error { return n.Rename("ha/f", "ha/g") }, syscall.EACCES},
		{"unlink", func(n *cfsemu.Node) error { return n.Unlink("ha/f") }, syscall.EACCES},
		{"utime", func(n *cfsemu.Node) error { return n.Touch("ha/f") }, syscall.EACCES},
		{"utime 0 of a lock", func(n *cfsemu.Node) error { return n.Utime("priv/lock/k", time.Unix(0, 0)) }, syscall.EACCES},
		{"mkdir of an existing name", func(n *cfsemu.Node) error { return n.Mkdir("ha") }, syscall.EEXIST},
		{"unlink of a missing one", func(n *cfsemu.Node) error { return n.Unlink("ha/none") }, syscall.ENOENT},
		{"chmod", func(n *cfsemu.Node) error { return n.Chmod("ha/f", 0o640) }, noError},
		{"chown", func(n *cfsemu.Node) error { return n.Chown("ha/f", 0, 33) }, noError},
		{"status of the node", func(n *cfsemu.Node) error { return n.SetStatus("k", []byte("v")) }, noError},
	} {
		t.Run(test.what, func(t *testing.T) {
			b := newBed(t, cfsemu.Timing{})
			require.NoError(t, b.n3.Create("ha/f"))
			require.NoError(t, b.n3.Mkdir("priv/lock"))
			require.NoError(t, b.n3.Mkdir("priv/lock/k"))
			require.NoError(t, b.Partition("node3"))
			before := read(t, b.n3, cfsemu.VersionFile)
			errno(t, test.want, test.call(b.n3))
			if test.what != "status of the node" {
				require.Equal(t, before, read(t, b.n3, cfsemu.VersionFile))
			}
		})
	}
}

// Facts 7.1: healing.
func TestHealedPartitionIsOneClusterAgain(t *testing.T) {
	b := newBed(t, cfsemu.MeasuredTiming())
	require.NoError(t, b.Partition("node3"))
	b.seconds(8)
	require.NoError(t, b.n1.Create("new"))
	require.NoError(t, b.Heal())
	requireMembers(t, b.n3, "3", false)
	errno(t, syscall.EACCES, b.n3.Create("mine"))
	b.seconds(2.3)
	for _, n := range b.Nodes() {
		requireMembers(t, n, "123", true)
		require.Empty(t, read(t, n, "new"))
	}
	require.NoError(t, b.n3.Create("mine"))
}

func TestPartitionHealedBeforeAnybodyNoticed(t *testing.T) {
	b := newBed(t, cfsemu.MeasuredTiming())
	require.NoError(t, b.Partition("node2", "node3"))
	waits := b.waits(func() error { return b.n1.Create("f") })
	b.seconds(1)
	require.NoError(t, b.Heal())
	require.NoError(t, <-waits)
	b.seconds(60)
	requireMembers(t, b.n1, "123", true)
}

func TestPartitionIntoThreeLeavesNobodyWithQuorum(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	require.NoError(t, b.Partition("node2"))
	require.NoError(t, b.Partition("node3"))
	for i, n := range b.Nodes() {
		requireMembers(t, n, string(rune('1'+i)), false)
		errno(t, syscall.EACCES, n.Create("f"))
	}
	require.NoError(t, b.Heal("node3"))
	requireMembers(t, b.n1, "13", true)
	requireMembers(t, b.n2, "2", false)
}

// Facts 7.2: corosync ends.
func TestCorosyncStopped(t *testing.T) {
	b := newBed(t, cfsemu.MeasuredTiming())
	require.NoError(t, b.StopCorosync("node3"))
	errno(t, syscall.EBUSY, b.n3.Create("f"), "once")
	errno(t, syscall.EACCES, b.n3.Create("f"))
	requireMembers(t, b.n3, "123", false) // its list keeps its last state
	requireMembers(t, b.n1, "12", true)   // at once
	require.NoError(t, b.n1.Create("f"), "not blocked")
	b.seconds(100)
	require.NoError(t, b.StartCorosync("node3"))
	b.seconds(3.1)
	require.False(t, b.n3.Quorate())
	b.seconds(0.1)
	requireMembers(t, b.n3, "123", true)
	require.NoError(t, b.n3.Unlink("f"))
}

func TestCorosyncKilled(t *testing.T) {
	b := newBed(t, cfsemu.MeasuredTiming())
	require.NoError(t, b.KillCorosync("node3"))
	errno(t, syscall.EACCES, b.n3.Create("f"), "at once")
	waits := b.waits(func() error { return b.n1.Create("f") })
	requireMembers(t, b.n1, "123", true)
	b.seconds(7.98)
	require.NoError(t, <-waits)
	requireMembers(t, b.n1, "12", true)
	require.NoError(t, b.StartCorosync("node3"))
	b.seconds(3.15)
	requireMembers(t, b.n1, "123", true)
}

// Facts 7.3 and 7.4: pmxcfs ends; the others lose nothing by it.
func TestPmxcfsEnds(t *testing.T) {
	for name, test := range map[string]struct {
		end   func(b *bed) error
		after syscall.Errno
	}{
		"stopped": {func(b *bed) error { return b.Stop("node3") }, syscall.ENOENT},
		"crashed": {func(b *bed) error { return b.Crash("node3") }, syscall.ENOTCONN},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, cfsemu.MeasuredTiming())
			require.NoError(t, b.Partition("node2"))
			waits := b.waits(func() error { return b.n3.Create("f") })
			require.NoError(t, test.end(b))
			errno(t, syscall.ECONNABORTED, <-waits)
			require.NoError(t, b.Heal())
			for _, call := range []func() error{
				func() error { _, err := b.n3.Read(".version"); return err },
				func() error { return b.n3.Mkdir("d") },
				func() error { _, err := b.n3.Stat(""); return err },
			} {
				errno(t, test.after, call())
			}
			_, err := b.n3.FSVersion()
			errno(t, syscall.ECONNREFUSED, err)
			requireMembers(t, b.n1, "12", true)
			require.NoError(t, b.n1.Create("g"), "not blocked")
			require.ErrorContains(t, b.Stop("node3"), "is not running")

			require.NoError(t, b.Start("node3"))
			require.Equal(t, cfsemu.StateStarting, b.n3.State())
			calls := b.waits(func() error { _, err := b.n3.Read("g"); return err })
			b.seconds(0.95)
			require.Empty(t, calls, "hangs")
			b.seconds(0.05)
			require.NoError(t, <-calls)
			requireMembers(t, b.n1, "123", true)
			requireMembers(t, b.n3, "123", true)
			require.ErrorContains(t, b.Start("node3"), "is running already")
		})
	}
}

// Facts 3.1: a node whose pmxcfs is dead but whose corosync lives is offline,
// and counts for the quorum.
func TestCorosyncCountsForTheQuorum(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	require.NoError(t, b.Crash("node2"))
	require.NoError(t, b.Crash("node3"))
	requireMembers(t, b.n1, "1", true)
	require.NoError(t, b.n1.Create("f"))
	require.NoError(t, b.KillCorosync("node2"))
	requireMembers(t, b.n1, "1", true)
	require.NoError(t, b.KillCorosync("node3"))
	requireMembers(t, b.n1, "1", false)
}

// A node without power does not tell anybody, not even that its pmxcfs ended.
func TestPowerOff(t *testing.T) {
	b := newBed(t, cfsemu.MeasuredTiming())
	require.NoError(t, b.n3.Mkdir(lockFolder))
	require.NoError(t, b.n3.Mkdir(lock))
	require.NoError(t, b.PowerOff("node3"))
	waits := b.waits(func() error { return b.n1.Create("f") })
	requireMembers(t, b.n1, "123", true)
	b.seconds(7.98)
	require.NoError(t, <-waits)
	requireMembers(t, b.n1, "12", true)
	require.NoError(t, b.PowerOn("node3"))
	b.seconds(4)
	requireMembers(t, b.n3, "123", true)
	require.NoError(t, b.n3.Touch(lock), "the holder is a node, not a process")
}

// A node that starts without a network has its own files, but no quorum.
func TestStartWithoutNetwork(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	require.NoError(t, b.n1.Write("f", []byte("a")))
	require.NoError(t, b.PowerOff("node3"))
	require.NoError(t, b.n1.Write("f", []byte("b")))
	require.NoError(t, b.Start("node3"))
	require.Equal(t, "a", read(t, b.n3, "f"))
	requireMembers(t, b.n3, "", false)
	errno(t, syscall.EACCES, b.n3.Touch("f"))
	require.NoError(t, b.StartCorosync("node3"))
	require.Equal(t, "b", read(t, b.n3, "f"))
}

// Facts 5.1: changes reach the other nodes in order; here some do late.
func TestDelayedNodeSeesChangesInOrder(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	require.ErrorContains(t, b.SetDelay("node3", -1), "early")
	require.NoError(t, b.SetDelay("node3", 2*time.Second))
	require.NoError(t, b.n1.Write("f", []byte("one")))
	_, err := b.n3.Read("f")
	errno(t, syscall.ENOENT, err)
	b.seconds(1)
	require.NoError(t, b.n1.Write("f", []byte("three")))
	own := b.waits(func() error { return b.n3.Create("g") })
	require.Empty(t, read(t, b.n1, "g"), "the others have it at once")
	b.seconds(1)
	require.Equal(t, "one", read(t, b.n3, "f"))
	require.Empty(t, own, "its own change comes back in order")
	b.seconds(1)
	require.NoError(t, <-own)
	require.Equal(t, "three", read(t, b.n3, "f"))
}

func TestMessagesThatTakeTime(t *testing.T) {
	b := newBed(t, cfsemu.Timing{Message: time.Millisecond})
	waits := b.waits(func() error { return b.n1.Create("f") })
	_, err := b.n2.Read("f")
	errno(t, syscall.ENOENT, err)
	b.clock.Advance(time.Millisecond)
	require.NoError(t, <-waits)
	require.Empty(t, read(t, b.n2, "f"))
}

func TestStatusAfterARestart(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	require.NoError(t, b.n1.SetStatus("k", []byte("v")))
	require.NoError(t, b.Stop("node2"))
	require.NoError(t, b.Start("node2"))
	value, err := b.n2.Status("node1", "k")
	require.NoError(t, err, "the others send theirs again")
	require.Equal(t, "v", string(value))
	require.NoError(t, b.Stop("node1"))
	require.NoError(t, b.Start("node1"))
	_, err = b.n1.Status("node1", "k")
	errno(t, syscall.ENOENT, err, "the own is lost")
	_, err = b.n2.Status("node1", "k")
	require.NoError(t, err, "and known to the others")
}

func TestCloseEndsWaitingCalls(t *testing.T) {
	clock := cfsemu.NewManualClock(start)
	c, err := cfsemu.New(cfsemu.Config{Nodes: []string{"node1", "node2"}, Clock: clock, Timing: cfsemu.MeasuredTiming()})
	require.NoError(t, err)
	b := &bed{Cluster: c, t: t, clock: clock}
	require.NoError(t, c.Partition("node2"))
	waits := b.waits(func() error { return c.Node("node1").Create("f") })
	require.NoError(t, c.Close())
	errno(t, syscall.ENOTCONN, <-waits)
	errno(t, syscall.ENOTCONN, c.Node("node1").Create("f"))
	require.NoError(t, c.Close())
}

func TestConfigIsChecked(t *testing.T) {
	for want, cfg := range map[string]cfsemu.Config{
		"needs a node":              {},
		"is no name":                {Nodes: []string{"a_b"}},
		"named twice":               {Nodes: []string{"a", "a"}},
		`"-a" is no name of a node`: {Nodes: []string{"-a"}},
	} {
		_, err := cfsemu.New(cfg)
		require.ErrorContains(t, err, want)
	}
	b := newBed(t, cfsemu.Timing{})
	require.ErrorContains(t, b.Partition("node9"), `no node is named "node9", the nodes are node1, node2, node3`)
	for _, call := range []func(string) error{b.Start, b.Stop, b.Crash, b.PowerOff, b.PowerOn, b.StartCorosync, b.KillCorosync} {
		require.ErrorContains(t, call("x"), "no node is named")
	}
	require.ErrorContains(t, b.StepClock("x", 1), "no node is named")
	require.ErrorContains(t, b.SetDelay("x", 1), "no node is named")
	n4, _ := local(t)
	require.Nil(t, b.Node("node4"))
	require.Equal(t, 1, n4.ID())
}
