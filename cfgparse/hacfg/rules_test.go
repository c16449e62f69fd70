package hacfg

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/cfgparse"
	"pveha/internal/ha"
)

const someRules = `Node-Affinity: r1
	resources vm:101 vm:100;vm:100
	nodes node2:0,node1:3 node1:4
	strict 0
	comment 50%25%3A gr%C3%B6%C3%9Fe

# kept apart
resource-affinity: r2
	affinity negative
	resources ct:200,vm:100
	disable

`

func TestRulesHaveTypes(t *testing.T) {
	r, problems := ParseRules("rules.cfg", []byte(someRules))
	require.Empty(t, problems)
	require.Empty(t, r.Broken)
	require.Equal(t, map[string]*Rule{
		"r1": {
			ID: "r1", Type: NodeAffinity, Ordinal: 1, Resources: map[ha.SID]bool{"vm:100": true, "vm:101": true},
			Nodes: map[string]int{"node1": 4, "node2": 0}, Strict: off(), Comment: "50%: größe",
		},
		"r2": {
			ID: "r2", Type: ResourceAffinity, Ordinal: 2, Resources: map[ha.SID]bool{"ct:200": true, "vm:100": true},
			Affinity: Negative, Disable: on(),
		},
	}, r.ByID)
	require.False(t, r.ByID["r1"].IsStrict())
	out, err := r.Write()
	require.NoError(t, err)
	require.Equal(t, "node-affinity: r1\n\tcomment 50%25%3A gr%C3%B6%C3%9Fe\n\tnodes node1:4,node2\n\tresources vm:100,vm:101\n\tstrict 0\n\n"+
		"resource-affinity: r2\n\tdisable\n\taffinity negative\n\tresources ct:200,vm:100\n\n", string(out))
}

func TestRulesAreEdited(t *testing.T) {
	r, _ := ParseRules("f", []byte(someRules))
	require.NoError(t, r.Change("r1", Change{
		Set:    map[string]string{"type": "node-affinity", "nodes": "node3:1", "disable": "1"},
		Delete: []string{"comment", "strict"},
	}))
	require.NoError(t, r.Change("r2", Change{Delete: []string{"disable"}}))
	require.NoError(t, r.Add("a3", ResourceAffinity, map[string]string{"resources": "vm:102,vm:103", "affinity": "positive", "comment": "a%3Ab"}))
	require.Equal(t, 2, r.ByID["a3"].Ordinal)
	out, err := r.Write()
	require.NoError(t, err)
	require.Equal(t, "node-affinity: r1\n\tdisable\n\tnodes node3:1\n\tresources vm:100,vm:101\n\n"+
		"resource-affinity: a3\n\tcomment a%3Ab\n\taffinity positive\n\tresources vm:102,vm:103\n\n"+
		"resource-affinity: r2\n\taffinity negative\n\tresources ct:200,vm:100\n\n", string(out))
	require.True(t, r.Remove("r1"))
	require.False(t, r.Remove("r1"))
}

func TestRuleEditsThatFailChangeNothing(t *testing.T) {
	r, _ := ParseRules("f", []byte(someRules))
	before, err := r.Write()
	require.NoError(t, err)
	for want, change := range map[string]Change{
		"unexpected property 'type'":     {Set: map[string]string{"type": "resource-affinity"}},
		"unexpected property 'affinity'": {Set: map[string]string{"affinity": "positive"}},
		"property 'nodes': invalid format - value does not look like a valid ha node":            {Set: map[string]string{"nodes": "node_1", "comment": "x"}},
		"property 'resources': invalid format - value does not look like a valid ha resource id": {Set: map[string]string{"resources": "100"}},
		"no resources were specified":                                {Set: map[string]string{"resources": ","}},
		"no nodes were specified":                                    {Set: map[string]string{"nodes": ""}},
		"no such option 'bogus'":                                     {Set: map[string]string{"comment": "x"}, Delete: []string{"bogus"}},
		"unable to delete required option 'nodes'":                   {Delete: []string{"nodes"}},
		"cannot set and delete property 'comment' at the same time!": {Set: map[string]string{"comment": "x"}, Delete: []string{"comment"}},
	} {
		require.EqualError(t, r.Change("r1", change), want)
	}
	require.EqualError(t, r.Change("r3", Change{}), "HA rule 'r3' does not exist")
	require.EqualError(t, r.Add("r1", NodeAffinity, nil), "HA rule 'r1' already defined")
	require.EqualError(t, r.Add("r", NodeAffinity, nil), "invalid configuration ID 'r'")
	require.EqualError(t, r.Add("r3", "location", nil), "unknown section type 'location'")
	require.EqualError(t, r.Add("r3", NodeAffinity, map[string]string{"nodes": "n"}), "missing value for required option 'resources'")
	after, err := r.Write()
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))
}

