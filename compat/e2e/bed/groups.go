package bed

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// controllers are the folders in which a container gets a control group of its
// own: else the systemds of two would meet in one.
func controllers() []string {
	var found []string
	for _, dir := range []string{"/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"} {
		if _, err := os.Stat(dir); err == nil {
			found = append(found, dir)
		}
	}
	if len(found) == 0 {
		found = []string{"/sys/fs/cgroup"}
	}
	return found
}

// removeGroup removes a control group and those below it, which the kernel
// lets go a moment after their last process.
func removeGroup(dir string) error {
	var err error
	for range 100 {
		if err = removeGroups(dir); err == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return err
}

func removeGroups(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if e.IsDir() {
			err = errors.Join(err, removeGroups(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(err, unix.Rmdir(dir))
}
