package nodestate_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/crm/nodestate"
	"pveha/internal/ha"
)

// world is a clock, a journal and a cluster to fence nodes in. The order of log
// lines and notifications is kept in events.
type world struct {
	now       ha.Epoch
	events    []string
	notes     []nodestate.FenceNotification
	status    *ha.ManagerStatus
	statusErr error
	lock      bool
	lockErr   error
	asked     []string // nodes whose lock was asked for
}

func (w *world) tracker(initial map[string]ha.NodeState) *nodestate.Tracker {
	return nodestate.New(nodestate.Config{
		Now: func() ha.Epoch { return w.now },
		Log: func(e ha.Entry) { w.events = append(w.events, string(e.Level)+": "+e.Text) },
	}, initial)
}

func (w *world) AgentLock(node string) (bool, error) {
	w.asked = append(w.asked, node)
	return w.lock, w.lockErr
}

func (w *world) ReadManagerStatus() (*ha.ManagerStatus, error) { return w.status, w.statusErr }

func (w *world) Notify(n nodestate.FenceNotification) {
	w.notes = append(w.notes, n)
	w.events = append(w.events, "email: "+n.Prefix+": "+n.Subject)
}

func TestOfflineClockStartsWithTheFirstQuestion(t *testing.T) {
	w := &world{now: 1000}
	tracker := w.tracker(map[string]ha.NodeState{"a": ha.NodeUnknown})
	w.now = 5000 // nobody asked until now
	require.False(t, tracker.OfflineForLongOrStartClock("a"), "the clock starts")
	w.now = 5059
	require.False(t, tracker.OfflineForLongOrStartClock("a"))
	w.now = 5060
	require.True(t, tracker.OfflineForLongOrStartClock("a"))
	require.True(t, tracker.OfflineForLongOrStartClock("a"), "and it does not start anew")
	require.False(t, tracker.OfflineForLongOrStartClock("b"), "each node has its own")
}

func TestOfflineClockOfAnOnlineNode(t *testing.T) {
	w := &world{now: 1000}
	tracker := w.tracker(map[string]ha.NodeState{"a": ha.NodeOnline})
	require.False(t, tracker.OfflineForLongOrStartClock("a"))
	w.now = 2000
	require.NoError(t, tracker.Update(map[string]nodestate.Member{"a": {}}, nil))
	require.Equal(t, ha.NodeUnknown, tracker.State("a"))
	require.False(t, tracker.OfflineForLongOrStartClock("a"), "the question at 1000 started nothing")
	w.now = 2060
	require.True(t, tracker.OfflineForLongOrStartClock("a"))
}

func TestOfflineCountsFromTheLastTimeOnline(t *testing.T) {
	w := &world{now: 1000}
	tracker := w.tracker(nil)
	online := map[string]nodestate.Member{"a": {Online: true}}
	offline := map[string]nodestate.Member{"a": {}}
	require.NoError(t, tracker.Update(online, nil))
	w.now = 1010
	require.NoError(t, tracker.Update(online, nil))
	w.now = 1020
	require.NoError(t, tracker.Update(offline, nil))
	w.now = 1069
	require.False(t, tracker.OfflineForLongOrStartClock("a"))
	w.now = 1070
	require.True(t, tracker.OfflineForLongOrStartClock("a"))
	require.NoError(t, tracker.Update(online, nil))
	require.NoError(t, tracker.Update(offline, nil))
	require.False(t, tracker.OfflineForLongOrStartClock("a"), "it was back")
}

func TestNodeRemovedFromTheCluster(t *testing.T) {
	w := &world{now: 0}
	tracker := w.tracker(nil)
	both := map[string]nodestate.Member{"a": {Online: true}, "b": {Online: true}}
	one := map[string]nodestate.Member{"a": {Online: true}}
	require.True(t, tracker.Changed(both))
	require.NoError(t, tracker.Update(both, nil))
	require.False(t, tracker.Changed(both))
	require.True(t, tracker.Changed(one))

	for _, c := range []struct {
		at   ha.Epoch
		want ha.NodeState
	}{{10, ha.NodeUnknown}, {20, ha.NodeGone}, {3599, ha.NodeGone}} {
		w.now = c.at
		require.NoError(t, tracker.Update(one, nil))
		require.Equal(t, c.want, tracker.State("b"), "at %d", c.at)
	}
	require.True(t, tracker.Changed(one), "it is still remembered")
	w.now = 3600
	require.NoError(t, tracker.Update(one, nil))
	require.Equal(t, []string{"a"}, tracker.Nodes())
	require.False(t, tracker.Changed(one))
	require.Equal(t, "notice: deleting gone node 'b', not a cluster member anymore.", w.events[len(w.events)-1])

	require.NoError(t, tracker.Update(both, nil))
	require.True(t, tracker.Online("b"), "it may come back")
}

