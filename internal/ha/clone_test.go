package ha

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func extra(text string) map[string]json.RawMessage {
	return map[string]json.RawMessage{"new": json.RawMessage(text)}
}

func TestClonesShareNothing(t *testing.T) {
	fresh := func() *ManagerStatus {
		return &ManagerStatus{
			NodeStatus: map[string]NodeState{"node1": NodeOnline},
			ServiceStatus: map[SID]*ServiceStatus{"vm:1": {
				State: Started, Cmd: []string{"migrate", "node2"}, FailedNodes: []string{"node3"}, Extra: extra("1"),
			}},
			NodeRequest: map[string]NodeRequest{"node1": {Extra: extra("2")}},
			Disarm:      &Disarm{Mode: DisarmFreeze, Extra: extra("3")},
			Extra:       extra("4"),
		}
	}
	m := fresh()
	c := m.Clone()
	require.Equal(t, m, c)
	c.NodeStatus["node1"] = NodeFence
	c.ServiceStatus["vm:1"].Cmd[0] = "stop"
	c.ServiceStatus["vm:1"].FailedNodes[0] = "node1"
	c.Disarm.Mode = DisarmIgnore
	for _, e := range []map[string]json.RawMessage{
		c.ServiceStatus["vm:1"].Extra, c.NodeRequest["node1"].Extra, c.Disarm.Extra, c.Extra,
	} {
		delete(e, "new")
	}
	require.Equal(t, fresh(), m)

	l := &LRMStatus{Results: map[string]Result{"a": {SID: "vm:1", Extra: extra("5")}}}
	delete(l.Clone().Results["a"].Extra, "new")
	require.Equal(t, extra("5"), l.Results["a"].Extra)
}
