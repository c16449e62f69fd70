package crm

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// fact is something an outcome may depend on, with the values it can have.
type fact struct {
	name   string
	values []string
}

// row is what comes of some facts. A fact that makes no difference has the
// value "-".
type row struct {
	facts   map[string]string // by name
	outcome string
}

// enumerate runs all combinations of facts, together with those that are given,
// and merges those that come to the same. The order of the facts decides how
// well that goes, so the most important should come first.
func enumerate(facts []fact, given map[string]string, run func(map[string]string) string) []row {
	if len(facts) == 0 {
		return []row{{facts: map[string]string{}, outcome: run(given)}}
	}
	first := facts[0]
	groups := make([][]row, len(first.values)) // by the value of the first fact
	same := true
	for i, value := range first.values {
		given[first.name] = value
		groups[i] = enumerate(facts[1:], given, run)
		same = same && slices.EqualFunc(groups[0], groups[i], func(a, b row) bool {
			return a.outcome == b.outcome && maps.Equal(a.facts, b.facts)
		})
	}
	if same {
		return withFact(first.name, "-", groups[0])
	}
	var all []row
	for i, value := range first.values {
		all = append(all, withFact(first.name, value, groups[i])...)
	}
	return all
}

func withFact(name, value string, rows []row) []row {
	for _, r := range rows {
		r.facts[name] = value
	}
	return rows
}

// combinations is how many runs enumerate makes.
func combinations(facts []fact) int {
	n := 1
	for _, f := range facts {
		n *= len(f.values)
	}
	return n
}

// writeRows prints rows below each other, with the named facts in order.
func writeRows(b *strings.Builder, columns []fact, outcome string, rows []row) {
	width := func(f fact) int {
		w := len(f.name)
		for _, v := range f.values {
			w = max(w, len(v))
		}
		return w
	}
	for _, f := range columns {
		fmt.Fprintf(b, "%-*s  ", width(f), f.name)
	}
	b.WriteString(outcome + "\n")
	for _, r := range rows {
		for _, f := range columns {
			fmt.Fprintf(b, "%-*s  ", width(f), r.facts[f.name])
		}
		b.WriteString(r.outcome + "\n")
	}
	b.WriteString("\n")
}
