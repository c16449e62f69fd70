// Package process names processes for good and tells when they end, whoever
// their parent is. It also sets how late the timers of this one may be, and
// starts others whose timers may not.
package process

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Table is a mounted proc file system.
type Table struct {
	Root string // "" is /proc
}

// State is what the table tells of a process. The zero value is that of one
// that is gone.
type State struct {
	Alive bool   // neither gone nor a zombie
	Start uint64 // clock ticks from the boot to its start; with the number it names a process for good
}

// fields of proc_pid_stat(5), counted behind the name.
const (
	fieldState = 0
	fieldStart = 19
)

// State looks a process up.
func (t Table) State(pid int) (State, error) {
	data, err := t.read(pid, "stat")
	if err != nil || len(data) == 0 {
		return State{}, err
	}
	// The name, in brackets, may hold brackets and blanks itself.
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) <= fieldStart {
		return State{}, fmt.Errorf("%s: %d fields behind the name", t.file(pid, "stat"), len(fields))
	}
	start, err := strconv.ParseUint(fields[fieldStart], 10, 64)
	if err != nil {
		return State{}, fmt.Errorf("%s: %w", t.file(pid, "stat"), err)
	}
	return State{Alive: fields[fieldState] != "Z" && fields[fieldState] != "X", Start: start}, nil
}

// Arguments returns the command line of a process, none when it has ended.
func (t Table) Arguments(pid int) ([]string, error) {
	data, err := t.read(pid, "cmdline")
	if err != nil || len(data) == 0 {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(data), "\x00"), "\x00"), nil
}

func (t Table) file(pid int, name string) string {
	root := t.Root
	if root == "" {
		root = "/proc"
	}
	return filepath.Join(root, strconv.Itoa(pid), name)
}

// read reads a file of a process; of one that is gone it is empty.
func (t Table) read(pid int, name string) ([]byte, error) {
	data, err := os.ReadFile(t.file(pid, name))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return nil, nil
	}
	return data, err
}
