// Command pve-ha-switch shows and changes which HA stack runs on this node: the
// daemons of this package or those of the Perl package.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"pveha/internal/daemon"
	"pveha/packaging/handover"
	"pveha/pmxcfsio"
	"pveha/pmxcfsio/ipcc"
)

// Exit codes.
const (
	exitOK      = 0
	exitRefused = 1 // nothing was changed; or, of status and check, something is wrong
	exitUsage   = 2
	exitBroken  = 3 // the change was begun and is not complete
)

const usage = `usage: pve-ha-switch COMMAND

  status  show which stack is installed and which runs
  check   tell whether this node may change to the Go stack
  go      change to the Go stack
  perl    change back to the Perl stack

Guests run on during a change. Exit codes: 0 done, or all is well; 1 refused, or
something is wrong; 2 wrong usage; 3 broken off: run the command once more.
`

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// Commands for the maintainer scripts: configure makes the stack that the
// administrator chose last run, with the programs that are installed now;
// retire brings the Perl stack back, which is no choice of anybody.
const (
	verbStatus    = "status"
	verbCheck     = "check"
	verbGo        = "go"
	verbPerl      = "perl"
	verbConfigure = "configure"
	verbRetire    = "retire"
	verbRecover   = "recover"
)

// hereFlag makes a change happen in this process.
const hereFlag = "--here"

func run(args []string, out, diag io.Writer) int {
	// A change must not end because who watches it has gone.
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGPIPE)
	if err := os.Setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"); err != nil {
		fmt.Fprintln(diag, err)
		return exitUsage
	}
	here := slices.Contains(args, hereFlag)
	args = slices.DeleteFunc(slices.Clone(args), func(a string) bool { return a == hereFlag })
	if len(args) != 1 {
		fmt.Fprint(diag, usage)
		return exitUsage
	}
	if args[0] == "help" || args[0] == "--help" {
		fmt.Fprint(out, usage)
		return exitOK
	}
	if os.Geteuid() != 0 {
		fmt.Fprintln(diag, "please run as root")
		return exitRefused
	}
	node, end, err := thisNode(out)
	if err != nil {
		fmt.Fprintln(diag, err)
		return exitRefused
	}
	defer end()
	return obey(node, args[0], here, diag)
}

func obey(node *handover.Node, verb string, here bool, diag io.Writer) int {
	switch verb {
	case verbStatus:
		whole, err := node.Status()
		return answer(whole, err, diag)
	case verbCheck:
		return answer(node.Check(context.Background()), nil, diag)
	case verbRecover:
		return answer(true, node.Recover(), diag)
	case verbGo, verbPerl, verbConfigure, verbRetire:
	default:
		fmt.Fprint(diag, usage)
		return exitUsage
	}
	if !here && booted() {
		return elsewhere(verb, diag)
	}
	to, choice := handover.Stack(verb), true
	switch verb {
	case verbConfigure:
		to, choice = node.Wanted(), false
	case verbRetire:
		to, choice = handover.Perl, false
	}
	err := node.Switch(context.Background(), to, choice)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, handover.ErrRefused):
		fmt.Fprintln(diag, err)
		return exitRefused
	}
	fmt.Fprintln(diag, err)
	return exitBroken
}

func answer(good bool, err error, diag io.Writer) int {
	if err != nil {
		fmt.Fprintln(diag, err)
	}
	if err != nil || !good {
		return exitRefused
	}
	return exitOK
}

func booted() bool {
	_, err := os.Stat("/run/systemd/system")
	return err == nil
}

// elsewhere makes the change in a unit of its own: it goes on when the terminal,
// or the package manager, dies. If it is killed itself, systemd starts the
// daemons that it has stopped.
func elsewhere(verb string, diag io.Writer) int {
	program, err := os.Executable()
	if err != nil {
		fmt.Fprintln(diag, err)
		return exitRefused
	}
	cmd := exec.Command("systemd-run", "--quiet", "--collect", "--wait", "--pipe", "--service-type=exec",
		"--unit=pve-ha-switch", "--description=Change of the HA stack",
		"--property=ExecStopPost="+program+" "+verbRecover,
		program, verb, hereFlag)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = nil, os.Stdout, os.Stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if err == nil || errors.As(err, &exit) && exit.ExitCode() > 0 {
		return cmd.ProcessState.ExitCode()
	}
	fmt.Fprintln(diag, "cannot follow the change:", err)
	return exitBroken
}

func thisNode(out io.Writer) (*handover.Node, func(), error) {
	name, err := daemon.NodeName()
	if err != nil {
		return nil, nil, err
	}
	client := ipcc.New(ipcc.Config{})
	end := func() { _ = client.Close() } // the process ends
	fs, err := pmxcfsio.New(pmxcfsio.Config{IPC: client})
	if err != nil {
		end()
		return nil, nil, fmt.Errorf("cluster file system: %w", err)
	}
	return &handover.Node{Name: name, Cluster: fs, Out: out, Run: command, Now: time.Now, Sleep: time.Sleep}, end, nil
}

// command runs a program in the plain language, as its output is read.
func command(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		if text := strings.TrimSpace(said.String()); text != "" {
			err = fmt.Errorf("%w: %s", err, text)
		}
		err = fmt.Errorf("%s: %w", strings.Join(append([]string{name}, args...), " "), err)
	}
	return string(out), err
}
