package demo

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/compat/sim"
	"pveha/internal/golden"
	"pveha/internal/ha"
)

// terminal is enough of a terminal to see what the demo draws.
type terminal struct {
	t             *testing.T
	width, height int
	rows          []string
	row           int
	scrolled      int // rows that went out at the top
	everything    strings.Builder
}

func newTerminal(t *testing.T, width, height int) *terminal {
	return &terminal{t: t, width: width, height: height, rows: make([]string, height)}
}

// Write follows the sequences that the demo uses.
func (x *terminal) Write(p []byte) (int, error) {
	x.everything.Write(p)
	text := string(p)
	for _, colour := range []string{ansiReset, ansiBold, ansiRed, ansiGreen, ansiAmber} {
		text = strings.ReplaceAll(text, colour, "")
	}
	column := -1 // of what is written over; -1: at the end of the row
	for text != "" {
		var ok bool
		if text, ok = strings.CutPrefix(text, ansiHome); ok {
			x.row, column = 0, 0
		} else if text, ok = strings.CutPrefix(text, ansiClear); ok {
			clear(x.rows)
		} else if text, ok = strings.CutPrefix(text, ansiEOL); ok {
			x.rows[x.row] = string([]rune(x.rows[x.row])[:max(column, 0)])
		} else if text, ok = strings.CutPrefix(text, ansiBelow); ok {
			clear(x.rows[x.row:])
		} else if text, ok = strings.CutPrefix(text, "\n"); ok {
			x.newline()
			column = 0
		} else {
			end := strings.IndexAny(text, "\x1b\n")
			if end < 0 {
				end = len(text)
			}
			part := text[:end]
			if column < 0 {
				column = columns(x.rows[x.row])
			}
			old := []rune(x.rows[x.row] + strings.Repeat(" ", x.width))
			require.LessOrEqual(x.t, column+columns(part), x.width, "too wide: %q", part)
			x.rows[x.row] = string(old[:column]) + part + string(old[column+columns(part):])
			column += columns(part)
			text = text[end:]
			x.rows[x.row] = strings.TrimRight(x.rows[x.row], " ")
		}
	}
	return len(p), nil
}

func (x *terminal) newline() {
	x.row++
	if x.row == x.height {
		x.rows = append(x.rows[1:], "")
		x.row--
		x.scrolled++
	}
}

func (x *terminal) picture() string { return strings.Join(x.rows, "\n") + "\n" }

func parse(t *testing.T, files map[string][]byte) *sim.Scenario {
	t.Helper()
	s, err := sim.Parse("test", files)
	require.NoError(t, err)
	return s
}

// story returns the scenario of a seed.
func story(t *testing.T, seed uint64) (string, *sim.Scenario) {
	title, files := Story(seed)
	return title, parse(t, files)
}

// The pictures at the height of the drama and at the end, on terminals of
// several sizes.
func TestPictures(t *testing.T) {
	for _, size := range []struct{ width, height int }{{60, 20}, {80, 24}, {140, 40}} {
		name := fmt.Sprintf("%dx%d", size.width, size.height)
		t.Run(name, func(t *testing.T) {
			x := newTerminal(t, size.width, size.height)
			title, s := story(t, 1)
			dramatic := ""
			require.NoError(t, Run(Config{
				Title: title, Scenario: s, Out: x, Width: size.width, Height: size.height,
				Sleep: func(time.Duration) {
					require.Zero(t, x.scrolled, "a picture is no higher than the terminal")
					if strings.Contains(x.picture(), "not proven yet") && dramatic == "" {
						dramatic = x.picture()
					}
				},
			}))
			golden.Golden(t, filepath.Join("testdata", name+".golden"), []byte(dramatic+"\n==== at the end\n"+x.picture()))
			require.NotContains(t, x.everything.String(), ansiRed, "no colour was asked for")
		})
	}
}

