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
	t.Parallel()
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

// A node that is cut off resets itself, and only then its guests are started
// elsewhere.
func TestNetworkCut(t *testing.T) {
	t.Parallel()
	for name, master := range map[string]bool{"of a node": false, "of the master": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, spread)
			node := c.victim(master)
			cut := time.Now()
			require.NoError(t, c.Cut(node))
			t.Logf("MEASURED network cut %s to restart elsewhere: %.1f s", name, c.elsewhere(guestOn(node), node, cut, lockLimit).Seconds())
			c.wasReset(node, cut)
			c.settle(settleLimit)
			require.NoError(t, c.Mend(node))
			require.NoError(t, c.Boot(node))
			c.settle(settleLimit)
		})
	}
}

// wasReset makes sure that a node's watchdog has cut its power after a moment,
// and soon enough.
func (c *cluster) wasReset(node string, since time.Time) {
	c.t.Helper()
	fired := c.Node(node).WatchdogFired()
	require.True(c.t, fired.After(since), "the watchdog of %s did not fire: %v", node, fired)
	require.LessOrEqual(c.t, fired.Sub(since), resetLimit)
	require.False(c.t, c.Node(node).On())
}

// A daemon that guards something and dies takes its node with it.
func TestKilledDaemon(t *testing.T) {
	t.Parallel()
	for _, daemon := range []string{"pve-ha-crm", "pve-ha-lrm", "watchdog-mux"} {
		t.Run(daemon, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, spread)
			node := c.victim(daemon == "pve-ha-crm")
			killed := time.Now()
			c.run(node, "systemctl", "kill", "-s", "KILL", "--kill-who=main", daemon)
			c.eventually("reset of "+node, resetLimit, func() (bool, error) { return !c.Node(node).On(), nil })
			c.wasReset(node, killed)
			// What is left of the lock counts from the last refresh.
			c.elsewhere(guestOn(node), node, killed, lockLimit+resetLimit)
			c.settle(settleLimit)
			require.NoError(t, c.Boot(node))
			c.settle(settleLimit)
		})
	}
}

// A CRM that is not master guards nothing: its death costs nothing.
func TestKilledSlave(t *testing.T) {
	t.Parallel()
	c := newCluster(t, spread)
	node := c.victim(false)
	before := c.starts()
	c.run(node, "systemctl", "kill", "-s", "KILL", "--kill-who=main", "pve-ha-crm")
	c.run(node, "systemctl", "start", "pve-ha-crm")
	time.Sleep(15 * time.Second) // longer than the device would wait
	require.True(t, c.Node(node).On())
	c.settle(settleLimit)
	require.Equal(t, before, c.starts())
}

// starts is how often each guest was started.
func (c *cluster) starts() map[string]int {
	c.t.Helper()
	all := map[string]int{}
	for _, guest := range c.guests {
		count, err := c.Ledger.Starts(guest)
		require.NoError(c.t, err)
		all[guest] = count
	}
	return all
}

func TestPowerCutDuringMigration(t *testing.T) {
	t.Parallel()
	for _, side := range []string{"source", "target"} {
		t.Run("of the "+side, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, spread)
			source := c.victim(false)
			target, guest := other(source, c.master()), guestOn(source)
			require.NoError(t, c.Ledger.Order(guest, "slow 8"))
			c.run(source, "ha-manager", "migrate", guest, target)
			c.eventually("migration", 20*time.Second, func() (bool, error) {
				_, err := c.Node(source).Run("pgrep", "-f", "guest-action migrate")
				return err == nil, nil
			})
			node := map[string]string{"source": source, "target": target}[side]
			c.Node(node).PowerCut()
			require.NoError(t, c.Ledger.Order(guest, ""))
			c.settle(fenceLimit + settleLimit)
			require.NoError(t, c.Boot(node))
			c.settle(settleLimit)
		})
	}
}

// The master dies in the middle of the fencing of another node. That one comes
// back, so that there is quorum for a new master, which finds it in fencing.
func TestPowerCutOfTheMasterDuringFencing(t *testing.T) {
	t.Parallel()
	c := newCluster(t, spread)
	master, node := c.master(), c.victim(false)
	c.Node(node).PowerCut()
	c.eventually("fencing", 80*time.Second, func() (bool, error) {
		state, err := c.state(guestOn(node))
		return state == "fence", err
	})
	c.Node(master).PowerCut()
	require.NoError(t, c.Boot(node))
	c.settle(2 * lockLimit)
	require.NoError(t, c.Boot(master))
	c.settle(settleLimit)
}

// The node to which a guest was recovered dies while it starts it.
func TestPowerCutDuringRecovery(t *testing.T) {
	t.Parallel()
	c := newCluster(t, spread)
	node := c.victim(false)
	guest := guestOn(node)
	require.NoError(t, c.Ledger.Order(guest, "slow 60"))
	c.Node(node).PowerCut()
	second := ""
	c.eventually("recovery", fenceLimit, func() (bool, error) {
		for _, name := range names {
			if n := c.Node(name); n.On() {
				if _, err := n.Run("pgrep", "-f", "guest-action start"); err == nil {
					second = name
				}
			}
		}
		return second != "", nil
	})
	require.NoError(t, c.Boot(node)) // else the one that is left has no quorum
	c.eventually("a second node with quorum", 20*time.Second, func() (bool, error) { return c.Files.Node(node).Quorate(), nil })
	c.Node(second).PowerCut()
	require.NoError(t, c.Ledger.Order(guest, ""))
	c.settle(2 * lockLimit)
	require.NoError(t, c.Boot(second))
	c.settle(settleLimit)
}

// A node that is alone has no quorum, and stops itself.
func TestTwoNodesLost(t *testing.T) {
	t.Parallel()
	c := newCluster(t, spread)
	last := c.master()
	cut := time.Now()
	for _, name := range names {
		if name != last {
			c.Node(name).PowerCut()
		}
	}
	c.eventually("the last node stops", resetLimit, func() (bool, error) { return !c.Node(last).On(), nil })
	c.wasReset(last, cut)
	require.NoError(t, c.PowerOn())
	c.settle(2 * lockLimit)
}

// Quorum that comes back within the watchdog's time costs nothing but the
// guests of the nodes that died.
func TestTwoNodesLostForASecond(t *testing.T) {
	t.Parallel()
	c := newCluster(t, spread)
	last := c.master()
	before := c.starts()
	for _, name := range names {
		if name != last {
			c.Node(name).PowerCut()
		}
	}
	for _, name := range names {
		require.NoError(t, c.Boot(name))
	}
	c.settle(2 * lockLimit)
	require.True(t, c.Node(last).WatchdogFired().IsZero())
	require.Equal(t, before[guestOn(last)], c.starts()[guestOn(last)], "a guest on the node that lived was touched")
}
