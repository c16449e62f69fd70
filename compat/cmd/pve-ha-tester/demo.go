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
	flags.SetOutput(io.Discard) // it would say more than one line
	seed := flags.Uint64("seed", 1, "number from which the story is made up")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return exitOK
	case err != nil:
		return misuse(stderr, "demo: %v", err)
	case flags.NArg() > 1:
		return misuse(stderr, "demo shows one scenario, not %d", flags.NArg())
	case flags.NArg() == 1 && flags.NFlag() > 0:
		return misuse(stderr, "demo: a seed makes up a story, a scenario is one already")
	}
	title, files := demo.Story(*seed)
	if path := flags.Arg(0); path != "" {
		c, err := corpus.Load(path)
		if err != nil {
			complain(stderr, err)
			return exitUsage
		}
		title, files = path, c.Files
	}
	scenario, err := sim.Parse(title, files)
	if err == nil {
		_, err = sim.New(scenario, sim.Options{})
	}
	if err != nil {
		complain(stderr, fmt.Errorf("%s: %w", title, err))
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
		complain(stderr, fmt.Errorf("%s: %w", title, err))
		return exitFailed
	}
	return exitOK
}
