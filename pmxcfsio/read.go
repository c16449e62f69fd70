package pmxcfsio

import (
	"context"
	"errors"
)

// Read returns the content of a file: [ErrAbsent] when there is none, which is
// only said when the file system is there to know.
func (f *FS) Read(ctx context.Context, name string) ([]byte, error) {
	return nil, errors.ErrUnsupported
}

// Exists reports whether there is a file or folder of this name, as of now and
// not as the kernel remembers it.
func (f *FS) Exists(ctx context.Context, name string) (bool, error) {
	return false, errors.ErrUnsupported
}

// Stat returns the attributes of a file or folder, up to a second old.
func (f *FS) Stat(ctx context.Context, name string) (Info, error) {
	return Info{}, errors.ErrUnsupported
}

// List returns the names in a folder, sorted, without those that exist only
// because somebody has a removed file open.
func (f *FS) List(ctx context.Context, name string) ([]string, error) {
	return nil, errors.ErrUnsupported
}
