package demo

import (
	"fmt"
	"io"
	"time"

	"pveha/compat/sim"
)

const (
	// roundPause is the time one round of the cluster is shown.
	roundPause = 350 * time.Millisecond
	// maxPauses bounds what all pauses take together.
	maxPauses = 45 * time.Second
)

// Config says what is shown where.
type Config struct {
	Title    string
	Scenario *sim.Scenario
	Out      io.Writer

	// Width and Height are the size of the terminal. Zero: Out is none, and
	// gets plain lines without pauses.
	Width, Height int
	Colour        bool
	Sleep         func(time.Duration)
}

// Run plays the scenario and shows it.
func Run(cfg Config) error {
	var times timeline
	scr := &screen{title: cfg.Title, width: cfg.Width, height: cfg.Height, colour: cfg.Colour}
	live := cfg.Width > 0
	opts := sim.Options{OnLine: func(l sim.Line) {
		times.note(l)
		if live {
			scr.add(l)
		} else {
			fmt.Fprintln(cfg.Out, l)
		}
	}}
	cluster, err := sim.New(cfg.Scenario, opts)
	if err != nil {
		return err
	}
	if live {
		fmt.Fprint(cfg.Out, ansiClear)
	} else {
		fmt.Fprintln(cfg.Out, cfg.Title)
	}
	if err := play(cfg, cluster, scr, live); err != nil {
		return err
	}
	if !live {
		for _, line := range (&screen{}).table(cluster.View())[1:] {
			fmt.Fprintln(cfg.Out, line)
		}
	}
	fmt.Fprintln(cfg.Out)
	times.print(cfg.Out)
	return nil
}

func play(cfg Config, cluster *sim.Cluster, scr *screen, live bool) error {
	var paused time.Duration
	for {
		done, err := cluster.Loop()
		if err != nil {
			return err
		}
		if live {
			fmt.Fprint(cfg.Out, scr.frame(cluster.View()))
		}
		if done {
			return nil
		}
		if live && paused < maxPauses {
			paused += roundPause
			cfg.Sleep(roundPause)
		}
	}
}