// The last picture to the byte, colours included.
func TestLastPictureInColour(t *testing.T) {
	x := newTerminal(t, 80, 24)
	title, s := story(t, 1)
	require.NoError(t, Run(Config{
		Title: title, Scenario: s, Out: x, Width: 80, Height: 24, Colour: true, Sleep: func(time.Duration) {},
	}))
	all := x.everything.String()
	last := all[strings.LastIndex(all, ansiHome):]
	golden.Golden(t, "testdata/colour.golden", []byte(strings.ReplaceAll(last, "\x1b", "<ESC>")))
	require.True(t, strings.HasSuffix(strings.TrimRight(all, "\n"), "returned"), "the terminal is left in no colour")
}

// A round in which something happens is shown for longer, and all rounds
// together not for ever.
func TestPauses(t *testing.T) {
	var short, long int
	var sum time.Duration
	count := func(d time.Duration) {
		sum += d
		if d == quietPause {
			short++
		} else {
			long++
		}
	}
	title, s := story(t, 1)
	require.NoError(t, Run(Config{Title: title, Scenario: s, Out: newTerminal(t, 80, 24), Width: 80, Height: 24, Sleep: count}))
	require.Greater(t, long, 8)
	require.Greater(t, short, 25)
	require.Less(t, sum, 15*time.Second)

	sum = 0
	long9000 := parse(t, map[string][]byte{"cmdlist": []byte(`[["power node1 on"], ["delay 9000"]]`)})
	require.NoError(t, Run(Config{Scenario: long9000, Out: newTerminal(t, 80, 24), Width: 80, Height: 24, Sleep: count}))
	require.GreaterOrEqual(t, sum, maxPauses)
	require.Less(t, sum, maxPauses+busyPause)
}

// Without a terminal there are plain lines and no pauses.
func TestPlainOutput(t *testing.T) {
	var out strings.Builder
	title, s := story(t, 1)
	require.NoError(t, Run(Config{Title: title, Scenario: s, Out: &out}))
	require.NotContains(t, out.String(), "\x1b")
	require.True(t, strings.HasPrefix(out.String(), title+"\ninfo     20      cmdlist: execute power node1 on\n"))
}

func TestSimulationThatFails(t *testing.T) {
	s := parse(t, map[string][]byte{"cmdlist": []byte(`[["service vm:101 manual-migrate node2"]]`)})
	for _, width := range []int{0, 80} {
		var out strings.Builder
		require.ErrorContains(t, Run(Config{Scenario: s, Out: &out, Width: width, Height: 24, Sleep: func(time.Duration) {}}), "manual-migrate")
	}
	nodes := make([]string, 0, 40)
	for i := range cap(nodes) {
		nodes = append(nodes, fmt.Sprintf(`"n%d": {"power": "off", "network": "off"}`, i))
	}
	s = parse(t, map[string][]byte{
		"cmdlist": []byte("[]"), "service_config": []byte("{}"),
		"hardware_status": []byte("{" + strings.Join(nodes, ",") + "}"),
	})
	require.ErrorContains(t, Run(Config{Scenario: s, Out: &strings.Builder{}}), "unable to simulate 40 nodes")
}

// A cluster that is too big for the terminal is cut, and says so.
func TestBigCluster(t *testing.T) {
	guests := make([]string, 0, 30)
	for i := range cap(guests) {
		guests = append(guests, fmt.Sprintf(`"vm:%d": {"node": "node1"}`, 100+i))
	}
	s := parse(t, map[string][]byte{
		"cmdlist":        []byte(`[["power node1 on", "power node2 on"]]`),
		"service_config": []byte("{" + strings.Join(guests, ",") + "}"),
	})
	for _, size := range []struct{ width, height int }{{40, 12}, {80, 24}, {200, 24}, {30, 8}} {
		x := newTerminal(t, size.width, size.height)
		more := 0
		require.NoError(t, Run(Config{
			Scenario: s, Out: &frameWriter{x}, Width: size.width, Height: size.height,
			Sleep: func(time.Duration) {
				require.Zero(t, x.scrolled)
				if strings.Contains(x.picture(), "… and ") {
					more++
				}
			},
		}))
		require.Positive(t, more, size)
	}
}

