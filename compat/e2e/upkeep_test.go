//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/internal/pveenv"
)

// daemons are those of a node.
var daemons = []string{"pve-ha-crm", "pve-ha-lrm"}

// pid is the process of a daemon on a node.
func (c *cluster) pid(node, daemon string) string {
	c.t.Helper()
	pid := strings.TrimSpace(c.run(node, "cat", "/run/"+daemon+".pid"))
	require.NotEmpty(c.t, pid)
	return pid
}

// pids is the process of every daemon.
func (c *cluster) pids() map[string]string {
	c.t.Helper()
	all := map[string]string{}
	for _, name := range names {
		for _, daemon := range daemons {
			all[name+" "+daemon] = c.pid(name, daemon)
		}
	}
	return all
}

// untouched makes sure that nothing happened to any guest since a count of the
// starts: it was neither stopped nor did it miss a beat.
func (c *cluster) untouched(before map[string]int) {
	c.t.Helper()
	require.Equal(c.t, before, c.starts(), "a guest was started again")
	for _, guest := range c.guests {
		_, pause, err := c.Ledger.Beats(guest)
		require.NoError(c.t, err)
		require.Less(c.t, pause, 10*time.Second, "%s was silent", guest)
	}
}

// Each node in turn is rebooted, with every shutdown policy.
func TestRebootOfEveryNode(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{"conditional", "freeze", "failover", "migrate"} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, spread, "ha: shutdown_policy="+policy)
			for _, name := range names {
				c.reboot(name)
				c.settle(lockLimit + settleLimit)
				if policy == "migrate" {
					c.eventually("the guest comes back", settleLimit, func() (bool, error) {
						place, err := c.Ledger.Place(guestOn(name))
						return place == name, err
					})
					c.settle(settleLimit)
				}
				require.True(t, c.Node(name).WatchdogFired().IsZero(), "%s was reset", name)
			}
		})
	}
}

// reboot has a node boot again, in order.
func (c *cluster) reboot(name string) {
	c.t.Helper()
	node := c.Node(name)
	before := node.Leader()
	began := time.Now()
	c.run(name, "systemctl", "--no-block", "reboot")
	c.eventually("reboot of "+name, 2*time.Minute, func() (bool, error) {
		return node.Leader() != 0 && node.Leader() != before, nil
	})
	c.t.Logf("%s was down and is up after %.1f s", name, time.Since(began).Seconds())
	c.eventually("boot of "+name, time.Minute, func() (bool, error) {
		out, err := node.Run("systemctl", "is-system-running")
		if err != nil {
			return false, nil //nolint:nilerr // it is still booting
		}
		return strings.TrimSpace(out) == "running", nil
	})
}

// A package update restarts the daemons while guests start, stop and move.
func TestRestartOfTheDaemonsUnderLoad(t *testing.T) {
	t.Parallel()
	places := map[string]string{}
	for i := range 12 {
		places[fmt.Sprintf("vm:%d", 100+i)] = names[i%3]
	}
	c := newCluster(t, places)
	// Some guests are busy, the others must not notice.
	require.NoError(t, c.Ledger.Order("vm:100", "slow 5"))
	before := c.starts()
	for i, name := range names {
		c.run(name, "ha-manager", "migrate", "vm:100", names[(i+1)%3])
		for _, daemon := range []string{"pve-ha-lrm", "pve-ha-crm"} {
			old := c.pid(name, daemon)
			c.run(name, "systemctl", "restart", daemon)
			require.NotEqual(t, old, c.pid(name, daemon))
		}
		c.settle(settleLimit)
	}
	delete(before, "vm:100") // it moved
	after := c.starts()
	delete(after, "vm:100")
	require.Equal(t, before, after, "a guest was started again")
	for guest, node := range places {
		if guest != "vm:100" {
			require.Equal(t, node, c.place(guest))
		}
	}
	for _, n := range c.Nodes() {
		require.True(t, n.WatchdogFired().IsZero(), "%s was reset", n.Name)
	}
}

// The cluster file system's daemon is restarted on each node, by a package
// update and by a crash.
func TestRestartOfTheClusterFileSystem(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(c *cluster, node string) error{
		"stopped": func(c *cluster, node string) error { return c.Files.Stop(node) },
		"crashed": func(c *cluster, node string) error { return c.Files.Crash(node) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, spread)
			starts, pids := c.starts(), c.pids()
			for _, node := range names {
				require.NoError(t, end(c, node))
				time.Sleep(3 * time.Second)
				require.NoError(t, c.Files.Start(node))
				time.Sleep(3 * time.Second)
			}
			c.settle(settleLimit)
			c.untouched(starts)
			require.Equal(t, pids, c.pids(), "a daemon was started again")
		})
	}
}

