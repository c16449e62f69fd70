package sim

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
)

// folder is a scenario folder in short. Without a cmdlist there is nothing to
// do in it.
type folder map[string]string

func (f folder) parse() (*Scenario, error) {
	files := map[string][]byte{}
	for name, text := range f {
		files[name] = []byte(text)
	}
	if _, ok := f[fileCommands]; !ok {
		files[fileCommands] = []byte("[]")
	}
	return Parse("test", files)
}

// lab is a cluster with its log.
type lab struct {
	*Cluster
	t   testing.TB
	log []string
}

// newLab returns the cluster of a folder before its first round.
func newLab(t testing.TB, f folder) *lab {
	t.Helper()
	s, err := f.parse()
	require.NoError(t, err)
	l := &lab{t: t}
	l.Cluster, err = New(s, Options{OnLine: func(line Line) { l.log = append(l.log, line.String()) }})
	require.NoError(t, err)
	return l
}

// allOn are the first commands of most tests.
var allOn = []string{"power node1 on", "power node2 on", "power node3 on"}

// newRunningLab returns a cluster of three nodes that has settled.
func newRunningLab(t testing.TB, f folder) *lab {
	t.Helper()
	l := newLab(t, f)
	l.do(allOn...)
	l.loops(6)
	l.log = nil
	return l
}

// do carries out commands, as a scenario would.
func (l *lab) do(commands ...string) {
	l.t.Helper()
	for _, text := range commands {
		cmd, err := ParseCommand(text)
		require.NoError(l.t, err)
		require.NoError(l.t, l.Execute(cmd, logCommands))
	}
}

func (l *lab) loops(n int) {
	l.t.Helper()
	for range n {
		_, err := l.Loop()
		require.NoError(l.t, err)
	}
}

// until runs rounds until a line of the log has the text, and returns the line.
func (l *lab) until(text string) string {
	l.t.Helper()
	seen := 0
	for range 60 {
		for ; seen < len(l.log); seen++ {
			if strings.Contains(l.log[seen], text) {
				return l.log[seen]
			}
		}
		l.loops(1)
	}
	require.Failf(l.t, "not in the log", "%q\n%s", text, l.text())
	return ""
}

func (l *lab) text() string { return strings.Join(l.log, "\n") }

// requireLog checks that lines with the texts are in the log, in this order.
func (l *lab) requireLog(texts ...string) {
	l.t.Helper()
	at := 0
	for _, text := range texts {
		i := slices.IndexFunc(l.log[at:], func(line string) bool { return strings.Contains(line, text) })
		require.GreaterOrEqual(l.t, i, 0, "not in the log, or not in this order: %q\n%s", text, l.text())
		at += i + 1
	}
}

func (l *lab) requireNotInLog(text string) {
	l.t.Helper()
	require.NotContains(l.t, l.text(), text)
}

func (l *lab) guest(sid ha.SID) GuestView {
	l.t.Helper()
	for _, g := range l.View().Guests {
		if g.SID == sid {
			return g
		}
	}
	require.Fail(l.t, "no such guest", sid)
	return GuestView{}
}

func (l *lab) node(name string) NodeView {
	l.t.Helper()
	for _, n := range l.View().Nodes {
		if n.Name == name {
			return n
		}
	}
	require.Fail(l.t, "no such node", name)
	return NodeView{}
}
