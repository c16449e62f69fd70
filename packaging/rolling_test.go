//go:build deb

package packaging

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
)

// witness looks at the cluster several times a second and notes what must not
// be.
type witness struct {
	c    *cluster
	stop chan struct{}
	done sync.WaitGroup

	looks    int
	masters  []string
	problems []string
	states   map[ha.ServiceState]bool
	oldest   ha.Epoch // age of the manager status
}

func watch(c *cluster) *witness {
	w := &witness{c: c, stop: make(chan struct{}), states: map[ha.ServiceState]bool{}}
	w.done.Go(func() {
		for {
			select {
			case <-w.stop:
				return
			case <-time.After(200 * time.Millisecond):
				w.look()
			}
		}
	})
	return w
}

func (w *witness) look() {
	status, err := w.c.status()
	if err != nil {
		w.note("manager status: %v", err)
		return
	}
	w.looks++
	if len(w.masters) == 0 || w.masters[len(w.masters)-1] != status.MasterNode {
		w.masters = append(w.masters, status.MasterNode)
	}
	w.oldest = max(w.oldest, ha.Epoch(time.Now().Unix())-status.Timestamp)
	for node, state := range status.NodeStatus {
		if state != ha.NodeOnline {
			w.note("%s is %s", node, state)
		}
	}
	for sid, s := range status.ServiceStatus {
		w.states[s.State] = true
		if s.State != ha.Started && s.State != ha.Freeze {
			w.note("%s is %s", sid, s.State)
		}
		if s.Node != w.c.places[string(sid)] {
			w.note("%s is on %s", sid, s.Node)
		}
	}
}

func (w *witness) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(w.problems, text) {
		w.problems = append(w.problems, text)
	}
}

func (w *witness) end() {
	close(w.stop)
	w.done.Wait()
}

var lockTaken = regexp.MustCompile(`successfully acquired lock 'ha_agent_(\w+)_lock'`)

// foreignLocks finds agent locks that another node than their own has taken.
func (c *cluster) foreignLocks() (taken int, foreign []string) {
	c.t.Helper()
	for _, n := range c.Nodes() {
		text, err := n.Log()
		require.NoError(c.t, err)
		for _, m := range lockTaken.FindAllStringSubmatch(text, -1) {
			taken++
			if m[1] != n.Name {
				foreign = append(foreign, n.Name+" took that of "+m[1])
			}
		}
	}
	return taken, foreign
}

// One node after the other changes from the stand-in of the Perl stack to ours,
// and back, in different ways. No guest is to notice, and no lock of a node to
// get into other hands.
func TestRollingChangeAndBack(t *testing.T) {
	t.Parallel()
	nodes := []string{"n1", "n2", "n3"}
	c := newCluster(t, nodes, map[string]string{
		"vm:100": "n1", "vm:101": "n2", "vm:102": "n3", "ct:200": "n1", "ct:201": "n2", "vm:103": "n3",
	})
	w := watch(c)
	for _, n := range nodes {
		begun := time.Now()
		c.run(n, "dpkg", "-i", oursFile(firstOurs))
		t.Logf("MEASURED %s changes to the Go stack: %.1f s", n, time.Since(begun).Seconds())
		require.Contains(t, c.run(n, "pve-ha-switch", "status"), "files                go\n")
		c.settle()
	}
	listing := func(n string) []string {
		lines := strings.Split(c.run(n, "ha-manager", "status"), "\n")
		return slices.DeleteFunc(lines, func(l string) bool { return !strings.HasPrefix(l, "service") })
	}
	require.Len(t, listing("n1"), len(c.places))
	for _, n := range nodes {
		require.Equal(t, listing("n1"), listing(n), "status on %s", n)
	}
	for i, n := range nodes {
		begun := time.Now()
		if i%2 == 0 {
			c.run(n, "pve-ha-switch", "perl")
		} else {
			c.run(n, "dpkg", "-P", "pve-ha-go")
		}
		t.Logf("MEASURED %s changes back: %.1f s", n, time.Since(begun).Seconds())
		c.settle()
	}
	w.end()
	t.Logf("MEASURED %d looks; services were %v; masters %v; oldest manager status %d s", w.looks, w.states, w.masters, w.oldest)
	require.Greater(t, w.looks, 100)
	require.Empty(t, w.problems)
	require.True(t, w.states[ha.Freeze], "services were frozen for each change")
	taken, foreign := c.foreignLocks()
	t.Logf("MEASURED agent locks taken %d times, by others than their node %d times", taken, len(foreign))
	require.GreaterOrEqual(t, taken, 3*len(nodes))
	require.Empty(t, foreign)
	c.judge()
}
