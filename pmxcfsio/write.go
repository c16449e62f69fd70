package pmxcfsio

import (
	"context"
	"errors"
	"sync"
)

// tmpNames hands out names of temporary files that no other call of this
// process uses.
type tmpNames struct {
	mu   sync.Mutex
	busy map[string]bool
}

// stage is a step of writing a file, by which the texts of errors differ.
type stage string

const (
	stageOpen   stage = "open"
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
	return errors.ErrUnsupported
}

// Remove removes a file.
func (f *FS) Remove(ctx context.Context, name string) error {
	return errors.ErrUnsupported
}

// Rename moves a file. A file that is in its new place is replaced; that a
// guest's ID is taken elsewhere is [ErrExists].
func (f *FS) Rename(ctx context.Context, from, to string) error {
	return errors.ErrUnsupported
}

// Mkdir makes a folder.
func (f *FS) Mkdir(ctx context.Context, name string) error {
	return errors.ErrUnsupported
}
