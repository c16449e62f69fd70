package envtest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// stub is a world that can do nothing but say what it lacks.
type stub struct {
	World
	lacks map[Condition]string
	set   error
	tell  error
}

func (s stub) Nodes() []string                   { return []string{"node1", "node2", "node3"} }
func (s stub) Lacks() map[Condition]string       { return s.lacks }
func (s stub) Set(Condition, string, bool) error { return s.set }
func (s stub) Resets(string) (int, error)        { return 0, s.tell }

// recorder notes failures instead of failing.
type recorder struct {
	testing.TB
	failures []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func TestClauseIsLeftOutOnlyForWhatIsTrulyLacking(t *testing.T) {
	unsupported := fmt.Errorf("no network here: %w", errors.ErrUnsupported)
	lacks := map[Condition]string{CutOff: "no network", Reset: "nobody looks"}
	needs := Clause{Needs: []Condition{NoFiles, CutOff, Reset}}

	for name, test := range map[string]struct {
		world    stub
		missing  []Condition
		failures int
	}{
		"nothing lacking":          {world: stub{}},
		"both lacking":             {world: stub{lacks: lacks, set: unsupported, tell: unsupported}, missing: []Condition{CutOff, Reset}},
		"it could be set":          {world: stub{lacks: lacks, tell: unsupported}, missing: []Condition{CutOff, Reset}, failures: 1},
		"it could tell":            {world: stub{lacks: lacks, set: unsupported}, missing: []Condition{CutOff, Reset}, failures: 1},
		"an error of another kind": {world: stub{lacks: lacks, set: errors.New("busy"), tell: unsupported}, missing: []Condition{CutOff, Reset}, failures: 1},
	} {
		t.Run(name, func(t *testing.T) {
			missing := lacking(test.world.Lacks(), needs.Needs)
			require.ElementsMatch(t, test.missing, missing)
			r := &recorder{TB: t}
			prove(r, test.world, missing)
			require.Len(t, r.failures, test.failures)
		})
	}
}

func TestClausesHaveDifferentNames(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Contract() {
		require.False(t, seen[c.Name], c.Name)
		seen[c.Name] = true
		for _, n := range c.Needs {
			require.Contains(t, conditions, n, c.Name)
		}
	}
	require.Greater(t, len(seen), 50)
}

func TestFSClausesHaveDifferentNames(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range FSContract() {
		require.False(t, seen[c.Name], c.Name)
		seen[c.Name] = true
		for _, n := range c.Needs {
			require.Contains(t, fsConditions, n, c.Name)
		}
	}
	require.Greater(t, len(seen), 30)
}
