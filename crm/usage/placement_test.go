package usage

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
)

func TestPlacementOf(t *testing.T) {
	online := func(node string) bool { return node == "here" || node == "there" }
	here := Placement{Current: "here", Running: true}
	for _, c := range []struct {
		name   string
		status ha.ServiceStatus
		want   Placement
	}{
		{"stopped", ha.ServiceStatus{State: ha.Stopped, Node: "here"}, Placement{}},
		{"request_start", ha.ServiceStatus{State: ha.RequestStart, Node: "here"}, Placement{}},
		{"started and running", ha.ServiceStatus{State: ha.Started, Node: "here", Running: true}, here},
		{"started, not running yet", ha.ServiceStatus{State: ha.Started, Node: "here"}, Placement{Current: "here"}},
		{"started on an offline node", ha.ServiceStatus{State: ha.Started, Node: "gone"}, Placement{}},
		{"running on an offline node", ha.ServiceStatus{State: ha.Started, Node: "gone", Running: true}, Placement{Running: true}},
		{"a started service has no target", ha.ServiceStatus{State: ha.Started, Node: "here", Target: "there", Running: true}, here},
		{"request_stop", ha.ServiceStatus{State: ha.RequestStop, Node: "here"}, here},
		{"fence", ha.ServiceStatus{State: ha.Fence, Node: "here"}, here},
		{"fence on an offline node", ha.ServiceStatus{State: ha.Fence, Node: "gone"}, Placement{}},
		{"freeze", ha.ServiceStatus{State: ha.Freeze, Node: "here"}, here},
		{"error", ha.ServiceStatus{State: ha.Error, Node: "here"}, here},
		{"recovery", ha.ServiceStatus{State: ha.Recovery, Node: "here"}, here},
		{
			"migrate",
			ha.ServiceStatus{State: ha.Migrate, Node: "here", Target: "there"},
			Placement{Current: "here", Target: "there", Running: true},
		},
		{
			"relocate",
			ha.ServiceStatus{State: ha.Relocate, Node: "here", Target: "there"},
			Placement{Current: "here", Target: "there", Running: true},
		},
		{
			"migrate to an offline node",
			ha.ServiceStatus{State: ha.Migrate, Node: "here", Target: "gone"},
			here,
		},
		{
			"migrate away from an offline node",
			ha.ServiceStatus{State: ha.Migrate, Node: "gone", Target: "there"},
			Placement{Target: "there"},
		},
		{"migrate without a target", ha.ServiceStatus{State: ha.Migrate, Node: "here"}, here},
		{
			"request_start_balance uses its target only",
			ha.ServiceStatus{State: ha.RequestStartBalance, Node: "here", Target: "there"},
			Placement{Target: "there"},
		},
		{"a state this version does not know", ha.ServiceStatus{State: "new", Node: "here"}, Placement{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, PlacementOf(&c.status, online))
		})
	}
}

func TestPlacementCoversEveryState(t *testing.T) {
	everywhere := func(string) bool { return true }
	unused := map[ha.ServiceState]bool{ha.Stopped: true, ha.RequestStart: true}
	for _, state := range ha.ServiceStates {
		p := PlacementOf(&ha.ServiceStatus{State: state, Node: "a", Target: "b"}, everywhere)
		require.Equal(t, unused[state], p == Placement{}, "state %s", state)
	}
}

func TestPlacementOutsideOfHA(t *testing.T) {
	online := func(node string) bool { return node == "here" }
	for _, c := range []struct {
		name    string
		service Service
		want    Placement
	}{
		{"runs", Service{Node: "here", State: ha.RequestStarted, Running: true}, Placement{Current: "here", Running: true}},
		{"starts", Service{Node: "here", State: ha.RequestStarted}, Placement{Current: "here"}},
		{"stopped", Service{Node: "here", State: ha.RequestStopped}, Placement{}},
		{"disabled", Service{Node: "here", State: ha.RequestDisabled}, Placement{}},
		{"ignored", Service{Node: "here", State: ha.RequestIgnored}, Placement{}},
		{"node offline", Service{Node: "gone", State: ha.RequestStarted, Running: true}, Placement{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, c.service.Placement(online))
		})
	}
}