// outage is something that the daemons live with, and do not live for.
type outage struct {
	begin, end func(c *cluster)
	lasts      time.Duration
}

var outages = map[string]outage{
	"the cluster file system for a minute": {
		begin: func(c *cluster) {
			for _, node := range names {
				require.NoError(c.t, c.Files.Crash(node))
			}
		},
		end: func(c *cluster) {
			for _, node := range names {
				require.NoError(c.t, c.Files.Start(node))
			}
		},
		lasts: time.Minute,
	},
	"the cluster file system of a node for a minute": {
		begin: func(c *cluster) { require.NoError(c.t, c.Files.Stop("n2")) },
		end:   func(c *cluster) { require.NoError(c.t, c.Files.Start("n2")) },
		lasts: time.Minute,
	},
	"D-Bus": {
		begin: onAll("systemctl", "stop", "dbus.socket", "dbus.service"),
		end:   onAll("systemctl", "start", "dbus.socket", "dbus.service"),
		lasts: 40 * time.Second,
	},
}

func onAll(command ...string) func(c *cluster) {
	return func(c *cluster) {
		c.t.Helper()
		for _, node := range names {
			c.run(node, command...)
		}
	}
}

// No daemon ends and no guest is touched when something else is gone.
func TestOutageOf(t *testing.T) {
	t.Parallel()
	for name, o := range outages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, spread)
			starts, pids := c.starts(), c.pids()
			o.begin(c)
			time.Sleep(o.lasts)
			o.end(c)
			c.settle(settleLimit)
			c.untouched(starts)
			require.Equal(t, pids, c.pids(), "a daemon was started again")
		})
	}
}

// The notification stack is missing, as on all of these nodes, or hangs: guests
// are recovered all the same, and the daemon lives and says so.
func TestOutageOfTheNotificationStack(t *testing.T) {
	t.Parallel()
	for name, program := range map[string]string{"missing": "", "hangs": "#!/bin/sh\nexec sleep 1000\n", "fails": "#!/bin/sh\necho broken >&2\nexit 1\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, spread)
			for _, n := range c.Nodes() {
				if program != "" {
					require.NoError(t, os.MkdirAll(filepath.Dir(n.Disk(pveenv.DefaultNotifyProgram)), 0o755))
					require.NoError(t, os.WriteFile(n.Disk(pveenv.DefaultNotifyProgram), []byte(program), 0o755))
				}
			}
			node := c.victim(false)
			master := c.master()
			pid := c.pid(master, "pve-ha-crm")
			cut := time.Now()
			c.Node(node).PowerCut()
			c.elsewhere(guestOn(node), node, cut, fenceLimit)
			c.settle(settleLimit)
			require.Equal(t, pid, c.pid(master, "pve-ha-crm"))
			if name != "hangs" { // for which it waits much longer
				log, err := c.Node(master).Log()
				require.NoError(t, err)
				require.Contains(t, log, "could not notify")
			}
		})
	}
}

// Without services nothing is guarded, and the watchdog's multiplexer may come
// and go; and once there is something to guard, it is.
func TestOutageOfTheWatchdogWhileNothingIsGuarded(t *testing.T) {
	t.Parallel()
	c := newCluster(t, nil)
	pids := c.pids()
	onAll("systemctl", "stop", "watchdog-mux")(c)
	time.Sleep(20 * time.Second) // longer than any device waits
	require.Equal(t, pids, c.pids(), "a daemon was started again")
	require.NoError(t, c.Files.Node("n1").Write(configOf("n1", "vm:100"), []byte("name: late\n")))
	c.run("n1", "ha-manager", "add", "vm:100")
	time.Sleep(20 * time.Second)
	require.Empty(t, c.place("vm:100"), "a guest was started that nobody guards")
	onAll("systemctl", "start", "watchdog-mux")(c)
	c.guests = []string{"vm:100"}
	c.settle(settleLimit)
	require.Equal(t, pids, c.pids(), "a daemon was started again")
	for _, n := range c.Nodes() {
		require.True(t, n.On())
		require.True(t, n.WatchdogFired().IsZero(), "%s was reset", n.Name)
	}
}
