package envtest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/pmxcfsio"
)

// requireGuest checks where every node sees a guest.
func requireGuest(t testing.TB, w FSWorld, id uint32, node string) {
	t.Helper()
	for _, reader := range w.Nodes() {
		guests, err := w.FS(reader).Guests(bg)
		require.NoError(t, err)
		guest, there := guests.ByID[id]
		require.True(t, there, "%s sees no guest %d", reader, id)
		require.Equal(t, node, guest.Node, reader)
		require.Equal(t, pmxcfsio.GuestQemu, guest.Type)
	}
}

var fsGuestClauses = []FSClause{
	{Name: "any node moves a guest, and every node sees it", Check: func(t testing.TB, w FSWorld) {
		n, id := w.Nodes(), w.Names().Guest
		requireGuest(t, w, id, n[0])
		require.NoError(t, w.FS(n[2]).MoveGuest(bg, pmxcfsio.GuestQemu, id, n[0], n[1]))
		requireGuest(t, w, id, n[1])
		require.NoError(t, w.FS(n[1]).MoveGuest(bg, pmxcfsio.GuestQemu, id, n[1], n[2]))
		requireGuest(t, w, id, n[2])
	}},
	{Name: "a guest is not moved from where it is not", Check: func(t testing.TB, w FSWorld) {
		n, id := w.Nodes(), w.Names().Guest
		require.Error(t, w.FS(n[0]).MoveGuest(bg, pmxcfsio.GuestQemu, id, n[1], n[2]))
		require.Error(t, w.FS(n[0]).MoveGuest(bg, pmxcfsio.GuestQemu, w.Names().NoGuest, n[0], n[2]))
		requireGuest(t, w, id, n[0])
	}},
	{Name: "two nodes that move a guest at once do not both succeed", Check: func(t testing.TB, w FSWorld) {
		n, id := w.Nodes(), w.Names().Guest
		results := make(chan error, 2)
		for _, to := range n[1:3] {
			go func() { results <- w.FS(to).MoveGuest(bg, pmxcfsio.GuestQemu, id, n[0], to) }()
		}
		one, two := <-results, <-results
		require.NotEqual(t, one == nil, two == nil, "%v, %v", one, two)
		guests, err := w.FS(n[0]).Guests(bg)
		require.NoError(t, err)
		requireGuest(t, w, id, guests.ByID[id].Node)
		require.Contains(t, n[1:3], guests.ByID[id].Node)
	}},
	{Name: "an ID that is taken is taken on every node, for every type", Needs: []Condition{GuestFiles}, Check: func(t testing.TB, w FSWorld) {
		n, id, free := w.Nodes(), w.Names().Guest, w.Names().NoGuest
		for _, name := range []string{
			pmxcfsio.GuestFile(n[1], pmxcfsio.GuestQemu, id), pmxcfsio.GuestFile(n[0], pmxcfsio.GuestLXC, id),
		} {
			require.ErrorIs(t, w.FS(n[1]).Write(bg, name, []byte("name: double\n")), pmxcfsio.ErrExists)
			requireAbsent(t, w, name)
		}
		requireGuest(t, w, id, n[0])
		own := pmxcfsio.GuestFile(n[1], pmxcfsio.GuestQemu, free)
		require.NoError(t, w.FS(n[2]).Write(bg, own, []byte("name: new\n")))
		requireGuest(t, w, free, n[1])
		require.NoError(t, w.FS(n[0]).Remove(bg, own))
		for _, node := range n {
			guests, err := w.FS(node).Guests(bg)
			require.NoError(t, err)
			require.NotContains(t, guests.ByID, free)
		}
	}},
	{Name: "a guest keeps its place when its file is replaced", Needs: []Condition{GuestFiles}, Check: func(t testing.TB, w FSWorld) {
		n, id := w.Nodes(), w.Names().Guest
		file := pmxcfsio.GuestFile(n[0], pmxcfsio.GuestQemu, id)
		require.NoError(t, w.FS(n[1]).Write(bg, file, []byte("name: replaced\n")))
		requireGuest(t, w, id, n[0])
		requireEverywhere(t, w, file, []byte("name: replaced\n"))
	}},
}

