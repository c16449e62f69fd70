//go:build deb

package packaging

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/compat/e2e/bed"
	"pveha/internal/ha"
)

// settleLimit is how long a cluster may take to have all its services in order.
const settleLimit = 90 * time.Second

// cluster is some nodes with the stand-in of the Perl package.
type cluster struct {
	*bed.Cluster
	t      *testing.T
	places map[string]string // guest: its node
}

// newCluster boots nodes, installs the stand-in on them, and starts the guests.
func newCluster(t *testing.T, nodes []string, places map[string]string) *cluster {
	t.Helper()
	inner, err := lab.Cluster(t.Name(), nodes, t.Logf)
	require.NoError(t, err)
	c := &cluster{Cluster: inner, t: t, places: places}
	t.Cleanup(func() {
		if t.Failed() {
			c.explain()
		}
		require.NoError(t, c.Close())
	})
	require.NoError(t, c.PowerOn())
	files := c.Files.Node(nodes[0])
	c.eventually("quorum", 20*time.Second, func() (bool, error) { return files.Quorate(), nil })
	for _, n := range nodes {
		require.NoError(t, c.Files.Node(n).SetStatus("kv/version-info", []byte(`{"release":"9.1","version":"9.1.6","repoid":"x"}`+"\x00")))
	}
	var resources strings.Builder
	for guest, node := range places {
		kind, id, _ := strings.Cut(guest, ":")
		folder := map[string]string{"vm": "qemu-server", "ct": "lxc"}[kind]
		require.NoError(t, files.Write(fmt.Sprintf("nodes/%s/%s/%s.conf", node, folder, id), []byte("name: x\n")))
		fmt.Fprintf(&resources, "%s: %s\n\tstate started\n\n", kind, id)
	}
	if err := files.Mkdir("ha"); err != nil {
		t.Log("the folder ha: ", err) // there already
	}
	require.NoError(t, files.Write("ha/resources.cfg", []byte(resources.String())))
	for _, n := range nodes {
		c.run(n, "dpkg", "-i", perlFile(firstPerl))
	}
	c.settle()
	return c
}

// run runs a command on a node, which must succeed.
func (c *cluster) run(node string, args ...string) string {
	c.t.Helper()
	out, err := c.Node(node).Run(args...)
	require.NoError(c.t, err)
	return out
}

// shell runs a shell's command line on a node.
func (c *cluster) shell(node, line string) string {
	c.t.Helper()
	return c.run(node, "sh", "-c", line)
}

func (c *cluster) eventually(what string, limit time.Duration, ask func() (bool, error)) {
	c.t.Helper()
	if err := bed.Eventually(limit, ask); err != nil {
		require.NoError(c.t, fmt.Errorf("%s: %w", what, err))
	}
}

func (c *cluster) status() (*ha.ManagerStatus, error) {
	data, err := c.Files.Nodes()[0].Read("ha/manager_status")
	if err != nil {
		return nil, err
	}
	return ha.ParseManagerStatus("ha/manager_status", data)
}

// lrm is the status of a node's LRM.
func (c *cluster) lrm(node string) (*ha.LRMStatus, error) {
	file := "nodes/" + node + "/lrm_status"
	data, err := c.Files.Node(node).Read(file)
	if err != nil {
		return nil, err
	}
	return ha.ParseLRMStatus(file, data)
}

// settle waits until every guest runs where it was, protected by its LRM.
func (c *cluster) settle() {
	c.t.Helper()
	c.eventually("order in the cluster", settleLimit, func() (bool, error) {
		status, err := c.status()
		if err != nil {
			return false, err
		}
		for guest, node := range c.places {
			s := status.ServiceStatus[ha.SID(guest)]
			running, err := c.Ledger.Running(guest)
			if err != nil || !running || s == nil || s.State != ha.Started || s.Node != node {
				return false, fmt.Errorf("%s: running %t, status %+v: %w", guest, running, s, err)
			}
			if lrm, err := c.lrm(node); err != nil || lrm.State != ha.LRMActive {
				return false, fmt.Errorf("LRM of %s: %+v: %w", node, lrm, err)
			}
		}
		return true, nil
	})
}

// judge asks whether the guests have noticed anything: each was started once,
// and wrote in every second.
func (c *cluster) judge() {
	c.t.Helper()
	for guest, node := range c.places {
		starts, err := c.Ledger.Starts(guest)
		require.NoError(c.t, err)
		require.Equal(c.t, 1, starts, "starts of %s", guest)
		place, err := c.Ledger.Place(guest)
		require.NoError(c.t, err)
		require.Equal(c.t, node, place, guest)
		beats, pause, err := c.Ledger.Beats(guest)
		require.NoError(c.t, err)
		require.Less(c.t, pause, 2*time.Second, "longest silence of %s", guest)
		c.t.Logf("MEASURED %s: 1 start, %d beats, longest pause %s", guest, beats, pause)
	}
	screams, err := c.Ledger.Screams()
	require.NoError(c.t, err)
	require.Empty(c.t, screams)
	for _, n := range c.Nodes() {
		require.Zero(c.t, n.WatchdogFired(), "watchdog of %s", n.Name)
	}
	require.NoError(c.t, c.Problems())
}

// explain keeps the logs of a cluster that failed.
func (c *cluster) explain() {
	dir := os.Getenv("PVEHA_DEB_LOGS")
	for _, n := range c.Nodes() {
		text, err := n.Log()
		if err != nil {
			c.t.Log(err)
			continue
		}
		if dir != "" {
			_ = os.WriteFile(filepath.Join(dir, c.t.Name()+"-"+n.Name+".log"), []byte(text), 0o644)
		}
		lines := strings.Split(text, "\n")
		c.t.Logf("the last of %s:\n%s", n.Name, strings.Join(lines[max(0, len(lines)-60):], "\n"))
	}
}
