//go:build e2e

package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// spread is a guest on every node, and a container.
var spread = map[string]string{"vm:100": "n1", "vm:101": "n2", "vm:102": "n3", "ct:200": "n1"}

// guestOn is the VM that spread has on a node.
func guestOn(node string) string {
	return map[string]string{"n1": "vm:100", "n2": "vm:101", "n3": "vm:102"}[node]
}

// elsewhere waits until a guest was started on another node after a moment,
// and returns how long after it.
func (c *cluster) elsewhere(guest, node string, since time.Time, limit time.Duration) time.Duration {
	c.t.Helper()
	var took time.Duration
	c.eventually(guest+" runs on another node than "+node, limit-time.Since(since)+5*time.Second, func() (bool, error) {
		notes, err := c.Ledger.Notes()
		for _, n := range notes {
			if n.Guest == guest && n.What == "started" && n.Node != node && n.At.After(since) {
				took = n.At.Sub(since)
				return true, err
			}
		}
		return false, err
	})
	require.LessOrEqual(c.t, took, limit)
	return took
}

// victim is the master, or a node that is not.
func (c *cluster) victim(master bool) string {
	c.t.Helper()
	if master {
		return c.master()
	}
	return other(c.master())
}

func TestPowerCut(t *testing.T) {
	for name, master := range map[string]bool{"of a node": false, "of the master": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, spread)
			node := c.victim(master)
			cut := time.Now()
			c.Node(node).PowerCut()
			t.Logf("MEASURED power cut %s to restart elsewhere: %.1f s", name, c.elsewhere(guestOn(node), node, cut, fenceLimit).Seconds())
			c.settle(settleLimit)
			require.NoError(t, c.Boot(node))
			c.settle(settleLimit)
		})
	}
}
