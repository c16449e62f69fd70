package nodestate_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/crm/nodestate"
	"pveha/internal/ha"
)

func TestFenceNode(t *testing.T) {
	for _, state := range []ha.NodeState{
		ha.NodeOnline, ha.NodeMaintenance, ha.NodeUnknown, ha.NodeGone,
	} {
		w := &world{now: 100}
		tracker := w.tracker(map[string]ha.NodeState{"n2": state})

		done, err := tracker.FenceNode("n2", w)
		require.NoError(t, err)
		require.False(t, done)
		require.Equal(t, ha.NodeFence, tracker.State("n2"))
		require.Equal(t, []string{
			"info: node 'n2': state changed from '" + string(state) + "' => 'fence'",
			"email: FENCE: Try to fence node 'n2'",
		}, w.events)

		w.events = nil
		done, err = tracker.FenceNode("n2", w)
		require.NoError(t, err)
		require.False(t, done)
		require.Empty(t, w.events, "people are told once")

		w.lock = true
		done, err = tracker.FenceNode("n2", w)
		require.NoError(t, err)
		require.True(t, done)
		require.Equal(t, ha.NodeUnknown, tracker.State("n2"))
		require.Equal(t, []string{
			"info: fencing: acknowledged - got agent lock for node 'n2'",
			"info: node 'n2': state changed from 'fence' => 'unknown'",
			"email: SUCCEED: fencing: acknowledged - got agent lock for node 'n2'",
		}, w.events)
		require.Equal(t, []string{"n2", "n2", "n2"}, w.asked)
	}
}

func TestFenceNodeAtOnce(t *testing.T) {
	w := &world{lock: true}
	tracker := w.tracker(nil)
	done, err := tracker.FenceNode("n2", w)
	require.NoError(t, err)
	require.True(t, done)
	require.Equal(t, []string{
		"info: node 'n2': state changed from 'unknown' => 'fence'",
		"email: FENCE: Try to fence node 'n2'",
		"info: fencing: acknowledged - got agent lock for node 'n2'",
		"info: node 'n2': state changed from 'fence' => 'unknown'",
		"email: SUCCEED: fencing: acknowledged - got agent lock for node 'n2'",
	}, w.events)
}

func TestFenceNodeLockFails(t *testing.T) {
	broken := errors.New("no such device")
	w := &world{lock: true, lockErr: broken}
	tracker := w.tracker(map[string]ha.NodeState{"n2": ha.NodeUnknown})
	done, err := tracker.FenceNode("n2", w)
	require.ErrorIs(t, err, broken)
	require.EqualError(t, err, "taking the agent lock of node 'n2' to fence it: no such device")
	require.False(t, done, "never without the lock")
	require.Equal(t, ha.NodeFence, tracker.State("n2"))
}

func TestFenceNodeIsNotBackByBeingOnline(t *testing.T) {
	w := &world{}
	tracker := w.tracker(nil)
	_, err := tracker.FenceNode("n2", w)
	require.NoError(t, err)
	require.NoError(t, tracker.Update(map[string]nodestate.Member{"n2": {Online: true}}, nil))
	require.Equal(t, ha.NodeFence, tracker.State("n2"))
}

func TestFenceNotification(t *testing.T) {
	w := &world{lock: true, status: &ha.ManagerStatus{
		MasterNode: "n1",
		Timestamp:  1234,
		NodeStatus: map[string]ha.NodeState{"n2": ha.NodeUnknown, "n1": ha.NodeOnline},
		ServiceStatus: map[ha.SID]*ha.ServiceStatus{
			"vm:200": {State: ha.Fence, Node: "n2"},
			"ct:100": {State: ha.Started, Node: "n1", Running: true},
		},
	}}
	_, err := w.tracker(nil).FenceNode("n2", w)
	require.NoError(t, err)
	require.Len(t, w.notes, 2)

	want := nodestate.FenceNotification{
		Prefix:     "FENCE",
		Subject:    "Try to fence node 'n2'",
		FailedNode: "n2",
		MasterNode: "n1",
		Timestamp:  1234,
		Nodes:      []nodestate.NodeEntry{{Node: "n1", Status: ha.NodeOnline}, {Node: "n2", Status: ha.NodeUnknown}},
		Resources: []nodestate.ServiceEntry{
			{SID: "ct:100", State: ha.Started, Node: "n1", Running: true},
			{SID: "vm:200", State: ha.Fence, Node: "n2"},
		},
	}
	require.Equal(t, want, w.notes[0])
	want.Prefix = "SUCCEED"
	want.Subject = "fencing: acknowledged - got agent lock for node 'n2'"
	want.Success = true
	require.Equal(t, want, w.notes[1])

	text, err := json.Marshal(&w.notes[1])
	require.NoError(t, err)
	require.JSONEq(t, `{
		"fence-prefix": "SUCCEED",
		"fence-status": "fencing: acknowledged - got agent lock for node 'n2'",
		"is-success": true,
		"failed-node": "n2",
		"master-node": "n1",
		"fence-timestamp": 1234,
		"nodes": [{"node": "n1", "status": "online"}, {"node": "n2", "status": "unknown"}],
		"resources": [
			{"resource": "ct:100", "state": "started", "node": "n1", "running": true},
			{"resource": "vm:200", "state": "fence", "node": "n2", "running": false}
		]
	}`, string(text))
	require.Equal(t, map[string]string{"type": "fencing", "hostname": "n2"}, w.notes[1].Fields())
}

func TestFenceNotificationWithoutStatus(t *testing.T) {
	w := &world{lock: true, statusErr: errors.New("connection refused")}
	done, err := w.tracker(nil).FenceNode("n2", w)
	require.NoError(t, err)
	require.True(t, done, "a lost notification must not hold up the recovery")
	require.Len(t, w.notes, 2)
	require.Equal(t, "n2", w.notes[1].FailedNode)
	require.True(t, w.notes[1].Success)
	require.Empty(t, w.notes[1].Nodes)
	require.Contains(t, w.events,
		"warning: notification about fencing node 'n2' lacks the state of the cluster - connection refused")
}
