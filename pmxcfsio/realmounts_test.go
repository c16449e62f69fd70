package pmxcfsio_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/internal/envtest"
	"pveha/pmxcfsio"
)

// realMounts is the variable with the folders, separated by commas, where the
// nodes of a real cluster are mounted. The suite takes locks and makes files
// and two guests of its own there, and removes them. It takes an hour.
const realMounts = "PVEHA_REAL_PMXCFS"

// realWorld is a cluster whose mounts are given.
type realWorld struct {
	nodes []string
	fs    map[string]*pmxcfsio.FS
}

// Names that nobody else uses.
const (
	ownFolder         = "pveha-contract"
	ownCounted        = "sdn/pve-ipam-state.json"
	ownGuest, ownFree = 4_000_000_000, 4_000_000_001
)

func newRealWorld(t *testing.T, folders []string) *realWorld {
	t.Helper()
	w := &realWorld{fs: map[string]*pmxcfsio.FS{}}
	for _, folder := range folders {
		f, err := pmxcfsio.New(pmxcfsio.Config{Root: folder})
		require.NoError(t, err)
		m, err := f.Members(ctx)
		require.NoError(t, err)
		require.NotContains(t, w.nodes, m.Node, "two folders are of one node")
		w.nodes = append(w.nodes, m.Node)
		w.fs[m.Node] = f
	}
	slices.Sort(w.nodes)
	require.GreaterOrEqual(t, len(w.nodes), 3, "the suite needs three nodes")
	w.tidy(t)
	t.Cleanup(func() { w.tidy(t) })
	f := w.fs[w.nodes[0]]
	for _, folder := range []string{ownFolder, "sdn"} {
		if err := f.Mkdir(ctx, folder); err != nil {
			require.ErrorIs(t, err, pmxcfsio.ErrExists)
		}
	}
	_, err := f.Read(ctx, ownCounted)
	require.ErrorIs(t, err, pmxcfsio.ErrAbsent, "the suite is for clusters in a laboratory")
	require.NoError(t, f.Write(ctx, pmxcfsio.GuestFile(w.nodes[0], pmxcfsio.GuestQemu, ownGuest), []byte("name: contract\n")))
	return w
}

// tidy removes what the suite may have left.
func (w *realWorld) tidy(t testing.TB) {
	t.Helper()
	root := w.fs[w.nodes[0]].Root()
	names := w.Names()
	left := []string{
		"priv/lock/" + names.Locks[0], "priv/lock/" + names.Locks[1], "priv/lock/domain-" + names.Domain,
		names.File, ownFolder, names.Counted,
	}
	for _, node := range w.nodes {
		for _, id := range []uint32{ownGuest, ownFree} {
			left = append(left, pmxcfsio.GuestFile(node, pmxcfsio.GuestQemu, id), pmxcfsio.GuestFile(node, pmxcfsio.GuestLXC, id))
		}
	}
	for _, name := range left {
		// What FUSE puts aside for readers goes a moment later, and with it the
		// folder.
		require.Eventually(t, func() bool {
			return os.RemoveAll(filepath.Join(root, name)) == nil
		}, patience, tick, name)
	}
}

func (w *realWorld) Nodes() []string           { return w.nodes }
func (w *realWorld) FS(node string) envtest.FS { return envtest.RealFS(w.fs[node]) }
func (w *realWorld) Slack() int64              { return 2 }
func (w *realWorld) Advance(seconds int64)     { time.Sleep(time.Duration(seconds) * time.Second) }

func (w *realWorld) Names() envtest.FSNames {
	return envtest.FSNames{
		Locks: [2]string{"pveha-contract-one", "pveha-contract-two"}, Domain: "pveha-contract",
		File: ownFolder + "/status", Counted: ownCounted, Guest: ownGuest, NoGuest: ownFree,
	}
}

func (w *realWorld) Set(envtest.Condition, string, bool) error { return errors.ErrUnsupported }

func (w *realWorld) Lacks() map[envtest.Condition]string {
	const why = "a cluster that others may use is not to be harmed"
	return map[envtest.Condition]string{envtest.CutOff: why, envtest.NoFiles: why, envtest.DeadMount: why}
}

// TestContractOnRealMounts is for who has a cluster: without one there is
// nothing to run on, and nothing left out.
func TestContractOnRealMounts(t *testing.T) {
	folders := os.Getenv(realMounts)
	if folders == "" {
		t.Log("no real cluster: " + realMounts + " is not set")
		return
	}
	envtest.RunFS(t, func(t *testing.T) envtest.FSWorld { return newRealWorld(t, strings.Split(folders, ",")) })
}

// TestRealMountsAreTidied runs what takes no time of the suite for real mounts
// on emulated ones.
func TestRealMountsAreTidied(t *testing.T) {
	b := newBed(t, realClock, 0)
	var folders []string
	for _, n := range b.Nodes() {
		folders = append(folders, b.mounts.Path(n.Name()))
	}
	for _, c := range envtest.FSContract() {
		switch c.Name {
		case "one node holds a lock", "a removed file is absent", "an ID that is taken is taken on every node, for every type",
			"any node moves a guest, and every node sees it", "a change of a file is counted on every node, and of others it is not",
			"readers see the old file or the new one", "locks of different names are different locks":
			t.Run(c.Name, func(t *testing.T) { c.Check(t, newRealWorld(t, folders)) })
		}
	}
}
