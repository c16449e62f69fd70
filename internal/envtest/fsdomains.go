package envtest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/pmxcfsio"
)

// waitSeconds is how long a domain lock is waited for.
const waitSeconds = 10

// inDomain runs work under the world's domain lock.
func inDomain(w FSWorld, node int, said *[]string, work func() error) error {
	waiting := func(m string) { *said = append(*said, m) }
	return w.FS(w.Nodes()[node]).Domain(bg, w.Names().Domain, waiting, func(context.Context) error { return work() })
}

var fsDomainClauses = []FSClause{
	{Name: "work under a domain lock is done by one at a time", Needs: []Condition{Domains}, Check: func(t testing.TB, w FSWorld) {
		const rounds = 5
		var inside, most atomic.Int32
		done := make(chan error, len(w.Nodes()))
		for i := range w.Nodes() {
			go func() {
				var said []string
				var all error
				for range rounds {
					all = errors.Join(all, inDomain(w, i, &said, func() error {
						most.Store(max(most.Load(), inside.Add(1)))
						inside.Add(-1)
						return nil
					}))
				}
				done <- all
			}()
		}
		for range w.Nodes() {
			// Where time is simulated, all of it can pass while others work.
			if err := <-done; err != nil {
				require.ErrorIs(t, err, pmxcfsio.ErrHeld)
			}
		}
		require.EqualValues(t, 1, most.Load())
	}},
	{Name: "work under a domain lock fails with its own error, and the lock is free", Needs: []Condition{Domains}, Check: func(t testing.TB, w FSWorld) {
		wrong := errors.New("what the work says")
		var said []string
		for i := range w.Nodes() {
			require.Equal(t, wrong, inDomain(w, i, &said, func() error { return wrong }))
		}
		require.Empty(t, said, "nobody had to wait")
	}},
	{Name: "a domain lock is waited for, and not for ever", Needs: []Condition{Domains}, Check: func(t testing.TB, w FSWorld) {
		id := "domain-" + w.Names().Domain
		var said, none []string
		var second error
		require.NoError(t, inDomain(w, 0, &none, func() error {
			second = inDomain(w, 1, &said, func() error { return nil })
			return nil
		}))
		require.EqualError(t, second, "cfs-lock '"+id+"' error: got lock request timeout")
		require.ErrorIs(t, second, pmxcfsio.ErrHeld)
		require.Len(t, said, waitSeconds-1)
		require.Equal(t, "trying to acquire cfs lock '"+id+"' ...", said[0])
		require.NoError(t, inDomain(w, 1, &none, func() error { return nil }), "it was given back")
		require.Empty(t, none)
	}},
	{Name: "without quorum there is no domain lock", Needs: []Condition{Domains, CutOff}, Check: func(t testing.TB, w FSWorld) {
		setFS(t, w, CutOff, w.Nodes()[0])
		settles(t, w, func() bool { return !quorate(t, w, 0) }, "it is cut off")
		var said []string
		err := inDomain(w, 0, &said, func() error { return nil })
		require.EqualError(t, err, "cfs-lock 'domain-"+w.Names().Domain+"' error: no quorum!")
		require.ErrorIs(t, err, pmxcfsio.ErrNoQuorum)
		require.NoError(t, inDomain(w, 1, &said, func() error { return nil }), "the others go on")
	}},
}
