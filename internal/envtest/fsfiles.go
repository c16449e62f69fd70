package envtest

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
	"pveha/pmxcfsio"
)

// content is a status file, larger the higher its number.
func content(n int) []byte {
	s := &ha.ManagerStatus{MasterNode: fmt.Sprintf("node%d", n), Timestamp: ha.Epoch(n + 1)}
	s.NodeStatus = map[string]ha.NodeState{}
	for i := range n * n {
		s.NodeStatus[fmt.Sprintf("node%d", i)] = ha.NodeOnline
	}
	return s.Encode()
}

// requireEverywhere checks what every node reads.
func requireEverywhere(t testing.TB, w FSWorld, name string, want []byte) {
	t.Helper()
	for _, node := range w.Nodes() {
		got, err := w.FS(node).Read(bg, name)
		require.NoError(t, err, node)
		require.Equal(t, string(want), string(got), node)
	}
}

func requireAbsent(t testing.TB, w FSWorld, name string) {
	t.Helper()
	for _, node := range w.Nodes() {
		_, err := w.FS(node).Read(bg, name)
		require.ErrorIs(t, err, pmxcfsio.ErrAbsent, node)
		require.NotErrorIs(t, err, pmxcfsio.ErrNotMounted, node)
	}
}

func quorate(t testing.TB, w FSWorld, node int) bool {
	t.Helper()
	q, err := w.FS(w.Nodes()[node]).Quorate(bg)
	require.NoError(t, err)
	return q
}

var fsFileClauses = []FSClause{
	{Name: "a file that was never written is absent", Check: func(t testing.TB, w FSWorld) {
		requireAbsent(t, w, w.Names().File)
	}},
	{Name: "every node reads a written file whole", Check: func(t testing.TB, w FSWorld) {
		for i, node := range w.Nodes() {
			data := content(10 * (len(w.Nodes()) - i))
			require.NoError(t, w.FS(node).Write(bg, w.Names().File, data))
			requireEverywhere(t, w, w.Names().File, data)
		}
	}},
	{Name: "a removed file is absent", Needs: []Condition{Folders}, Check: func(t testing.TB, w FSWorld) {
		n, file := w.Nodes(), w.Names().File
		require.NoError(t, w.FS(n[0]).Write(bg, file, content(1)))
		require.NoError(t, w.FS(n[1]).Remove(bg, file))
		requireAbsent(t, w, file)
		settles(t, w, func() bool { return errors.Is(w.FS(n[2]).Remove(bg, file), pmxcfsio.ErrAbsent) }, "there is nothing to remove")
		for _, node := range n {
			require.NoError(t, w.FS(node).Write(bg, file, content(2)), "it can be made again at once")
			require.NoError(t, w.FS(node).Remove(bg, file))
		}
	}},
	{Name: "a file in a folder that is not there is absent, and cannot be made", Needs: []Condition{Folders}, Check: func(t testing.TB, w FSWorld) {
		name := w.Names().File + ".d/file"
		requireAbsent(t, w, name)
		f := w.FS(w.Nodes()[0])
		require.ErrorIs(t, f.Write(bg, name, nil), pmxcfsio.ErrAbsent)
		_, err := f.List(bg, path.Dir(name))
		require.ErrorIs(t, err, pmxcfsio.ErrAbsent)
	}},
	{Name: "an empty file is there", Needs: []Condition{Folders}, Check: func(t testing.TB, w FSWorld) {
		require.NoError(t, w.FS(w.Nodes()[0]).Write(bg, w.Names().File, nil))
		requireEverywhere(t, w, w.Names().File, nil)
	}},
	{Name: "a writer leaves nothing but its file", Needs: []Condition{Folders}, Check: func(t testing.TB, w FSWorld) {
		file := w.Names().File
		require.NoError(t, w.FS(w.Nodes()[0]).Write(bg, file, content(3)))
		for _, node := range w.Nodes() {
			names, err := w.FS(node).List(bg, path.Dir(file))
			require.NoError(t, err)
			require.Contains(t, names, path.Base(file))
			for _, name := range names {
				require.False(t, strings.HasPrefix(name, path.Base(file)+"."), name)
			}
		}
	}},
	{Name: "a file is as large as it may be, and no larger", Needs: []Condition{Folders}, Check: func(t testing.TB, w FSWorld) {
		f, file := w.FS(w.Nodes()[0]), w.Names().File
		whole := bytes.Repeat([]byte("0123456789abcdef"), pmxcfsio.MaxFileSize/16)
		require.NoError(t, f.Write(bg, file, whole))
		require.ErrorIs(t, f.Write(bg, file, append(whole, 'x')), pmxcfsio.ErrTooLarge)
		requireEverywhere(t, w, file, whole)
	}},
	{Name: "readers see the old file or the new one", Check: func(t testing.TB, w FSWorld) {
		replacedWhole(t, w, content(40), content(9))
	}},
	{Name: "readers see a large file whole", Needs: []Condition{Folders}, Check: func(t testing.TB, w FSWorld) {
		replacedWhole(t, w, bytes.Repeat([]byte("one"), 100_000), bytes.Repeat([]byte("another"), 60_000))
	}},
}