func TestResourceIsPurgedFromRules(t *testing.T) {
	r, _ := ParseRules("f", []byte(someRules+"node-affinity: r3\n\tresources vm:100\n\tnodes node1\n\n"))
	r.Purge("vm:100")
	out, err := r.Write()
	require.NoError(t, err)
	require.Equal(t, "node-affinity: r1\n\tcomment 50%25%3A gr%C3%B6%C3%9Fe\n\tnodes node1:4,node2\n\tresources vm:101\n\tstrict 0\n\n"+
		"resource-affinity: r2\n\tdisable\n\taffinity negative\n\tresources ct:200\n\n", string(out))
}

func TestBrokenRulesAreNotLost(t *testing.T) {
	r, problems := ParseRules("f", []byte(someRules+"resource-affinity: r3\n\tresources vm:1\n\n"))
	require.Len(t, problems, 1)
	require.Equal(t, map[string]int{"r3": 3}, r.Broken)
	r.Purge("vm:100")
	require.NoError(t, r.Change("r1", Change{Set: map[string]string{"comment": "x"}}))
	require.EqualError(t, r.Add("r3", ResourceAffinity, nil), "HA rule 'r3' already defined, but failed its checks: remove it first")
	out, err := r.Write()
	require.Nil(t, out)
	require.EqualError(t, err, "unknown section type '': section 'r3' failed its checks, correct or remove it first")
	require.Equal(t, "unknown section type ''\n", cfgparse.Reason(err))
	require.True(t, r.Remove("r3"))
	_, err = r.Write()
	require.NoError(t, err)
}

func TestHugePrioritiesAreKeptAsLongAsTheyCanBeRead(t *testing.T) {
	r, problems := ParseRules("f", []byte("node-affinity: r1\n\tresources vm:1\n\tnodes a:9223372036854775807,b:9223372036854775808,d:1\n\n"))
	require.Empty(t, problems)
	require.Equal(t, map[string]int{"a": math.MaxInt, "b": math.MaxInt, "d": 1}, r.ByID["r1"].Nodes)
	require.NoError(t, r.Change("r1", Change{Set: map[string]string{"comment": "x"}}))
	out, err := r.Write()
	require.NoError(t, err)
	require.Equal(t, "node-affinity: r1\n\tcomment x\n\tnodes a:9223372036854775807,b:9223372036854775808,d:1\n\tresources vm:1\n\n", string(out))

	require.NoError(t, r.Change("r1", Change{Set: map[string]string{"nodes": "a:1,c:99999999999999999999"}}))
	_, err = r.Write()
	require.EqualError(t, err, "rule 'r1': priority 1e+20 of node 'c' cannot be written")
	r.ByID["r1"].Nodes = map[string]int{"a": -1}
	_, err = r.Write()
	require.EqualError(t, err, "rule 'r1': priority -1 of node 'a' cannot be written")
}

func TestCommentThatGrowsTooLongIsNotWritten(t *testing.T) {
	r, problems := ParseRules("f", []byte("node-affinity: r1\n\tresources vm:1\n\tnodes a\n\tcomment "+strings.Repeat("ü", 2000)+"\n\n"))
	require.Empty(t, problems)
	_, err := r.Write()
	require.EqualError(t, err, "section 'r1' - property 'comment' takes 12000 bytes in the file, of at most 4096")
}

func TestRuleWithoutNodesOrResourcesIsNotWritten(t *testing.T) {
	r, problems := ParseRules("f", []byte("node-affinity: r1\n\tresources vm:1\n\tnodes ,\n\n"))
	require.Empty(t, problems)
	_, err := r.Write()
	require.EqualError(t, err, "section 'r1' - missing value for required option 'nodes'")
}

func TestRuleWithAWrongResourceIsNotWritten(t *testing.T) {
	r := &Rules{ByID: map[string]*Rule{"r1": {Type: NodeAffinity, Resources: map[ha.SID]bool{"x": true}}}}
	_, err := r.Write()
	require.EqualError(t, err, "rule 'r1': value does not look like a valid ha resource id")
}

func TestResourcesThatDoNotFitAListAreNotWritten(t *testing.T) {
	r, problems := ParseRules("f", []byte("node-affinity: r1\n\tresources vm:1\x00vm:,\n\tnodes a\n\n"))
	require.Empty(t, problems)
	require.Len(t, r.ByID["r1"].Resources, 2)
	_, err := r.Write()
	require.EqualError(t, err, "rule 'r1': resources 'vm:,', 'vm:1' cannot be written in a list")
}

func TestRulesWithoutAnOrdinalComeLast(t *testing.T) {
	r, _ := ParseRules("f", []byte(someRules))
	for _, id := range []string{"b1", "a1"} {
		r.ByID[id] = &Rule{Type: ResourceAffinity, Affinity: Positive, Resources: map[ha.SID]bool{"vm:1": true, "vm:2": true}}
	}
	out, err := r.Write()
	require.NoError(t, err)
	again, problems := ParseRules("f", out)
	require.Empty(t, problems)
	require.Equal(t, 3, again.ByID["a1"].Ordinal)
	require.Equal(t, 4, again.ByID["b1"].Ordinal)
}
