//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Many actions on one node are carried out by what its server of actions forks.
// Those that run when the server dies are carried out to their end, once.
func TestManyActionsAreForked(t *testing.T) {
	t.Parallel()
	places := map[string]string{}
	for id := 100; id < 106; id++ {
		places[fmt.Sprintf("vm:%d", id)] = "n1"
	}
	c := newCluster(t, places)
	wanted := slices.Clone(c.guests)
	for _, guest := range wanted {
		require.NoError(t, c.Ledger.Order(guest, "slow 10"))
		c.run("n1", "ha-manager", "set", guest, "--state", "stopped")
	}
	server := ""
	c.eventually("a forked action", 40*time.Second, func() (bool, error) {
		pids, err := c.Node("n1").Run("pgrep", "-f", "guest-action serve")
		if err == nil {
			server = strings.TrimSpace(pids)
			_, err = c.Node("n1").Run("pgrep", "-P", server, "-f", "guest-action shutdown")
		}
		return err == nil, nil
	})
	c.run("n1", "kill", "-KILL", server)
	for _, guest := range wanted {
		require.NoError(t, c.Ledger.Order(guest, ""))
	}
	c.eventually("all are stopped", 2*settleLimit, func() (bool, error) {
		for _, guest := range wanted {
			if running, err := c.Ledger.Running(guest); running || err != nil {
				return false, err
			}
		}
		return true, nil
	})

	before := c.starts()
	c.run("n1", "systemctl", "restart", "pve-ha-lrm")
	for _, guest := range wanted {
		c.run("n1", "ha-manager", "set", guest, "--state", "started")
	}
	c.settle(2 * settleLimit)
	for guest, starts := range c.starts() {
		require.Equal(t, before[guest]+1, starts, guest)
	}
}
