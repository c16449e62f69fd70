package rules

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/cfgparse/hacfg"
)

func TestTransform(t *testing.T) {
	tests := map[string]struct {
		rules    []string
		want     []string // with ordinals
		messages []string
	}{
		"nothing to do": {
			rules: []string{"positive p vm:1,vm:2", "negative n vm:3,vm:4", "node a vm:5 node1 strict"},
			want:  []string{"1 positive p vm:1,vm:2", "2 negative n vm:3,vm:4", "3 node a vm:5 node1:0 strict"},
		},
		"infeasible rules are dropped": {
			rules: []string{"node b vm:1 node1", "node a vm:1 node2", "positive p vm:7"},
			messages: []string{
				"Drop rule 'a', because resource 'vm:1' is already used in another node affinity rule.",
				"Drop rule 'b', because resource 'vm:1' is already used in another node affinity rule.",
				"Drop rule 'p', because rule is ineffective as there are less than two resources.",
			},
		},
		"disabled rules stay as they are": {
			rules: []string{"positive p vm:1,vm:2", "positive q vm:2,vm:3 disable", "node a vm:1 node1 disable=0"},
			want:  []string{"1 positive p vm:1,vm:2", "2 positive q vm:2,vm:3 disable", "3 node a vm:1 node1:0 disable"},
		},
		"positive rules that overlap are joined": {
			rules: []string{"negative n vm:8,vm:9", "positive z vm:1,vm:2", "positive a vm:2,vm:3", "positive b vm:5,vm:6"},
			want:  []string{"1 negative n vm:8,vm:9", "2 positive _merged-z-a vm:1,vm:2,vm:3", "4 positive b vm:5,vm:6"},
		},
		"of two joined rules with the same ID the later bundle stays": {
			rules: []string{"positive a vm:1,vm:2", "positive b-c vm:2,vm:3", "positive a-b vm:5,vm:6", "positive c vm:6,vm:7"},
			want:  []string{"3 positive _merged-a-b-c vm:5,vm:6,vm:7"},
		},
		"who stays with a service avoids what it avoids": {
			rules: []string{"node x vm:9 node1", "positive p vm:1,vm:2,vm:3", "negative n vm:1,vm:4", "negative o vm:2,vm:5"},
			want: []string{
				"1 node x vm:9 node1:0",
				"2 negative _implicit-negative-p-vm:1-vm:5 vm:1,vm:5",
				"2 negative _implicit-negative-p-vm:2-vm:4 vm:2,vm:4",
				"2 negative _implicit-negative-p-vm:3-vm:4 vm:3,vm:4",
				"2 negative _implicit-negative-p-vm:3-vm:5 vm:3,vm:5",
				"2 positive p vm:1,vm:2,vm:3",
				"3 negative n vm:1,vm:4",
				"4 negative o vm:2,vm:5",
			},
		},
		"inferred of joined rules": {
			rules: []string{"positive p vm:1,vm:2", "positive q vm:2,vm:3", "negative n vm:3,vm:4"},
			want: []string{
				"1 positive _merged-p-q vm:1,vm:2,vm:3",
				"2 negative _implicit-negative-_merged-p-q-vm:1-vm:4 vm:1,vm:4",
				"2 negative _implicit-negative-_merged-p-q-vm:2-vm:4 vm:2,vm:4",
				"3 negative n vm:3,vm:4",
			},
		},
		"who stays with a service shares its node affinity": {
			rules: []string{"positive p vm:1,vm:2", "positive q vm:2,vm:3", "node a vm:3,vm:7 node1:2 strict"},
			want:  []string{"1 positive _merged-p-q vm:1,vm:2,vm:3", "3 node a vm:1,vm:2,vm:3,vm:7 node1:2 strict"},
		},
		"one node affinity rule can serve several bundles": {
			rules: []string{"positive p vm:1,vm:2", "positive q vm:3,vm:4", "node a vm:1,vm:3 node1"},
			want:  []string{"1 positive p vm:1,vm:2", "2 positive q vm:3,vm:4", "3 node a vm:1,vm:2,vm:3,vm:4 node1:0"},
		},
		"bundles left overlapping follow the rules by ID": {
			// c joins a; b keeps vm:6. First _merged-a-c takes rule m, then b rule k.
			rules: []string{"positive a vm:1,vm:5", "positive b vm:2,vm:6", "positive c vm:5,vm:6", "node m vm:1 node1", "node k vm:2 node2"},
			want: []string{
				"1 positive _merged-a-c vm:1,vm:5,vm:6", "2 positive b vm:2,vm:6",
				"4 node m vm:1,vm:5,vm:6 node1:0", "5 node k vm:2,vm:6 node2:0",
			},
		},
		"dropping a rule can bring together what another keeps apart": {
			// c would join a, but a goes because of x, and so c joins d. The
			// checks are not run again, and vm:2 and vm:7 avoid themselves.
			rules: []string{
				"positive a vm:1,vm:5", "positive c vm:5,vm:6,vm:7", "positive d vm:2,vm:6",
				"negative n vm:2,vm:7", "node x vm:1 node1:1,node2",
			},
			messages: []string{
				"Drop rule 'a', because resources are in node affinity rules with multiple priorities.",
				"Drop rule 'x', because resources are in a resource affinity rule and cannot be in a node affinity rule with multiple priorities.",
			},
			want: []string{
				"3 positive _merged-d-c vm:2,vm:5,vm:6,vm:7",
				"4 negative _implicit-negative-_merged-d-c-vm:2-vm:2 vm:2",
				"4 negative _implicit-negative-_merged-d-c-vm:5-vm:2 vm:2,vm:5",
				"4 negative _implicit-negative-_merged-d-c-vm:5-vm:7 vm:5,vm:7",
				"4 negative _implicit-negative-_merged-d-c-vm:6-vm:2 vm:2,vm:6",
				"4 negative _implicit-negative-_merged-d-c-vm:6-vm:7 vm:6,vm:7",
				"4 negative _implicit-negative-_merged-d-c-vm:7-vm:7 vm:7",
				"4 negative n vm:2,vm:7",
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := config(t, test.rules...)
			require.Equal(t, test.messages, Transform(r, threeNodes))
			require.Equal(t, test.want, lines(r))
		})
	}
}

// A program that keeps the parsed rules and transforms a shallow copy must
// find them unchanged.
func TestTransformCopiesWhatItChanges(t *testing.T) {
	parsed := config(t, "positive p vm:1,vm:2", "positive q vm:2,vm:3", "node a vm:3 node1", "negative n vm:3,vm:8")
	before := lines(parsed)
	r := &hacfg.Rules{ByID: make(map[string]*hacfg.Rule)}
	for id, rule := range parsed.ByID {
		r.ByID[id] = rule
	}
	Transform(r, threeNodes)
	require.NotEqual(t, before, lines(r))
	require.Equal(t, before, lines(parsed))
}

func TestNextOrdinal(t *testing.T) {
	require.Equal(t, 1, (&hacfg.Rules{}).NextOrdinal())

	r := config(t, "positive p vm:1,vm:2", "positive q vm:3,vm:4", "node a vm:3 node1")
	require.Equal(t, 2, r.NextOrdinal(), "one above the lowest, not the highest")

	delete(r.ByID, "p")
	require.Equal(t, 3, r.NextOrdinal())

	r.Broken = map[string]int{"b": 1}
	require.Equal(t, 2, r.NextOrdinal(), "sections that failed count too")
}
