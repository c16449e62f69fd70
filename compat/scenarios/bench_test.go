package scenarios

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/compat/sim"
	"pveha/internal/corpus"
	"pveha/internal/golden"
)

// BenchmarkRecorded plays all scenarios in the repository once, on one core.
func BenchmarkRecorded(b *testing.B) {
	cases := golden.Cases(b, testdata)
	for b.Loop() {
		for _, c := range cases {
			if err := Play(c, io.Discard, sim.Options{}); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(len(cases)), "scenarios/op")
}

// big is a cluster that starts with all its guests and then loses its third
// node, as in the speed comparison with the Perl stack.
func big(guests, nodes int, mode string) corpus.Case {
	hardware, services, stats, power := map[string]string{}, map[string]string{}, map[string]string{}, []string{}
	for i := range nodes {
		name := fmt.Sprintf("node%d", i+1)
		hardware[name] = `{"power": "off", "network": "off", "maxcpu": 64, "maxmem": 549755813888}`
		power = append(power, fmt.Sprintf("%q", "power "+name+" on"))
	}
	for i := range guests {
		sid := fmt.Sprintf("vm:%d", 1000+i)
		services[sid] = fmt.Sprintf(`{"node": "node%d", "state": "started"}`, i%nodes+1)
		stats[sid] = `{"maxcpu": 2.0, "maxmem": 2147483648}`
	}
	files := map[string][]byte{
		"hardware_status": object(hardware),
		"service_config":  object(services),
		"cmdlist":         []byte("[[" + strings.Join(power, ", ") + "], [\"network node3 off\"]]"),
	}
	if mode != "basic" {
		files["datacenter.cfg"] = []byte(`{"crs": {"ha": "` + mode + `"}}`)
		files["static_service_stats"] = object(stats)
	}
	return corpus.Case{Name: fmt.Sprintf("%d guests on %d nodes, %s", guests, nodes, mode), Files: files}
}

func object(entries map[string]string) []byte {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		parts = append(parts, fmt.Sprintf("%q: %s", key, entries[key]))
	}
	return []byte("{" + strings.Join(parts, ",\n") + "}")
}

// BenchmarkBigCluster shows how the cost grows with guests and nodes.
func BenchmarkBigCluster(b *testing.B) {
	for _, mode := range []string{"basic", "static", "dynamic"} {
		for _, size := range []struct{ guests, nodes int }{{300, 5}, {1000, 10}, {2000, 20}} {
			c := big(size.guests, size.nodes, mode)
			b.Run(strings.ReplaceAll(c.Name, " ", "-"), func(b *testing.B) {
				for b.Loop() {
					require.NoError(b, Play(c, io.Discard, sim.Options{}))
				}
			})
		}
	}
}
