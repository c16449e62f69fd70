package pveenv

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
)

// The LRM of a node that was fenced has to wait for its lock no longer than the
// node is away: guests may be moved there as soon as it is back.
func TestLockOfAFencedNodeIsGivenBackWhenTheNodeIsBack(t *testing.T) {
	w := newWorld(t)
	master, fenced := w.CRM("node1"), w.LRM("node3")
	require.True(t, fenced.TakeAgentLock())
	require.NoError(t, w.cluster.PowerOff("node3"))
	require.False(t, master.AgentLock("node3"))
	w.Advance(125)
	for !master.AgentLock("node3") {
		w.Advance(1)
	}
	_, err := master.Members()
	require.NoError(t, err)
	require.True(t, master.AgentLock("node3"), "it is kept while the node is away")

	require.NoError(t, w.cluster.PowerOn("node3"))
	require.True(t, master.Refresh())
	members, err := master.Members()
	require.NoError(t, err)
	require.True(t, members["node3"].Online)
	require.Contains(t, w.log.entries(), ha.Entry{
		Level: ha.LevelInfo, Text: "node 'node3' is back, released lock 'ha_agent_node3_lock'",
	})
	again := w.newMachine("node3", w.machines["node3"].bus)
	for range 2 {
		require.True(t, again.lrm.TakeAgentLock(), "at once")
		_, err = master.Members()
		require.NoError(t, err)
	}
	require.False(t, master.AgentLock("node3"))
}
