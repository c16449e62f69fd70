package pmxcfsio_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/pmxcfsio"
)

// faultyMount fails or hangs in calls of a mount.
type faultyMount struct {
	pmxcfsio.Mount
	mu    sync.Mutex
	fault func(op, name string) *fault // nil, or returns nil: nothing is wrong
}

// fault is what is wrong with a call.
type fault struct {
	err     error
	after   bool            // the call has its effect
	entered chan<- struct{} // gets a value when a call hangs
	hang    <-chan struct{} // the call waits until it is closed, then goes on
}

func (m *faultyMount) set(fault func(op, name string) *fault) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault = fault
}

// call makes a call with what is wrong with it.
func (m *faultyMount) call(op, name string, do func() error) error {
	m.mu.Lock()
	var f *fault
	if m.fault != nil {
		f = m.fault(op, name)
	}
	m.mu.Unlock()
	if f == nil {
		return do()
	}
	if f.hang != nil {
		f.entered <- struct{}{}
		<-f.hang
	}
	if f.err == nil {
		return do()
	}
	if f.after {
		if err := do(); err != nil {
			return err
		}
	}
	return f.err
}

func (m *faultyMount) Lstat(name string) (info pmxcfsio.Info, err error) {
	err = m.call("lstat", name, func() (err error) { info, err = m.Mount.Lstat(name); return err })
	return info, err
}

func (m *faultyMount) Present(name string) (present bool, err error) {
	err = m.call("present", name, func() (err error) { present, err = m.Mount.Present(name); return err })
	return present, err
}

func (m *faultyMount) ReadFile(name string) (data []byte, err error) {
	err = m.call("read", name, func() (err error) { data, err = m.Mount.ReadFile(name); return err })
	if errors.Is(err, errCut) {
		data, err = m.Mount.ReadFile(name)
		return data[:len(data)/2], err
	}
	return data, err
}

// errCut cuts what a read returns.
var errCut = errors.New("cut")

func (m *faultyMount) ReadDir(name string) (names []string, err error) {
	err = m.call("list", name, func() (err error) { names, err = m.Mount.ReadDir(name); return err })
	return names, err
}

// Create fails before anything is made, or with half of the file written.
func (m *faultyMount) Create(name string, data []byte) error {
	if err := m.call("create", name, func() error { return nil }); err != nil {
		return err
	}
	err := m.call("write", name, func() error { return nil })
	if err == nil {
		return m.Mount.Create(name, data)
	}
	if made := m.Mount.Create(name, data[:len(data)/2]); made != nil {
		return made
	}
	return pmxcfsio.WriteFailed(err)
}

func (m *faultyMount) Rename(from, to string) error {
	return m.call("rename", to, func() error { return m.Mount.Rename(from, to) })
}

func (m *faultyMount) Unlink(name string) error {
	return m.call("unlink", name, func() error { return m.Mount.Unlink(name) })
}

func (m *faultyMount) Mkdir(name string) error {
	return m.call("mkdir", name, func() error { return m.Mount.Mkdir(name) })
}

func (m *faultyMount) Rmdir(name string) error {
	return m.call("rmdir", name, func() error { return m.Mount.Rmdir(name) })
}

func (m *faultyMount) Utime(name string, mtime int64) error {
	return m.call("utime", name, func() error { return m.Mount.Utime(name, mtime) })
}

// faulty is a process on node1 of a cluster of three, through a faulty mount.
func faulty(t testing.TB) (*emu, *pmxcfsio.FS, *faultyMount) {
	t.Helper()
	e := newEmu(t, "node1", "node2", "node3")
	m := &faultyMount{Mount: emuMount{e.Node("node1")}}
	f, _ := e.processOn(m, nil)
	return e, f, m
}

// hangs lets calls of one kind hang until release is called, and returns a
// context that ends once one does.
func (m *faultyMount) hangs(t testing.TB, op, name string) (stuck context.Context, release func()) {
	t.Helper()
	entered, hang := make(chan struct{}, 100), make(chan struct{})
	stuck, cancel := context.WithCancel(ctx)
	go func() {
		<-entered
		cancel()
	}()
	m.set(func(o, n string) *fault {
		if o == op && n == name {
			return &fault{entered: entered, hang: hang}
		}
		return nil
	})
	release = sync.OnceFunc(func() { m.set(nil); close(hang) })
	t.Cleanup(func() {
		release()
		entered <- struct{}{} // in case nothing hung
		cancel()
	})
	return stuck, release
}

// cuts cuts virtual files in half, so many times.
func (m *faultyMount) cuts(times int) {
	m.set(func(op, name string) *fault {
		if op == "read" && name[0] == '.' && times > 0 {
			times--
			return &fault{err: errCut}
		}
		return nil
	})
}

// requireIdle waits until no call is under way.
func requireIdle(t testing.TB, f *pmxcfsio.FS) {
	t.Helper()
	require.Eventually(t, func() bool { return f.Hanging() == 0 }, patience, tick)
}
