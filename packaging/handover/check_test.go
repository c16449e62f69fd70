package handover

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
	"pveha/pmxcfsio"
)

func TestCheck(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(w *world)
		want    bool
		says    string
	}{
		"all is well":            {func(*world) {}, true, "ok    master       n2; 1 services here\n"},
		"the Perl package":       {func(w *world) { delete(w.packages, perlPackage) }, false, "no    package      pve-ha-manager is not installed"},
		"half of it":             {func(w *world) { w.packages[perlPackage] = "half-configured 5.2.0" }, false, "is half-configured: complete its installation"},
		"an old one":             {func(w *world) { w.packages[perlPackage] = "installed 4.0.7" }, false, "has version 4.0.7, and this package works with those from 5.0.0 to before 6\n"},
		"a coming one":           {func(w *world) { w.packages[perlPackage] = "installed 6.0.0" }, false, "has version 6.0.0"},
		"somebody's diversion":   {func(w *world) { w.diversions["/usr/sbin/ha-manager"] = "LOCAL" }, false, "no    files        /usr/sbin/ha-manager is diverted by another package"},
		"a program is missing":   {func(w *world) { _ = os.Remove(w.node.at(programs + "pve-ha-lrm")) }, false, "/usr/libexec/pveha/pve-ha-lrm is missing"},
		"a unit has failed":      {func(w *world) { w.active[unitLRM] = "failed" }, false, "no    units        pve-ha-lrm.service has failed"},
		"a unit is about to end": {func(w *world) { w.active[unitLRM] = "deactivating" }, false, "pve-ha-lrm.service is deactivating: wait"},
		"the watchdog is left": {func(w *world) {
			w.active[unitMux] = "inactive"
			w.write(muxMarker, "")
		}, false, "no    watchdog     the multiplexer does not run, and /run/watchdog-mux.active says"},
		"no multiplexer":     {func(w *world) { w.active[unitMux] = "inactive" }, true, "warn  watchdog     the multiplexer does not run; the daemons start it"},
		"no socket":          {func(w *world) { _ = os.Remove(w.node.at(muxSocket)) }, false, "/run/watchdog-mux.sock is missing"},
		"softdog":            {func(w *world) { w.write(watchdogName, "Software Watchdog\n") }, true, "runs with softdog"},
		"a real one":         {func(w *world) { w.write(watchdogName, "i6300ESB timer\n") }, true, "runs with 'i6300ESB timer'"},
		"not mounted":        {func(w *world) { w.mountErr = errors.New("/etc/pve is not mounted") }, false, "no    cluster      /etc/pve is not mounted"},
		"no quorum":          {func(w *world) { w.quorate = false }, false, "no    quorum       there is none"},
		"no master for long": {func(w *world) { w.now = w.now.Add(31e9) }, false, "no    master       none has written its status for 31 seconds, and 1 services here"},
		"no master, and no service": {func(w *world) {
			w.writeManager(ha.Stopped)
			w.now = w.now.Add(31e9)
		}, true, "warn  master       none has written its status for 31 seconds; no service here needs one"},
		"a fresh cluster": {func(w *world) { w.files = map[string]string{} }, true, "ok    master       there is none yet"},
		"about to be fenced": {func(w *world) {
			w.files[pmxcfsio.ManagerStatusFile] = `{"master_node":"n2","timestamp":1700000000,"node_status":{"n1":"fence"},"service_status":{}}`
		}, false, "n2 is about to fence this node"},
		"the lock is lost": {func(w *world) {
			w.files[pmxcfsio.LRMStatusFile("n1")] = `{"state":"lost_agent_lock","mode":"active","timestamp":1700000000,"results":{}}`
		}, false, "no    LRM          has lost its lock"},
		"maintenance": {func(w *world) { w.writeLRM(ha.ModeMaintenance) }, true, "warn  LRM          the node goes into maintenance"},
		"a node is off": {func(w *world) {
			w.members.Nodes["n2"] = pmxcfsio.Member{}
		}, true, "warn  nodes        n2 is offline"},
		"an old node":         {func(w *world) { w.kv["n2"] = `{"version":"7.4-3"}` }, false, "no    nodes        n2 has release 7"},
		"a node of no rlease": {func(w *world) { delete(w.kv, "n2") }, true, "warn  nodes        n2: its release is not known"},
		"a status of tomorrow": {func(w *world) {
			w.files[pmxcfsio.ManagerStatusFile] = `{"master_node":"n2","timestamp":1700000000,"node_status":{},"service_status":{"vm:1":{"state":"hibernate","node":"n2"}}}`
		}, false, "no    formats      service 'vm:1' is in the state 'hibernate', which this version does not know"},
		"a broken status":      {func(w *world) { w.files[pmxcfsio.ManagerStatusFile] = `{` }, false, "no    formats "},
		"something to look at": {func(w *world) { w.fails[programs+"ha-manager lint"] = "x: rule 'a' names node 'n9'\nmore\n" }, true, "has something to say: x: rule 'a' names node 'n9'\n"},
		"no systemd":           {func(w *world) { _ = os.RemoveAll(w.node.at("/run/systemd")) }, false, "no    systemd "},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			test.prepare(w)
			require.Equal(t, test.want, w.node.Check(context.Background()), w.out.String())
			require.Contains(t, w.out.String(), test.says)
			for _, call := range w.calls {
				require.NotRegexp(t, "systemctl (st|re|daemon)|--add|--remove", call, "a check changes nothing")
			}
		})
	}
}

// Whoever has begun has to be able to go on, and back.
func TestWayBackAsksForLess(t *testing.T) {
	w := newWorld(t)
	_, _ = w.change(Go)
	w.packages[perlPackage] = "installed 6.0.0"
	w.kv["n2"] = `{"version":"7.4"}`
	_, err := w.change(Perl)
	require.NoError(t, err)
	w.requireStack(Perl, "back")
}

func TestBrokenLinks(t *testing.T) {
	const text = `Local node ID 1, transport knet
LINK ID 0 udp
	addr	= 10.0.0.1
	status:
		nodeid:          1:	localhost
		nodeid:          2:	connected
LINK ID 1 udp
	addr	= 10.1.0.1
	status:
		nodeid:          1:	localhost
		nodeid:          2:	disconnected
`
	require.Equal(t, []string{"link 1 to node 2"}, brokenLinks(text))
}
