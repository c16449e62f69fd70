package cfsemu_test

import (
	"bytes"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/compat/cfsemu"
)

func (b *bed) inject(f cfsemu.Fault) int {
	b.t.Helper()
	id, err := b.Inject(f)
	require.NoError(b.t, err)
	return id
}

func TestFaultMakesCallsFail(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	id := b.inject(cfsemu.Fault{Node: "node1", Op: cfsemu.OpCreate, Path: "ha/*", Skip: 1, Count: 2, Kind: cfsemu.FaultError, Errno: syscall.ENOSPC})
	require.NoError(t, b.n2.Create("ha/other-node"))
	require.NoError(t, b.n1.Create("other-path"))
	require.NoError(t, b.n1.Mkdir("ha/other-operation"))
	require.NoError(t, b.n1.Create("ha/skipped"))
	errno(t, syscall.ENOSPC, b.n1.Create("ha/a"))
	errno(t, syscall.ENOSPC, b.n1.Create("ha/b"))
	require.NoError(t, b.n1.Create("ha/a"))
	require.True(t, b.RemoveFault(id))
	require.False(t, b.RemoveFault(id))
}

func TestFaultAfterTheEffect(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	b.inject(cfsemu.Fault{Op: cfsemu.OpMkdir, Kind: cfsemu.FaultError, Errno: syscall.EIO, After: true})
	errno(t, syscall.EIO, b.n1.Mkdir("d"))
	errno(t, syscall.EEXIST, b.n2.Mkdir("d"))
}

func TestFaultDelays(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	b.inject(cfsemu.Fault{Op: cfsemu.OpRead, Path: "corosync.conf", Kind: cfsemu.FaultDelay, Delay: 30 * time.Second})
	waits := b.waits(func() error { _, err := b.n1.Read("corosync.conf"); return err })
	require.NoError(t, b.n1.Create("f"), "other calls go on")
	b.seconds(29)
	require.Empty(t, waits)
	b.seconds(1)
	require.NoError(t, <-waits)
}

func TestFaultHangs(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(b *bed, id int)
		want syscall.Errno
	}{
		"removed": {func(b *bed, id int) { require.True(b.t, b.RemoveFault(id)) }, noError},
		"cleared": {func(b *bed, _ int) { b.ClearFaults() }, noError},
		"crash":   {func(b *bed, _ int) { require.NoError(b.t, b.Crash("node1")) }, syscall.ECONNABORTED},
		"stop":    {func(b *bed, _ int) { require.NoError(b.t, b.Stop("node1")) }, syscall.ECONNABORTED},
		"closed":  {func(b *bed, _ int) { require.NoError(b.t, b.Close()) }, syscall.ECONNABORTED},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, cfsemu.Timing{})
			id := b.inject(cfsemu.Fault{Op: cfsemu.OpStat, Path: "ha", Kind: cfsemu.FaultHang})
			result := make(chan error, 1)
			go func() { _, err := b.n1.Stat("ha"); result <- err }()
			require.Eventually(t, func() bool { return b.Hits(id) == 1 }, 10*time.Second, time.Millisecond)
			b.seconds(1e6)
			require.Empty(t, result)
			test.end(b, id)
			errno(t, test.want, <-result)
		})
	}
}

func TestFaultTruncates(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	require.NoError(t, b.n1.Write("f", []byte("abcdef")))
	id := b.inject(cfsemu.Fault{Node: "node2", Op: cfsemu.OpRead, Path: "f", Kind: cfsemu.FaultTruncate, Bytes: 3})
	require.Equal(t, "abc", read(t, b.n2, "f"))
	require.Equal(t, "abcdef", read(t, b.n1, "f"))
	require.True(t, b.RemoveFault(id))
	b.inject(cfsemu.Fault{Op: cfsemu.OpWrite, Kind: cfsemu.FaultTruncate, Bytes: 2})
	n, err := b.n1.WriteAt("f", []byte("XYZ"), 0)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Equal(t, "XYcdef", read(t, b.n2, "f"))
}

func TestFaultPatterns(t *testing.T) {
	for _, test := range []struct {
		pattern, path string
		want          bool
	}{
		{"", "anything/at/all", true},
		{"ha/*", "ha/manager_status", true},
		{"ha/*", "ha", false},
		{"nodes/*/lrm_status", "nodes/node1/lrm_status", true},
		{"priv/**", "priv/lock/l", true},
		{"priv/**", "priv", false},
		{"nodes/*/priv/**", "nodes/node1/priv/key", true},
		{"nodes/*/priv/**", "nodes/node1/lxc/key", false},
	} {
		b := newBed(t, cfsemu.Timing{})
		b.inject(cfsemu.Fault{Path: test.pattern, Kind: cfsemu.FaultError, Errno: syscall.EIO})
		_, err := b.n1.Stat(test.path)
		require.Equal(t, test.want, errors.Is(err, syscall.EIO), "%s and %s: %v", test.pattern, test.path, err)
	}
}

func TestFaultIsChecked(t *testing.T) {
	b := newBed(t, cfsemu.Timing{})
	for want, f := range map[string]cfsemu.Fault{
		"no kind of fault":    {Kind: "fire"},
		"needs an errno":      {Kind: cfsemu.FaultError},
		"needs a delay":       {Kind: cfsemu.FaultDelay},
		"cannot be cut":       {Kind: cfsemu.FaultTruncate, Bytes: -1},
		"no node is named":    {Kind: cfsemu.FaultHang, Node: "x"},
		"the pattern":         {Kind: cfsemu.FaultHang, Path: "[/**"},
		"no operation of the": {Kind: cfsemu.FaultHang, Op: "fly"},
	} {
		_, err := b.Inject(f)
		require.ErrorContains(t, err, want)
	}
}

// A status file under any fault is the old or the new one, where it is written
// beside and renamed.
func TestFaultsLeaveAReplacedFileWhole(t *testing.T) {
	for _, op := range []cfsemu.Op{cfsemu.OpCreate, cfsemu.OpWrite, cfsemu.OpRename} {
		for _, after := range []bool{false, true} {
			b := newBed(t, cfsemu.Timing{})
			older, newer := bytes.Repeat([]byte("o"), 300<<10), bytes.Repeat([]byte("n"), 300<<10)
			require.NoError(t, b.n1.Replace("ha/manager_status", older))
			b.inject(cfsemu.Fault{Op: op, Skip: 0, Count: 1, Kind: cfsemu.FaultError, Errno: syscall.EIO, After: after})
			errno(t, syscall.EIO, b.n1.Replace("ha/manager_status", newer))
			want := older
			if op == cfsemu.OpRename && after {
				want = newer
			}
			require.Equal(t, string(want), read(t, b.n2, "ha/manager_status"), "%s %v", op, after)
		}
	}
}
