package watchdogmux

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"

	"golang.org/x/sys/unix"
)

// realtimePriority is in the middle of the range: above all that is not
// real-time, beside corosync and the kernel's own interrupt threads.
const realtimePriority = 50

// Harden keeps the process in memory and ahead of others, so that a machine
// under load still feeds its watchdog. What cannot be had is reported; the
// daemon works without.
func Harden() error {
	return errors.Join(lockMemory(), raisePriority())
}

// lockMemory keeps every page once it was touched, and the program itself from
// now on. To lock all that is mapped, as mlockall does alone, would make the Go
// heap's reserve of 64 MB resident.
func lockMemory() error {
	if err := unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT); err != nil {
		return fmt.Errorf("cannot lock memory: %w", os.NewSyscallError("mlockall", err))
	}
	for _, r := range programRanges() {
		if _, _, errno := unix.Syscall(unix.SYS_MLOCK, r.start, r.end-r.start, 0); errno != 0 {
			return fmt.Errorf("cannot lock the program in memory: %w", os.NewSyscallError("mlock", errno))
		}
	}
	return nil
}

type addressRange struct{ start, end uintptr }

// programRanges returns where the program's file is mapped.
func programRanges() []addressRange {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return nil
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return nil
	}
	var ranges []addressRange
	for line := range bytes.Lines(maps) {
		if !bytes.HasSuffix(bytes.TrimSpace(line), []byte(program)) {
			continue
		}
		var r addressRange
		if _, err := fmt.Sscanf(string(line), "%x-%x ", &r.start, &r.end); err == nil {
			ranges = append(ranges, r)
		}
	}
	return ranges
}

// raisePriority makes every thread a real-time one, as the goroutine that
// feeds the device may have to wait for any of them. New threads inherit it
// from those that start them.
func raisePriority() error {
	for seen := map[int]bool{}; ; {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("cannot list threads: %w", err)
		}
		found := false
		for _, task := range tasks {
			tid, err := strconv.Atoi(task.Name())
			if err != nil || seen[tid] {
				continue
			}
			seen[tid], found = true, true
			attr := unix.SchedAttr{Policy: unix.SCHED_RR, Priority: realtimePriority}
			if err := unix.SchedSetAttr(tid, &attr, 0); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("cannot get real-time priority: %w", os.NewSyscallError("sched_setattr", err))
			}
		}
		if !found {
			return nil
		}
	}
}

const journalctl = "/bin/journalctl"

// SyncSystemJournal makes journald write to the disk, and waits for it. The
// child is not to run ahead of others, as its parent does.
func SyncSystemJournal() {
	cmd := exec.Command(journalctl, "--sync")
	if err := cmd.Start(); err != nil {
		return
	}
	_ = unix.SchedSetAttr(cmd.Process.Pid, &unix.SchedAttr{Policy: unix.SCHED_NORMAL}, 0)
	_ = cmd.Wait()
}
