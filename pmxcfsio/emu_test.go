package pmxcfsio_test

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/compat/cfsemu"
	"pveha/pmxcfsio"
)

// emuMount is a node of an emulated cluster, without a kernel in between.
type emuMount struct{ n *cfsemu.Node }

var _ pmxcfsio.Mount = emuMount{}

func (m emuMount) Lstat(name string) (pmxcfsio.Info, error) {
	a, err := m.n.Stat(name)
	mode := fs.FileMode(a.Mode & 0o777)
	switch a.Mode & syscall.S_IFMT {
	case syscall.S_IFDIR:
		mode |= fs.ModeDir
	case syscall.S_IFLNK:
		mode |= fs.ModeSymlink
	}
	return pmxcfsio.Info{Mode: mode, Size: a.Size, ModTime: a.Mtime.Unix()}, err
}

func (m emuMount) Present(name string) (bool, error) {
	_, err := m.n.Stat(name)
	if errors.Is(err, syscall.ENOENT) {
		return false, nil
	}
	return err == nil, err
}

func (m emuMount) ReadFile(name string) ([]byte, error) {
	if _, err := m.n.Stat(name); err != nil {
		return nil, err
	}
	return m.n.Read(name)
}

func (m emuMount) ReadDir(name string) ([]string, error) {
	if name == "." {
		name = ""
	}
	return m.n.List(name)
}

func (m emuMount) Create(name string, data []byte) error {
	if err := m.n.Create(name); err != nil {
		return err
	}
	for offset := 0; offset < len(data); {
		n, err := m.n.WriteAt(name, data[offset:], int64(offset))
		if err != nil {
			return pmxcfsio.WriteFailed(err)
		}
		offset += n
	}
	return nil
}

func (m emuMount) Rename(from, to string) error { return m.n.Rename(from, to) }
func (m emuMount) Unlink(name string) error     { return m.n.Unlink(name) }
func (m emuMount) Mkdir(name string) error      { return m.n.Mkdir(name) }
func (m emuMount) Rmdir(name string) error      { return m.n.Rmdir(name) }

func (m emuMount) Utime(name string, mtime int64) error {
	return m.n.Utime(name, time.Unix(mtime, 0))
}

// emuClock is the clock of a process: the wall clock of its machine, which may
// be set, and the time since the start of the test.
type emuClock struct {
	manual *cfsemu.ManualClock
	start  time.Time
	mu     sync.Mutex
	step   time.Duration
	sleep  func(time.Duration)
}

func (c *emuClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.manual.Now().Add(c.step)
}

func (c *emuClock) Boot() time.Duration { return c.manual.Now().Sub(c.start) }

func (c *emuClock) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.sleep(d)
	return ctx.Err()
}

func (c *emuClock) set(step time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.step = step
}

var epoch = time.Unix(1_700_000_000, 0)

// emu is an emulated cluster in memory. Its time passes when a process sleeps,
// or when told.
type emu struct {
	*cfsemu.Cluster
	clock *cfsemu.ManualClock
	t     testing.TB
}

func newEmu(t testing.TB, nodes ...string) *emu {
	t.Helper()
	clock := cfsemu.NewManualClock(epoch)
	c, err := cfsemu.New(cfsemu.Config{Nodes: nodes, Clock: clock})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return &emu{c, clock, t}
}

// process is one process on a node.
func (e *emu) process(node string) (*pmxcfsio.FS, *emuClock) {
	return e.processOn(emuMount{e.Node(node)}, nil)
}

func (e *emu) processOn(m pmxcfsio.Mount, ipc pmxcfsio.IPC) (*pmxcfsio.FS, *emuClock) {
	e.t.Helper()
	clock := &emuClock{manual: e.clock, start: epoch.Add(-time.Hour), sleep: e.clock.Advance}
	f, err := pmxcfsio.New(pmxcfsio.Config{Root: "/etc/pve", Mount: m, IPC: ipc, Clock: clock, Journal: "/nowhere/journal"})
	require.NoError(e.t, err)
	return f, clock
}

// inline is a process whose calls never hang.
func (e *emu) inline(node string) (*pmxcfsio.FS, *emuClock) {
	f, c := e.process(node)
	f.Inline()
	return f, c
}
