package sim

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A rules file with a section that failed its checks is never written back:
// what is in that section would be lost. The migration of groups gives up, and
// both files stay as they were, to the byte.
func TestRulesThatFailedTheirChecksStayAsTheyAre(t *testing.T) {
	const (
		rules  = "# mine\nnode-affinity: broken\n\tnodes node1\n\nnode-affinity: good\n  nodes node2\n  resources vm:101\n"
		groups = "group: g1\n\tnodes node1:2,node2\n"
	)
	files := folder{
		fileRules: rules, fileGroups: groups,
		fileHardware: strings.ReplaceAll(`{"node1": X, "node2": X, "node3": X}`, "X",
			`{"power": "off", "network": "off", "pve-manager-version": "9.0.3"}`),
		fileServices: `{"vm:101": {"node": "node1", "state": "started", "group": "g1"}}`,
		fileCommands: `[["power node1 on", "power node2 on", "power node3 on"]]`,
	}
	s, err := files.parse()
	require.NoError(t, err)
	var log strings.Builder
	c, err := New(s, Options{Log: &log})
	require.NoError(t, err)
	require.NoError(t, c.Run())
	require.Contains(t, log.String(), "abort ha groups migration: unknown section type ''")
	require.Equal(t, rules, string(c.cfs.rules))
	require.Equal(t, groups, string(c.cfs.groups))
	require.Equal(t, "g1", c.cfs.guests["vm:101"].Group)
}
