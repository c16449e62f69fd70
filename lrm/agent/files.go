package agent

// Files is the cluster file system. Names are below its root, with slashes. A
// file that is not there fails with an error that is [io/fs.ErrNotExist].
type Files interface {
	Read(name string) ([]byte, error)
	// Write replaces the file as a whole.
	Write(name string, data []byte) error
	Rename(from, to string) error
}
