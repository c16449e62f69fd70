package hactl

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// play lets the cluster change while the command waits: at second n the
// services are what the story says.
func (m *Memory) play(story map[int]func()) *Memory {
	m.OnSleep = func() {
		if change := story[int(m.Time.Sub(testTime).Seconds())]; change != nil {
			change()
		}
		status := m.Files["ha/manager_status"]
		start := strings.Index(status, `"timestamp":`)
		end := start + strings.IndexByte(status[start:], ',')
		m.Files["ha/manager_status"] = status[:start] + fmt.Sprintf(`"timestamp":%d`, m.Time.Unix()) + status[end:]
	}
	return m
}

func (m *Memory) services(services string) func() {
	return func() { m.Files["ha/manager_status"] = managerJSON(m.Time, services) }
}

func (m *Memory) nodeState(node, state string) {
	status := m.Files["ha/manager_status"]
	m.Files["ha/manager_status"] = strings.Replace(status, `"`+node+`":"online"`, `"`+node+`":"`+state+`"`, 1)
}

const (
	vm100Started = `"vm:100":{"node":"node1","state":"started","running":1,"uid":"a"}`
	vm100Moving  = `"vm:100":{"node":"node1","state":"migrate","target":"node2","uid":"b"}`
	vm100There   = `"vm:100":{"node":"node2","state":"started","running":1,"uid":"c"}`
)

func TestMigrateWaitsUntilTheServiceIsThere(t *testing.T) {
	m := lab()
	m.play(map[int]func(){
		5:  func() { m.Files["ha/crm_commands"] = "" },
		7:  m.services(vm100Moving),
		20: m.services(vm100There),
	})
	a := m.call("migrate", "vm:100", "node2", "--wait")
	require.Equal(t, answer{stdout: `[   0 s] the CRM has not taken the command yet
[   0 s] vm:100: started on node1
[   7 s] vm:100: migrate on node1 to node2
[  20 s] vm:100: started on node2
`}, a)
}

func TestMigrateTellsWhyItFailed(t *testing.T) {
	taken := func(m *Memory) func() { return func() { m.Files["ha/crm_commands"] = "" } }
	for name, test := range map[string]struct {
		story func(m *Memory) map[int]func()
		args  []string
		want  string
		exit  int
	}{
		"migration fails": {
			func(m *Memory) map[int]func() {
				return map[int]func(){1: taken(m), 2: m.services(vm100Moving), 9: m.services(vm100Started)}
			}, nil, "vm:100 was not moved: it is started on node1\n", exitFailed,
		},
		"service fails": {
			func(m *Memory) map[int]func() {
				return map[int]func(){1: taken(m), 2: m.services(strings.Replace(vm100Started, "started", "error", 1))}
			}, nil, "vm:100 is in error state on node1\n", exitFailed,
		},
		"target is not online": {
			func(m *Memory) map[int]func() {
				return map[int]func(){1: taken(m), 2: func() { m.nodeState("node2", "maintenance") }}
			}, nil, "vm:100 is not being moved: node 'node2' is maintenance\n", exitFailed,
		},
		"command is dropped": {
			func(m *Memory) map[int]func() { return map[int]func(){1: taken(m)} },
			nil, "vm:100 is not being moved: the CRM dropped the command, and it is started on node1\n", exitFailed,
		},
		"time is over": {
			func(m *Memory) map[int]func() { return map[int]func(){1: taken(m), 2: m.services(vm100Moving)} },
			[]string{"--timeout", "60"},
			"not done after 60 s; the request stays\n- vm:100: migrate on node1 to node2\n", exitProblem,
		},
		"nobody takes the command": {
			func(*Memory) map[int]func() { return nil },
			[]string{"--timeout", "3"},
			"not done after 3 s; the request stays\n- the CRM has not taken the command yet\n- vm:100: started on node1\n", exitProblem,
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := lab()
			m.play(test.story(m))
			a := m.call(append([]string{"relocate", "vm:100", "node2", "--wait"}, test.args...)...)
			require.Equal(t, test.exit, a.exit)
			require.True(t, strings.HasSuffix(a.stderr, test.want), a.stderr)
		})
	}
}

func TestWaitTellsThatNobodyCarriesOutCommands(t *testing.T) {
	m := lab()
	m.Files["ha/manager_status"] = managerJSON(testTime.Add(-time.Hour), vm100Started)
	a := m.call("migrate", "vm:100", "node2", "--wait", "--timeout", "0")
	require.Equal(t, exitProblem, a.exit)
	require.Contains(t, a.stdout, "no CRM is at work: master node1 (old timestamp - dead?, Sat Nov 21 20:29:09 2026)")
	require.Equal(t, "migrate vm:100 node2\n", m.Files["ha/crm_commands"], "the request stays")
}

