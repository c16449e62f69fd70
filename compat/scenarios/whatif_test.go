package scenarios

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/compat/sim"
	"pveha/crm"
	"pveha/hactl/whatif"
	"pveha/internal/corpus"
	"pveha/internal/golden"
	"pveha/internal/ha"
)

// The rounds that a cluster gets to settle before the question, and to recover
// after the failure: ten seconds each.
const (
	settleRounds  = 40
	recoverRounds = 60
)

// TestSimulatedFailureAgrees asks, in every recorded scenario that loses a node,
// what the loss would do, then takes the node away for real and compares.
func TestSimulatedFailureAgrees(t *testing.T) {
	require.Greater(t, compareFailures(t, testdata), 300, "the recordings lose nodes")
}

func TestSimulatedFailureAgreesInPublishedScenarios(t *testing.T) {
	require.Greater(t, compareFailures(t, golden.Shared(t, "golden", "upstream", "scenarios")), 20)
}

func compareFailures(t *testing.T, path string) (count int) {
	cases := golden.Cases(t, path)
	verdicts := make([]string, len(cases))
	compared := make([]bool, len(cases))
	parallel(len(cases), func(i int) { compared[i], verdicts[i] = compareFailure(cases[i]) })
	for i, c := range cases {
		if compared[i] {
			count++
		}
		if verdicts[i] != "" {
			t.Errorf("%s: %s", c.Name, verdicts[i])
		}
	}
	t.Logf("%d scenarios compared", count)
	return count
}

// The comparison itself can fail.
func TestSimulatedFailureDisagrees(t *testing.T) {
	asked := sim.View{Guests: []sim.GuestView{{SID: "vm:100", Node: "node1", State: ha.Started}}}
	got := sim.View{Guests: []sim.GuestView{{SID: "vm:100", Node: "node2", State: ha.Started}}}
	r := &whatif.Report{Services: []whatif.Change{{SID: "vm:100", From: "node1", To: "node3"}}}
	require.Contains(t, disagreement("node1", r, asked, got, ""), "vm:100 is on 'node2' (started), expected on 'node3'")
	r.Services[0].To = "node2"
	require.Empty(t, disagreement("node1", r, asked, got, ""))
}

// compareFailure returns what differs, "" for nothing.
func compareFailure(c corpus.Case) (compared bool, difference string) {
	scenario, err := sim.Parse(c.Name, c.Files)
	if err != nil {
		return false, err.Error()
	}
	loss, before := firstLoss(scenario)
	if loss == nil {
		return false, ""
	}
	scenario.Steps = before
	var log strings.Builder
	cluster, err := sim.New(scenario, sim.Options{Log: io.MultiWriter(&log), Endless: true})
	if err != nil {
		return false, err.Error()
	}
	for cluster.StepsLeft() > 0 {
		if _, err := cluster.Loop(); err != nil {
			return false, ""
		}
	}
	if !rest(cluster, settleRounds) || !calm(cluster, loss.Node) {
		return false, ""
	}
	report, err := ask(cluster, loss.Node)
	if err != nil {
		return false, err.Error()
	}
	asked := cluster.View()
	if difference := misplaced(cluster, asked); difference != "" {
		return true, difference
	}
	log.Reset()
	if err := cluster.Execute(*loss, "test"); err != nil {
		return false, err.Error()
	}
	rest(cluster, recoverRounds)
	return true, disagreement(loss.Node, report, asked, cluster.View(), log.String())
}

// firstLoss returns the first command that takes a node away, and the steps
// before it.
//
// One after the file system began to fail is no loss to ask about: the daemons
// that are left do nothing then, which no picture of the files shows.
func firstLoss(s *sim.Scenario) (*sim.Command, [][]sim.Command) {
	for i, step := range s.Steps {
		for _, cmd := range step {
			if cmd.Verb == sim.VerbCFS {
				return nil, nil
			}
			if (cmd.Verb == sim.VerbPower || cmd.Verb == sim.VerbNetwork) && cmd.Action == "off" {
				return &cmd, s.Steps[:i]
			}
		}
	}
	return nil, nil
}

func rest(c *sim.Cluster, rounds int) bool {
	for range rounds {
		if _, err := c.Loop(); err != nil {
			return false
		}
	}
	return true
}

// calm tells whether all is at rest, the node is online, and another runs a CRM
// to notice its loss.
func calm(c *sim.Cluster, node string) bool {
	view := c.View()
	online, noticed := false, false
	for _, n := range view.Nodes {
		if n.Power && n.Network && n.State == ha.NodeOnline && n.CRM != "" {
			online = online || n.Name == node
			noticed = noticed || n.Name != node
		}
	}
	if !online || !noticed {
		return false
	}
	return !slices.ContainsFunc(view.Guests, func(g sim.GuestView) bool {
		return g.State != ha.Started && g.State != ha.Stopped && g.State != ""
	})
}

func ask(c *sim.Cluster, lost string) (*whatif.Report, error) {
	for _, n := range c.View().Nodes {
		if n.Name == lost || !n.Power || !n.Network {
			continue
		}
		env, err := c.CRMEnv(n.Name)
		if err != nil {
			return nil, err
		}
		picture, err := whatif.Take(env)
		if err != nil {
			return nil, err
		}
		return picture.Fail(lost)
	}
	return nil, fmt.Errorf("no node is left to ask")
}

// misplaced compares what is explained with what is: in a cluster at rest,
// every service that runs is where the explanation would have it.
func misplaced(c *sim.Cluster, view sim.View) string {
	var differences []string
	for _, g := range view.Guests {
		if g.State != ha.Started {
			continue
		}
		env, err := c.CRMEnv(view.Master)
		if err != nil {
			return err.Error()
		}
		e, err := crm.Explain(env, g.SID)
		if err != nil {
			return err.Error()
		}
		if e.Choice != g.Node && e.Choice != "" {
			differences = append(differences, fmt.Sprintf("%s rests on '%s', explained to belong on '%s'", g.SID, g.Node, e.Choice))
		}
	}
	return strings.Join(differences, "; ")
}

// disagreement compares where every service went. Where services go on from
// there in ways that no picture can know, because a start fails on purpose or
// the load of the nodes is balanced, the node counts to which each was recovered.
func disagreement(lost string, r *whatif.Report, asked, got sim.View, log string) string {
	want := map[ha.SID]string{}
	for _, g := range asked.Guests {
		if g.State != "" {
			want[g.SID] = g.Node
		}
	}
	for _, c := range r.Services {
		want[c.SID] = c.To
	}
	movesOn := strings.Contains(log, "unable to start service ") || strings.Contains(log, "auto rebalance - ")
	var differences []string
	for _, g := range got.Guests {
		node, known := want[g.SID]
		if !known {
			continue
		}
		place := g.Node
		if movesOn {
			recovered := regexp.MustCompile(`recover service '` + string(g.SID) + `' from fenced node '.*' to node '(.*)'`).FindStringSubmatch(log)
			if recovered == nil {
				continue
			}
			place = recovered[1]
		}
		if g.State == ha.Recovery || g.Node == lost && g.State != ha.Stopped && g.State != ha.Error {
			place = ""
		}
		if place != node {
			differences = append(differences, fmt.Sprintf("%s is on '%s' (%s), expected on '%s'", g.SID, place, g.State, node))
		}
	}
	if len(differences) > 0 {
		return strings.Join(differences, "; ") + "\n" + log
	}
	return ""
}
