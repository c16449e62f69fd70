package crm

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/golden"
	"pveha/internal/ha"
)

func TestLifecycleTableIsSound(t *testing.T) {
	seen := map[[2]ha.ServiceState]bool{}
	for _, e := range Lifecycle {
		key := [2]ha.ServiceState{e.From, e.To}
		require.Falsef(t, seen[key], "%s to %s stands twice", e.From, e.To)
		seen[key] = true
		require.NotEqual(t, e.From, e.To)
		require.NotEmptyf(t, e.Why, "%s to %s has no reason", e.From, e.To)
		if e.From != "" {
			require.Contains(t, ha.ServiceStates, e.From)
		}
		require.Contains(t, ha.ServiceStates, e.To)
	}
	for _, s := range ha.ServiceStates {
		require.Truef(t, slices.ContainsFunc(Lifecycle, func(e Edge) bool { return e.To == s }),
			"no way into %s", s)
		require.Truef(t, slices.ContainsFunc(Lifecycle, func(e Edge) bool { return e.From == s }),
			"no way out of %s", s)
	}
}

func TestUndeclaredChangeIsRefused(t *testing.T) {
	m := &Manager{cfg: Config{NewUID: func(ha.ServiceState) string { return "new" }}}
	s := &ha.ServiceStatus{State: ha.Stopped, Node: "node1", UID: "old"}
	err := m.enter("vm:100", s, ha.ServiceStatus{State: ha.Recovery, Node: "node1"})
	require.EqualError(t, err, "service 'vm:100' must not change from 'stopped' to 'recovery'")
	require.Equal(t, &ha.ServiceStatus{State: ha.Stopped, Node: "node1", UID: "old"}, s)
}

// The diagram in ARCHITECTURE.md is made from the table; -update writes it.
func TestLifecycleDiagram(t *testing.T) {
	const begin, end = "<!-- lifecycle:begin -->\n", "<!-- lifecycle:end -->"
	const file = "../ARCHITECTURE.md"
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	before, rest, found := bytes.Cut(text, []byte(begin))
	require.True(t, found, "no place for the diagram")
	_, after, found := bytes.Cut(rest, []byte(end))
	require.True(t, found, "the place for the diagram has no end")
	golden.Golden(t, file, slices.Concat(before, []byte(begin+diagram()+end), after))
}

// diagram draws the lifecycle in Mermaid and lists the reasons.
func diagram() string {
	var b strings.Builder
	b.WriteString("```mermaid\nstateDiagram-v2\n")
	for _, e := range Lifecycle {
		from := string(e.From)
		if from == "" {
			from = "[*]"
		}
		fmt.Fprintf(&b, "    %s --> %s\n", from, e.To)
	}
	b.WriteString("```\n\n| from | to | when |\n|---|---|---|\n")
	for _, e := range Lifecycle {
		from := string(e.From)
		if from == "" {
			from = "(new)"
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", from, e.To, e.Why)
	}
	return b.String()
}
