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

// daemonFacts make each fact true on which a round of the daemon depends; all
// begin as false.
var daemonFacts = map[string]func(c *CRM, f *fake){
	"quorum":          func(_ *CRM, f *fake) { f.quorate = true },
	"fresh view":      func(_ *CRM, f *fake) { f.stale = false },
	"status readable": func(_ *CRM, f *fake) { f.fault = nil },
	"fenced here": func(_ *CRM, f *fake) {
		f.manager.ServiceStatus = map[ha.SID]*ha.ServiceStatus{"vm:9": {State: ha.Fence, Node: "node1"}}
	},
	"services": func(_ *CRM, f *fake) { f.guest("vm:1", "node1", ha.RequestStopped) },
	"lock":     func(_ *CRM, f *fake) { f.managerLock = func() bool { return true } },
	"shutdown": func(c *CRM, _ *fake) { c.stopping = true },
}

const daemonTableHead = `One round of the daemon, for every state it can be in and all combinations of
the facts:

  quorum           this node is in the quorate partition
  fresh view       the view of the cluster file system is consistent
  status readable  manager_status can be read
  fenced here      a service of this node is in state fence
  services         services are configured
  lock             the manager lock can be had, or refreshed
  shutdown         the daemon was asked to end

A dash is a fact that makes no difference. Tries for the lock that fail are one
second apart. The log also says when the status could not be read. The stack is
armed, and the watchdog is open in the states master and lost_manager_lock at
the beginning of the round.

`

// daemonStates are the states in which a round can begin, with the facts in
// the order that makes the table short.
var daemonStates = []struct {
	state ha.CRMState
	facts []string
}{
	{ha.CRMWaitForQuorum, []string{"quorum", "fresh view", "status readable", "fenced here", "services", "lock", "shutdown"}},
	{ha.CRMSlave, []string{"quorum", "fresh view", "status readable", "fenced here", "services", "lock", "shutdown"}},
	{ha.CRMMaster, []string{"lock", "shutdown", "fresh view", "quorum", "status readable", "fenced here", "services"}},
	{ha.CRMLostManagerLock, []string{"quorum", "fresh view", "status readable", "fenced here", "services", "lock", "shutdown"}},
}

// The table is made by running every combination, and is what a reader should
// look at first.
func TestDaemonTable(t *testing.T) {
	var b strings.Builder
	b.WriteString(daemonTableHead)
	for _, s := range daemonStates {
		var facts []fact
		for _, name := range s.facts {
			facts = append(facts, fact{name, []string{"no", "yes"}})
		}
		runs := 0
		rows := enumerate(facts, map[string]string{}, func(given map[string]string) string {
			runs++
			return daemonOutcome(t, s.state, given)
		})
		require.Equal(t, combinations(facts), runs)
		fmt.Fprintf(&b, "## %s\n\n", s.state)
		writeRows(&b, facts, "next state         what happens", rows)
	}
	golden.Golden(t, "testdata/daemon.golden", []byte(b.String()))
}

// daemonOutcome runs one round from a state and tells its next state and what
// it did, in order.
func daemonOutcome(t *testing.T, state ha.CRMState, facts map[string]string) string {
	f := newFake("node1", "node2")
	c := crmIn(t, f, state)
	f.quorate, f.stale = false, true
	f.managerLock = func() bool { return false }
	unreadable := f.failing("ReadManagerStatus")
	f.fault = unreadable
	for name, set := range daemonFacts {
		if facts[name] == "yes" {
			set(c, f)
		}
	}
	f.taken()
	alive, err := c.Iterate()
	require.NoError(t, err)
	require.Equal(t, f.watchdog != nil, c.watchdog != nil, "it knows whether its watchdog is open")

	var did []string
	tries := 0
	for _, line := range f.taken() {
		switch {
		case line == "sleep 1", strings.HasPrefix(line, "info: node '"),
			strings.HasPrefix(line, "info: status change"), strings.Contains(line, "adding new service"),
			strings.HasPrefix(line, "err: could not read manager status"):
		case line == "manager lock: no":
			tries++
			if tries == lockTries {
				did = append(did, fmt.Sprintf("%d tries for the manager lock", tries))
			}
		case isLog(line):
			_, text, _ := strings.Cut(line, ": ")
			did = append(did, "log: "+text)
		default:
			did = append(did, line)
		}
	}
	end := string(c.State())
	switch {
	case !alive:
		end = "the end"
	case c.idle > 0:
		did = append(did, "count an idle round")
	}
	if did == nil {
		did = []string{"nothing"}
	}
	return fmt.Sprintf("%-17s  %s", end, strings.Join(did, "; "))
}

// crmIn returns a CRM in a state, as if it had been in it for a while: a master
// has run a round.
func crmIn(t testing.TB, f *fake, state ha.CRMState) *CRM {
	t.Helper()
	c := New(f, f.config())
	if state == ha.CRMMaster || state == ha.CRMLostManagerLock {
		f.commands = "arm-ha\n" // work without a service
		mustIterate(t, c)
		require.Equal(t, ha.CRMMaster, c.State())
		require.NotNil(t, f.watchdog)
	}
	c.state = state
	if state == ha.CRMLostManagerLock {
		c.manager = nil
	}
	f.manager = &ha.ManagerStatus{MasterNode: "node2", NodeStatus: map[string]ha.NodeState{
		"node1": ha.NodeOnline, "node2": ha.NodeOnline,
	}}
	return c
}

// failing makes every call of a name fail.
func (f *fake) failing(names ...string) func(int, string) (before, after error) {
	return func(_ int, name string) (before, after error) {
		if slices.Contains(names, name) {
			return errDown, nil
		}
		return nil, nil
	}
}

func mustIterate(t testing.TB, c *CRM) {
	t.Helper()
	alive, err := c.Iterate()
	require.NoError(t, err)
	require.True(t, alive)
}
