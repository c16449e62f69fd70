package crm

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/crm/usage"
	"pveha/internal/ha"
)

const (
	benchNodes  = 32
	benchGuests = 10_000
	benchRules  = 1000
)

// benchEnv is a large cluster at rest. It encodes the status as a real one
// does, and reads the rules from their text; what else it returns is ready.
type benchEnv struct {
	*fake
	guests  map[ha.SID]usage.Service
	written int // bytes
}

func (e *benchEnv) WriteManagerStatus(s *ha.ManagerStatus) error {
	e.written = len(s.Encode())
	return nil
}

func (e *benchEnv) BasicServices() (map[ha.SID]usage.Service, error)   { return e.guests, nil }
func (e *benchEnv) StaticServices() (map[ha.SID]usage.Service, error)  { return e.guests, nil }
func (e *benchEnv) DynamicServices() (map[ha.SID]usage.Service, error) { return e.guests, nil }

func benchNode(guest int) string { return fmt.Sprintf("node%02d", guest%benchNodes) }
func benchSID(guest int) ha.SID  { return ha.SID(fmt.Sprintf("vm:%d", 10_000+guest)) }

// newBenchEnv spreads the guests evenly over the nodes, all of them running
// and every order just reported on, as it is in a cluster at rest: each report
// gives the service a new order.
func newBenchEnv(tb testing.TB, mode SchedulerMode, rules bool) (*benchEnv, *Manager) {
	tb.Helper()
	var nodes []string
	for i := range benchNodes {
		nodes = append(nodes, benchNode(i))
	}
	e := &benchEnv{fake: newFake(nodes...), guests: map[ha.SID]usage.Service{}}
	e.quiet = true
	e.manager = &ha.ManagerStatus{NodeStatus: map[string]ha.NodeState{}, ServiceStatus: map[ha.SID]*ha.ServiceStatus{}}
	for _, node := range nodes {
		e.manager.NodeStatus[node] = ha.NodeOnline
		e.lrms[node].Results = map[string]ha.Result{}
		e.sizes[node] = usage.NodeStats{CPU: 40, MaxCPU: 128, Mem: 1 << 40, MaxMem: 2 << 40}
	}
	for i := range benchGuests {
		sid, node, uid := benchSID(i), benchNode(i), benchUID(i)
		e.guest(sid, node, ha.RequestStarted)
		e.manager.ServiceStatus[sid] = &ha.ServiceStatus{State: ha.Started, Node: node, UID: uid, Running: true}
		e.lrms[node].Results[uid] = ha.Result{SID: sid, State: ha.Started}
		e.guests[sid] = usage.Service{
			Node: node, State: ha.RequestStarted, Running: true,
			Stats: &usage.ServiceStats{CPU: 0.1, MaxCPU: 4, Mem: 2 << 30, MaxMem: 8 << 30},
		}
	}
	e.scheduling.Mode = mode
	e.scheduling.AutoRebalance.Enabled = true
	if rules {
		e.rules = benchRuleText()
	}
	order := 0
	m, err := newManager(e, Config{NewUID: func(state ha.ServiceState) string {
		randomUID(state) // for its cost
		order++
		return benchUID((order - 1) % benchGuests) // the services come in their order
	}})
	require.NoError(tb, err)
	require.NoError(tb, m.Round())
	require.Equal(tb, benchGuests, order, "every service was given one new order")
	e.onLog = func(entry ha.Entry) { tb.Fatalf("the cluster is not at rest: %s", entry.Text) }
	require.NoError(tb, m.Round())
	require.Greater(tb, e.written, 90*benchGuests)
	return e, m
}

func benchUID(guest int) string { return fmt.Sprintf("order-of-22-letters-%05d", guest) }

// benchRuleText is rules that the guests keep already: most name the node of
// ten guests each, the others keep three together or two apart.
func benchRuleText() string {
	var b strings.Builder
	guests := func(rule, slot, n int) string { // n guests on one node
		var sids []string
		for i := range n {
			sids = append(sids, string(benchSID(rule%benchNodes+benchNodes*(slot+n*(rule/benchNodes)+i))))
		}
		return strings.Join(sids, ",")
	}
	const home, together = benchRules * 7 / 10, benchRules / 10
	for i := range home {
		fmt.Fprintf(&b, "node-affinity: home%d\n\tresources %s\n\tnodes %s:2,%s:1\n\n", i, guests(i, 0, 10), benchNode(i), benchNode(i+1))
	}
	for i := range together {
		fmt.Fprintf(&b, "resource-affinity: together%d\n\tresources %s\n\taffinity positive\n\n", i, guests(i, 220, 3))
	}
	for i := range benchRules - home - together {
		fmt.Fprintf(&b, "resource-affinity: apart%d\n\tresources %s,%s\n\taffinity negative\n\n", i, benchSID(7500+2*i), benchSID(7501+2*i))
	}
	return b.String()
}

// BenchmarkRound is a round of a cluster at rest, the encoding of the status
// included.
func BenchmarkRound(b *testing.B) {
	for _, mode := range []SchedulerMode{SchedulerBasic, SchedulerStatic, SchedulerDynamic} {
		for _, rules := range []int{0, benchRules} {
			b.Run(fmt.Sprintf("%s/rules=%d", mode, rules), func(b *testing.B) {
				_, m := newBenchEnv(b, mode, rules > 0)
				b.ReportAllocs()
				for b.Loop() {
					if err := m.Round(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkBalancing is the search for the best of all migrations. A cluster
// that stays uneven comes to it in every third round.
func BenchmarkBalancing(b *testing.B) {
	for _, method := range []usage.Method{usage.BruteForce, usage.TOPSIS} {
		for _, rules := range []int{0, benchRules} {
			b.Run(fmt.Sprintf("%s/rules=%d", method, rules), func(b *testing.B) {
				e, m := newBenchEnv(b, SchedulerDynamic, rules > 0)
				stats := e.sizes[benchNode(0)]
				stats.CPU = stats.MaxCPU
				e.sizes[benchNode(0)] = stats
				e.scheduling.AutoRebalance = AutoRebalance{Enabled: true, Hold: 1, Margin: 1, Method: method}
				require.NoError(b, m.Round())
				require.Positive(b, m.usage.Imbalance())
				b.ReportAllocs()
				for b.Loop() {
					m.balance()
				}
			})
		}
	}
}