func TestWaitEndsWithTheCommand(t *testing.T) {
	m := lab()
	ctx, cancel := context.WithCancel(context.Background())
	m.OnSleep = cancel
	require.Equal(t, exitProblem, m.callIn(ctx, Stdio{}, "migrate", "vm:100", "node2", "--wait").exit)
}

func TestTimeoutNeedsWait(t *testing.T) {
	m := lab()
	a := m.call("migrate", "vm:100", "node2", "--timeout", "5")
	require.Equal(t, exitFailed, a.exit)
	require.Equal(t, "400 --timeout needs --wait\nha-manager crm-command migrate <sid> <node>\n", a.stderr)
	require.NotContains(t, m.Files, "ha/crm_commands")
}

func TestMaintenanceWaitsUntilTheNodeIsEmpty(t *testing.T) {
	m := lab()
	m.play(map[int]func(){
		3: func() { m.Files["ha/crm_commands"] = "" },
		6: func() { m.nodeState("node1", "maintenance") },
		9: func() { m.services(vm100Moving)(); m.nodeState("node1", "maintenance") },
		15: func() {
			m.services(vm100There + `,"ct:200":{"node":"node1","state":"error","uid":"x"}`)()
			m.nodeState("node1", "maintenance")
		},
	})
	a := m.call("crm-command", "node-maintenance", "enable", "node1", "--wait")
	require.Equal(t, answer{stdout: `[   0 s] the CRM has not taken the command yet
[   3 s] node node1 is online, its LRM: unknown
[   6 s] node node1 is in maintenance, 1 services are left
[  15 s] ct:200: error, stays there
[  15 s] node node1 is in maintenance
`}, a)
}

func TestMaintenanceTellsWhatBlocksAndWhy(t *testing.T) {
	const stuck = vm100Started + `,"vm:101":{"node":"node1","state":"started","running":1,"uid":"x"},"vm:102":{"node":"node2","state":"started","running":1,"uid":"y"},"ct:200":{"node":"node3","state":"started","running":1,"uid":"z"}`
	m := lab()
	m.Files["ha/resources.cfg"] += "vm: 102\n\n"
	m.Files["ha/rules.cfg"] = "node-affinity: here\n\tnodes node1\n\tresources vm:100\n\tstrict 1\n\n" +
		"resource-affinity: apart\n\taffinity negative\n\tresources vm:101,vm:102,ct:200\n\n"
	m.play(map[int]func(){1: func() {
		m.Files["ha/crm_commands"] = ""
		m.services(stuck)()
		m.nodeState("node1", "maintenance")
	}})
	a := m.call("crm-command", "node-maintenance", "enable", "node1", "--wait", "--timeout", "40")
	require.Equal(t, exitProblem, a.exit)
	require.Equal(t, `not done after 40 s; the request stays
- node node1 is in maintenance, 2 services are left
- vm:100: started, cannot be moved: a strict node affinity rule does not allow node2, a strict node affinity rule does not allow node3
- vm:101: started, cannot be moved: vm:102 on node2 is kept apart from it, ct:200 on node3 is kept apart from it
`, a.stderr)
	require.Contains(t, a.stdout, "[  31 s] vm:100: started, cannot be moved", "after some rounds without progress it is told while waiting, too")
}

func TestWaitOutlivesAnOutage(t *testing.T) {
	m := lab()
	good := m.Files["ha/manager_status"]
	m.play(map[int]func(){
		2: func() { m.Files["ha/crm_commands"] = ""; m.Files["ha/manager_status"] = `{"timestamp":1,` },
		4: func() { m.Files["ha/manager_status"] = good },
		5: m.services(vm100There),
	})
	a := m.call("migrate", "vm:100", "node2", "--wait")
	require.Zero(t, a.exit, a.stderr)
	require.Contains(t, a.stdout, "[   2 s] the cluster cannot be read: ")
}

// brokenWatcher tells of no changes.
type brokenWatcher struct{ err error }

func (w brokenWatcher) Changes(context.Context) (<-chan struct{}, error) {
	closed := make(chan struct{})
	close(closed)
	return closed, w.err
}

func TestWatchThatCannotWatch(t *testing.T) {
	for _, w := range []brokenWatcher{{errors.New("no such thing")}, {}} {
		m := lab()
		env := m.Env()
		env.Watcher = w
		var out, problems strings.Builder
		require.Equal(t, exitFailed, Run(context.Background(), env, Stdio{Out: &out, Err: &problems}, []string{"status", "--watch"}))
		require.NotEmpty(t, problems.String())
	}
}