func TestNodesInOrder(t *testing.T) {
	w := &world{}
	initial := map[string]ha.NodeState{
		"n3": ha.NodeOnline, "n1": ha.NodeOnline, "n2": ha.NodeMaintenance, "n4": ha.NodeFence,
	}
	tracker := w.tracker(initial)
	require.Equal(t, []string{"n1", "n2", "n3", "n4"}, tracker.Nodes())
	require.Equal(t, []string{"n1", "n3"}, tracker.OnlineNodes())
	require.Equal(t, initial, tracker.Statuses())

	tracker.Statuses()["n1"] = ha.NodeGone
	initial["n1"] = ha.NodeGone
	require.True(t, tracker.Online("n1"), "neither map is the tracker's own")

	members := map[string]nodestate.Member{}
	for _, n := range []string{"z", "y", "x", "w"} {
		members[n] = nodestate.Member{Online: true}
	}
	require.NoError(t, tracker.Update(members, nil))
	require.Equal(t, []string{
		"info: node 'w': state changed from 'unknown' => 'online'",
		"info: node 'x': state changed from 'unknown' => 'online'",
		"info: node 'y': state changed from 'unknown' => 'online'",
		"info: node 'z': state changed from 'unknown' => 'online'",
		"info: node 'n1': state changed from 'online' => 'unknown'",
		"info: node 'n2': state changed from 'maintenance' => 'unknown'",
		"info: node 'n3': state changed from 'online' => 'unknown'",
	}, w.events)
}

func TestStateThatDoesNotExist(t *testing.T) {
	for _, online := range []bool{true, false} {
		w := &world{}
		tracker := w.tracker(map[string]ha.NodeState{"a": ha.NodeUnknown, "b": "bogus", "c": ha.NodeUnknown})
		members := map[string]nodestate.Member{"a": {Online: true}, "b": {Online: online}, "c": {Online: true}}
		require.EqualError(t, tracker.Update(members, nil), "detected unknown node state 'bogus' of node 'b'")
		require.True(t, tracker.Online("a"), "changed before the error, and kept")
		require.Equal(t, !online, tracker.Online("c"))
	}
}

func TestTrackerTakesOverWhenNodesWereSeen(t *testing.T) {
	now := ha.Epoch(100)
	tracker := nodestate.New(nodestate.Config{Now: func() ha.Epoch { return now }, Log: func(ha.Entry) {}},
		map[string]ha.NodeState{"node1": ha.NodeOnline, "node2": ha.NodeUnknown, "node3": ha.NodeUnknown, "node4": ha.NodeUnknown})
	require.False(t, tracker.OfflineForLongOrStartClock("node4"), "seen by the tracker itself")
	tracker.Remember(nodestate.Sightings{"node1": 0, "node2": 40, "node4": 0})
	require.False(t, tracker.OfflineForLongOrStartClock("node1"), "online")
	require.True(t, tracker.OfflineForLongOrStartClock("node2"), "for 60 seconds")
	require.False(t, tracker.OfflineForLongOrStartClock("node3"), "nobody has seen it")
	require.False(t, tracker.OfflineForLongOrStartClock("node4"))
}

func TestSightings(t *testing.T) {
	s := nodestate.Sightings{}
	s.Update(map[string]nodestate.Member{"node1": {Online: true}, "node2": {}}, 10)
	require.Equal(t, nodestate.Sightings{"node1": 10, "node2": 10}, s, "a node counts from the first look at it")
	s.Update(map[string]nodestate.Member{"node1": {}, "node2": {}, "node3": {Online: true}}, 20)
	require.Equal(t, nodestate.Sightings{"node1": 10, "node2": 10, "node3": 20}, s)
	s.Update(map[string]nodestate.Member{"node1": {Online: true}}, 30)
	require.Equal(t, nodestate.Sightings{"node1": 30}, s, "who left the cluster is forgotten")
}
