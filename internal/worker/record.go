package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"pveha/internal/ha"
)

// record is what is on disk of an order. Fields may be added, for a child that
// runs while the package is updated is older than the daemon that reads it.
type record struct {
	Job
	PID    int     `json:",omitempty"` // of the child, from when it has begun
	Start  uint64  `json:",omitempty"` // of that process, see process.State
	Result *result `json:",omitempty"` // from when it has ended
}

// result is how an order ended.
type result struct {
	Code ha.ExitCode
}

// Folders and file name extensions below a pool's folder.
const (
	ordersFolder = "orders"
	guestsFolder = "guests"

	recordExt  = ".json"
	crashExt   = ".err"
	pendingExt = ".new"
)

// LockDir is the folder for the locks of guests below a pool's folder. The
// agent keeps its own locks there.
func LockDir(dir string) string { return filepath.Join(dir, guestsFolder) }

func ordersDir(dir string) string { return filepath.Join(dir, ordersFolder) }

// lockFile is the lock that a child holds while it acts on a guest.
func lockFile(dir string, sid ha.SID) string {
	return filepath.Join(LockDir(dir), strings.NewReplacer(":", "-", "/", "-").Replace(string(sid))+".lock")
}

func recordFile(dir string, number int) string {
	return filepath.Join(ordersDir(dir), strconv.Itoa(number)+recordExt)
}

// sibling is the file of the same order with another extension.
func sibling(record, ext string) string {
	return strings.TrimSuffix(record, recordExt) + ext
}

func readRecord(file string) (record, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return record{}, err
	}
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return record{}, fmt.Errorf("%s: %w", file, err)
	}
	if r.Order.SID == "" {
		return record{}, fmt.Errorf("%s: no service", file)
	}
	return r, nil
}

// write replaces a record as a whole.
func (r record) write(file string) error {
	if err := r.writePending(file); err != nil {
		return err
	}
	return os.Rename(sibling(file, pendingExt), file)
}

func (r record) writePending(file string) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return os.WriteFile(sibling(file, pendingExt), append(data, '\n'), 0o600)
}

// create makes the record of a new order, with the lowest number from number
// on that nobody has taken, and returns that.
func (r record) create(dir string, number int) (int, error) {
	for ; ; number++ {
		file := recordFile(dir, number)
		if _, err := os.Lstat(file); err == nil {
			continue
		}
		if err := r.writePending(file); err != nil {
			return 0, err
		}
		err := os.Link(sibling(file, pendingExt), file)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		return number, errors.Join(err, os.Remove(sibling(file, pendingExt)))
	}
}

// forget removes all files of an order, the record first: without it the
// others mean nothing.
func forget(dir string, number int) error {
	file := recordFile(dir, number)
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, ext := range []string{crashExt, pendingExt} {
		if err := os.Remove(sibling(file, ext)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// numbers returns the numbers of all records, in no order.
func numbers(dir string) ([]int, error) {
	entries, err := os.ReadDir(ordersDir(dir))
	if err != nil {
		return nil, err
	}
	var found []int
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), recordExt)
		if n, err := strconv.Atoi(name); ok && err == nil {
			found = append(found, n)
		}
	}
	return found, nil
}
