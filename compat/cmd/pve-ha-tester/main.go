// Command pve-ha-tester plays scenarios of the HA stack on a simulated
// cluster, and compares the project with recordings of the Perl stack.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"pveha/compat/cli"
	"pveha/compat/formats"
	"pveha/compat/scenarios"
	"pveha/compat/sim"
	"pveha/internal/corpus"
)

const usage = `usage: pve-ha-tester PATH                      play a scenario and print its log
       pve-ha-tester check scenarios PATH...   compare logs with the recorded ones
       pve-ha-tester check formats FILE...     compare file formats with recorded vectors
       pve-ha-tester check cli FILE...         compare ha-manager with recorded calls
       pve-ha-tester demo [--seed N] [PATH]    watch a cluster fail over

PATH is the folder of a scenario or a .txtar archive of one; check scenarios
also takes folders full of them. Logs are made to compare: the few slips of the
Perl stack that a log can show are copied. The demo shows what ours does.

Exit status: 0 all is well, 1 something differs or the simulation failed,
2 wrong usage or a scenario that cannot be read.
`

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is the command: arguments in, exit status out.
func run(args []string, stdout, stderr io.Writer) int {
	switch {
	case len(args) == 0:
		fmt.Fprint(stderr, usage)
		return exitUsage
	case args[0] == "-h" || args[0] == "--help" || args[0] == "help":
		fmt.Fprint(stdout, usage)
		return exitOK
	case args[0] == "check":
		return check(args[1:], stdout, stderr)
	case args[0] == "demo":
		return runDemo(args[1:], stdout, stderr)
	case strings.HasPrefix(args[0], "-"):
		return misuse(stderr, "unknown option %s", args[0])
	case len(args) > 1:
		return misuse(stderr, "one scenario is played at a time, not %d", len(args))
	}
	return play(args[0], stdout, stderr)
}

// misuse says in one line what is wrong with the arguments.
func misuse(stderr io.Writer, format string, args ...any) int {
	fmt.Fprintf(stderr, "pve-ha-tester: %s (see pve-ha-tester --help)\n", fmt.Sprintf(format, args...))
	return exitUsage
}

// complain says what went wrong.
func complain(stderr io.Writer, err error) { fmt.Fprintln(stderr, "pve-ha-tester:", err) }

func play(path string, stdout, stderr io.Writer) int {
	c, err := corpus.Load(path)
	if err != nil {
		complain(stderr, err)
		return exitUsage
	}
	out := bufio.NewWriter(stdout)
	err = scenarios.Play(c, out, sim.Options{})
	if err := out.Flush(); err != nil {
		complain(stderr, fmt.Errorf("cannot write the log: %w", err))
		return exitFailed
	}
	var input *scenarios.InputError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &input):
		complain(stderr, err)
		return exitUsage
	default: // the log tells it
		return exitFailed
	}
}

// check compares with recordings and ends with a line that counts.
func check(args []string, stdout, stderr io.Writer) int {
	if len(args) < 2 {
		return misuse(stderr, "check wants to know what to check, scenarios, formats or cli, and where it is")
	}
	what, paths := args[0], args[1:]
	var passed, failed int
	var err error
	switch what {
	case "scenarios":
		passed, failed, err = scenarios.Check(paths, stdout, sim.Options{})
	case "formats":
		passed, failed, err = formats.Check(paths, stdout)
	case "cli":
		passed, failed, err = cli.Check(paths, stdout)
	default:
		return misuse(stderr, "cannot check %q, only scenarios, formats and cli", what)
	}
	if err != nil {
		complain(stderr, err)
		failed++
	}
	fmt.Fprintf(stdout, "%d passed, %d failed\n", passed, failed)
	if failed > 0 || passed == 0 {
		return exitFailed
	}
	return exitOK
}
