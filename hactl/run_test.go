package hactl

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/crm"
	"pveha/hactl/whatif"
	"pveha/internal/golden"
	"pveha/internal/ha"
)

func TestWhoMayRunItAndWhere(t *testing.T) {
	unreachable := fmt.Errorf("%w: %w", ErrUnreachable, syscall.ECONNREFUSED)
	const ipc = "ipcc_send_rec[1] failed: Connection refused\nipcc_send_rec[2] failed: Connection refused\n" +
		"ipcc_send_rec[3] failed: Connection refused\nUnable to load access control list: Connection refused\n"
	for name, test := range map[string]struct {
		cluster Memory
		args    string
		stderr  string
		exit    int
	}{
		"pmxcfs does not run":          {Memory{AccessErr: unreachable}, "status", ipc, exitFailed},
		"it is told before the rest":   {Memory{AccessErr: unreachable, NotRoot: true}, "nosuch", ipc, exitFailed},
		"not root":                     {Memory{NotRoot: true}, "help", "please run as root\n", exitFailed},
		"not mounted":                  {Memory{AccessErr: ErrNotMounted}, "status", "pve configuration filesystem (pmxcfs) not mounted\n", exitFailed},
		"the API is verified anywhere": {Memory{AccessErr: unreachable, NotRoot: true}, "verifyapi", "", exitOK},
		"no quorum":                    {Memory{}, "add vm:100", "cluster not ready - no quorum?\n", exitFailed},
	} {
		t.Run(name, func(t *testing.T) {
			test.cluster.NodeName = "node1"
			require.Equal(t, answer{stderr: test.stderr, exit: test.exit}, test.cluster.call(strings.Fields(test.args)...))
		})
	}
	a := (&Memory{AccessErr: ErrNotMounted}).call("rules")
	require.Contains(t, a.stderr, "ERROR: incomplete command 'ha-manager rules'\n", "help needs no mount")
}

func TestFailuresOfTheFileSystem(t *testing.T) {
	m := lab()
	m.WriteErr = errors.New("disk on fire")
	require.Equal(t, "update resources config failed: disk on fire\n", m.call("set", "vm:100", "--state", "stopped").stderr)
	require.Equal(t, "disk on fire\n", m.call("crm-command", "arm-ha").stderr)

	m = lab()
	m.LockErr, m.LockTries = errors.New("cfs-lock 'domain-ha' error: got lock request timeout"), 2
	wait := strings.Repeat("trying to acquire cfs lock 'domain-ha' ...\n", 2)
	require.Equal(t, wait+"delete resource failed: cfs-lock 'domain-ha' error: got lock request timeout\n", m.call("remove", "vm:100").stderr)
}

// A resource is removed from both files or from none.
func TestRemoveThatCannotChangeTheRules(t *testing.T) {
	m := lab()
	m.Files["ha/rules.cfg"] = "node-affinity: r1\n\tnodes node1\n\tresources vm:100,vm:101\n\nnode-affinity: broken\n\tnodes node2\n\n"
	before := m.Files["ha/resources.cfg"]
	a := m.call("remove", "vm:100")
	require.Equal(t, exitFailed, a.exit)
	require.Contains(t, a.stderr, "delete resource failed: ")
	require.Equal(t, before, m.Files["ha/resources.cfg"])

	require.Zero(t, m.call("remove", "vm:100", "--purge", "0").exit)
	require.NotContains(t, m.Files["ha/resources.cfg"], "vm: 100")

	rules := m.Files["ha/rules.cfg"]
	require.Zero(t, m.call("remove", "ct:200").exit, "no rule names it")
	require.Equal(t, rules, m.Files["ha/rules.cfg"], "the broken section is not lost")
}

func TestHelpOfWhatIsNew(t *testing.T) {
	a := lab().call("help", "new")
	require.Zero(t, a.exit)
	golden.Golden(t, "testdata/help-new.txt", []byte(a.stdout))
	require.Contains(t, lab().call("help", "lint").stdout, "(not in the Perl command)")

	plain := lab().call("help").stdout
	require.NotContains(t, plain, "lint")
	require.NotContains(t, plain, "--wait")
	var out strings.Builder
	lab().callIn(context.Background(), Stdio{Out: &out, Terminal: screenOf{}}, "help")
	require.Equal(t, plain+"There is more that the Perl command does not have: see 'ha-manager help new'.\n", out.String(),
		"people are told, scripts are not")
}

