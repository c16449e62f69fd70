package rules

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/cfgparse/hacfg"
	"pveha/internal/ha"
)

func TestCheck(t *testing.T) {
	const (
		lessThanTwo      = "rule is ineffective as there are less than two resources"
		tooMany          = "rule defines more resources than available nodes"
		sharesNegative   = "rule shares two or more resources with a negative resource affinity rule"
		sharesPositive   = "rule shares two or more resources with a positive resource affinity rule"
		priorityNode     = "resources are in a resource affinity rule and cannot be in a node affinity rule with multiple priorities"
		priorityResource = "resources are in node affinity rules with multiple priorities"
		manyNode         = "resources are in multiple node affinity rules"
		otherNode        = "at least one resource is in a positive resource affinity rule and there are other resources in at least one other node affinity rule already"
		fewNodes         = "two or more resources are restricted to less nodes than available to the resources"
		restricts        = "at least one resource is in a negative resource affinity rule and this rule would restrict these to less nodes than available to the resources"
	)
	used := func(sid string) string { return "resource '" + sid + "' is already used in another node affinity rule" }
	tests := map[string]struct {
		rules []string
		want  [][2]string // rule ID, message
	}{
		"no rules": {},
		"rules that go together": {
			rules: []string{"positive p vm:1,vm:2", "negative n vm:1,vm:3", "node a vm:1 node1", "node b vm:4 node1:2,node2"},
		},
		"service in two node affinity rules": {
			rules: []string{"node b vm:1,vm:2,vm:3 node1", "node a vm:10,vm:2,vm:1 node1", "node c vm:9 node1"},
			want: [][2]string{
				{"a", used("vm:1")},
				{"a", used("vm:2")},
				{"b", used("vm:1")},
				{"b", used("vm:2")},
			},
		},
		"disabled rule does not count, whatever the value": {
			rules: []string{"node a vm:1 node1", "node b vm:1 node1 disable", "node c vm:1 node1 disable=0"},
		},
		"one service to relate": {
			rules: []string{"positive p vm:1", "negative n vm:2,vm:2"},
			want:  [][2]string{{"n", lessThanTwo}, {"p", lessThanTwo}},
		},
		"no service at all": {
			rules: []string{"positive p ,", "node a , node1"},
			want:  [][2]string{{"p", lessThanTwo}},
		},
		"more services to separate than nodes": {
			rules: []string{"negative n vm:1,vm:2,vm:3,vm:4", "negative o vm:1,vm:2,vm:3", "positive p vm:5,vm:6,vm:7,vm:8"},
			want:  [][2]string{{"n", tooMany}},
		},
		"together and apart at once": {
			rules: []string{"positive p vm:1,vm:2,vm:3", "negative n vm:2,vm:3"},
			want:  [][2]string{{"n", sharesPositive}, {"p", sharesNegative}},
		},
		"together over two rules and apart": {
			rules: []string{"positive p vm:1,vm:2", "positive q vm:2,vm:3", "negative n vm:1,vm:3"},
			want:  [][2]string{{"n", sharesPositive}, {"p", sharesNegative}, {"q", sharesNegative}},
		},
		"each conflict of a kind is told": {
			rules: []string{"positive p vm:1,vm:2,vm:3", "negative n vm:1,vm:2", "negative o vm:2,vm:3"},
			want: [][2]string{
				{"n", sharesPositive}, {"o", sharesPositive}, {"p", sharesNegative}, {"p", sharesNegative},
			},
		},
		"bundles are not linked by a later rule": {
			// c joins a, which has vm:5, though it shares vm:6 with b.
			rules: []string{"positive a vm:1,vm:5", "positive b vm:2,vm:6", "positive c vm:5,vm:6", "negative n vm:1,vm:2"},
		},
		"priorities in the node affinity of related services": {
			rules: []string{"node a vm:1 node1:2,node2", "node b vm:2 node1", "negative n vm:1,vm:2", "node c vm:3 node1:1,node2:1"},
			want:  [][2]string{{"a", priorityNode}, {"b", priorityNode}, {"n", priorityResource}},
		},
		"services to keep together in two node affinity rules": {
			rules: []string{"node a vm:1 node1", "node b vm:3 node1", "positive p vm:1,vm:2", "positive q vm:2,vm:3"},
			want:  [][2]string{{"a", otherNode}, {"b", otherNode}, {"p", manyNode}, {"q", manyNode}},
		},
		"fewer nodes than services to separate": {
			rules: []string{"node a vm:1,vm:2 node1", "negative n vm:1,vm:2,vm:3"},
			want:  [][2]string{{"a", restricts}, {"n", fewNodes}},
		},
		"nodes of several rules are added up": {
			rules: []string{"node a vm:1,vm:2 node1", "node b vm:3 node2", "node c vm:4 node9", "negative n vm:1,vm:2,vm:3"},
			want:  [][2]string{{"a", restricts}, {"b", restricts}, {"n", fewNodes}},
		},
		"services without node affinity may go anywhere": {
			rules: []string{"node a vm:1 node1", "negative n vm:1,vm:2,vm:3"},
		},
		"every check objects": {
			rules: []string{"node a vm:1,vm:2 node1:1,node2", "node b vm:1 node1", "positive p vm:1,vm:2", "negative n vm:1,vm:2,vm:3,vm:4"},
			want: [][2]string{
				{"a", used("vm:1")},
				{"a", priorityNode},
				{"a", priorityNode},
				{"a", otherNode},
				{"b", used("vm:1")},
				{"b", priorityNode},
				{"b", priorityNode},
				{"b", otherNode},
				{"n", tooMany},
				{"n", sharesPositive},
				{"n", priorityResource},
				{"p", sharesNegative},
				{"p", priorityResource},
				{"p", manyNode},
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := config(t, test.rules...)
			before := lines(r)
			var want []Conflict
			for _, c := range test.want {
				want = append(want, Conflict{RuleID: c[0], Option: "resources", Message: c[1]})
			}
			require.Equal(t, want, Check(r, threeNodes))
			require.Equal(t, before, lines(r), "Check must not change the rules")
		})
	}
}

func TestBundlesFollowTheLowestService(t *testing.T) {
	r := config(t, "positive z vm:1,vm:2", "positive a vm:2,vm:3", "positive b vm:10,vm:4", "positive y vm:10,vm:5")
	var got [][]string
	for _, b := range bundles(viewOf(r).positive) {
		var ids []string
		for _, rule := range b.rules {
			ids = append(ids, rule.ID)
		}
		got = append(got, ids)
	}
	// As text vm:10 is lower than vm:2; b and y share it and go by ID.
	require.Equal(t, [][]string{{"z", "a"}, {"b", "y"}}, got)
}

func TestBundlesLeaveTheRulesAlone(t *testing.T) {
	r := config(t, "positive a vm:1,vm:2", "positive b vm:2,vm:3", "positive c vm:3,vm:4")
	before := make(map[string]map[ha.SID]bool)
	for id, rule := range r.ByID {
		before[id] = maps.Clone(rule.Resources)
	}
	list := bundles(viewOf(r).positive)
	require.Len(t, list, 1)
	require.Len(t, list[0].resources, 4)
	for id, rule := range r.ByID {
		require.Equal(t, before[id], rule.Resources)
	}
}

func TestCheckOfEmptyRules(t *testing.T) {
	require.Empty(t, Check(&hacfg.Rules{}, nil))
}
