//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/compat/cfsemu"
	"pveha/compat/e2e/bed"
	"pveha/internal/ha"
)

const (
	// settleLimit is how long a cluster may take to be in order again when no
	// node has to be fenced any more.
	settleLimit = 90 * time.Second
	// lockLimit is how long a lock may outlive its holder, with a round of
	// whoever takes it.
	lockLimit = 140 * time.Second
	// fenceLimit is how long a guest of a dead node may take to run elsewhere.
	fenceLimit = 130 * time.Second
	// resetLimit is how long a node may live that cannot refresh its lock: the 20
	// seconds for which its LRM feeds the watchdog all the same, the client's minute,
	// the device's ten seconds, and what these looks are apart. See lrm.Config.
	resetLimit = 94 * time.Second
)

var names = []string{"n1", "n2", "n3"}

// cluster is a live cluster with its test.
type cluster struct {
	*bed.Cluster
	t      *testing.T
	guests []string // that must run
}

// newCluster boots three nodes with guests, "vm:100" or "ct:200", on the nodes
// named, and waits until they run.
func newCluster(t *testing.T, places map[string]string, datacenter ...string) *cluster {
	t.Helper()
	inner, err := lab.Cluster(t.Name(), names, t.Logf)
	require.NoError(t, err)
	c := &cluster{Cluster: inner, t: t, guests: slices.Sorted(maps.Keys(places))}
	t.Cleanup(func() {
		if t.Failed() {
			c.explain()
		}
		require.NoError(t, c.Close())
	})
	require.NoError(t, c.PowerOn())
	c.eventually("quorum", time.Minute, func() (bool, error) {
		return !slices.ContainsFunc(c.Files.Nodes(), func(n *cfsemu.Node) bool { return !n.Quorate() }), nil
	})
	if len(datacenter) > 0 {
		require.NoError(t, c.Files.Node("n1").Write("datacenter.cfg", []byte(strings.Join(datacenter, "\n")+"\n")))
	}
	for _, guest := range c.guests {
		require.NoError(t, c.Files.Node("n1").Write(configOf(places[guest], guest), []byte("name: "+strings.ReplaceAll(guest, ":", "")+"\n")))
		c.run("n1", "ha-manager", "add", guest)
	}
	c.settle(settleLimit)
	for guest, node := range places {
		require.Equal(t, node, c.place(guest))
	}
	return c
}

// configOf is the place of a guest's configuration.
func configOf(node, guest string) string {
	kind, id, _ := strings.Cut(guest, ":")
	folder := map[string]string{"vm": "qemu-server", "ct": "lxc"}[kind]
	return fmt.Sprintf("nodes/%s/%s/%s.conf", node, folder, id)
}

// run runs a command on a node, which must succeed.
func (c *cluster) run(node string, args ...string) string {
	c.t.Helper()
	out, err := c.Node(node).Run(args...)
	require.NoError(c.t, err)
	return out
}

// eventually waits for something.
func (c *cluster) eventually(what string, limit time.Duration, ask func() (bool, error)) {
	c.t.Helper()
	if err := bed.Eventually(limit, ask); err != nil {
		require.NoError(c.t, fmt.Errorf("%s: %w", what, err))
	}
}

// files is the cluster file system of a node with quorum.
func (c *cluster) files() (*cfsemu.Node, error) {
	for _, n := range c.Files.Nodes() {
		if n.State() == cfsemu.StateRunning && n.Quorate() {
			return n, nil
		}
	}
	return nil, fmt.Errorf("no node has quorum")
}

// status is the manager status.
func (c *cluster) status() (*ha.ManagerStatus, error) {
	files, err := c.files()
	if err != nil {
		return nil, err
	}
	data, err := files.Read("ha/manager_status")
	if err != nil {
		return nil, err
	}
	return ha.ParseManagerStatus("ha/manager_status", data)
}

// master is the node that decides.
func (c *cluster) master() string {
	c.t.Helper()
	status, err := c.status()
	require.NoError(c.t, err)
	return status.MasterNode
}

// other is the first node that is none of these.
func other(nodes ...string) string {
	for _, name := range names {
		if !slices.Contains(nodes, name) {
			return name
		}
	}
	return ""
}

// place is where a guest runs, "" for nowhere.
func (c *cluster) place(guest string) string {
	c.t.Helper()
	place, err := c.Ledger.Place(guest)
	require.NoError(c.t, err)
	return place
}

// state is the state of a service in the manager status.
func (c *cluster) state(guest string) (ha.ServiceState, error) {
	status, err := c.status()
	if err != nil {
		return "", err
	}
	sid, err := ha.ParseSID(guest)
	if err != nil {
		return "", err
	}
	if s := status.ServiceStatus[sid]; s != nil {
		return s.State, nil
	}
	return "", nil
}

// settle waits until everything is in order, and then judges.
func (c *cluster) settle(limit time.Duration) {
	c.t.Helper()
	c.eventually("order in the cluster", limit, func() (bool, error) { return true, c.disorder() })
	c.judge()
}

// disorder is what is not as it must be in the end: every node online, every
// guest started and running where its configuration is. Without a guest nobody
// becomes master.
func (c *cluster) disorder() error {
	if len(c.guests) == 0 {
		return nil
	}
	status, err := c.status()
	if err != nil {
		return err
	}
	for _, n := range c.Nodes() {
		if state := status.NodeStatus[n.Name]; n.On() != (state == ha.NodeOnline) {
			return fmt.Errorf("%s: power on: %t, state %q", n.Name, n.On(), state)
		}
	}
	for _, guest := range c.guests {
		if err := c.astray(status, guest); err != nil {
			return err
		}
	}
	return nil
}

// astray is what is not as it must be with one guest.
func (c *cluster) astray(status *ha.ManagerStatus, guest string) error {
	sid, err := ha.ParseSID(guest)
	if err != nil {
		return err
	}
	place, err := c.Ledger.Place(guest)
	if err != nil {
		return err
	}
	service := status.ServiceStatus[sid]
	if service == nil || service.State != ha.Started || service.Node != place || !service.Running {
		return fmt.Errorf("%s runs on %q, its status is %+v", guest, place, service)
	}
	files, err := c.files()
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := files.Stat(configOf(name, guest)); (err == nil) != (name == place) {
			return fmt.Errorf("%s runs on %q, and looking for its configuration on %s says %w", guest, place, name, err)
		}
	}
	return nil
}

// judge is what must hold at any time.
func (c *cluster) judge() {
	c.t.Helper()
	screams, err := c.Ledger.Screams()
	require.NoError(c.t, err)
	require.Empty(c.t, screams, "a guest ran twice")
	require.NoError(c.t, c.Problems())
}

// explain prints what there is to know about a failure.
func (c *cluster) explain() {
	status, err := c.status()
	text, _ := json.MarshalIndent(status, "", " ") // of a struct that can be
	c.t.Logf("manager status (%v): %s", err, text)
	notes, err := c.Ledger.Notes()
	c.t.Logf("ledger (%v):", err)
	for _, n := range notes {
		c.t.Logf("  %s %s %s on %s, process %d", n.At.Format("15:04:05.000"), n.Guest, n.What, n.Node, n.PID)
	}
	for _, n := range c.Nodes() {
		log, err := n.Log()
		lines := strings.Split(log, "\n")
		lines = slices.DeleteFunc(lines, func(line string) bool { return strings.Contains(line, " systemd[1]: ") })
		c.t.Logf("log of %s (%v), power on: %t, watchdog fired: %v\n%s",
			n.Name, err, n.On(), n.WatchdogFired(), strings.Join(lines[max(0, len(lines)-120):], "\n"))
	}
}
