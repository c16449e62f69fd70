package daemon

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// backgroundEnv, when set, tells a process that it is to be the daemon in the
// background, and has the files below open.
const backgroundEnv = "PVE_HA_BACKGROUND"

// inherited is what the daemon in the background gets from who started it.
type inherited struct {
	lock   *os.File // of the pid file
	report *os.File // takes how the start went
}

// Descriptors of the inherited files, behind the standard ones.
const (
	lockFD   = 3
	reportFD = 4
)

// started is what the daemon reports when it is ready. Anything else is why it
// is not.
const started = "started"

// background starts the daemon in a process of its own, and returns when it is
// ready or cannot be. Go cannot fork, so that it is this program once more.
func (c *command) background(lock *os.File) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("can't put server into background - %w", err)
	}
	answer, report, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("can't put server into background - %w", err)
	}
	defer answer.Close()
	cmd := exec.Command(program)
	cmd.Args = []string{c.Name, "start"} // as it is to be listed
	cmd.Env = append(os.Environ(), backgroundEnv+"=1")
	cmd.ExtraFiles = []*os.File{lockFD - 3: lock, reportFD - 3: report}
	// The standard error stays: under systemd it is the journal, and the only
	// place for the last words of a program that crashes.
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = errors.Join(cmd.Start(), report.Close())
	if err != nil {
		return fmt.Errorf("can't put server into background - %w", err)
	}
	text, err := io.ReadAll(answer)
	if err == nil && string(text) == started {
		return cmd.Process.Release()
	}
	ended := cmd.Wait() // it has failed, or fell silent and is about to end
	if reason := strings.TrimSpace(string(text)); reason != "" {
		return errors.New(reason)
	}
	return fmt.Errorf("the server ended before it was ready: %w", errors.Join(err, ended))
}

// takeBackground returns what a process inherited that is to be the daemon in
// the background, nil in any other. Processes that it starts inherit nothing.
func takeBackground(getenv func(string) string) *inherited {
	if getenv(backgroundEnv) == "" {
		return nil
	}
	_ = os.Unsetenv(backgroundEnv) // fails for a name that is none
	unix.CloseOnExec(lockFD)
	unix.CloseOnExec(reportFD)
	return &inherited{lock: os.NewFile(lockFD, "lock"), report: os.NewFile(reportFD, "report")}
}

// becomeDaemon is the daemon in the background.
func (c *command) becomeDaemon(files *inherited) int {
	defer files.lock.Close()
	told := false
	ready := func(err error) {
		if told {
			return
		}
		told = true
		text := started
		if err != nil {
			text = err.Error()
		}
		// Who started us may be gone; the daemon works without.
		_, _ = io.WriteString(files.report, text)
		_ = files.report.Close()
	}
	return c.serve(serving{ready: ready})
}

// foreground is the daemon in the process that was started.
func (c *command) foreground(debug bool) int {
	var failure error
	code := c.serve(serving{
		debug:  debug,
		notify: c.Getenv("NOTIFY_SOCKET"),
		ready:  func(err error) { failure = err },
	})
	if failure != nil {
		return c.fail(fmt.Errorf("start failed - %w", failure))
	}
	return code
}
