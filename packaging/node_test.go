//go:build deb

package packaging

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/internal/golden"
)

// oneNode is a cluster of one node with one guest.
func oneNode(t *testing.T) (c *cluster, node string) {
	t.Helper()
	return newCluster(t, []string{"n1"}, map[string]string{"vm:100": "n1"}), "n1"
}

// What is seen of the stack is compared with a recording behind every step.
func TestLifeOfThePackage(t *testing.T) {
	t.Parallel()
	c, n := oneNode(t)
	before := c.everything(n)
	c.snapshot(n, "0-perl")
	mux := c.run(n, "systemctl", "show", "-p", "MainPID", "--value", "watchdog-mux")

	main := func() string {
		return c.run(n, "systemctl", "show", "-p", "MainPID", "--value", "pve-ha-lrm", "pve-ha-crm", "watchdog-mux")
	}
	for _, step := range []struct {
		name string
		args []string
	}{
		{"1-installed", []string{"dpkg", "-i", oursFile(firstOurs)}},
		{"2-installed-again", []string{"dpkg", "-i", oursFile(firstOurs)}},
		{"3-upgraded", []string{"dpkg", "-i", oursFile(secondOurs)}},
		{"4-perl-upgraded", []string{"dpkg", "-i", perlFile(secondPerl)}},
		{"5-perl-triggered", []string{"dpkg-trigger", "--by-package=dpkg", "pve-api-updates"}},
		{"6-perl-chosen", []string{"pve-ha-switch", "perl"}},
		{"7-upgraded-on-perl", []string{"dpkg", "-i", oursFile(firstOurs)}},
		{"8-go-chosen", []string{"pve-ha-switch", "go"}},
		{"9-removed", []string{"dpkg", "-r", "pve-ha-go"}},
		{"10-purged", []string{"dpkg", "-P", "pve-ha-go"}},
	} {
		begun, running := time.Now(), main()
		out := c.run(n, step.args...)
		if step.args[0] == "dpkg-trigger" {
			out += c.run(n, "dpkg", "--triggers-only", "pve-ha-manager")
			require.Equal(t, running, main(), "new modules of the API concern no process of ours")
		}
		c.settle()
		t.Logf("MEASURED %s: %.1f s\n%s", step.name, time.Since(begun).Seconds(), out)
		c.snapshot(n, step.name)
	}
	require.Equal(t, mux, c.run(n, "systemctl", "show", "-p", "MainPID", "--value", "watchdog-mux"), "the multiplexer that runs is left alone")
	require.Equal(t, before, c.everything(n), "nothing is left behind")
	c.judge()
}

// The two packages may be installed, and removed, by one call in any order.
func TestBothPackagesAtOnce(t *testing.T) {
	t.Parallel()
	c, n := oneNode(t)
	c.run(n, "dpkg", "-i", oursFile(firstOurs), perlFile(secondPerl))
	c.settle()
	require.Contains(t, c.run(n, "pve-ha-switch", "status"), "files                go\n")
	require.Contains(t, c.run(n, "sh", "/usr/sbin/ha-manager.pve-perl"), secondPerl)
	c.run(n, "dpkg", "-i", perlFile(firstPerl), oursFile(secondOurs))
	c.settle()
	require.Contains(t, c.run(n, "pve-ha-switch", "status"), "files                go\n")
	require.Contains(t, c.run(n, "sh", "/usr/sbin/ha-manager.pve-perl"), firstPerl)
	c.judge()
	c.run(n, "dpkg", "-P", "pve-ha-go", "pve-ha-manager")
	require.Empty(t, c.shell(n, `ls -d /usr/sbin/*ha-* /usr/sbin/watchdog-mux* /usr/lib/systemd/system/*ha-* /usr/libexec/pveha /usr/share/pve-ha-go /var/lib/pve-ha* 2>/dev/null || true`))
	require.Empty(t, c.shell(n, `dpkg-divert --list | grep -e ha- -e watchdog || true`))
}

// Behind the next boot the multiplexer is ours, and the daemons are its clients.
func TestBoot(t *testing.T) {
	t.Parallel()
	c, n := oneNode(t)
	c.run(n, "dpkg", "-i", oursFile(firstOurs))
	require.Contains(t, c.run(n, "pve-ha-switch", "status"), "go after the next boot")
	// There is no watchdog in a container; that of its board has another driver.
	// And no API that acts on guests.
	c.run(n, "cp", "/usr/lib/standin", "/usr/libexec/pveha/watchdog-mux")
	c.run(n, "cp", "/usr/lib/standin", "/usr/libexec/pveha/guest-action")
	leader := c.Node(n).Leader()
	c.run(n, "systemctl", "--no-block", "reboot")
	c.eventually("a boot", time.Minute, func() (bool, error) {
		now := c.Node(n).Leader()
		return now != 0 && now != leader, nil
	})
	c.eventually("the Go stack", settleLimit, func() (bool, error) {
		out, err := c.Node(n).Run("pve-ha-switch", "status")
		return strings.Count(out, "active, go (PID") == 3, err
	})
	c.settle()
	require.Equal(t, "Type=notify\nNRestarts=0\n", c.run(n, "systemctl", "show", "-p", "Type", "-p", "NRestarts", "watchdog-mux"))
	starts, err := c.Ledger.Starts("vm:100")
	require.NoError(t, err)
	require.Equal(t, 2, starts, "once more, behind the boot")
	require.Zero(t, c.Node(n).WatchdogFired())
}

