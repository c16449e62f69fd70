package pmxcfsio_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"pveha/compat/cfsemu/fusemount"
	"pveha/pmxcfsio"
	"pveha/pmxcfsio/ipcc"
)

// benchmarkNotice measures how long it takes until a watcher of node1 tells of
// what write does.
func benchmarkNotice(b *testing.B, name string, own bool) {
	for _, way := range []struct{ ipc, journal bool }{{false, false}, {true, false}, {true, true}} {
		b.Run(fmt.Sprintf("ipc=%t journal=%t", way.ipc, way.journal), func(b *testing.B) {
			bed := newBed(b, realClock, fusemount.MeasuredCache)
			var ipc pmxcfsio.IPC
			if way.ipc {
				ipc = bed.client(b, "node1")
			}
			f := bed.fs(b, "node1", ipc)
			if way.journal {
				f = bed.journaled(b, ipc)
			}
			w := f.Watch(ctx, pmxcfsio.WatchConfig{Nodes: func() []string { return []string{"node1", "node2", "node3"} }})
			defer w.Close()
			var took []time.Duration
			for i := 0; b.Loop(); i++ {
				start := time.Now()
				data := strconv.AppendInt(nil, int64(i), 10)
				if own {
					require.NoError(b, f.Write(ctx, name, data))
				} else {
					require.NoError(b, bed.Node("node3").Replace(name, data))
				}
				for !slices.Contains(<-w.Events(), file(name)) {
				}
				took = append(took, time.Since(start))
			}
			slices.Sort(took)
			b.ReportMetric(milliseconds(took[len(took)/2]), "ms-median")
			b.ReportMetric(milliseconds(took[len(took)-1]), "ms-max")
		})
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func BenchmarkNoticeOwnChange(b *testing.B) {
	benchmarkNotice(b, pmxcfsio.ManagerStatusFile, true)
}

// BenchmarkNoticeChangeOfAnotherNode makes each change right after a look, so
// that without a journal it waits for the whole pause.
func BenchmarkNoticeChangeOfAnotherNode(b *testing.B) {
	benchmarkNotice(b, pmxcfsio.ManagerStatusFile, false)
}

// BenchmarkNoticeStatusOfAnotherNode is of a file whose changes pmxcfs does not
// count.
func BenchmarkNoticeStatusOfAnotherNode(b *testing.B) {
	benchmarkNotice(b, pmxcfsio.LRMStatusFile("node3"), false)
}

// The process that watches in BenchmarkIdleWatcher is this test binary, told by
// the environment what to do.
const (
	watchRoot    = "PVEHA_TEST_WATCH_ROOT"
	watchIPC     = "PVEHA_TEST_WATCH_IPC"
	watchJournal = "PVEHA_TEST_WATCH_JOURNAL"
	watchFor     = "PVEHA_TEST_WATCH_FOR"
)

// BenchmarkIdleWatcher measures what a watcher costs while nothing happens: the
// processor time of a process of its own, which does nothing else. PVEHA_IDLE
// is for how long.
func BenchmarkIdleWatcher(b *testing.B) {
	long := 10 * time.Second
	if text := os.Getenv("PVEHA_IDLE"); text != "" {
		var err error
		long, err = time.ParseDuration(text)
		require.NoError(b, err)
	}
	for _, way := range []struct{ ipc, journal bool }{{false, false}, {true, false}, {false, true}, {true, true}} {
		b.Run(fmt.Sprintf("ipc=%t journal=%t", way.ipc, way.journal), func(b *testing.B) {
			bed := newBed(b, realClock, fusemount.MeasuredCache)
			for _, n := range bed.Nodes() {
				require.NoError(b, n.Replace(pmxcfsio.LRMStatusFile(n.Name()), []byte(`{"mode":"active","results":{},"state":"active","timestamp":1}`)))
			}
			name, journal := "", ""
			if way.ipc {
				name = bed.name + "node1"
			}
			if way.journal {
				journal = filepath.Join(bed.journal, "node1")
			}
			for b.Loop() {
				used := watchIdly(b, bed.mounts.Path("node1"), name, journal, long)
				b.ReportMetric(100*used.Seconds()/long.Seconds(), "%core")
			}
		})
	}
}

// watchIdly runs a process that watches, and returns how much processor time
// that took it.
func watchIdly(t testing.TB, root, ipc, journal string, long time.Duration) time.Duration {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, "-test.run=^TestIdleWatcherProcess$", "-test.v")
	cmd.Env = append(os.Environ(), watchRoot+"="+root, watchIPC+"="+ipc, watchFor+"="+long.String(), watchJournal+"="+journal)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	_, text, found := strings.Cut(string(out), "processor time: ")
	require.True(t, found, string(out))
	used, err := time.ParseDuration(strings.Fields(text)[0])
	require.NoError(t, err)
	return used
}

// TestIdleWatcherProcess is the watching process of BenchmarkIdleWatcher, and
// does nothing by itself.
func TestIdleWatcherProcess(t *testing.T) {
	root := os.Getenv(watchRoot)
	if root == "" {
		return
	}
	long, err := time.ParseDuration(os.Getenv(watchFor))
	require.NoError(t, err)
	cfg := pmxcfsio.Config{Root: root, Journal: os.Getenv(watchJournal)}
	if name := os.Getenv(watchIPC); name != "" {
		client := ipcc.New(ipcc.Config{Name: name})
		defer client.Close()
		cfg.IPC = client
	}
	f, err := pmxcfsio.New(cfg)
	require.NoError(t, err)
	w := f.Watch(ctx, pmxcfsio.WatchConfig{Nodes: func() []string { return []string{"node1", "node2", "node3"} }})
	defer w.Close()
	idle, cancel := context.WithTimeout(ctx, time.Second) // the first looks are not what it costs later
	defer cancel()
	<-idle.Done()
	before := processorTime(t)
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-timer.C:
	case batch := <-w.Events():
		require.Fail(t, "something happened", batch)
	}
	fmt.Println("processor time:", processorTime(t)-before)
}

// processorTime is what this process has used.
func processorTime(t testing.TB) time.Duration {
	t.Helper()
	var r unix.Rusage
	require.NoError(t, unix.Getrusage(unix.RUSAGE_SELF, &r))
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func BenchmarkRead(b *testing.B) {
	for _, withIPC := range []bool{false, true} {
		b.Run(fmt.Sprintf("ipc=%t", withIPC), func(b *testing.B) {
			bed := newBed(b, realClock, fusemount.MeasuredCache)
			var ipc pmxcfsio.IPC
			if withIPC {
				ipc = bed.client(b, "node1")
			}
			f := bed.fs(b, "node1", ipc)
			require.NoError(b, f.Write(ctx, statusFile, make([]byte, 10<<10)))
			for b.Loop() {
				_, err := f.Read(ctx, statusFile)
				require.NoError(b, err)
			}
		})
	}
}

func BenchmarkWrite(b *testing.B) {
	f := newBed(b, realClock, fusemount.MeasuredCache).fs(b, "node1", nil)
	data := make([]byte, 10<<10)
	for b.Loop() {
		require.NoError(b, f.Write(ctx, statusFile, data))
	}
}

func BenchmarkRefreshLock(b *testing.B) {
	f := newBed(b, realClock, fusemount.MeasuredCache).fs(b, "node1", nil)
	lock := f.NodeLock("x")
	for b.Loop() {
		require.NoError(b, lock.Take(ctx))
	}
}
