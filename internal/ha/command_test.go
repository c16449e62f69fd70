package ha

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCommandsAreReadAndWritten(t *testing.T) {
	for line, want := range map[string]Command{
		"migrate vm:100 node2":           {Kind: CommandMigrate, SID: "vm:100", Node: "node2"},
		"relocate ct:200 node1":          {Kind: CommandRelocate, SID: "ct:200", Node: "node1"},
		"stop vm:101 0":                  {Kind: CommandStop, SID: "vm:101", Timeout: "0"},
		"stop vm:101 soon":               {Kind: CommandStop, SID: "vm:101", Timeout: "soon"},
		"enable-node-maintenance node1":  {Kind: CommandEnableMaintenance, Node: "node1"},
		"disable-node-maintenance node1": {Kind: CommandDisableMaintenance, Node: "node1"},
		"disarm-ha freeze":               {Kind: CommandDisarm, Mode: DisarmFreeze},
		"disarm-ha ignore":               {Kind: CommandDisarm, Mode: DisarmIgnore},
		"arm-ha":                         {Kind: CommandArm},
	} {
		c, err := ParseCommand(line)
		require.NoError(t, err, line)
		require.Equal(t, want, c)
		require.Equal(t, line, c.String())
	}
}

func TestSpaceBetweenWordsIsFree(t *testing.T) {
	c, err := ParseCommand("migrate\t vm:100 \v node2\n")
	require.NoError(t, err)
	require.Equal(t, "migrate vm:100 node2", c.String())
}

func TestOtherLinesAreNoCommand(t *testing.T) {
	for _, line := range []string{
		"", " ", "\n", " arm-ha", "arm-ha ", "arm-ha\r", "arm-ha\n\n", "ARM-HA", "arm-ha x", "disarm-ha", "disarm-ha off",
		"migrate vm:100", "migrate vm:100 node2 node3", "stop vm:100", "enable-node-maintenance", "fence node1",
	} {
		_, err := ParseCommand(line)
		require.Error(t, err, "%q", line)
	}
	_, err := ParseCommand("migrate vm:100\n")
	require.EqualError(t, err, "unable to parse crm command: migrate vm:100")
}

func TestCommandFileIsSplitIntoLines(t *testing.T) {
	require.Nil(t, CommandLines(""))
	require.Nil(t, CommandLines("\n\n"))
	require.Equal(t, []string{"a", "", "b"}, CommandLines("a\n\nb\n\n"))
	require.Equal(t, []string{"", "a"}, CommandLines("\na"))
}

func TestVersionsAreCompared(t *testing.T) {
	for _, c := range []struct {
		version, min string
		want         bool
	}{
		{"9.0.0~16", "9.0.0~16", true},
		{"9.0.0~15", "9.0.0~16", false},
		{"9.0.0", "9.0.0~16", true},
		{"9.0-1", "9.0.0~16", true},
		{"10.0.0", "9.9.9", true},
		{"9.0", "9.0.0~16", false},
		{"9.0.0~16", "9.0.0", true},
		{"9.00.007~0016+x", "9.0.7~16", true},
		{"99999999999999999999999.0.0", "99999999999999999999998.0.0", true},
		{"", "", true},
	} {
		require.Equal(t, c.want, HasMinVersion(c.version, c.min), "%s >= %s", c.version, c.min)
	}
}
