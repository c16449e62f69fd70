package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"pveha/compat/demo"
	"pveha/compat/sim"
	"pveha/internal/corpus"
)

// runDemo shows a cluster that fails over: a story made up from a seed, or a
// given scenario.
func runDemo(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("pve-ha-tester demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	seed := flags.Uint64("seed", 1, "number from which the story is made up")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return exitOK
		}
		return exitUsage
	}
	if flags.NArg() > 1 {
		fmt.Fprint(stderr, usage)
		return exitUsage
	}
	title, files := demo.Story(*seed)
	if path := flags.Arg(0); path != "" {
		c, err := corpus.Load(path)
		if err != nil {
			fmt.Fprintln(stderr, "pve-ha-tester:", err)
			return exitUsage
		}
		title, files = path, c.Files
	}
	scenario, err := sim.Parse(title, files)
	if err != nil {
		fmt.Fprintf(stderr, "pve-ha-tester: %s: %v\n", title, err)
		return exitUsage
	}
	cfg := demo.Config{Title: title, Scenario: scenario, Out: stdout, Sleep: time.Sleep}
	if f, ok := stdout.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		if width, height, err := term.GetSize(int(f.Fd())); err == nil {
			cfg.Width, cfg.Height = width, height
			cfg.Colour = os.Getenv("NO_COLOR") == ""
		}
	}
	if err := demo.Run(cfg); err != nil {
		fmt.Fprintln(stderr, "pve-ha-tester:", err)
		return exitFailed
	}
	return exitOK
}
