package crm

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/golden"
	"pveha/internal/ha"
)

// stepFacts are what one step of a service depends on, its state apart.
var stepFacts = map[string][]string{
	"wanted": {"started", "stopped", "disabled"},
	"node":   {"online", "maintenance", "lost", "lost for long"},
	"report": {"none", "success", "error", "wrong node", "ignored", "other"},
}

const stepTableHead = `One step of a service on node1, for every state it can be in and all
combinations of the facts, while no LRM restarts. The nodes node2 and node3 are
online and without services; a service that moves goes to node2.

  wanted  the state in its configuration
  node    of node1: online, in maintenance, or lost, for 60 seconds and more
  report  of the LRM on its order: none, or the exit code

A dash is a fact that makes no difference. "-" for the outcome means that the
service stays as it is. A round repeats the step until nothing changes, so
several rows can follow each other at once.

`

// stepStates are the states with the facts in the order that makes the table
// short.
var stepStates = []struct {
	state ha.ServiceState
	facts []string
}{
	{ha.Stopped, []string{"wanted", "node", "report"}},
	{ha.RequestStart, []string{"wanted", "node", "report"}},
	{ha.RequestStartBalance, []string{"report", "node", "wanted"}},
	{ha.Started, []string{"node", "wanted", "report"}},
	{ha.RequestStop, []string{"report", "node", "wanted"}},
	{ha.Migrate, []string{"report", "node", "wanted"}},
	{ha.Relocate, []string{"report", "node", "wanted"}},
	{ha.Fence, []string{"node", "wanted", "report"}},
	{ha.Recovery, []string{"wanted", "node", "report"}},
	{ha.Freeze, []string{"wanted", "node", "report"}},
	{ha.Error, []string{"wanted", "node", "report"}},
}

func TestStepTable(t *testing.T) {
	var b strings.Builder
	b.WriteString(stepTableHead)
	for _, s := range stepStates {
		var facts []fact
		for _, name := range s.facts {
			facts = append(facts, fact{name, stepFacts[name]})
		}
		fmt.Fprintf(&b, "## %s\n\n", s.state)
		writeRows(&b, facts, "what comes of it", enumerate(facts, map[string]string{}, func(given map[string]string) string {
			return stepOutcome(t, s.state, given)
		}))
	}
	golden.Golden(t, "testdata/step.golden", []byte(b.String()))
	require.Len(t, stepStates, len(ha.ServiceStates))
}

// stepOutcome lets a service take one step.
func stepOutcome(t *testing.T, state ha.ServiceState, facts map[string]string) string {
	const sid = "vm:1"
	f := newFake("node1", "node2", "node3")
	f.guest(sid, "node1", ha.RequestState(facts["wanted"]))
	service := &ha.ServiceStatus{State: state, Node: "node1", UID: "order", Running: state == ha.Started}
	if slices.Contains([]ha.ServiceState{ha.Migrate, ha.Relocate, ha.RequestStartBalance}, state) {
		service.Target = "node2"
	}
	f.manager = &ha.ManagerStatus{
		NodeStatus: map[string]ha.NodeState{
			"node1": map[string]ha.NodeState{"online": ha.NodeOnline, "maintenance": ha.NodeMaintenance}[facts["node"]],
			"node2": ha.NodeOnline, "node3": ha.NodeOnline,
		},
		ServiceStatus: map[ha.SID]*ha.ServiceStatus{sid: service},
	}
	if f.manager.NodeStatus["node1"] == "" {
		f.manager.NodeStatus["node1"] = ha.NodeUnknown
	}
	m := f.master(t)
	if facts["node"] == "lost for long" {
		require.False(t, m.nodes.OfflineForLongOrStartClock("node1"))
		f.now += 60
	}
	r := &round{
		results: map[string]ha.Result{},
		modes:   map[string]ha.LRMMode{"node1": ha.ModeActive, "node2": ha.ModeActive, "node3": ha.ModeActive},
	}
	if code, ok := map[string]ha.ExitCode{
		"success": ha.ExitSuccess, "error": ha.ExitError, "wrong node": ha.ExitWrongNode,
		"ignored": ha.ExitIgnored, "other": ha.ExitInvalidParameter,
	}[facts["report"]]; ok {
		r.results["order"] = ha.Result{SID: sid, State: state, ExitCode: code}
	}
	require.NoError(t, m.readConfig(r))
	f.taken()
	s := m.services[sid]
	require.NoError(t, m.step(r, sid, s))
	require.NoError(t, m.freezeForRestart(r, sid, s))
	return describe(service, s, f.logged())
}

// describe tells how a service changed. Log lines about the change itself are
// left out, those of a level above info are shown.
func describe(before, after *ha.ServiceStatus, log []string) string {
	var said []string
	switch {
	case after.State == before.State && after.UID != before.UID:
		said = append(said, "new order")
	case after.State == before.State:
	case after.Target != "":
		said = append(said, fmt.Sprintf("%s from %s to %s", after.State, after.Node, after.Target))
	default:
		said = append(said, fmt.Sprintf("%s on %s", after.State, after.Node))
	}
	if after.FailedNodes != nil {
		said = append(said, fmt.Sprintf("failed on %s", strings.Join(after.FailedNodes, " ")))
	}
	if after.MaintenanceNode != "" {
		said = append(said, "to return to "+after.MaintenanceNode)
	}
	for _, line := range log {
		if !strings.HasPrefix(line, "info: ") {
			said = append(said, line)
		}
	}
	if said == nil {
		return "-"
	}
	return strings.Join(said, "; ")
}
