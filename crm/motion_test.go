package crm

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
)

func TestServicesThatBelongTogetherAreMovedTogether(t *testing.T) {
	f, m := managing(t, map[ha.SID]*ha.ServiceStatus{
		"vm:1": {State: ha.Error, Node: "node1"},
		"vm:2": {State: ha.Error, Node: "node3"},                    // goes along
		"vm:3": {State: ha.Error, Node: "node2"},                    // is there
		"vm:4": {State: ha.Migrate, Node: "node1", Target: "node2"}, // is on its way
		"vm:5": {State: ha.Error, Node: "node1"},                    // in no rule
	})
	f.rules = "resource-affinity: together\n\tresources vm:1,vm:2,vm:3,vm:4,vm:6\n\taffinity positive\n" // vm:6 is not managed
	f.commands = "relocate vm:1 node2"
	require.Equal(t, []string{
		"info: got crm command: relocate vm:1 node2",
		"info: crm command 'relocate vm:1 node2' - relocate service 'vm:2' to node 'node2' (service 'vm:2' in positive affinity with service 'vm:1')",
	}, f.rounds(t, m, 1))
	for sid, want := range map[ha.SID][]string{
		"vm:1": {"relocate", "node2"}, "vm:2": {"relocate", "node2"}, "vm:3": nil, "vm:4": nil, "vm:5": nil,
	} {
		require.Equal(t, want, f.manager.ServiceStatus[sid].Cmd, sid)
	}
}

func TestServiceIsNotMovedToOneItIsKeptApartFrom(t *testing.T) {
	for name, test := range map[string]struct {
		other *ha.ServiceStatus // nil: not managed
		ok    bool
	}{
		"that is there":             {other: started("node2")},
		"that is stopped there":     {other: &ha.ServiceStatus{State: ha.Error, Node: "node2"}},
		"that leaves for elsewhere": {other: moving("node2", "node3"), ok: true},
		"that is elsewhere":         {other: started("node3"), ok: true},
		// Only a service whose place and target are both node2 stands in the
		// way: as in the Perl stack. The placement corrects it afterwards.
		"that goes there":     {other: moving("node3", "node2"), ok: true},
		"that is not managed": {ok: true},
	} {
		t.Run(name, func(t *testing.T) {
			services := map[ha.SID]*ha.ServiceStatus{"vm:1": {State: ha.Error, Node: "node1"}}
			if test.other != nil {
				services["vm:2"] = test.other
			}
			f, m := managing(t, services)
			f.rules = apartFromVM2
			f.commands = "migrate vm:1 node2"
			log := f.rounds(t, m, 1)
			if test.ok {
				require.Equal(t, []string{"info: got crm command: migrate vm:1 node2"}, log)
				require.Equal(t, []string{"migrate", "node2"}, f.manager.ServiceStatus["vm:1"].Cmd)
				return
			}
			require.Equal(t, []string{
				"err: crm command 'migrate vm:1 node2' error - service 'vm:2' on node 'node2' in negative affinity with service 'vm:1'",
			}, log)
			require.Nil(t, f.manager.ServiceStatus["vm:1"].Cmd)
		})
	}
}

func TestMotionIsNoticed(t *testing.T) {
	for name, test := range map[string]struct {
		service *ha.ServiceStatus
		want    bool
	}{
		"migrates":             {moving("node1", "node2"), true},
		"relocates":            {&ha.ServiceStatus{State: ha.Relocate}, true},
		"is about to migrate":  {&ha.ServiceStatus{State: ha.Started, Cmd: []string{"migrate", "node2"}}, true},
		"is about to relocate": {&ha.ServiceStatus{State: ha.Started, Cmd: []string{"relocate", "node2"}}, true},
		"is about to stop":     {&ha.ServiceStatus{State: ha.Started, Cmd: []string{"stop", "0"}}, false},
		"has an empty command": {&ha.ServiceStatus{State: ha.Started, Cmd: []string{}}, false},
		"moves before a start": {&ha.ServiceStatus{State: ha.RequestStartBalance, Target: "node2"}, false},
		"rests":                {started("node1"), false},
	} {
		m := &Manager{services: map[ha.SID]*ha.ServiceStatus{"vm:1": test.service}}
		require.Equal(t, test.want, m.anyMotion(), name)
	}
}