func TestTableIsCutAtTheEdgeOfTheTerminal(t *testing.T) {
	m := lab()
	m.Files["ha/rules.cfg"] = "node-affinity: r1\n\tcomment größe\n\tnodes node1\n\tresources vm:100\n\n"
	var out strings.Builder
	m.callIn(context.Background(), Stdio{
		Out: &out, Terminal: screenOf{columns: 20},
		Getenv: func(string) string { return "C.UTF-8" },
	}, "rules", "config")
	require.Equal(t, "┌─────────┬────────┬\n│ enabled │ state  │\n╞═════════╪════════╪\n│ 1       │ in use │\n└─────────┴────────┴\n", out.String())
}

// snapshot is a picture that knows its answers.
type snapshot struct {
	explanation *crm.Explanation
	report      *whatif.Report
	err         error
	failed      *[]string
}

func (s snapshot) Explain(ha.SID) (*crm.Explanation, error) { return s.explanation, s.err }

func (s snapshot) Fail(nodes ...string) (*whatif.Report, error) {
	*s.failed = nodes
	return s.report, s.err
}

// ask asks a picture of the lab.
func ask(s snapshot, args ...string) answer {
	env := lab().Env()
	env.Picture = func(context.Context) (Picture, error) { return s, nil }
	var out, problems strings.Builder
	exit := Run(context.Background(), env, Stdio{Out: &out, Err: &problems}, args)
	return answer{out.String(), problems.String(), exit}
}

func TestExplain(t *testing.T) {
	score := 0.25
	s := snapshot{explanation: &crm.Explanation{
		SID: "vm:100", State: ha.Started, Request: ha.RequestStarted, Node: "node1", Choice: "node2", Scheduler: crm.SchedulerBasic,
		Because: []string{"it was started there"},
		Nodes: []crm.Verdict{
			{Node: "node2", State: ha.NodeOnline, Usable: true, Rank: 1, Score: &score, Says: []string{"rule r1 prefers it", "nothing is there"}},
			{Node: "node1", State: ha.NodeOnline},
		},
		Moves: []string{"the loss of node1"}, Notes: []string{"rule r9 is not applied"},
	}}
	a := ask(s, "explain", "100")
	require.Zero(t, a.exit, a.stderr)
	golden.Golden(t, "testdata/explain.txt", []byte(a.stdout))
	require.Contains(t, ask(s, "explain", "vm:100", "--json").stdout, `"choice": "node2"`)

	s.err = errors.New("no such service 'vm:102'")
	require.Equal(t, answer{stderr: "no such service 'vm:102'\n", exit: exitFailed}, ask(s, "explain", "102"))
	require.Equal(t, exitFailed, lab().call("explain", "vm:100").exit, "nobody to ask")
}

func TestSimulate(t *testing.T) {
	var failed []string
	s := snapshot{failed: &failed, report: &whatif.Report{
		Failed: []string{"node1", "node2"}, Quorate: true, Seconds: 190,
		Services: []whatif.Change{
			{SID: "vm:100", From: "node1", To: "node3", State: ha.Started},
			{SID: "vm:101", From: "node2", State: ha.Recovery, Lost: true, Blocked: []string{"node3: rule r1 allows node2 alone"}},
		},
		Nodes: []whatif.NodeLoad{{Node: "node3", Guests: 3, MemBefore: 1 << 30, MemAfter: 9 << 30, MemSize: 8 << 30, CPUBefore: 1, CPUAfter: 3}},
	}}
	a := ask(s, "simulate", "--fail", "node2,node1", "--fail=node2")
	require.Equal(t, exitProblem, a.exit, a.stderr)
	require.Equal(t, []string{"node1", "node2"}, failed)
	golden.Golden(t, "testdata/simulate.txt", []byte(a.stdout))
	require.Contains(t, ask(s, "simulate", "--fail", "node1", "--json").stdout, `"quorate": true`)

	s.report = &whatif.Report{Failed: []string{"node3"}}
	a = ask(s, "simulate", "--fail", "node3")
	require.Equal(t, "If node3 failed now, there would be no quorum: nothing would be recovered.\nNo resource would move.\n", a.stdout)
	require.Equal(t, answer{stderr: "no such cluster node 'node9'\n", exit: exitFailed}, ask(s, "simulate", "--fail", "node9"))
}
