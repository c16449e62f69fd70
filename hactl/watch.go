package hactl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Keys that end a watch.
const (
	keyQuit      = 'q'
	keyInterrupt = 3 // ^C, which a terminal without signals passes on
)

// errWatchEnded says that nobody tells about changes any more.
var errWatchEnded = errors.New("the cluster file system tells of no more changes")

// watchStatus is "status --watch".
func (q *Query) watchStatus(ctx context.Context) error {
	changes, err := q.Watcher.Changes(ctx)
	if err != nil {
		return fmt.Errorf("cannot watch the cluster file system: %w", err)
	}
	if q.Stdio.Terminal == nil {
		return q.follow(ctx, changes)
	}
	return q.show(ctx, changes)
}

// follow prints the status, and then each line of it that changes, with the
// time in front.
func (q *Query) follow(ctx context.Context, changes <-chan struct{}) error {
	var last []string
	for {
		lines := q.watchLines(ctx)
		for _, line := range lines {
			if !slices.Contains(last, line) {
				fmt.Fprintf(q.Stdio.Out, "%s %s\n", q.Clock.Now().Format("2006-01-02 15:04:05"), line)
			}
		}
		last = lines
		select {
		case <-ctx.Done():
			return nil
		case _, open := <-changes:
			if !open {
				return ended(ctx)
			}
		}
	}
}

// ended tells whether a watch ended because it should.
func ended(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	default:
		return errWatchEnded
	}
}

// watchLines are the lines of the status without the times that change
// although nothing happens. A failure is a line like any other.
func (q *Query) watchLines(ctx context.Context) []string {
	s, err := q.quietly().state(ctx)
	if err != nil {
		return []string{"error " + strings.TrimSpace(errorText(err))}
	}
	var lines []string
	for _, line := range s.lines() {
		lines = append(lines, line.kind+" "+withoutTime(line))
	}
	return lines
}

// withoutTime cuts the time of a status out of its line: "node1 (active, Sat
// ...)" becomes "node1 (active)".
func withoutTime(line statusLine) string {
	if line.kind != "master" && line.kind != "lrm" {
		return line.text
	}
	end := strings.IndexByte(line.text, ')')
	start := strings.LastIndex(line.text[:max(end, 0)], ", ")
	if start < 0 {
		return line.text
	}
	return line.text[:start] + line.text[end:]
}

// quietly returns a query that prints no warnings: they would tear the display.
func (q *Query) quietly() *Query {
	quiet := *q
	quiet.Stdio.Err = discard{}
	return &quiet
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// What a terminal is told. All terminals of the last decades know these words.
const (
	screenEnter = "\x1b[?1049h\x1b[?25l" // another screen, no cursor
	screenLeave = "\x1b[?25h\x1b[?1049l"
	screenHome  = "\x1b[H"
	screenEOL   = "\x1b[K\r\n" // clear the rest of the line, go to the next
	screenEOS   = "\x1b[J"     // clear the rest of the screen
)

// show draws the status on the terminal, anew whenever it changes.
func (q *Query) show(ctx context.Context, changes <-chan struct{}) error {
	keys, release, err := q.Stdio.Terminal.Keys()
	if err != nil {
		return err
	}
	defer release()
	fmt.Fprint(q.Stdio.Out, screenEnter)
	defer fmt.Fprint(q.Stdio.Out, screenLeave)
	for {
		fmt.Fprint(q.Stdio.Out, q.screen(ctx))
		select {
		case <-ctx.Done():
			return nil
		case key := <-keys:
			if key == keyQuit || key == keyInterrupt {
				return nil
			}
		case _, open := <-changes:
			if !open {
				return ended(ctx)
			}
		}
	}
}

// screen is the whole display.
func (q *Query) screen(ctx context.Context) string {
	columns, rows := q.Stdio.Terminal.Size()
	var lines []string
	s, err := q.quietly().state(ctx)
	if err != nil {
		lines = []string{"", "The cluster cannot be read: " + strings.TrimSpace(errorText(err))}
	} else {
		lines = s.display(tableOptions{text: q.Stdio.charset(), columns: columns})
	}
	head := fmt.Sprintf("HA on %s, %s", q.Host.Node(), q.Clock.Now().Format(timeLayout))
	lines = append([]string{head}, lines...)
	if rows > 1 && len(lines) > rows-1 {
		more := len(lines) - (rows - 2)
		lines = append(lines[:rows-2], fmt.Sprintf("... %d more lines", more))
	}
	var b strings.Builder
	b.WriteString(screenHome)
	for _, line := range lines {
		if runes := []rune(line); columns > 0 && len(runes) > columns {
			line = string(runes[:columns])
		}
		b.WriteString(line + screenEOL)
	}
	b.WriteString("q: quit" + screenEOS)
	return b.String()
}

// display are the lines of the status as tables.
func (s *clusterState) display(o tableOptions) []string {
	var lines []string
	for _, line := range s.lines() {
		if line.kind == "quorum" || line.kind == "master" || line.kind == "fencing" {
			lines = append(lines, line.kind+": "+line.text)
		}
	}
	var nodes, services []object
	for _, node := range s.nodes() {
		r := s.nodeReport(node)
		nodes = append(nodes, object{
			"node": r.Node, "state": r.State, "lrm": r.LRM, "watchdog": r.Watchdog, "services": r.ActiveServices,
		})
	}
	for _, l := range s.serviceList() {
		services = append(services, object{
			"service": string(l.sid), "node": l.place(), "state": l.state, "target": text(l.status["target"]),
		})
	}
	add := func(columns []string, rows []object) {
		if len(rows) > 0 {
			table := strings.TrimSuffix(textTable(columns, rows, o), "\n")
			lines = append(append(lines, ""), strings.Split(table, "\n")...)
		}
	}
	add([]string{"node", "state", "lrm", "watchdog", "services"}, nodes)
	o.noBorder = true // one line each: there may be many
	add([]string{"service", "node", "state", "target"}, services)
	return lines
}