// replacedWhole checks what readers on every node see while two nodes replace
// a file.
func replacedWhole(t testing.TB, w FSWorld, old, fresh []byte) {
	t.Helper()
	n, file := w.Nodes(), w.Names().File
	require.NoError(t, w.FS(n[0]).Write(bg, file, old))
	var readers sync.WaitGroup
	stop, wrong := make(chan struct{}), make(chan string, len(n))
	for _, node := range n {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				data, err := w.FS(node).Read(bg, file)
				if err != nil || !bytes.Equal(data, old) && !bytes.Equal(data, fresh) {
					wrong <- fmt.Sprintf("%s reads %d bytes: %v", node, len(data), err)
					return
				}
			}
		})
	}
	for i := range 40 {
		data := old
		if i%2 == 0 {
			data = fresh
		}
		require.NoError(t, w.FS(n[i%2]).Write(bg, file, data))
	}
	close(stop)
	readers.Wait()
	close(wrong)
	for text := range wrong {
		t.Error(text)
	}
	requireEverywhere(t, w, file, old)
}

// fsUses are what a node does with files, and how it fails.
func fsUses(w FSWorld, node int, want []byte) map[string]error {
	f, name := w.FS(w.Nodes()[node]), w.Names().File
	_, readErr := f.Read(bg, name)
	_, membersErr := f.Members(bg)
	_, guestsErr := f.Guests(bg)
	return map[string]error{
		"read": readErr, "write": f.Write(bg, name, want), "members": membersErr, "guests": guestsErr,
		"move": f.MoveGuest(bg, pmxcfsio.GuestQemu, w.Names().Guest, w.Nodes()[0], w.Nodes()[1]),
	}
}

// unusable checks a node whose file system is gone.
func unusable(c Condition, kind error) func(testing.TB, FSWorld) {
	return func(t testing.TB, w FSWorld) {
		n, file := w.Nodes(), w.Names().File
		require.NoError(t, w.FS(n[0]).Write(bg, file, content(1)))
		setFS(t, w, c, n[0])
		for use, err := range fsUses(w, 0, content(2)) {
			require.ErrorIs(t, err, kind, use)
			require.NotErrorIs(t, err, pmxcfsio.ErrAbsent, use)
		}
		require.NoError(t, w.FS(n[1]).Write(bg, file, content(3)), "the others go on")
		mendFS(t, w, c, n[0])
		requireEverywhere(t, w, file, content(3))
		require.NoError(t, w.FS(n[0]).Write(bg, file, content(4)))
		requireEverywhere(t, w, file, content(4))
	}
}

var fsFaultClauses = []FSClause{
	{Name: "a node without quorum reads what was written before, and writes nothing", Needs: []Condition{CutOff}, Check: func(t testing.TB, w FSWorld) {
		n, file := w.Nodes(), w.Names().File
		require.NoError(t, w.FS(n[0]).Write(bg, file, content(1)))
		setFS(t, w, CutOff, n[0])
		settles(t, w, func() bool { return !quorate(t, w, 0) }, "it is cut off")
		for use, err := range fsUses(w, 0, content(2)) {
			if use == "write" || use == "move" {
				require.ErrorIs(t, err, pmxcfsio.ErrNoQuorum, use)
			} else {
				require.NoError(t, err, use)
			}
		}
		requireEverywhere(t, w, file, content(1))
		mendFS(t, w, CutOff, n[0])
		settles(t, w, func() bool { return quorate(t, w, 0) }, "it is connected")
		require.NoError(t, w.FS(n[0]).Write(bg, file, content(2)))
		requireEverywhere(t, w, file, content(2))
	}},
	{Name: "a node sees what was written while it was cut off", Needs: []Condition{CutOff}, Check: func(t testing.TB, w FSWorld) {
		n, file := w.Nodes(), w.Names().File
		require.NoError(t, w.FS(n[0]).Write(bg, file, content(1)))
		setFS(t, w, CutOff, n[0])
		settles(t, w, func() bool { return !quorate(t, w, 0) }, "it is cut off")
		require.NoError(t, w.FS(n[1]).Write(bg, file, content(2)))
		mendFS(t, w, CutOff, n[0])
		settles(t, w, func() bool { return quorate(t, w, 0) }, "it is connected")
		requireEverywhere(t, w, file, content(2))
	}},
	{Name: "a node without mount says so, and changes nothing", Needs: []Condition{NoFiles}, Check: unusable(NoFiles, pmxcfsio.ErrNotMounted)},
	{Name: "a node with a dead mount says so, and changes nothing", Needs: []Condition{DeadMount}, Check: unusable(DeadMount, pmxcfsio.ErrStaleMount)},
}