var fsViewClauses = []FSClause{
	{Name: "every node sees every node online", Check: func(t testing.TB, w FSWorld) {
		for i, node := range w.Nodes() {
			m, err := w.FS(node).Members(bg)
			require.NoError(t, err)
			require.Equal(t, node, m.Node)
			require.True(t, m.Quorate())
			require.True(t, quorate(t, w, i))
			for _, other := range w.Nodes() {
				require.True(t, m.Nodes[other].Online, "%s of %s", other, node)
			}
		}
	}},
	{Name: "who is cut off is offline to the others, and they to it", Needs: []Condition{CutOff}, Check: func(t testing.TB, w FSWorld) {
		n := w.Nodes()
		setFS(t, w, CutOff, n[0])
		settles(t, w, func() bool { return !quorate(t, w, 0) && !sees(t, w, 1, 0) }, "it is cut off")
		require.True(t, quorate(t, w, 1))
		require.True(t, sees(t, w, 1, 2))
		require.False(t, sees(t, w, 0, 1))
		mendFS(t, w, CutOff, n[0])
		settles(t, w, func() bool { return quorate(t, w, 0) && sees(t, w, 1, 0) && sees(t, w, 0, 1) }, "it is connected")
	}},
	{Name: "a change of a file is counted on every node, and of others it is not", Needs: []Condition{Counters}, Check: func(t testing.TB, w FSWorld) {
		counted := w.Names().Counted
		before := versions(t, w)
		require.NoError(t, w.FS(w.Nodes()[0]).Write(bg, counted, content(1)))
		for node, after := range versions(t, w) {
			require.Greater(t, after.Files[counted], before[node].Files[counted], node)
			for name, n := range after.Files {
				require.True(t, name == counted || n == before[node].Files[name], "%s on %s", name, node)
			}
			require.Equal(t, before[node].Guests, after.Guests)
			require.Equal(t, before[node].StartTime, after.StartTime)
		}
	}},
	{Name: "a move of a guest is counted on every node", Needs: []Condition{Counters}, Check: func(t testing.TB, w FSWorld) {
		n, before := w.Nodes(), versions(t, w)
		require.NoError(t, w.FS(n[2]).MoveGuest(bg, pmxcfsio.GuestQemu, w.Names().Guest, n[0], n[1]))
		for node, after := range versions(t, w) {
			require.Greater(t, after.Guests, before[node].Guests, node)
			guests, err := w.FS(node).Guests(bg)
			require.NoError(t, err)
			require.Equal(t, after.Guests, guests.Version, "the list has the number of its counter")
		}
	}},
	{Name: "a restart of pmxcfs shows on its node alone", Needs: []Condition{NoFiles, Counters}, Check: func(t testing.TB, w FSWorld) {
		n, before := w.Nodes(), versions(t, w)
		setFS(t, w, NoFiles, n[0])
		w.Advance(2)
		mendFS(t, w, NoFiles, n[0])
		settles(t, w, func() bool { return sees(t, w, 1, 0) }, "it is back")
		for node, after := range versions(t, w) {
			require.Equal(t, node == n[0], after.StartTime != before[node].StartTime, node)
		}
	}},
}

func sees(t testing.TB, w FSWorld, reader, node int) bool {
	t.Helper()
	m, err := w.FS(w.Nodes()[reader]).Members(bg)
	require.NoError(t, err)
	return m.Nodes[w.Nodes()[node]].Online
}

func versions(t testing.TB, w FSWorld) map[string]pmxcfsio.Versions {
	t.Helper()
	all := map[string]pmxcfsio.Versions{}
	for _, node := range w.Nodes() {
		v, err := w.FS(node).Versions(bg)
		require.NoError(t, err)
		all[node] = v
	}
	return all
}
