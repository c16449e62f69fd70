package rules

import (
	"fmt"
	"strings"
	"testing"

	"pveha/internal/ha"
)

// cluster is 32 nodes with 1,000 rules over 10,000 services: 600 node affinity
// rules of 5 services, 200 pairs to keep together, 200 triples to keep apart,
// some of which overlap with the pairs.
func cluster() (nodes, rules []string) {
	for i := range 32 {
		nodes = append(nodes, fmt.Sprintf("node%02d", i))
	}
	sids := func(from, n, step int) string {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprintf("vm:%d", 100+from+i*step)
		}
		return strings.Join(list, ",")
	}
	for i := range 600 {
		at := i % 28
		rules = append(rules, fmt.Sprintf("node n%d %s %s", i, sids(i*5, 5, 1), strings.Join(nodes[at:at+4], ",")))
	}
	for i := range 200 {
		rules = append(rules, fmt.Sprintf("positive p%d %s", i, sids(3000+i*10, 2, 1)))
		rules = append(rules, fmt.Sprintf("negative a%d %s", i, sids(3000+i*10, 3, 2000)))
	}
	return nodes, rules
}

// largeRules is 1,000 rules that together name 10,000 services of every kind.
func largeRules() (nodes, rules []string) {
	nodes, _ = cluster()
	for i := range 1000 {
		list := make([]string, 10)
		for j := range list {
			list[j] = fmt.Sprintf("vm:%d", 100+i*10+j)
		}
		kind := []string{"positive", "negative", "node"}[i%3]
		line := fmt.Sprintf("%s r%d %s", kind, i, strings.Join(list, ","))
		if kind == "node" {
			line += " node01,node02 strict"
		}
		rules = append(rules, line)
	}
	return nodes, rules
}

// oneRule puts 10,000 services into one positive rule, the worst that a
// configuration can do to lists of partners.
func oneRule() (nodes, rules []string) {
	nodes, _ = cluster()
	list := make([]string, 10000)
	for i := range list {
		list[i] = fmt.Sprintf("vm:%d", 100+i)
	}
	return nodes, []string{"positive p " + strings.Join(list, ",")}
}

func BenchmarkRules(b *testing.B) {
	for _, size := range []struct {
		name string
		make func() (nodes, rules []string)
	}{
		{"1000 rules", cluster}, {"1000 rules of 10", largeRules}, {"1 rule of 10000", oneRule},
	} {
		name := size.name
		nodes, rules := size.make()
		b.Run("Check/"+name, func(b *testing.B) {
			r := config(b, rules...)
			b.ReportAllocs()
			for b.Loop() {
				Check(r, nodes)
			}
		})
		b.Run("Transform/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				r := config(b, rules...)
				b.StartTimer()
				Transform(r, nodes)
			}
		})
		b.Run("Compile/"+name, func(b *testing.B) {
			r := config(b, rules...)
			Transform(r, nodes)
			b.ReportAllocs()
			for b.Loop() {
				Compile(r, nodes)
			}
		})
	}
}

func BenchmarkPlaceService(b *testing.B) {
	nodes, rules := cluster()
	c := compile(b, nodes, rules...)
	current := func(sid ha.SID) (string, string) { return nodes[len(sid)], "" }
	for _, service := range []struct {
		name string
		sid  ha.SID
	}{
		{"no rule", "vm:9999"},
		{"node affinity", "vm:100"},
		{"together and separate", "vm:3100"},
	} {
		b.Run(service.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, preferred := c.NodeAffinity(service.sid, nodes)
				p := c.ResourceAffinity(service.sid, current)
				p.Allows(nodes[3])
				p.KeepTogether(p.KeepApart(preferred))
			}
		})
	}
}

func BenchmarkTogether(b *testing.B) {
	nodes, rules := cluster()
	c := compile(b, nodes, rules...)
	b.ReportAllocs()
	for b.Loop() {
		c.Together("vm:3100")
		c.Separate("vm:3100")
	}
}
