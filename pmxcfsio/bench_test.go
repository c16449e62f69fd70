package pmxcfsio_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
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
func benchmarkNotice(b *testing.B, name string, write func(bed *bed, f *pmxcfsio.FS, i int) error) {
	for _, withIPC := range []bool{false, true} {
		b.Run(fmt.Sprintf("ipc=%t", withIPC), func(b *testing.B) {
			bed := newBed(b, realClock, fusemount.MeasuredCache)
			var ipc pmxcfsio.IPC
			if withIPC {
				ipc = bed.client(b, "node1")
			}
			f := bed.fs(b, "node1", ipc)
			w := f.Watch(ctx, pmxcfsio.WatchConfig{Nodes: func() []string { return []string{"node1", "node2", "node3"} }})
			defer w.Close()
			var took []time.Duration
			for i := 0; b.Loop(); i++ {
				start := time.Now()
				require.NoError(b, write(bed, f, i))
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
	benchmarkNotice(b, pmxcfsio.ManagerStatusFile, func(_ *bed, f *pmxcfsio.FS, i int) error {
		return f.Write(ctx, pmxcfsio.ManagerStatusFile, strconv.AppendInt(nil, int64(i), 10))
	})
}

func BenchmarkNoticeChangeOfAnotherNode(b *testing.B) {
	benchmarkNotice(b, pmxcfsio.ManagerStatusFile, func(bed *bed, _ *pmxcfsio.FS, i int) error {
		return bed.Node("node2").Replace(pmxcfsio.ManagerStatusFile, strconv.AppendInt(nil, int64(i), 10))
	})
}

// BenchmarkNoticeStatusOfAnotherNode is of a file whose changes pmxcfs does not
// count.
func BenchmarkNoticeStatusOfAnotherNode(b *testing.B) {
	name := pmxcfsio.LRMStatusFile("node3")
	benchmarkNotice(b, name, func(bed *bed, _ *pmxcfsio.FS, i int) error {
		return bed.Node("node3").Replace(name, strconv.AppendInt(nil, int64(i), 10))
	})
}

// The process that watches in BenchmarkIdleWatcher is this test binary, told by
// the environment what to do.
const (
	watchRoot = "PVEHA_TEST_WATCH_ROOT"
	watchIPC  = "PVEHA_TEST_WATCH_IPC"
	watchFor  = "PVEHA_TEST_WATCH_FOR"
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
	for _, withIPC := range []bool{false, true} {
		for _, statuses := range []string{"", "node1 node2 node3"} {
			b.Run(fmt.Sprintf("ipc=%t statuses=%t", withIPC, statuses != ""), func(b *testing.B) {
				bed := newBed(b, realClock, fusemount.MeasuredCache)
				for _, n := range bed.Nodes() {
					require.NoError(b, n.Replace(pmxcfsio.LRMStatusFile(n.Name()), []byte(`{"mode":"active","results":{},"state":"active","timestamp":1}`)))
				}
				name := ""
				if withIPC {
					name = bed.name + "node1"
				}
				for b.Loop() {
					used := watchIdly(b, bed.mounts.Path("node1"), name, statuses, long)
					b.ReportMetric(100*used.Seconds()/long.Seconds(), "%core")
				}
			})
		}
	}
}

// watchIdly runs a process that watches, and returns how much processor time
// that took it.
func watchIdly(t testing.TB, root, ipc, statuses string, long time.Duration) time.Duration {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, "-test.run=^TestIdleWatcherProcess$", "-test.v")
	cmd.Env = append(os.Environ(), watchRoot+"="+root, watchIPC+"="+ipc, watchFor+"="+long.String(), "STATUSES="+statuses)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	_, text, found := strings.Cut(string(out), "processor time: ")
	require.True(t, found, string(out))
	used, err := time.ParseDuration(strings.Fields(text)[0])
	require.NoError(t, err)
	return used
}

func TestIdleWatcherProcess(t *testing.T) {
	root := os.Getenv(watchRoot)
	if root == "" {
		t.Skip("it is a part of BenchmarkIdleWatcher")
	}
	long, err := time.ParseDuration(os.Getenv(watchFor))
	require.NoError(t, err)
	cfg := pmxcfsio.Config{Root: root}
	if name := os.Getenv(watchIPC); name != "" {
		client := ipcc.New(ipcc.Config{Name: name})
		defer client.Close()
		cfg.IPC = client
	}
	f, err := pmxcfsio.New(cfg)
	require.NoError(t, err)
	nodes := strings.Fields(os.Getenv("STATUSES"))
	w := f.Watch(ctx, pmxcfsio.WatchConfig{Nodes: func() []string { return nodes }})
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
