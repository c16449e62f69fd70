package agent

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

	"pveha/internal/ha"
)

// pidFile is the place of a VM's pid file as QEMU is told on its command line,
// wherever the agent finds it.
const pidFile = "/var/run/qemu-server/%s.pid"

// Running reports whether a guest runs on this machine. A VM that only waits
// for a backup to start it does not count.
//
// Running is a question about processes alone: the configuration may already be
// on another node, or not yet here.
func (a *Agent) Running(sid ha.SID) (bool, error) {
	k, err := kindOf(sid)
	if err != nil {
		return false, err
	}
	if k.serviceType == "ct" {
		return a.cfg.Paths.containerRuns(sid)
	}
	pid, err := a.cfg.Paths.vmProcess(sid)
	if err != nil || pid == 0 {
		return false, err
	}
	lock, err := a.Lock(sid)
	if err != nil {
		return false, err
	}
	if lock == "backup" && a.prelaunch(sid) {
		return false, nil
	}
	return true, nil
}

// prelaunch reports whether a VM was made for a backup and has not begun to
// run. A VM that does not say so in time counts as one that runs.
func (a *Agent) prelaunch(sid ha.SID) bool {
	q := qmp{vmid: sid.Name(), socket: a.cfg.Paths.vmFile(sid, "qmp"), wait: qmpWait}
	status, err := q.status()
	if err != nil {
		a.log(ha.LevelErr, sid, "VM %s qmp command failed - %v", sid.Name(), err)
		a.log(ha.LevelWarning, sid, "%v", err)
		return false
	}
	return status == "prelaunch"
}

// vmFile is one of the files that belong to a VM while it runs.
func (p Paths) vmFile(sid ha.SID, ext string) string {
	return filepath.Join(p.Run, "qemu-server", sid.Name()+"."+ext)
}

// vmProcess returns the process of a VM, 0 when it has none. The pid file may
// be left over from a VM that ended, and its number given to another process:
// only the one whose command line names the file is the VM.
func (p Paths) vmProcess(sid ha.SID) (pid int, err error) {
	data, err := os.ReadFile(p.vmFile(sid, "pid"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("is %s running? %w", sid, err)
	}
	line, _, _ := strings.Cut(string(data), "\n")
	pid, err = strconv.Atoi(line)
	if err != nil || pid <= 0 {
		return 0, nil //nolint:nilerr // a pid file without a number is that of no process
	}
	args, err := p.cmdline(pid)
	if err != nil || !isQemu(args) || option(args, "pidfile") != fmt.Sprintf(pidFile, sid.Name()) {
		return 0, err
	}
	switch stat, err := p.stat(pid); {
	case err != nil:
		return 0, err
	case !stat.alive:
		return 0, nil
	}
	return pid, nil
}

func isQemu(args []string) bool {
	if len(args) == 0 {
		return false
	}
	return strings.HasSuffix(args[0], "kvm") ||
		strings.HasPrefix(filepath.Base(args[0]), "qemu-") && !strings.HasSuffix(args[0], "/")
}

// option returns the value of an option of a command line, the last of several.
func option(args []string, name string) string {
	value := ""
	for i, arg := range args[:max(len(args)-1, 0)] {
		if key, ok := strings.CutPrefix(arg, "-"); ok && strings.TrimPrefix(key, "-") == name {
			value = args[i+1]
		}
	}
	return value
}

// cmdline returns the arguments of a process, none when it has ended.
func (p Paths) cmdline(pid int) ([]string, error) {
	data, err := p.readProc(pid, "cmdline")
	if err != nil || len(data) == 0 {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(data), "\x00"), "\x00"), nil
}

// procStat is what /proc tells of a process.
type procStat struct {
	alive bool   // neither gone nor a zombie
	start uint64 // ticks after the boot; with the pid it names a process for good
}

func (p Paths) stat(pid int) (procStat, error) {
	data, err := p.readProc(pid, "stat")
	if err != nil || len(data) == 0 {
		return procStat{}, err
	}
	// The name, in brackets, may hold brackets and blanks itself.
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	const state, start = 0, 19 // of proc_pid_stat(5), counted behind the name
	if len(fields) <= start {
		return procStat{}, fmt.Errorf("%s: %d fields behind the name", filepath.Join(p.Proc, strconv.Itoa(pid), "stat"), len(fields))
	}
	ticks, err := strconv.ParseUint(fields[start], 10, 64)
	if err != nil {
		return procStat{}, fmt.Errorf("%s: %w", filepath.Join(p.Proc, strconv.Itoa(pid), "stat"), err)
	}
	return procStat{alive: fields[state] != "Z" && fields[state] != "X", start: ticks}, nil
}

// readProc reads a file of a process; of one that is gone it is empty.
func (p Paths) readProc(pid int, file string) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(p.Proc, strconv.Itoa(pid), file))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return nil, nil
	}
	return data, err
}

// containerRuns reports whether a container has a monitor, by the monitor's
// command socket.
func (p Paths) containerRuns(sid ha.SID) (bool, error) {
	name := filepath.Join(p.Proc, "net", "unix")
	data, err := os.ReadFile(name)
	if err != nil {
		return false, fmt.Errorf("is %s running? %w", sid, err)
	}
	const fieldsWithPath, path = 8, 7
	want := "@/var/lib/lxc/" + sid.Name() + "/command"
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) == fieldsWithPath && f[path] == want {
			return true, nil
		}
	}
	return false, nil
}
