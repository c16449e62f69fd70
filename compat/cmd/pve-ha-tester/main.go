// Command pve-ha-tester plays scenarios of the HA stack on a simulated
// cluster, and compares the project with recordings of the Perl stack.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"pveha/compat/formats"
	"pveha/compat/scenarios"
	"pveha/compat/sim"
	"pveha/internal/corpus"
)

const usage = `usage: pve-ha-tester PATH                      play a scenario and print its log
       pve-ha-tester check scenarios PATH...   compare logs with the recorded ones
       pve-ha-tester check formats FILE...     compare file formats with recorded vectors
       pve-ha-tester demo [--seed N] [PATH]    watch a cluster fail over

PATH is the folder of a scenario or a .txtar archive of one; check scenarios
also takes folders full of them.

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
	case len(args) == 1 && args[0][0] != '-':
		return play(args[0], stdout, stderr)
	}
	fmt.Fprintf(stderr, "pve-ha-tester: cannot make sense of %q\n%s", args, usage)
	return exitUsage
}

func play(path string, stdout, stderr io.Writer) int {
	c, err := corpus.Load(path)
	if err != nil {
		fmt.Fprintln(stderr, "pve-ha-tester:", err)
		return exitUsage
	}
	err = scenarios.Play(c, stdout, sim.Options{})
	var input *scenarios.InputError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &input):
		fmt.Fprintln(stderr, "pve-ha-tester:", err)
		return exitUsage
	default: // the log tells it
		return exitFailed
	}
}

// check compares with recordings and ends with a line that counts.
func check(args []string, stdout, stderr io.Writer) int {
	if len(args) < 2 {
		fmt.Fprint(stderr, usage)
		return exitUsage
	}
	what, paths := args[0], args[1:]
	var passed, failed int
	var err error
	switch what {
	case "scenarios":
		passed, failed, err = scenarios.Check(paths, stdout, sim.Options{})
	case "formats":
		passed, failed, err = formats.Check(paths, stdout)
	default:
		fmt.Fprintf(stderr, "pve-ha-tester: cannot check %q\n%s", what, usage)
		return exitUsage
	}
	if err != nil {
		fmt.Fprintln(stderr, "pve-ha-tester:", err)
		failed++
	}
	fmt.Fprintf(stdout, "%d passed, %d failed\n", passed, failed)
	if failed > 0 || passed == 0 {
		return exitFailed
	}
	return exitOK
}
