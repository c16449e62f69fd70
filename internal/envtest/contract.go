package envtest

import (
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// Clause is one promise of an environment.
type Clause struct {
	Name  string
	Needs []Condition // what the world must be able to do
	Check func(t testing.TB, w World)
}

// Contract returns all clauses. Each is checked in a new world.
func Contract() []Clause {
	return slices.Concat(lockClauses, agentLockClauses, statusClauses, commandClauses, serviceClauses,
		ruleClauses, recoveryClauses, nodeClauses, faultClauses, watchdogClauses, clockClauses)
}

// Run holds the environments of a world to the contract.
func Run(t *testing.T, newWorld func(t *testing.T) World) {
	for _, c := range Contract() {
		t.Run(c.Name, func(t *testing.T) {
			w := newWorld(t)
			if missing := lacking(w.Lacks(), c.Needs); len(missing) > 0 {
				t.Run("cannot be checked here", func(t *testing.T) { prove(t, w, missing) })
				return
			}
			c.Check(t, w)
		})
	}
	t.Run("what the world lacks", func(t *testing.T) {
		w := newWorld(t)
		for c, reason := range w.Lacks() {
			require.Contains(t, conditions, c)
			require.NotEmpty(t, reason, "why can it not be: %s", c)
		}
	})
}

// lacking returns what of the needs a world lacks.
func lacking(lacks map[Condition]string, needs []Condition) []Condition {
	return slices.DeleteFunc(slices.Clone(needs), func(n Condition) bool {
		_, lacking := lacks[n]
		return !lacking
	})
}

// prove looks whether the world lacks what it says it lacks: a clause must not
// be left out for less.
func prove(t testing.TB, w World, missing []Condition) {
	t.Helper()
	for _, c := range missing {
		var err error
		if c == Reset {
			_, err = w.Resets(w.Nodes()[0])
		} else {
			err = w.Set(c, w.Nodes()[0], true)
		}
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("the world says it lacks %q (%s), but the answer is not errors.ErrUnsupported: %v",
				c, w.Lacks()[c], err)
			continue
		}
		t.Logf("no %q: %s", c, w.Lacks()[c])
	}
}

// set brings a node into a condition.
func set(t testing.TB, w World, c Condition, node string) {
	t.Helper()
	require.NoError(t, w.Set(c, node, true))
	beginRounds(w)
}

// mend brings a node out of a condition.
func mend(t testing.TB, w World, c Condition, node string) {
	t.Helper()
	require.NoError(t, w.Set(c, node, false))
	beginRounds(w)
}
