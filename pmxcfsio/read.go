package pmxcfsio

import (
	"bytes"
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"pveha/pmxcfsio/ipcc"
)

// Read returns the content of a file: [ErrAbsent] when there is none, which is
// only said when the file system is there to know.
func (f *FS) Read(ctx context.Context, name string) ([]byte, error) {
	if err := checkName("read", name); err != nil {
		return nil, err
	}
	data, err := f.ask(ctx, func(ctx context.Context) ([]byte, error) { return f.cfg.IPC.ReadFile(ctx, name) })
	if errors.Is(err, errUnanswered) {
		data, err = f.readMount(ctx, name)
	}
	if err != nil {
		return nil, failure("read", name, err)
	}
	return data, nil
}

// errUnanswered says that pmxcfs was not asked, or did not answer.
var errUnanswered = errors.New("no answer of pmxcfs")

// ipcRest is how long the IPC is left alone after it did not answer. A client
// may wait for a pmxcfs that restarts, and a round makes many requests.
const ipcRest = 2 * time.Second

// ask makes a request of pmxcfs.
func (f *FS) ask(ctx context.Context, request func(context.Context) ([]byte, error)) ([]byte, error) {
	if f.cfg.IPC == nil {
		return nil, errUnanswered
	}
	f.ipc.Lock()
	resting := f.ipc.failed && f.clock.Boot() < f.ipc.until
	f.ipc.Unlock()
	if resting {
		return nil, errUnanswered
	}
	limited, cancel := context.WithTimeout(ctx, f.cfg.ReadTimeout)
	defer cancel()
	data, err := request(limited)
	var answer *ipcc.RequestError
	unanswered := err != nil && !errors.As(err, &answer)
	f.ipc.Lock()
	f.ipc.failed, f.ipc.until = unanswered && ctx.Err() == nil, f.clock.Boot()+ipcRest
	f.ipc.Unlock()
	if unanswered {
		return nil, errors.Join(errUnanswered, err)
	}
	return data, err
}

// While a file is replaced that somebody has open, its name is missing for up
// to 5 ms. A listing shows the removed file under a name of FUSE's, or at least
// the temporary one that takes its place.
const (
	hiddenPrefix  = ".fuse_hidden"
	replaceWindow = 100 * time.Millisecond
	replacePause  = time.Millisecond
)

// readMount reads a file through the mount.
func (f *FS) readMount(ctx context.Context, name string) ([]byte, error) {
	for waited := time.Duration(0); ; waited += replacePause {
		data, err := f.readWhole(ctx, name)
		if !errors.Is(err, syscall.ENOENT) || !isKind(err, ErrAbsent) || waited >= replaceWindow {
			return data, err
		}
		comes, err2 := f.comes(ctx, name)
		if err2 != nil {
			return nil, err2
		}
		if !comes {
			return nil, err
		}
		if err := f.clock.Sleep(ctx, replacePause); err != nil {
			return nil, timeout(err)
		}
	}
}

// wholeTries is how often a large file is read that somebody replaces all the
// time.
const wholeTries = 50

// readWhole reads a file through the mount so that its pieces fit together: if
// there are several, they do when another time brings the same and no change
// was counted meanwhile.
func (f *FS) readWhole(ctx context.Context, name string) ([]byte, error) {
	read := func(name string) func() ([]byte, error) {
		return func() ([]byte, error) { return f.mount.ReadFile(name) }
	}
	data, err := query(ctx, f.mount, read(name))
	for range wholeTries {
		if err != nil || len(data) < pieceSize {
			return data, err
		}
		counters, err1 := query(ctx, f.mount, read(versionFile))
		again, err2 := query(ctx, f.mount, read(name))
		later, err3 := query(ctx, f.mount, read(versionFile))
		if err = errors.Join(err1, err2, err3); err == nil && bytes.Equal(counters, later) && bytes.Equal(data, again) {
			return data, nil
		}
		data = again
	}
	return nil, &fault{ErrGarbled, nil}
}

// comes reports whether a missing file may be about to appear.
func (f *FS) comes(ctx context.Context, name string) (bool, error) {
	names, err := query(ctx, f.mount, func() ([]string, error) { return f.mount.ReadDir(path.Dir(name)) })
	if isKind(err, ErrAbsent) {
		return false, nil
	}
	base := path.Base(name)
	return slices.ContainsFunc(names, func(n string) bool {
		return n == base || strings.HasPrefix(n, base+tmpMark) || strings.HasPrefix(n, hiddenPrefix)
	}), err
}

// Exists reports whether there is a file or folder of this name, as of now and
// not as the kernel remembers it.
func (f *FS) Exists(ctx context.Context, name string) (bool, error) {
	if err := checkName("find", name); err != nil {
		return false, err
	}
	_, err := f.ask(ctx, func(ctx context.Context) ([]byte, error) { return f.cfg.IPC.ReadFile(ctx, name) })
	if err == nil {
		return true, nil
	}
	if !errors.Is(err, errUnanswered) && !isKind(err, ErrAbsent) { // which a folder is to the IPC
		return false, failure("find", name, err)
	}
	names, err := f.List(ctx, path.Dir(name))
	if errors.Is(err, ErrAbsent) {
		return false, nil
	}
	return slices.Contains(names, path.Base(name)), err
}

// Stat returns the attributes of a file or folder, up to a second old.
func (f *FS) Stat(ctx context.Context, name string) (Info, error) {
	if err := checkName("look at", name); err != nil {
		return Info{}, err
	}
	info, err := query(ctx, f.mount, func() (Info, error) { return f.mount.Lstat(name) })
	return info, failure("look at", name, err)
}

// List returns the names in a folder, sorted, without those that exist only
// because somebody has a removed file open.
func (f *FS) List(ctx context.Context, name string) ([]string, error) {
	if err := checkName("list", name); err != nil {
		return nil, err
	}
	names, err := query(ctx, f.mount, func() ([]string, error) { return f.mount.ReadDir(name) })
	if err != nil {
		return nil, failure("list", name, err)
	}
	names = slices.DeleteFunc(names, func(n string) bool { return strings.HasPrefix(n, hiddenPrefix) })
	slices.Sort(names)
	return names, nil
}