// A change that is killed while it waits for the LRM leaves a stack that works,
// and the next run completes it.
func TestKilledChange(t *testing.T) {
	t.Parallel()
	c, n := oneNode(t)
	c.run(n, "dpkg", "--unpack", oursFile(firstOurs))
	// A master that does not answer: the LRM has to wait for it.
	c.shell(n, "pkill -STOP perl-crm")
	c.shell(n, "nohup pve-ha-switch go >/tmp/change 2>&1 &")
	c.eventually("the LRM is asked to end", 20*time.Second, func() (bool, error) {
		out, err := c.Node(n).Run("systemctl", "show", "-p", "ActiveState", "--value", "pve-ha-lrm")
		return out == "deactivating\n", err
	})
	_, err := c.Node(n).Run("pve-ha-switch", "go")
	require.Error(t, err, "a second change at the same time")
	c.run(n, "systemctl", "kill", "--kill-whom=main", "-s", "KILL", "pve-ha-switch")
	c.shell(n, "pkill -CONT perl-crm")
	c.eventually("the daemons run again", time.Minute, func() (bool, error) {
		out, err := c.Node(n).Run("systemctl", "is-active", "pve-ha-lrm", "pve-ha-crm")
		return out == "active\nactive\n", err
	})
	c.settle()
	require.Regexp(t, `(?s)^files                perl\n.*pve-ha-lrm.service   active, perl`, c.run(n, "pve-ha-switch", "status"))

	c.run(n, "dpkg", "--configure", "-a")
	c.settle()
	require.Regexp(t, `(?s)^files                go\n.*pve-ha-lrm.service   active, go`, c.run(n, "pve-ha-switch", "status"))
	c.judge()
}

// Killed at any other moment, too: the daemons run again at once, whatever their
// files are by then, and the next run completes the change.
func TestKilledAmidTheFiles(t *testing.T) {
	t.Parallel()
	c, n := oneNode(t)
	c.run(n, "dpkg", "-i", oursFile(firstOurs))
	c.settle()
	for _, moment := range []struct{ name, to, condition string }{
		{"the LRM has ended", "perl", "! pidof -q pve-ha-lrm"},
		{"the first program is aside", "go", "test -e /usr/sbin/pve-ha-crm.pve-perl"},
		{"the drop-ins are gone", "perl", "! test -e /usr/lib/systemd/system/pve-ha-crm.service.d/pve-ha-go.conf"},
		{"the last program is aside", "go", "test -e /usr/sbin/watchdog-mux.pve-perl"},
		{"the first program is back", "perl", "! test -e /usr/sbin/pve-ha-crm.pve-perl"},
		{"a drop-in is there", "go", "test -e /usr/lib/systemd/system/watchdog-mux.service.d/pve-ha-go.conf"},
		{"the last program is back", "perl", "! test -e /usr/sbin/watchdog-mux.pve-perl"},
	} {
		c.shell(n, "nohup pve-ha-switch "+moment.to+" >/tmp/change 2>&1 & until "+moment.condition+"; do sleep 0.002; done; "+
			"systemctl kill --kill-whom=main -s KILL pve-ha-switch")
		c.eventually("the daemons run again: "+moment.name, 30*time.Second, func() (bool, error) {
			out, err := c.Node(n).Run("systemctl", "is-active", "pve-ha-lrm", "pve-ha-crm")
			return out == "active\nactive\n", err
		})
		c.settle()
		out, _ := c.Node(n).Run("pve-ha-switch", "status") // it may well not be whole
		t.Logf("killed when %s:\n%s", moment.name, out)
		c.run(n, "pve-ha-switch", moment.to)
		c.settle()
		require.Contains(t, c.run(n, "pve-ha-switch", "status"), "files                "+moment.to+"\n")
	}
	c.run(n, "dpkg", "-P", "pve-ha-go")
	c.settle()
	c.judge()
}

// Without a master that could freeze its services, nothing is touched.
func TestRefusedChange(t *testing.T) {
	t.Parallel()
	c, n := oneNode(t)
	c.shell(n, "pkill -STOP perl-crm")
	time.Sleep(32 * time.Second)
	out := c.run(n, "dpkg", "-i", oursFile(firstOurs))
	require.Contains(t, out, "no    master       none has written its status for 3")
	require.Contains(t, out, "pve-ha-go: the HA stack of this node stays as it is.")
	c.shell(n, "pkill -CONT perl-crm")
	require.Contains(t, c.run(n, "pve-ha-switch", "status"), "files                perl\n")
	c.settle()
	c.run(n, "pve-ha-switch", "check")
	c.run(n, "pve-ha-switch", "go")
	c.settle()

	// Nor is the package removed.
	c.shell(n, "pkill -STOP pve-ha-crm")
	time.Sleep(32 * time.Second)
	out, err := c.Node(n).Run("dpkg", "-r", "pve-ha-go")
	c.shell(n, "pkill -CONT pve-ha-crm")
	require.Error(t, err, out)
	require.Contains(t, out, "no    master       none has written its status for 3")
	require.Equal(t, "installed", c.run(n, "dpkg-query", "-W", "-f", "${db:Status-Status}", "pve-ha-go"))
	c.settle()
	require.Contains(t, c.run(n, "pve-ha-switch", "status"), "files                go\n")
	c.run(n, "dpkg", "-P", "pve-ha-go")
	c.settle()
	c.judge()
}

// What systemd thinks of the units, which changes for a reason only.
func TestHardeningReport(t *testing.T) {
	t.Parallel()
	c, n := oneNode(t)
	c.run(n, "dpkg", "-i", oursFile(firstOurs))
	for _, unit := range []string{"pve-ha-crm", "pve-ha-lrm", "watchdog-mux"} {
		out := c.run(n, "env", "LC_ALL=C", "SYSTEMD_EMOJI=0", "SYSTEMD_COLORS=0", "systemd-analyze", "--no-pager", "security", unit+".service")
		golden.Golden(t, filepath.Join("testdata", "security", unit+".golden"), []byte(strings.TrimRight(out, "\n")+"\n"))
	}
}
