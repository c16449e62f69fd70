package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"pveha/internal/ha"
	"pveha/internal/process"
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
	processes := process.Table{Root: p.Proc}
	args, err := processes.Arguments(pid)
	if err != nil || !isQemu(args) || option(args, "pidfile") != fmt.Sprintf(pidFile, sid.Name()) {
		return 0, err
	}
	state, err := processes.State(pid)
	if err != nil || !state.Alive {
		return 0, err
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

// containerRuns reports whether a container has a monitor.
func (p Paths) containerRuns(sid ha.SID) (bool, error) {
	running, err := p.containers()
	if err != nil {
		return false, fmt.Errorf("is %s running? %w", sid, err)
	}
	return running[sid.Name()], nil
}

// containers returns the IDs of all containers that have a monitor, by the
// monitors' command sockets.
func (p Paths) containers() (map[string]bool, error) {
	data, err := os.ReadFile(filepath.Join(p.Proc, "net", "unix"))
	if err != nil {
		return nil, err
	}
	const fieldsWithPath, path = 8, 7
	running := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) != fieldsWithPath {
			continue
		}
		id, isCommand := strings.CutSuffix(f[path], "/command")
		if id, isLXC := strings.CutPrefix(id, "@/var/lib/lxc/"); isCommand && isLXC {
			running[id] = true
		}
	}
	return running, nil
}
