package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/crm"
	"pveha/internal/envtest"
	"pveha/internal/ha"
	"pveha/lrm"
)

func TestContract(t *testing.T) {
	for _, wire := range []bool{false, true} {
		t.Run(fmt.Sprintf("wire=%t", wire), func(t *testing.T) {
			envtest.Run(t, func(t *testing.T) envtest.World { return newWorld(t, wire) })
		})
	}
}

// world is a simulated cluster whose daemons stand still.
type world struct {
	*Cluster
	resets map[string]int // by node
}

func newWorld(t testing.TB, wire bool) *world {
	nodes := []string{"node1", "node2", "node3", "node4"}
	hardware, services := map[string]any{}, map[ha.SID]map[string]any{}
	for _, n := range nodes {
		hardware[n] = map[string]any{"power": "on", "network": "on", "maxcpu": 8, "maxmem": mebi}
	}
	for sid, c := range envtest.Services(nodes) {
		services[sid] = map[string]any{
			"node": c.Node, "state": c.State, "group": c.Group, "failback": c.Failback,
			"max_restart": c.MaxRestart, "max_relocate": c.MaxRelocate,
		}
	}
	services[envtest.LockedGuest]["lock"] = envtest.GuestLock
	s, err := Parse("world", map[string][]byte{
		fileHardware: encode(t, hardware),
		fileServices: encode(t, services),
		fileRules:    []byte(envtest.Rules),
		fileGroups:   []byte(envtest.Groups),
		fileCommands: []byte("[]"),
	})
	require.NoError(t, err)
	w := &world{resets: map[string]int{}}
	w.Cluster, err = New(s, Options{Log: io.Discard, Wire: wire, OnLine: w.countResets})
	require.NoError(t, err)
	return w
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	require.NoError(t, err)
	return data
}

var watchdogReset = regexp.MustCompile(`^server '(.*)' stopped by poweroff \(watchdog\)$`)

func (w *world) countResets(l Line) {
	if m := watchdogReset.FindStringSubmatch(l.Text); m != nil {
		w.resets[m[1]]++
	}
}

func (w *world) Nodes() []string                     { return w.names }
func (w *world) CRM(node string) crm.Env             { return w.nodes[node].crmEnv }
func (w *world) LRM(node string) lrm.Env             { return w.nodes[node].lrmEnv }
func (w *world) Queue(line string)                   { w.queue(line) }
func (w *world) Slack() int64                        { return 0 }
func (w *world) Lacks() map[envtest.Condition]string { return nil }

func (w *world) Resets(node string) (int, error) { return w.resets[node], nil }

func (w *world) Advance(seconds int64) {
	for range seconds {
		w.now++
		for _, n := range w.nodes {
			n.crmEnv.sync()
			n.lrmEnv.sync()
		}
		w.checkWatchdogs()
	}
}

func (w *world) Took(clock crm.Clock, f func()) int64 {
	e := clock.(*env)
	before := e.spent
	f()
	return e.spent - before
}

func (w *world) Set(c envtest.Condition, node string, on bool) error {
	n := w.nodes[node]
	switch c {
	case envtest.CutOff:
		n.network = !on
	case envtest.NoFiles:
		n.cfsRW = !on
	case envtest.Stale:
		n.cfsUpdate = !on
	case envtest.PoweredOff:
		if on {
			w.powerOff(n)
		} else {
			w.powerOn(n)
		}
	case envtest.ShuttingDown:
		n.shutdown = string(VerbShutdown)
	case envtest.Rebooting:
		n.shutdown = string(VerbReboot)
	case envtest.Reset, envtest.DeadMount, envtest.Domains, envtest.Folders, envtest.Counters, envtest.GuestFiles:
		return errors.ErrUnsupported
	}
	return nil
}
