package agent

import "context"

// Files is the cluster file system. Names are below its root, with slashes. A
// file that is not there fails with an error that is [io/fs.ErrNotExist]. No
// call waits without limit.
type Files interface {
	Read(ctx context.Context, name string) ([]byte, error)
	Exists(ctx context.Context, name string) (bool, error)
	// Write replaces the file as a whole.
	Write(ctx context.Context, name string, data []byte) error
	Rename(ctx context.Context, from, to string) error
}
