package envtest

import (
	"encoding/json"

	"pveha/internal/ha"
)

// raw is a value of a key that this version does not know.
func raw(text string) json.RawMessage { return json.RawMessage(text) }

// managerSample returns a manager status in which every field is set. Another
// variant differs everywhere.
func managerSample(nodes []string, variant string) *ha.ManagerStatus {
	return &ha.ManagerStatus{
		MasterNode: nodes[0],
		Timestamp:  ha.Epoch(1000 + len(variant)),
		NodeStatus: map[string]ha.NodeState{nodes[0]: ha.NodeOnline, nodes[1]: ha.NodeFence},
		ServiceStatus: map[ha.SID]*ha.ServiceStatus{
			"vm:101": {
				State: ha.Started, Node: nodes[0], UID: "uid-101-" + variant, Running: true,
				Cmd: []string{"relocate", nodes[1]}, FailedNodes: []string{nodes[2]}, MaintenanceNode: nodes[2],
				Extra: map[string]json.RawMessage{"note": raw(`"of ` + variant + `"`)},
			},
			"ct:102": {State: ha.Migrate, Node: nodes[1], Target: nodes[2], UID: "uid-102-" + variant},
			"vm:103": {State: ha.RequestStop, Node: nodes[2], UID: "uid-103-" + variant, Timeout: "60"},
		},
		NodeRequest: map[string]ha.NodeRequest{nodes[2]: {Maintenance: true}},
		Disarm:      &ha.Disarm{Mode: ha.DisarmFreeze, State: ha.Disarming},
		Extra:       map[string]json.RawMessage{"variant": raw(`"` + variant + `"`)},
	}
}

// scrambleManager changes everything that can be reached from a status.
func scrambleManager(s *ha.ManagerStatus) {
	s.MasterNode, s.Timestamp = "scrambled", 1
	for node := range s.NodeStatus {
		s.NodeStatus[node] = ha.NodeGone
	}
	for _, service := range s.ServiceStatus {
		service.State, service.Node, service.UID, service.Running = ha.Error, "scrambled", "scrambled", false
		for i := range service.Cmd {
			service.Cmd[i] = "scrambled"
		}
		for i := range service.FailedNodes {
			service.FailedNodes[i] = "scrambled"
		}
		scrambleExtra(service.Extra)
	}
	delete(s.ServiceStatus, "ct:102")
	s.ServiceStatus["vm:999"] = &ha.ServiceStatus{State: ha.Stopped}
	clear(s.NodeRequest)
	if s.Disarm != nil {
		s.Disarm.State = ha.Disarmed
	}
	scrambleExtra(s.Extra)
}

func scrambleExtra(extra map[string]json.RawMessage) {
	for key := range extra {
		extra[key] = raw(`"scrambled"`)
	}
}

// lrmSample returns an LRM status in which every field is set.
func lrmSample(variant string) *ha.LRMStatus {
	return &ha.LRMStatus{
		State:     ha.LRMActive,
		Mode:      ha.ModeMaintenance,
		Timestamp: ha.Epoch(2000 + len(variant)),
		Results: map[string]ha.Result{
			"uid-1-" + variant: {SID: "vm:101", State: ha.Started, ExitCode: ha.ExitSuccess},
			"uid-2-" + variant: {SID: "ct:102", State: ha.RequestStop, ExitCode: ha.ExitTryAgain},
		},
		Extra: map[string]json.RawMessage{"variant": raw(`"` + variant + `"`)},
	}
}

// scrambleLRM changes everything that can be reached from a status.
func scrambleLRM(s *ha.LRMStatus) {
	s.State, s.Mode, s.Timestamp = ha.LRMLostAgentLock, ha.ModeRestart, 1
	for uid := range s.Results {
		s.Results[uid] = ha.Result{SID: "vm:999", State: ha.Error, ExitCode: ha.ExitError}
	}
	s.Results["scrambled"] = ha.Result{}
	scrambleExtra(s.Extra)
}
