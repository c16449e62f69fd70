package demo

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"pveha/compat/sim"
)

const (
	tableWidth   = 64
	defaultWidth = 140
	leastEvents  = 20 // columns worth having beside the table
)

// screen draws the cluster over and over in the same place.
type screen struct {
	title  string
	width  int // columns of the terminal
	height int // rows of it
	colour bool
	events []string // the newest last
}

// ANSI sequences.
const (
	ansiHome  = "\x1b[H"
	ansiClear = "\x1b[2J"
	ansiEOL   = "\x1b[K"
	ansiBelow = "\x1b[J"
	ansiReset = "\x1b[0m"
	ansiBold  = "\x1b[1m"
	ansiRed   = "\x1b[31m"
	ansiGreen = "\x1b[32m"
	ansiAmber = "\x1b[33m"
)

// add puts a line of the log on the screen.
func (s *screen) add(l sim.Line) {
	s.events = append(s.events, fmt.Sprintf("%5d %s: %s", l.At, l.From, l.Text))
}

// frame returns the text of one picture.
func (s *screen) frame(v sim.View) string {
	table := s.table(v)
	rows := max(len(table), s.height-2)
	events := s.events
	if len(events) > rows {
		events = events[len(events)-rows:]
	}
	var b strings.Builder
	b.WriteString(ansiHome)
	for i := range rows {
		line := ""
		if i < len(table) {
			line = table[i]
		}
		b.WriteString(line)
		if room := s.width - tableWidth - 1; i < len(events) && room >= leastEvents {
			b.WriteString(strings.Repeat(" ", tableWidth-visibleWidth(line)))
			b.WriteString(cut(events[i], room))
		}
		b.WriteString(ansiEOL + "\n")
	}
	b.WriteString(ansiBelow)
	return b.String()
}

// table is the left side of a frame.
func (s *screen) table(v sim.View) []string {
	lines := []string{
		s.paint(ansiBold, cut(s.title, tableWidth-1)),
		fmt.Sprintf("%d s simulated, master %s", v.Now, orDash(v.Master)),
		"",
		s.paint(ansiBold, fmt.Sprintf("%-8s %-5s %-5s %-12s %-16s %s", "node", "power", "net", "state", "crm", "lrm")),
	}
	for _, n := range v.Nodes {
		colour := ansiGreen
		switch {
		case !n.Power || !n.Network:
			colour = ansiRed
		case n.State != "online":
			colour = ansiAmber
		}
		lines = append(lines, s.paint(colour, cut(fmt.Sprintf("%-8s %-5s %-5s %-12s %-16s %s",
			n.Name, onOff(n.Power), onOff(n.Network), n.State, orDash(string(n.CRM)), lrmName(n)), tableWidth-1)))
	}
	lines = append(lines, "",
		s.paint(ansiBold, fmt.Sprintf("%-8s %-9s %-20s %-8s %s", "guest", "wanted", "state", "node", "runs on")))
	for _, g := range v.Guests {
		colour := ansiGreen
		switch {
		case len(g.Runs) == 0 && g.Wanted == "started", len(g.Runs) > 1:
			colour = ansiRed
		case g.Target != "":
			colour = ansiAmber
		}
		state := orDash(string(g.State))
		if g.Target != "" {
			state += " to " + g.Target
		}
		lines = append(lines, s.paint(colour, cut(fmt.Sprintf("%-8s %-9s %-20s %-8s %s",
			g.SID, g.Wanted, state, g.Node, orDash(strings.Join(g.Runs, ","))), tableWidth-1)))
	}
	return lines
}

func lrmName(n sim.NodeView) string {
	name := strings.ReplaceAll(string(n.LRM), "wait_for_agent_lock", "waits")
	return orDash(strings.TrimSuffix(name, "_agent_lock"))
}

func (s *screen) paint(colour, text string) string {
	if !s.colour {
		return text
	}
	return colour + text + ansiReset
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "OFF"
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// cut shortens text to a number of columns.
func cut(text string, columns int) string {
	if utf8.RuneCountInString(text) <= columns {
		return text
	}
	return string([]rune(text)[:max(columns-1, 0)]) + "…"
}

// visibleWidth is the number of columns of a line without its colours.
func visibleWidth(line string) int {
	for _, code := range []string{ansiReset, ansiBold, ansiRed, ansiGreen, ansiAmber} {
		line = strings.ReplaceAll(line, code, "")
	}
	return min(utf8.RuneCountInString(line), tableWidth)
}
