package bed

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The guest-action program of a node that serves. What it forks is the program
// again, first as the one that attends to the caller, then, in the same process,
// as the one that acts.

const (
	serveVerb  = "serve"
	attendVerb = "attend"
	// callerFD is the descriptor of the connection in what was forked.
	callerFD = 3
	// served, in the environment, says that the caller waits for the exit code.
	served = "GUEST_ACTION_SERVED"
	// idle is how long a server waits for the next caller.
	idle = time.Minute
)

// serveActions starts a process for every connection until nobody comes.
func serveActions(socket string) int {
	pending := fmt.Sprintf("%s.%d", socket, os.Getpid())
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: pending, Net: "unix"})
	if err != nil {
		return complain("%v", err)
	}
	listener.SetUnlinkOnClose(false)
	if err := os.Rename(pending, socket); err != nil {
		return complain("%v", err)
	}
	for {
		if err := listener.SetDeadline(time.Now().Add(idle)); err != nil {
			return complain("%v", err)
		}
		conn, err := listener.AcceptUnix()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			_ = os.Remove(socket) // another's is made again when it is needed
			return 0
		}
		if err != nil {
			return complain("%v", err)
		}
		if err := attendTo(conn); err != nil {
			return complain("%v", err)
		}
	}
}

// attendTo starts a process for a connection and leaves it to that.
func attendTo(conn *net.UnixConn) error {
	defer conn.Close()
	file, err := conn.File()
	if err != nil {
		return err
	}
	defer file.Close()
	child := &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{standInAction, attendVerb}, Dir: "/", Stdout: os.Stderr, Stderr: os.Stderr,
		ExtraFiles: []*os.File{file}, SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
	}
	if err := child.Start(); err != nil {
		return err
	}
	go func() { _ = child.Wait() }() // the caller hears how it ended
	return nil
}

// attend takes an order from the caller, and becomes what carries it out.
func attend() int {
	time.AfterFunc(10*time.Second, func() { os.Exit(1) })
	caller := os.NewFile(callerFD, "caller")
	credentials, err := unix.GetsockoptUcred(callerFD, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return complain("%v", err)
	}
	say(caller, "pid %d", os.Getpid())
	said := bufio.NewReader(caller)
	args, env := []string{standInAction}, []string{served + "=1"}
	for {
		text, err := said.ReadString(0)
		if err != nil {
			return 1 // it has left
		}
		key, value, _ := strings.Cut(strings.TrimSuffix(text, "\x00"), "=")
		switch key {
		case "out":
			err = takePipe(credentials.Pid, value, unix.Stdout)
		case "err":
			err = takePipe(credentials.Pid, value, unix.Stderr)
		case "env":
			env = append(env, value)
		case "arg":
			args = append(args, value)
		case "":
			say(caller, "ready")
			if line, _ := said.ReadString('\n'); line != "go\n" {
				return 1
			}
			return complain("%v", unix.Exec("/proc/self/exe", args, env))
		}
		if err != nil {
			return complain("%v", err)
		}
	}
}

// takePipe makes a descriptor of the caller one of ours.
func takePipe(pid int32, theirs string, ours int) error {
	fd, err := unix.Open(fmt.Sprintf("/proc/%d/fd/%s", pid, theirs), unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd) //nolint:errcheck // another one of it stays open
	return unix.Dup3(fd, ours, 0)
}

// runServed carries out the action that attend has become.
func runServed(args []string) int {
	unix.CloseOnExec(callerFD) // guests live longer
	if err := os.Unsetenv(served); err != nil {
		return complain("%v", err)
	}
	code := runAction(args)
	say(os.NewFile(callerFD, "caller"), "exit %d", code)
	return code
}

// say says a line to the caller, who may have left.
func say(caller *os.File, format string, args ...any) {
	_, _ = fmt.Fprintf(caller, format+"\n", args...)
}
