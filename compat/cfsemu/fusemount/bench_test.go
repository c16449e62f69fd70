package fusemount_test

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"pveha/compat/cfsemu"
	"pveha/compat/cfsemu/fusemount"
)

// BenchmarkMount measures what a process on a node sees, with a thousand
// guests, beside the latencies of facts 8.
func BenchmarkMount(b *testing.B) {
	if err := fusemount.Available(); err != nil {
		b.Skip(err)
	}
	c, err := cfsemu.New(cfsemu.Config{Nodes: []string{"node1", "node2", "node3"}})
	require.NoError(b, err)
	m, err := fusemount.Mount(c, fusemount.Config{Dir: b.TempDir(), Cache: fusemount.MeasuredCache})
	require.NoError(b, err)
	defer func() { require.NoError(b, m.Close()) }()
	for i := range 1000 {
		require.NoError(b, c.Node("node1").Create(fmt.Sprintf("nodes/node%d/qemu-server/%d.conf", 1+i%3, 100+i)))
	}
	top := m.Path("node1") + "/"
	status := bytes.Repeat([]byte("x"), 10<<10)
	require.NoError(b, os.WriteFile(top+"ha/manager_status", status, 0o600))
	require.NoError(b, os.Mkdir(top+"priv/lock", 0o700))
	lock := top + "priv/lock/l"
	read := func(name string) func() error {
		return func() error { _, err := os.ReadFile(top + name); return err }
	}
	for _, bench := range []struct {
		name string
		run  func() error
	}{
		{"read 10 KiB", read("ha/manager_status")},
		{"read .version", read(".version")},
		{"read .vmlist", read(".vmlist")},
		{"replace 10 KiB", func() error {
			if err := os.WriteFile(top+"ha/manager_status.tmp", status, 0o600); err != nil {
				return err
			}
			return os.Rename(top+"ha/manager_status.tmp", top+"ha/manager_status")
		}},
		{"take and free a lock", func() error {
			if err := os.Mkdir(lock, 0o700); err != nil {
				return err
			}
			return os.Remove(lock)
		}},
		{"refused unlock", func() error {
			_ = os.Mkdir(lock, 0o700) // there after the first time
			_ = unix.Utimes(lock, make([]unix.Timeval, 2))
			return nil
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			for b.Loop() {
				if err := bench.run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkPolledTenTimesASecond measures how much of a core an emulator and
// six processes cost that read .version ten times a second each.
func BenchmarkPolledTenTimesASecond(b *testing.B) {
	if err := fusemount.Available(); err != nil {
		b.Skip(err)
	}
	c, err := cfsemu.New(cfsemu.Config{Nodes: []string{"node1", "node2", "node3"}})
	require.NoError(b, err)
	m, err := fusemount.Mount(c, fusemount.Config{Dir: b.TempDir(), Cache: fusemount.MeasuredCache})
	require.NoError(b, err)
	defer func() { require.NoError(b, m.Close()) }()
	start, rounds := cpuTime(b), 0
	begin := time.Now()
	for b.Loop() {
		for i := range 6 {
			_, err := os.ReadFile(m.Path(fmt.Sprintf("node%d", 1+i%3)) + "/.version")
			require.NoError(b, err)
		}
		rounds++
		time.Sleep(time.Until(begin.Add(time.Duration(rounds) * 100 * time.Millisecond)))
	}
	b.ReportMetric(100*float64(cpuTime(b)-start)/float64(time.Since(begin)), "%core")
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage unix.Rusage
	require.NoError(b, unix.Getrusage(unix.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
