package fusemount_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"pveha/compat/cfsemu"
)

// Facts 6.3 and 1.4: a target that a process of the node holds open is moved
// aside first.
func TestRenameOverAnOpenFile(t *testing.T) {
	b := newBed(t, 0, cfsemu.Timing{})
	const name = "ha/manager_status"
	b.writeBeside(1, name, "old")
	replace := func(node int, text string) {
		b.writeBeside(node, name+".tmp", text)
		require.NoError(t, os.Rename(b.path(node, name+".tmp"), b.path(node, name)))
	}
	counter := func() (n int) {
		_, after, _ := strings.Cut(b.read(2, ".version"), `"`+name+`": `)
		fmt.Sscan(after, &n)
		return n
	}
	hidden := func(node int) (found []string) {
		entries, err := os.ReadDir(b.path(node, "ha"))
		require.NoError(t, err)
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), ".fuse_hidden") {
				found = append(found, e.Name())
			}
		}
		return found
	}
	before := counter()
	replace(1, "new")
	require.Equal(t, 1, counter()-before)

	fd, err := unix.Open(b.path(1, name), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	before = counter()
	replace(2, "by node2")
	require.Equal(t, 1, counter()-before, "readers on other nodes do no harm")
	require.Empty(t, hidden(1))
	require.Equal(t, "by node2", pread(t, fd), "a descriptor is a name")
	before = counter()
	replace(1, "by node1")
	require.Equal(t, 2, counter()-before)
	require.Len(t, hidden(3), 1, "all nodes see it")
	require.Equal(t, "by node2", pread(t, fd), "what was open stays")
	require.Equal(t, "by node1", b.read(3, name))

	require.NoError(t, os.Remove(b.path(1, name)), "nobody has the new one open")
	require.Len(t, hidden(1), 1)
	require.NoError(t, unix.Close(fd))
	require.Eventually(t, func() bool { return len(hidden(3)) == 0 }, 5*time.Second, time.Millisecond, "goes with the last descriptor")
}

// Facts 6.3: unlinking an open file does the same; the guest is gone from the
// list.
func TestUnlinkOfAnOpenFile(t *testing.T) {
	b := newBed(t, 0, cfsemu.Timing{})
	conf := b.path(1, "nodes/node1/qemu-server/100.conf")
	require.NoError(t, os.WriteFile(conf, []byte("a"), 0o640))
	fd, err := unix.Open(conf, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	require.NoError(t, os.Remove(conf))
	require.NotContains(t, b.read(2, ".vmlist"), "ids")
	require.Equal(t, "a", pread(t, fd))
	entries, err := os.ReadDir(filepath.Dir(conf))
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.NoError(t, unix.Close(fd))
	require.Eventually(t, func() bool {
		entries, err := os.ReadDir(filepath.Dir(conf))
		return err == nil && len(entries) == 0
	}, 5*time.Second, time.Millisecond)
}

// Facts 6.3 and 1.4: a reader on the writer's node makes every node miss the
// file for a moment; readers on other nodes alone never do.
func TestReplacingWhileItIsRead(t *testing.T) {
	for name, test := range map[string]struct {
		readers []int
		misses  bool
	}{
		"readers on other nodes":        {[]int{2, 3}, false},
		"a reader on the writer's, too": {[]int{1, 2}, true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, 0, cfsemu.Timing{})
			b.writeBeside(1, "f", strings.Repeat("a", 100))
			done := make(chan struct{})
			var readers sync.WaitGroup
			var mu sync.Mutex
			missed, torn := 0, 0
			for _, node := range test.readers {
				readers.Go(func() {
					for {
						select {
						case <-done:
							return
						default:
						}
						data, err := os.ReadFile(b.path(node, "f"))
						mu.Lock()
						switch {
						case errors.Is(err, os.ErrNotExist):
							missed++
						case err != nil || len(data) != 100 || len(bytes.Trim(data, string(data[:1]))) != 0:
							torn++
						}
						mu.Unlock()
					}
				})
			}
			end := time.Now().Add(3 * time.Second)
			for i := 0; time.Now().Before(end); i++ {
				mu.Lock()
				enough := missed > 0 || i > 500 && !test.misses
				mu.Unlock()
				if enough {
					break
				}
				b.writeBeside(1, "f.tmp", strings.Repeat(string(rune('a'+i%26)), 100))
				require.NoError(t, os.Rename(b.path(1, "f.tmp"), b.path(1, "f")))
			}
			close(done)
			readers.Wait()
			require.Equal(t, test.misses, missed > 0, "%d opens found nothing", missed)
			require.Zero(t, torn)
		})
	}
}

// Facts 3.3 and 6.3: the kernel cuts long writes into pieces of 128 KiB, each
// a change of its own, of new files and old ones.
func TestWritesAreCutByTheKernel(t *testing.T) {
	b := newBed(t, 0, cfsemu.Timing{})
	const name = "ha/rules.cfg"
	counter := func() (n int) {
		_, after, _ := strings.Cut(b.read(2, ".version"), `"`+name+`": `)
		fmt.Sscan(after, &n)
		return n
	}
	text := strings.Repeat("x", 300<<10)
	before := counter()
	b.write(1, name, text)
	require.Equal(t, 1+3, counter()-before, "created and written")
	before = counter()
	b.write(1, name, text)
	require.Equal(t, 1+3, counter()-before, "emptied and written")
	require.Equal(t, text, b.read(2, name))
	before = counter()
	_, err := os.ReadFile(b.path(1, name))
	require.NoError(t, err)
	require.NoError(t, utime(b.path(1, name), 7))
	require.Equal(t, 1, counter()-before)
	fd, err := unix.Open(b.path(1, name), unix.O_WRONLY|unix.O_APPEND|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	_, err = unix.Write(fd, []byte("tail"))
	require.NoError(t, err)
	require.NoError(t, unix.Close(fd))
	require.Equal(t, text+"tail", b.read(3, name))
}
