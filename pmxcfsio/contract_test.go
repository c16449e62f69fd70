package pmxcfsio_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/compat/cfsemu"
	"pveha/internal/envtest"
	"pveha/pmxcfsio"
)

// fsWorld is a bed whose time is simulated.
type fsWorld struct {
	*bed
	clock *cfsemu.ManualClock
	cache time.Duration // real time that names and attributes are kept for
	fs    map[string]envtest.FS
}

const contractGuest, contractNoGuest = 100, 4_000_000_001

func newFSWorld(t *testing.T, withIPC bool, cache time.Duration) *fsWorld {
	t.Helper()
	clock := cfsemu.NewManualClock(epoch)
	w := &fsWorld{bed: newBed(t, clock, cache), clock: clock, cache: cache, fs: map[string]envtest.FS{}}
	for _, n := range w.Cluster.Nodes() {
		var ipc pmxcfsio.IPC
		if withIPC {
			ipc = w.client(t, n.Name())
		}
		w.fs[n.Name()] = envtest.RealFS(w.bed.fs(t, n.Name(), ipc))
	}
	require.NoError(t, w.Node("node1").Write(pmxcfsio.GuestFile("node1", pmxcfsio.GuestQemu, contractGuest), []byte("name: one\n")))
	return w
}

func (w *fsWorld) Nodes() []string                     { return []string{"node1", "node2", "node3"} }
func (w *fsWorld) FS(node string) envtest.FS           { return w.fs[node] }
func (w *fsWorld) Slack() int64                        { return 0 }
func (w *fsWorld) Lacks() map[envtest.Condition]string { return nil }

func (w *fsWorld) Names() envtest.FSNames {
	return envtest.FSNames{
		Locks: [2]string{pmxcfsio.ManagerLock, pmxcfsio.AgentLock("node2")}, Domain: pmxcfsio.HADomain,
		File: pmxcfsio.ManagerStatusFile, Counted: pmxcfsio.ManagerStatusFile, Guest: contractGuest, NoGuest: contractNoGuest,
	}
}

func (w *fsWorld) Advance(seconds int64) {
	w.clock.Advance(time.Duration(seconds) * time.Second)
	if w.cache > 0 {
		time.Sleep(w.cache + 10*time.Millisecond) // the kernel's time is real
	}
}

func (w *fsWorld) Set(c envtest.Condition, node string, on bool) error {
	begin, end := map[envtest.Condition]func(string) error{
		envtest.CutOff:    func(n string) error { return w.Partition(n) },
		envtest.NoFiles:   w.Stop,
		envtest.DeadMount: w.Crash,
	}, map[envtest.Condition]func(string) error{
		envtest.CutOff:    func(n string) error { return w.Heal(n) },
		envtest.NoFiles:   w.Start,
		envtest.DeadMount: w.Start,
	}
	do := begin[c]
	if !on {
		do = end[c]
	}
	if do == nil {
		return errors.ErrUnsupported
	}
	if c == envtest.DeadMount && !on {
		w.Advance(0) // until the kernel forgets the attributes of the dead mount
	}
	return do(node)
}

func TestContractOfTheClusterFileSystem(t *testing.T) {
	for _, ipc := range []bool{false, true} {
		for _, cache := range []time.Duration{0, 50 * time.Millisecond} {
			t.Run(fmt.Sprintf("ipc=%t cache=%v", ipc, cache), func(t *testing.T) {
				envtest.RunFS(t, func(t *testing.T) envtest.FSWorld { return newFSWorld(t, ipc, cache) })
			})
		}
	}
}