func TestTinyTerminalGetsPlainLines(t *testing.T) {
	for _, size := range []struct{ width, height int }{{29, 40}, {200, 7}, {1, 1}} {
		var out strings.Builder
		title, s := story(t, 1)
		require.NoError(t, Run(Config{Title: title, Scenario: s, Out: &out, Width: size.width, Height: size.height}))
		require.NotContains(t, out.String(), "\x1b")
	}
}

// frameWriter passes on pictures only: what comes behind them may be wider than
// a small terminal.
type frameWriter struct{ x *terminal }

func (w *frameWriter) Write(p []byte) (int, error) {
	if strings.HasPrefix(string(p), "\x1b") {
		return w.x.Write(p)
	}
	return len(p), nil
}

func TestColours(t *testing.T) {
	v := sim.View{
		Master: "node1",
		Nodes: []sim.NodeView{
			{Name: "well", Power: true, Network: true, State: ha.NodeOnline, CRM: ha.CRMMaster, LRM: ha.LRMActive},
			{Name: "away", Power: true, State: ha.NodeOnline},
			{Name: "off", State: ha.NodeOnline},
			{Name: "fenced", Power: true, Network: true, State: ha.NodeFence, LRM: ha.LRMWaitForAgentLock},
		},
		Guests: []sim.GuestView{
			{SID: "vm:1", Wanted: ha.RequestStarted, State: ha.Started, Node: "a", Runs: []string{"a"}},
			{SID: "vm:2", Wanted: ha.RequestStarted, State: ha.Fence, Node: "a"},
			{SID: "vm:3", Wanted: ha.RequestStopped, State: ha.Stopped, Node: "a"},
			{SID: "vm:4", Wanted: ha.RequestStarted, State: ha.Migrate, Node: "a", Target: "b", Runs: []string{"a"}},
			{SID: "vm:5", Wanted: ha.RequestStarted, State: ha.Started, Node: "a", Runs: []string{"a", "b"}},
			{SID: "vm:6", Wanted: ha.RequestIgnored, Node: "a"},
		},
	}
	want := map[string]string{
		"well": ansiGreen, "away": ansiRed, "off": ansiRed, "fenced": ansiAmber,
		"vm:1": ansiGreen, "vm:2": ansiRed, "vm:3": ansiGreen, "vm:4": ansiAmber, "vm:5": ansiRed, "vm:6": ansiGreen,
	}
	seen := 0
	for _, r := range (&screen{}).table(v, "") {
		if name, _, _ := strings.Cut(r.text, " "); want[name] != "" {
			require.Equal(t, want[name], r.colour, r.text)
			seen++
		}
	}
	require.Len(t, want, seen)
}

func TestWrapAndCut(t *testing.T) {
	require.Equal(t, []row{{"c", "  123 node1/crm: service"}, {"c", "        'vm:1' is"}},
		wrap(row{"c", "  123 node1/crm: service 'vm:1' is"}, 25))
	require.Equal(t, []row{{"", "  123 node1/crm:aaaaaaaaa"}, {"", "        aaaa"}},
		wrap(row{"", "  123 node1/crm:aaaaaaaaaaaaa"}, 25), "without a space it is broken anywhere")
	require.Equal(t, []row{{"", "a line that fits"}}, wrap(row{"", "a line that fits"}, 16))
	require.Equal(t, []row{{"", "no room for more"}}, wrap(row{"", "no room for more"}, 10))
	require.Equal(t, "ab…", cut("abcd", 3))
	require.Equal(t, "äöü", cut("äöü", 3))
	require.Equal(t, "…", cut("äöü", 1))
}
