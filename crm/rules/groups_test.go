package rules

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/cfgparse/hacfg"
	"pveha/internal/ha"
)

func groups(t *testing.T, text string) *hacfg.Groups {
	t.Helper()
	g, problems := hacfg.ParseGroups("groups.cfg", []byte(text))
	require.Empty(t, problems)
	return g
}

// members puts services into groups, and lets all fail back.
func members(pairs ...string) map[ha.SID]ha.ServiceConfig {
	services := make(map[ha.SID]ha.ServiceConfig)
	for i := 0; i < len(pairs); i += 2 {
		services[ha.SID(pairs[i])] = ha.ServiceConfig{Group: pairs[i+1], Failback: true}
	}
	return services
}

func TestMigrateGroups(t *testing.T) {
	const text = "group: plain\n\tnodes node2:3,node1\n\n" +
		"group: bound\n\tnodes node3\n\trestricted 1\n\tcomment only here\n\n" +
		"group: loose\n\tnodes node3\n\trestricted 0\n\tcomment 0\n\n" +
		"group: unused\n\tnodes node1\n"
	services := members("vm:1", "plain", "vm:2", "plain", "vm:3", "bound", "vm:4", "loose", "vm:5", "gone", "vm:6", "")

	r := config(t, "negative old vm:1,vm:3", "positive dead vm:1,vm:2 disable")
	r.ByID["old"].Ordinal = 4
	MigrateGroups(r, groups(t, text), services)
	require.Equal(t, []string{
		"2 positive dead vm:1,vm:2 disable",
		"3 node ha-group-bound vm:3 node3:0 strict",
		"3 node ha-group-loose vm:4 node3:0",
		"3 node ha-group-plain vm:1,vm:2 node1:0,node2:3",
		"4 negative old vm:1,vm:3",
	}, lines(r))
	for id, comment := range map[string]string{
		"ha-group-bound": "only here",
		"ha-group-loose": "Generated from HA group 'loose'.",
		"ha-group-plain": "Generated from HA group 'plain'.",
	} {
		require.Equal(t, comment, r.ByID[id].Comment)
		require.Equal(t, id, r.ByID[id].ID)
	}
	require.Nil(t, r.ByID["ha-group-plain"].Strict)
	require.Equal(t, new(false), r.ByID["ha-group-loose"].Strict)
}

func TestMigrateGroupsIntoNoRules(t *testing.T) {
	g := groups(t, "group: aa\n\tnodes node1\n\ngroup: bb\n\tnodes node1\n\ngroup: cc\n\tnodes node1\n")
	r := &hacfg.Rules{}
	MigrateGroups(r, g, members("vm:1", "cc", "vm:2", "bb", "vm:3", "aa"))
	require.Equal(t, []string{
		"1 node ha-group-aa vm:3 node1:0", "2 node ha-group-bb vm:2 node1:0", "2 node ha-group-cc vm:1 node1:0",
	}, lines(r))
}

func TestMigrateGroupsReplacesRule(t *testing.T) {
	g := groups(t, "group: aa\n\tnodes node1\n\ngroup: bb\n\tnodes node1\n")
	r := config(t, "negative x1 vm:1,vm:2", "node ha-group-aa vm:9 node9 disable")
	r.Broken = map[string]int{"ha-group-bb": 3, "other": 4}
	MigrateGroups(r, g, members("vm:1", "aa", "vm:2", "bb"))
	require.Equal(t, []string{
		"1 negative x1 vm:1,vm:2", "2 node ha-group-aa vm:1 node1:0", "2 node ha-group-bb vm:2 node1:0",
	}, lines(r))
	require.Equal(t, map[string]int{"other": 4}, r.Broken)
}

func TestNodeTwiceInGroup(t *testing.T) {
	g := groups(t, "group: aa\n\tnodes node1:7,node1,node2,node2:3\n")
	r := &hacfg.Rules{}
	MigrateGroups(r, g, members("vm:1", "aa"))
	require.Equal(t, map[string]int{"node1": 7, "node2": 3}, r.ByID["ha-group-aa"].Nodes)
}

func TestFailbackFromGroups(t *testing.T) {
	g := groups(t, "group: plain\n\tnodes node1\n\n"+
		"group: stay\n\tnodes node1\n\tnofailback 1\n\n"+
		"group: back\n\tnodes node1\n\tnofailback 0\n")
	services := members("vm:1", "plain", "vm:2", "stay", "vm:3", "back", "vm:4", "gone", "vm:5", "")
	for _, sid := range []ha.SID{"vm:1", "vm:3", "vm:4", "vm:5"} {
		s := services[sid]
		s.Failback = false
		services[sid] = s
	}
	FailbackFromGroups(g, services)
	got := make(map[ha.SID]bool)
	for sid, s := range services {
		got[sid] = s.Failback
	}
	require.Equal(t, map[ha.SID]bool{
		"vm:1": true, "vm:2": false, "vm:3": true,
		"vm:4": true,  // the group is not defined
		"vm:5": false, // no group: its own setting
	}, got)
}

// A service of a group that is not defined: ignored by the migration alone,
// as by the command line and the persistent migration, but a group without
// nodes in the CRM, which looks at failback first.
func TestUndefinedGroup(t *testing.T) {
	services := members("vm:1", "gone", "vm:2", "gone")
	r := config(t, "negative nn vm:1,vm:3")
	MigrateGroups(r, &hacfg.Groups{}, services)
	require.Equal(t, []string{"1 negative nn vm:1,vm:3"}, lines(r))

	g := &hacfg.Groups{Broken: map[string]int{"gone": 1}}
	FailbackFromGroups(g, services)
	require.Empty(t, g.Broken)
	MigrateGroups(r, g, services)
	require.Equal(t, []string{"1 negative nn vm:1,vm:3", "2 node ha-group-gone vm:1,vm:2 "}, lines(r))
	require.Equal(t, []string{
		"Drop rule 'ha-group-gone', because at least one resource is in a negative resource affinity" +
			" rule and this rule would restrict these to less nodes than available to the resources.",
		"Drop rule 'nn', because two or more resources are restricted to less nodes than available to the resources.",
	}, Transform(r, threeNodes))
}

// Without other rules a group without nodes lets its services go anywhere.
func TestGroupWithoutNodes(t *testing.T) {
	r := &hacfg.Rules{}
	g := &hacfg.Groups{}
	services := members("vm:1", "gone")
	FailbackFromGroups(g, services)
	MigrateGroups(r, g, services)
	require.Empty(t, Transform(r, threeNodes))
	allowed, preferred := Compile(r, threeNodes).NodeAffinity("vm:1", threeNodes)
	require.Equal(t, threeNodes, allowed)
	require.Equal(t, threeNodes, preferred)
}
