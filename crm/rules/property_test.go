package rules

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/cfgparse/hacfg"
	"pveha/internal/ha"
)

// randomRules makes up to eight small rules among few services, so that they
// meet often, as lines for config.
func randomRules(rnd *rand.Rand) []string {
	services := 6 + rnd.IntN(12)
	priorities := 1 + 2*rnd.IntN(2)
	list := func(n int, item func() string) string {
		items := make([]string, n)
		for i := range items {
			items[i] = item()
		}
		return strings.Join(items, ",")
	}
	sid := func() string { return fmt.Sprintf("vm:%d", 1+rnd.IntN(services)) }
	node := func() string { return fmt.Sprintf("node%d:%d", 1+rnd.IntN(5), rnd.IntN(priorities)) }
	var rules []string
	for i := range 1 + rnd.IntN(8) {
		var line string
		switch rnd.IntN(3) {
		case 0:
			line = fmt.Sprintf("node r%d %s %s", i, list(1+rnd.IntN(3), sid), list(1+rnd.IntN(3), node))
		case 1:
			line = fmt.Sprintf("positive r%d %s", i, list(2+rnd.IntN(2), sid))
		case 2:
			line = fmt.Sprintf("negative r%d %s", i, list(2+rnd.IntN(3), sid))
		}
		if rnd.IntN(8) == 0 {
			line += " disable"
		}
		rules = append(rules, line)
	}
	return rules
}

// forRandomRules runs f on a thousand sets of rules, the same in every run of
// the tests. What f fails with names the rules.
func forRandomRules(t *testing.T, f func(t *testing.T, rnd *rand.Rand, rules []string)) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		rules := randomRules(rnd)
		f(t, rnd, rules)
		if t.Failed() {
			t.Fatalf("with the rules\n%s", strings.Join(rules, "\n"))
		}
	}
}

// survivors are the rules as configured that Transform did not drop.
func survivors(t *testing.T, rules []string) (kept, transformed *hacfg.Rules) {
	kept, transformed = config(t, rules...), config(t, rules...)
	for _, c := range Check(kept, threeNodes) {
		delete(kept.ByID, c.RuleID)
	}
	Transform(transformed, threeNodes)
	return kept, transformed
}

// Some checks look at one rule or at a pair. As they object to every rule that
// is involved, dropping rules cannot bring about a new conflict of the kind.
// (It can for the other checks: a rule that goes takes its nodes along, and
// bundles form anew.)
func TestDroppedRulesLeaveNoConflictOfRulesOrPairs(t *testing.T) {
	guaranteed := func(c Conflict) bool {
		switch c.Message {
		case msgSharesWithNegative, msgSharesWithPositive, msgManyNodeAffinity, msgOtherNodeAffinity, msgTooFewNodes, msgRestricts:
			return false
		default:
			return true
		}
	}
	dropped := 0
	forRandomRules(t, func(t *testing.T, _ *rand.Rand, rules []string) {
		kept, _ := survivors(t, rules)
		dropped += len(rules) - len(kept.ByID)
		for _, c := range Check(kept, threeNodes) {
			if guaranteed(c) {
				t.Errorf("rule %s: %s", c.RuleID, c.Message)
			}
		}
		v := viewOf(kept)
		for _, p := range v.positive {
			for _, n := range v.negative {
				if len(common(p, n)) > 1 {
					t.Errorf("rules %s and %s share %v", p.ID, n.ID, common(p, n))
				}
			}
		}
	})
	require.NotZero(t, dropped)
}

func common(a, b *hacfg.Rule) (sids []ha.SID) {
	for sid := range a.Resources {
		if b.Resources[sid] {
			sids = append(sids, sid)
		}
	}
	return sids
}

// What the rules that stay say is still said after joining and inferring, and
// of both services of a pair.
func TestCompiledKeepsWhatTheRulesSay(t *testing.T) {
	pairs := 0
	forRandomRules(t, func(t *testing.T, _ *rand.Rand, rules []string) {
		kept, transformed := survivors(t, rules)
		c := Compile(transformed, threeNodes)
		v := viewOf(kept)
		said := func(rules []*hacfg.Rule, of func(ha.SID) []ha.SID) {
			for _, rule := range rules {
				for a := range rule.Resources {
					for b := range rule.Resources {
						if a != b && !slices.Contains(of(a), b) {
							t.Errorf("rule %s is lost for %s and %s", rule.ID, a, b)
						}
						pairs++
					}
				}
			}
		}
		said(v.positive, c.Together)
		said(v.negative, c.Separate)
		for _, relation := range []map[ha.SID][]ha.SID{c.Positive(), c.Negative()} {
			for a, others := range relation {
				require.True(t, slices.IsSorted(others))
				require.NotContains(t, others, a)
				for _, b := range others {
					require.Contains(t, relation[b], a)
				}
			}
		}
	})
	require.NotZero(t, pairs)
}

// Who stays with a service avoids what rules keep apart from it, and has a
// node affinity when it has one.
func TestCompiledFollowsServicesThatStayTogether(t *testing.T) {
	inferred := 0
	forRandomRules(t, func(t *testing.T, _ *rand.Rand, rules []string) {
		kept, transformed := survivors(t, rules)
		c := Compile(transformed, threeNodes)
		direct := relate(viewOf(kept).negative)
		for a, partners := range c.Positive() {
			for _, avoided := range direct[a].sids {
				for _, b := range partners {
					if b != avoided && !slices.Contains(c.Separate(b), avoided) {
						t.Errorf("%s avoids %s, but %s does not", a, avoided, b)
					}
					inferred++
				}
			}
			for _, b := range partners {
				if c.NodePriorities()[a] != nil && c.NodePriorities()[b] == nil {
					t.Errorf("%s has a node affinity, but %s has none", a, b)
				}
			}
		}
	})
	require.NotZero(t, inferred)
}

// Neither the order in which rules got into the map nor the runtime's map
// order may be seen.
func TestTransformIsDeterministic(t *testing.T) {
	forRandomRules(t, func(t *testing.T, rnd *rand.Rand, rules []string) {
		first := config(t, rules...)
		again := &hacfg.Rules{ByID: make(map[string]*hacfg.Rule)}
		source := config(t, rules...)
		ids := slices.Sorted(maps.Keys(source.ByID))
		rnd.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		for _, id := range ids {
			again.ByID[id] = source.ByID[id]
		}
		require.Equal(t, Check(first, threeNodes), Check(again, threeNodes))
		require.Equal(t, Transform(first, threeNodes), Transform(again, threeNodes))
		require.Equal(t, lines(first), lines(again))
		require.Equal(t, perlCompiled(Compile(first, threeNodes)), perlCompiled(Compile(again, threeNodes)))
	})
}
