package whatif_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/compat/sim"
	"pveha/hactl/whatif"
	"pveha/internal/ha"
)

// picture starts a simulated cluster, lets it settle and takes a picture from
// its first node.
func picture(t *testing.T, files map[string]string) *whatif.Snapshot {
	t.Helper()
	raw := map[string][]byte{}
	for name, text := range files {
		raw[name] = []byte(text)
	}
	scenario, err := sim.Parse("whatif", raw)
	require.NoError(t, err)
	cluster, err := sim.New(scenario, sim.Options{Endless: true})
	require.NoError(t, err)
	for range 30 {
		_, err := cluster.Loop()
		require.NoError(t, err)
	}
	env, err := cluster.CRMEnv("node1")
	require.NoError(t, err)
	s, err := whatif.Take(env)
	require.NoError(t, err)
	return s
}

// three nodes with 8 GiB each, of which the guests may use 4 and 3.
func threeNodes() map[string]string {
	return map[string]string{
		"cmdlist": `[["power node1 on", "power node2 on", "power node3 on"]]`,
		"hardware_status": `{
			"node1": {"power": "off", "network": "off", "maxcpu": 4, "maxmem": 8589934592},
			"node2": {"power": "off", "network": "off", "maxcpu": 4, "maxmem": 8589934592},
			"node3": {"power": "off", "network": "off", "maxcpu": 4, "maxmem": 8589934592}}`,
		"service_config": `{
			"vm:101": {"node": "node1", "state": "started"},
			"vm:102": {"node": "node2", "state": "started"},
			"vm:103": {"node": "node3", "state": "started"}}`,
		"static_service_stats": `{
			"vm:101": {"maxcpu": 2, "maxmem": 4294967296},
			"vm:102": {"maxcpu": 2, "maxmem": 3221225472},
			"vm:103": {"maxcpu": 2, "maxmem": 3221225472}}`,
	}
}

func TestFailMovesServices(t *testing.T) {
	s := picture(t, threeNodes())
	r, err := s.Fail("node3")
	require.NoError(t, err)
	require.True(t, r.OK())
	require.True(t, r.Quorate)
	require.Equal(t, []whatif.Change{{SID: "vm:103", From: "node3", To: "node1", State: ha.Started}}, r.Services)
	require.Greater(t, r.Seconds, int64(120), "its lock has to expire")
	require.Len(t, r.Nodes, 2)
	require.Equal(t, whatif.NodeLoad{
		Node: "node1", Guests: 2, MemBefore: 4 << 30, MemAfter: 7 << 30, MemSize: 8 << 30,
		CPUBefore: 2, CPUAfter: 4, CPUSize: 4,
	}, r.Nodes[0])

	text, err := json.Marshal(r)
	require.NoError(t, err)
	require.Contains(t, string(text), `"services":[{"sid":"vm:103","from":"node3","to":"node1","state":"started","lost":false}]`)
}

// A picture does not change by being asked, and the order of the questions
// does not matter.
func TestFailLeavesThePictureAlone(t *testing.T) {
	s := picture(t, threeNodes())
	first, err := s.Fail("node3")
	require.NoError(t, err)
	_, err = s.Fail("node1")
	require.NoError(t, err)
	again, err := s.Fail("node3", "node3")
	require.NoError(t, err)
	require.Equal(t, first, again)
	e, err := s.Explain("vm:103")
	require.NoError(t, err)
	require.Equal(t, "node3", e.Node)
}

func TestFailOfTheNodeThatIsAsked(t *testing.T) {
	r, err := picture(t, threeNodes()).Fail("node1")
	require.NoError(t, err)
	require.Len(t, r.Services, 1)
	require.Equal(t, ha.SID("vm:101"), r.Services[0].SID)
	require.NotEqual(t, "node1", r.Services[0].To)
}

func TestFailSaysWhatDoesNotFit(t *testing.T) {
	files := threeNodes()
	files["static_service_stats"] = `{
		"vm:101": {"maxcpu": 2, "maxmem": 6442450944},
		"vm:102": {"maxcpu": 2, "maxmem": 6442450944},
		"vm:103": {"maxcpu": 3, "maxmem": 6442450944}}`
	r, err := picture(t, files).Fail("node3")
	require.NoError(t, err)
	require.False(t, r.OK())
	require.False(t, r.Nodes[0].MemFits())
	require.False(t, r.Nodes[0].CPUFits())
	require.True(t, r.Nodes[1].MemFits(), "nothing came")
	require.True(t, r.Nodes[1].CPUFits())
}

func TestFailSaysWhichRuleBlocks(t *testing.T) {
	files := threeNodes()
	files["rules_config"] = "node-affinity: pin\n\tnodes node3\n\tresources vm:103\n\tstrict 1\n"
	r, err := picture(t, files).Fail("node3")
	require.NoError(t, err)
	require.False(t, r.OK())
	require.Len(t, r.Services, 1)
	require.Equal(t, whatif.Change{
		SID: "vm:103", From: "node3", State: ha.Recovery, Lost: true,
		Blocked: []string{"node1: strict rule 'pin' forbids it", "node2: strict rule 'pin' forbids it"},
	}, r.Services[0])
}

func TestFailWithoutQuorum(t *testing.T) {
	r, err := picture(t, threeNodes()).Fail("node2", "node3")
	require.NoError(t, err)
	require.False(t, r.Quorate)
	require.False(t, r.OK())
	require.Len(t, r.Services, 2)
	require.True(t, r.Services[0].Lost)
	require.Empty(t, r.Services[0].To)
}

func TestFailOfAStrangeNode(t *testing.T) {
	_, err := picture(t, threeNodes()).Fail("node9")
	require.EqualError(t, err, "node 'node9' is no member of the cluster")
}

// What is stopped stays where it is, and is no loss.
func TestFailOfANodeWithStoppedServices(t *testing.T) {
	files := threeNodes()
	files["service_config"] = `{"vm:103": {"node": "node3", "state": "disabled"}, "vm:101": {"node": "node1", "state": "started"}}`
	files["static_service_stats"] = `{"vm:101": {"maxcpu": 2, "maxmem": 1024}, "vm:103": {"maxcpu": 2, "maxmem": 1024}}`
	r, err := picture(t, files).Fail("node3")
	require.NoError(t, err)
	require.True(t, r.OK())
	require.Empty(t, r.Services)
}
