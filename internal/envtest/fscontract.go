package envtest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/pmxcfsio"
)

// bg is the context of calls that may take their time.
var bg = context.Background()

// FSClause is one promise of a cluster file system and its client.
type FSClause struct {
	Name  string
	Needs []Condition
	Check func(t testing.TB, w FSWorld)
}

// FSContract returns all clauses. Each is checked in a new world.
func FSContract() []FSClause {
	return slices.Concat(fsLockClauses, fsLockFaultClauses, fsDomainClauses, fsFileClauses, fsFaultClauses, fsGuestClauses, fsViewClauses)
}

// RunFS holds the cluster file system of a world to the contract.
func RunFS(t *testing.T, newWorld func(t *testing.T) FSWorld) {
	for _, c := range FSContract() {
		t.Run(c.Name, func(t *testing.T) {
			w := newWorld(t)
			if missing := lacking(w.Lacks(), c.Needs); len(missing) > 0 {
				t.Run("cannot be checked here", func(t *testing.T) { proveFS(t, w, missing) })
				return
			}
			c.Check(t, w)
		})
	}
	t.Run("what the world lacks", func(t *testing.T) {
		for c, reason := range newWorld(t).Lacks() {
			require.Contains(t, fsConditions, c)
			require.NotEmpty(t, reason, "why can it not be: %s", c)
		}
	})
}

// fsProbes use what cannot be set.
var fsProbes = map[Condition]func(w FSWorld, f FS) error{
	Domains: func(w FSWorld, f FS) error {
		return f.Domain(bg, w.Names().Domain, nil, func(context.Context) error { return nil })
	},
	Folders: func(_ FSWorld, f FS) error {
		_, err := f.List(bg, ".")
		return err
	},
	Counters: func(_ FSWorld, f FS) error {
		_, err := f.Versions(bg)
		return err
	},
	GuestFiles: func(w FSWorld, f FS) error {
		return f.Write(bg, pmxcfsio.GuestFile(w.Nodes()[0], pmxcfsio.GuestQemu, w.Names().NoGuest), nil)
	},
}

// proveFS looks whether the world lacks what it says it lacks.
func proveFS(t testing.TB, w FSWorld, missing []Condition) {
	t.Helper()
	node := w.Nodes()[0]
	for _, c := range missing {
		var err error
		if probe := fsProbes[c]; probe != nil {
			err = probe(w, w.FS(node))
		} else {
			err = w.Set(c, node, true)
		}
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("the world says it lacks %q (%s), but the answer is not errors.ErrUnsupported: %v", c, w.Lacks()[c], err)
			continue
		}
		t.Logf("no %q: %s", c, w.Lacks()[c])
	}
}

// settles waits until something holds: caches of the kernel are a second old,
// and groups take their time to form.
func settles(t testing.TB, w FSWorld, holds func() bool, what string) {
	t.Helper()
	for range graceTries {
		if holds() {
			return
		}
		w.Advance(1)
	}
	require.True(t, holds(), what)
}

func setFS(t testing.TB, w FSWorld, c Condition, node string) {
	t.Helper()
	require.NoError(t, w.Set(c, node, true))
}

func mendFS(t testing.TB, w FSWorld, c Condition, node string) {
	t.Helper()
	require.NoError(t, w.Set(c, node, false))
}
