package demo

import (
	"fmt"
	"io"
	"time"

	"pveha/compat/sim"
)

const (
	// busyPause and quietPause are how long a round of the cluster is shown in
	// which something happened, and one in which nothing did.
	busyPause  = 600 * time.Millisecond
	quietPause = 100 * time.Millisecond
	// maxPauses bounds what all pauses take together.
	maxPauses = 45 * time.Second
)

// Config says what is shown where.
type Config struct {
	Title    string
	Scenario *sim.Scenario
	Out      io.Writer

	// Width and Height are the size of the terminal. Zero, or too small for a
	// picture: Out gets plain lines without pauses.
	Width, Height int
	Colour        bool
	Sleep         func(time.Duration)
}

// Run plays the scenario and shows it.
func Run(cfg Config) error {
	p := player{Config: cfg, live: cfg.Width >= leastWidth && cfg.Height >= leastHeight}
	p.screen = &screen{title: cfg.Title, width: cfg.Width, height: cfg.Height, colour: cfg.Colour}
	var err error
	if p.cluster, err = sim.New(cfg.Scenario, sim.Options{OnLine: p.line}); err != nil {
		return err
	}
	if p.live {
		fmt.Fprint(cfg.Out, ansiClear)
	} else {
		fmt.Fprintln(cfg.Out, cfg.Title)
	}
	if err := p.play(); err != nil {
		return err
	}
	if !p.live {
		fmt.Fprintln(cfg.Out)
		for _, r := range p.screen.table(p.cluster.View(), "")[3:] {
			fmt.Fprintln(cfg.Out, r.text)
		}
	}
	fmt.Fprintln(cfg.Out)
	p.times.print(cfg.Out)
	return nil
}

// player shows a cluster at work.
type player struct {
	Config
	live    bool
	cluster *sim.Cluster
	screen  *screen
	times   timeline
	lines   int // of the log
}

// line takes a line of the log.
func (p *player) line(l sim.Line) {
	p.lines++
	p.times.note(l)
	if p.live {
		p.screen.add(l)
	} else {
		fmt.Fprintln(p.Out, l)
	}
}

func (p *player) play() error {
	var paused time.Duration
	for {
		before := p.lines
		done, err := p.cluster.Loop()
		if err != nil {
			return err
		}
		if p.live {
			v := p.cluster.View()
			fmt.Fprint(p.Out, p.screen.frame(v, p.times.news(v.Now), done))
		}
		if done {
			return nil
		}
		pause := quietPause
		if p.lines > before {
			pause = busyPause
		}
		if p.live && paused < maxPauses {
			paused += pause
			p.Sleep(pause)
		}
	}
}
