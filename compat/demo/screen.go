package demo

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"pveha/compat/sim"
	"pveha/internal/ha"
)

const (
	// tableWidth is how wide the table of nodes and guests is, in columns.
	tableWidth = 64
	// leastEvents is how many columns the log needs to stand beside the table.
	// Where there are fewer it stands below.
	leastEvents = 60
	// leastWidth and leastHeight are what a picture needs, in columns and rows.
	leastWidth, leastHeight = 30, 8
)

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

// row is one line of a picture in one colour.
type row struct {
	colour string // "": as the terminal has it
	text   string
}

// screen draws the cluster over and over in the same place.
type screen struct {
	title  string
	width  int // columns of the terminal
	height int // rows of it
	colour bool
	events []row // the newest last
}

// add puts a line of the log on the screen.
func (s *screen) add(l sim.Line) {
	colour := ""
	switch {
	case l.From == "cmdlist":
		colour = ansiBold
	case strings.HasPrefix(l.Level, "err"):
		colour = ansiRed
	case strings.HasPrefix(l.Level, "warn"):
		colour = ansiAmber
	}
	s.events = append(s.events, row{colour, fmt.Sprintf("%5d %s: %s", l.At, l.From, l.Text)})
}

// frame returns the text of one picture. It fills the terminal but for the last
// row, where the cursor rests. The last picture is no longer than the table,
// which leaves room for what comes behind it.
func (s *screen) frame(v sim.View, news string, last bool) string {
	rows := s.height - 1
	table := fit(s.table(v, news), rows)
	if last {
		rows = len(table)
	}
	room := s.width - tableWidth - 1
	beside := room >= leastEvents

	lines := make([]string, rows)
	for i, r := range table {
		lines[i] = s.paint(r, s.width)
		if beside {
			lines[i] = s.paint(r, tableWidth-1)
		}
	}
	from, width := len(table)+1, s.width
	if beside {
		from, width = 0, room
	}
	for i, r := range lastLines(s.events, width, rows-from) {
		at, indent := from+i, 0
		if beside {
			indent = tableWidth + 1
			if at < len(table) {
				indent -= columns(cut(table[at].text, tableWidth-1))
			}
		}
		lines[at] += strings.Repeat(" ", indent) + s.paint(r, width)
	}
	return ansiHome + strings.Join(lines, ansiEOL+"\n") + ansiEOL + "\n" + ansiBelow
}

// table is the cluster: what is new, the nodes, the guests.
func (s *screen) table(v sim.View, news string) []row {
	rows := []row{
		{ansiBold, s.title},
		{"", fmt.Sprintf("%d s simulated, master %s", v.Now, orDash(v.Master))},
		{ansiAmber, news},
		{ansiBold, fmt.Sprintf("%-8s %-5s %-4s %-12s %-16s %s", "node", "power", "net", "state", "crm", "lrm")},
	}
	for _, n := range v.Nodes {
		colour := ansiGreen
		switch {
		case !n.Power || !n.Network:
			colour = ansiRed
		case n.State != ha.NodeOnline:
			colour = ansiAmber
		}
		rows = append(rows, row{colour, fmt.Sprintf("%-8s %-5s %-4s %-12s %-16s %s",
			n.Name, onOff(n.Power), onOff(n.Network), n.State, orDash(string(n.CRM)), lrmName(n))})
	}
	rows = append(rows, row{},
		row{ansiBold, fmt.Sprintf("%-8s %-8s %-25s %-8s %s", "guest", "wanted", "state", "node", "runs on")})
	for _, g := range v.Guests {
		colour := ansiGreen
		switch {
		case len(g.Runs) == 0 && g.Wanted == ha.RequestStarted, len(g.Runs) > 1:
			colour = ansiRed
		case g.Target != "":
			colour = ansiAmber
		}
		state := orDash(string(g.State))
		if g.Target != "" {
			state += " to " + g.Target
		}
		rows = append(rows, row{colour, fmt.Sprintf("%-8s %-8s %-25s %-8s %s",
			g.SID, g.Wanted, state, g.Node, orDash(strings.Join(g.Runs, ",")))})
	}
	return rows
}

// fit leaves out the end of a table that is too long for the terminal, and says
// so.
func fit(table []row, rows int) []row {
	if len(table) <= rows {
		return table
	}
	out := len(table) - rows + 1
	return append(table[:rows-1:rows-1], row{"", fmt.Sprintf("… and %d more", out)})
}

// lastLines returns the newest events, broken into as many lines as there is
// room for.
func lastLines(events []row, width, rows int) []row {
	var lines []row
	for i := len(events) - 1; i >= 0 && len(lines) < rows; i-- {
		lines = append(wrap(events[i], width), lines...)
	}
	return lines[max(len(lines)-max(rows, 0), 0):]
}

// wrap breaks an event at a space, with the rest indented.
func wrap(r row, width int) []row {
	const indent = "        "
	var lines []row
	for columns(r.text) > width && width > 2*len(indent) {
		head := string([]rune(r.text)[:width])
		if i := strings.LastIndexByte(head, ' '); i > len(indent) {
			head = head[:i]
		}
		lines = append(lines, row{r.colour, head})
		r.text = indent + strings.TrimPrefix(r.text[len(head):], " ")
	}
	return append(lines, r)
}

// paint cuts a row to a number of columns and colours it.
func (s *screen) paint(r row, width int) string {
	text := cut(r.text, width)
	if !s.colour || r.colour == "" || text == "" {
		return text
	}
	return r.colour + text + ansiReset
}

func lrmName(n sim.NodeView) string {
	name := strings.ReplaceAll(string(n.LRM), "wait_for_agent_lock", "waits")
	return orDash(strings.TrimSuffix(name, "_agent_lock"))
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

func columns(text string) int { return utf8.RuneCountInString(text) }

// cut shortens text to a number of columns.
func cut(text string, width int) string {
	if columns(text) <= width {
		return text
	}
	return string([]rune(text)[:max(width-1, 0)]) + "…"
}
