package hactl

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/golden"
)

func TestLintFindsNothingWhereNothingIs(t *testing.T) {
	require.Equal(t, answer{}, lab().call("lint"))
	require.Equal(t, answer{}, (&Memory{NodeName: "node1"}).call("lint"), "no files at all")
}

// Every kind of problem, each with its file and line.
func TestLintFindsEverything(t *testing.T) {
	m := lab()
	m.Files = map[string]string{
		"ha/resources.cfg": "vm: 100\n\tmax_restart x\n\tbogus 1\n\nvm: 100\n\tgroup gone\n\nct: 102\n\n" +
			"vm: 999\n\tgroup g1\n\nvm: abc\n\nxx: 1\n\ngarbage\n",
		"ha/groups.cfg": "group: g1\n\tnodes node1,node9\n\ngroup: g2\n\n",
		"ha/rules.cfg": "node-affinity: r1\n\tnodes node1,node8:2\n\tresources vm:100,vm:555\n\n" +
			"node-affinity: r2\n\tnodes node2\n\tresources vm:100\n\n" +
			"resource-affinity: r3\n\taffinity negative\n\tresources vm:100\n\n" +
			"resource-affinity: r4\n\tresources vm:100\n\n",
		"ha/fence.cfg":              "device ipmi fence_ipmi ip=1\nfoo bar\n",
		"datacenter.cfg":            "crs: ha=bogus\nnonsense\n",
		"ha/manager_status":         `{"service_status":{"vm:100":{"state":"error","node":"node1"},"vm:101":{"state":"dancing"}},"node_status":{"node1":"online","node2":"online"}}`,
		"ha/crm_commands":           "migrate vm:100 node2\nmigrate vm:100\n",
		"nodes/node1/lrm_status":    "{\"mode\":\n\"active\",]",
		"nodes/node2/lrm_status":    "",
		"nodes/stranger/lrm_status": "not looked at",
	}
	a := m.call("lint")
	require.Equal(t, exitProblem, a.exit)
	require.Regexp(t, `^\d+ problems\n$`, a.stderr)
	golden.Golden(t, "testdata/lint.txt", []byte(a.stdout))
}

func TestLintOfAGroupThatBecameARule(t *testing.T) {
	m := lab()
	m.Files["ha/resources.cfg"] = "vm: 100\n\tgroup old\n\n"
	a := m.call("lint")
	require.Equal(t, "/etc/pve/ha/resources.cfg:1: resource 'vm:100' names group 'old', but groups have become rules\n", a.stdout)

	m.Files["ha/groups.cfg"] = "group: one\n\tnodes node1:1,node2:2\n\n"
	m.Files["ha/resources.cfg"] = "vm: 100\n\tgroup one\n\nvm: 101\n\n"
	m.Files["ha/rules.cfg"] = "resource-affinity: together\n\taffinity positive\n\tresources vm:100,vm:101\n\n"
	a = m.call("lint")
	require.Contains(t, a.stdout, "/etc/pve/ha/groups.cfg:1: rule 'ha-group-one' is not applied: ")
	require.Contains(t, a.stdout, "/etc/pve/ha/rules.cfg:1: rule 'together' is not applied: ")
}

func TestLintOfFenceDevicesThatContradictEachOther(t *testing.T) {
	m := lab()
	m.Files["ha/fence.cfg"] = "device one fence_one ip=1\n\nconnect two node=node1\n"
	a := m.call("lint")
	require.Equal(t, exitProblem, a.exit)
	require.Regexp(t, `^/etc/pve/ha/fence.cfg:\d+: .*two.*\n$`, a.stdout)
}
