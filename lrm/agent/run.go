package agent

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
)

const (
	// actionPath is the search path of the action program and of everything
	// that the API starts: the original's.
	actionPath = "PATH=/sbin:/bin:/usr/sbin:/usr/bin"
	// noLocaleWarnings keeps Perl from seven lines of warnings per action on a
	// node whose language has no locale.
	noLocaleWarnings = "PERL_BADLANG=0"
)

// run is one run of the action program, in a process group of its own.
type run interface {
	// wait waits until the program has ended. It returns nil when the exit code
	// was 0.
	wait() error
	// group is the number of the process group, and of its first process.
	group() int
}

// begin begins a run of the action program, which says its lines on out and
// complains on aside. Its end of both is the caller's to close.
func (a *Agent) begin(args []string, out, aside *os.File) (run, error) {
	if a.cfg.ForkServer != "" {
		if r, err := a.fork(args, out, aside); err == nil {
			return r, nil
		}
		// It has not been told to go, and never will: nothing is done twice.
	}
	return execute(slices.Concat(a.cfg.Action, args), out, aside)
}

// environment is that of the action program and of everything it starts.
func environment() []string {
	others := slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "PATH=") })
	return append(others, actionPath, noLocaleWarnings)
}

// executed is the program as a child of this process.
type executed struct{ cmd *exec.Cmd }

func execute(command []string, out, aside *os.File) (executed, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = environment(), "/", out, aside
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return executed{cmd}, cmd.Start()
}

func (e executed) wait() error { return e.cmd.Wait() }
func (e executed) group() int  { return e.cmd.Process.Pid }
