package pmxcfsio

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
)

// tmpNames hands out names of temporary files that no other call of this
// process uses.
type tmpNames struct {
	mu   sync.Mutex
	busy map[string]bool
}

// tmpMark is between the name of a file and the number of the process that
// replaces it.
const tmpMark = ".tmp."

// take returns a free name beside the file. The Perl stack's is FILE.tmp.PID.
func (t *tmpNames) take(name string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy == nil {
		t.busy = map[string]bool{}
	}
	first := name + tmpMark + strconv.Itoa(os.Getpid())
	tmp := first
	for i := 1; t.busy[tmp]; i++ {
		tmp = first + "." + strconv.Itoa(i)
	}
	t.busy[tmp] = true
	return tmp
}

func (t *tmpNames) giveBack(tmp string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.busy, tmp)
}

// stage is a step of writing a file, by which the texts of errors differ.
type stage string

const (
	stageOpen   stage = "open"
	stageDelete stage = "delete"
	stageWrite  stage = "write"
	stageClose  stage = "close"
	stageRename stage = "rename"
)

type stageError struct {
	stage stage
	err   error
}

func (e *stageError) Error() string { return string(e.stage) + ": " + e.err.Error() }
func (e *stageError) Unwrap() error { return e.err }

// Write replaces a file as a whole, or makes it: a temporary file beside it,
// NAME.tmp.PID, takes its place. Whatever fails, the old content stays, and
// readers see the old or the new. After [ErrTimeout] and [ErrBusy] nobody
// knows which of them. The texts of its errors are those of the Perl stack.
func (f *FS) Write(ctx context.Context, name string, data []byte) error {
	if err := checkName("write", name); err != nil {
		return err
	}
	tmp := f.tmp.take(name)
	if len(data) > MaxFileSize {
		f.tmp.giveBack(tmp)
		return f.writeFailure(ctx, name, tmp, &stageError{stageWrite, syscall.EFBIG})
	}
	var ended atomic.Bool
	begin := f.clock.Boot()
	tooLate := func() bool { return ended.Load() || f.clock.Boot()-begin >= f.cfg.WriteTimeout }
	err := f.mount.do(ctx, func() error {
		return f.mount.replace(name, tmp, data, f.clock.Now().Unix(), tooLate)
	}, func(error) { f.tmp.giveBack(tmp) })
	late := stillRuns(err)
	ended.Store(late)
	if !late {
		f.tmp.giveBack(tmp)
	}
	if err == nil {
		return nil
	}
	return f.writeFailure(ctx, name, tmp, err)
}

// replace makes the temporary file and puts it in place. Once the caller's
// time has ended, or would have if the process had not stood still, it leaves
// the old one there, so that nobody is surprised by what was written long ago.
func (b *bounded) replace(name, tmp string, data []byte, now int64, tooLate func() bool) error {
	return b.guarded(func() error {
		tmp, err := b.createTmp(tmp, data, now)
		if err != nil {
			return err
		}
		if tooLate() {
			_ = b.Unlink(tmp) // nobody waits for an error
			return ErrTimeout
		}
		if err := b.Rename(tmp, name); err != nil {
			_ = b.Unlink(tmp) // the error of the rename says more
			return &stageError{stageRename, err}
		}
		return nil
	})
}

// createTries is how many names are tried for a temporary file, and
// leftoverAge how old one is that nobody writes any more, in seconds.
const (
	createTries = 5
	leftoverAge = 600
)

// createTmp makes the temporary file and returns what it is called. One that is
// there already is a dead process's, or belongs to a process of the same number
// on another node, so that only an old one is removed.
func (b *bounded) createTmp(tmp string, data []byte, now int64) (string, error) {
	name, err := tmp, error(nil)
	for i := range createTries {
		if i > 0 {
			name = tmp + "-" + strconv.Itoa(i)
		}
		err = b.Create(name, data)
		if !errors.Is(err, syscall.EEXIST) {
			break
		}
		if info, unknown := b.Lstat(name); unknown == nil && info.ModTime+leftoverAge < now {
			if err := b.Unlink(name); err != nil {
				return name, &stageError{stageDelete, err}
			}
			if err = b.Create(name, data); !errors.Is(err, syscall.EEXIST) {
				break
			}
		}
	}
	var s *stageError
	switch {
	case err == nil:
		return name, nil
	case errors.As(err, &s): // it was made, but not whole
		_ = b.Unlink(name) // the error of the write says more
		return name, err
	}
	return name, &stageError{stageOpen, err}
}

// writeFailure gives an error of Write the text of the Perl stack.
func (f *FS) writeFailure(ctx context.Context, name, tmp string, err error) error {
	wrapped := f.refusal(ctx, "write", name, err)
	var e *Error
	if !errors.As(wrapped, &e) {
		return wrapped
	}
	var s *stageError
	if !errors.As(err, &s) {
		var errno syscall.Errno
		if !errors.As(err, &errno) {
			return wrapped
		}
		s = &stageError{stageOpen, errno} // the mount is not there: no open would succeed
	}
	target, tmp, reason := path.Join(f.cfg.Root, name), path.Join(f.cfg.Root, tmp), Reason(s.err)
	switch s.stage {
	case stageOpen:
		e.text = fmt.Sprintf("unable to open file '%s' - %s", tmp, reason)
	case stageDelete:
		e.text = "unable to delete old temp file: " + reason
	case stageWrite:
		e.text = fmt.Sprintf("unable to write '%s' - %s", tmp, reason)
	case stageClose:
		e.text = fmt.Sprintf("closing file '%s' failed - %s", tmp, reason)
	case stageRename:
		e.text = fmt.Sprintf("close (rename) atomic file '%s' failed: %s", target, reason)
	}
	return e
}

// change is a guarded call that changes something.
func (f *FS) change(ctx context.Context, op, name string, call func() error) error {
	if err := checkName(op, name); err != nil {
		return err
	}
	err := f.mount.do(ctx, func() error { return f.mount.guarded(call) }, nil)
	return f.refusal(ctx, op, name, err)
}

// Remove removes a file.
func (f *FS) Remove(ctx context.Context, name string) error {
	return f.change(ctx, "remove", name, func() error { return f.mount.Unlink(name) })
}

// Rename moves a file. A file that is in its new place is replaced; that a
// guest's ID is taken elsewhere is [ErrExists].
func (f *FS) Rename(ctx context.Context, from, to string) error {
	if err := checkName("rename", to); err != nil {
		return err
	}
	return f.change(ctx, "rename", from, func() error { return f.mount.Rename(from, to) })
}

// Mkdir makes a folder.
func (f *FS) Mkdir(ctx context.Context, name string) error {
	return f.change(ctx, "make", name, func() error { return f.mount.Mkdir(name) })
}
