package sim

import (
	"errors"
	"flag"
	"fmt"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
)

var (
	firstSeed = flag.Uint64("seed", 1, "first seed of the random scenarios")
	seeds     = flag.Uint64("seeds", 1000, "number of random scenarios")
)

// Whatever happens to a cluster, no guest runs twice and none is lost. Play one
// scenario again with -run Random -seed N -seeds 1.
func TestRandomScenarios(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(1000)) // small clusters, many of them
	ended := uint64(0)
	for seed := *firstSeed; seed < *firstSeed+*seeds; seed++ {
		files := generate(seed)
		log, err := playWatched(files, Options{})
		switch {
		case errors.Is(err, errNotMounted), errors.Is(err, errWatchdogExpired):
			// A daemon could not end its round: an LRM in maintenance without
			// its files, or one that would rest when its watchdog has expired.
			// That ends the simulation. Until then all was well.
			ended++
			continue
		case err != nil:
			t.Fatalf("seed %d: %v\n%s\nlog:\n%s", seed, err, files[fileCommands], log)
		}
		again, err := playWatched(files, Options{Wire: true})
		if err != nil || again != log {
			t.Fatalf("seed %d: the log differs when the status files go through their text form (%v)\nlog:\n%s\nand then:\n%s",
				seed, err, log, again)
		}
	}
	if ended > *seeds/20 {
		t.Errorf("%d of %d scenarios came to no end", ended, *seeds)
	}
}

// playWatched plays a scenario under the eyes of a guard.
func playWatched(f folder, opts Options) (log string, err error) {
	return playWoken(f, opts, func(*Cluster) error { return nil })
}

// playWoken does so with events after each loop.
func playWoken(f folder, opts Options, events func(*Cluster) error) (log string, err error) {
	s, err := f.parse()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	g := &guard{cut: map[string]bool{}}
	opts.Log, opts.OnLine = &b, g.line
	g.Cluster, err = New(s, opts)
	if err != nil {
		return "", err
	}
	for quiet, rest := 0, 0; quiet < settled && rest < patience; {
		before := b.Len()
		_, err := g.Loop()
		if err == nil {
			err = events(g.Cluster)
		}
		g.look()
		if len(g.wrong) > 0 {
			return b.String(), errors.Join(g.wrong...)
		}
		if err != nil {
			return b.String(), err
		}
		quiet, rest = quiet+1, rest+1
		if b.Len() > before {
			quiet = 0
		}
		if g.nextStep < len(g.scenario.Steps) {
			quiet, rest = 0, 0
		}
	}
	g.lookAtTheEnd()
	return b.String(), errors.Join(g.wrong...)
}

const (
	// settled is how many rounds without a word make a cluster one that has
	// come to rest. They are longer than any delay of the daemons.
	settled = 9
	// patience is how many rounds a cluster may take for it. Some never do: a
	// guest that fails again and again is moved for ever.
	patience = 60
)

// guard watches a cluster for what must never happen.
type guard struct {
	*Cluster
	cut   map[string]bool   // nodes off the network that may still run guests
	home  map[ha.SID]string // where every guest was at the last look
	wrong []error
}

func (g *guard) complain(format string, args ...any) {
	g.wrong = append(g.wrong, fmt.Errorf("at %d: "+format, append([]any{g.now}, args...)...))
}

var (
	switched = regexp.MustCompile(`^execute (power|network) (\S+) (on|off)$`)
	proof    = regexp.MustCompile(`^fencing: acknowledged - got agent lock for node '(\S+)'$`)
)

// line follows the log, and looks at every line: a guest that moved within a
// round is seen on its way.
func (g *guard) line(l Line) {
	if g.Cluster == nil {
		return
	}
	g.look()
	if m := switched.FindStringSubmatch(l.Text); m != nil {
		// Power off is the reset that all is waiting for.
		g.cut[m[2]] = m[1] == "network" && m[3] == "off" && g.nodes[m[2]].power
	}
	if m := proof.FindStringSubmatch(l.Text); m != nil {
		if len(g.runsOn(m[1])) > 0 {
			g.complain("%s has the lock of %s, which still runs %v", l.From, m[1], g.runsOn(m[1]))
		}
		g.cut[m[1]] = false
	}
}

func (g *guard) runsOn(node string) []ha.SID {
	var all []ha.SID
	for sid, runs := range g.nodes[node].running {
		if runs {
			all = append(all, sid)
		}
	}
	return all
}

// look checks what holds at every time.
func (g *guard) look() {
	home := map[ha.SID]string{}
	for sid, guest := range g.cfs.guests {
		home[sid] = guest.Node
		if old := g.home[sid]; old != "" && old != guest.Node && g.cut[old] {
			g.complain("%s is taken from %s, which is cut off and was not seen dead", sid, old)
		}
		var on []string
		for _, name := range g.names {
			if g.nodes[name].running[sid] {
				on = append(on, name)
			}
		}
		if len(on) > 1 {
			g.complain("%s runs on %v", sid, on)
		}
	}
	g.home = home
}

// lookAtTheEnd checks what has to be so once everything is healed.
func (g *guard) lookAtTheEnd() {
	v := g.View()
	for _, n := range v.Nodes {
		if n.State != ha.NodeOnline || n.CRM != ha.CRMMaster && n.CRM != ha.CRMSlave && len(v.Guests) > 0 {
			g.complain("%s is healed, but %+v", n.Name, n)
		}
	}
	for _, guest := range v.Guests {
		switch {
		case guest.State == ha.Error, guest.Wanted == ha.RequestIgnored, guest.SID.Type() == "fa":
		case guest.Wanted == ha.RequestStarted:
			if len(guest.Runs) != 1 || guest.Runs[0] != guest.Node || guest.State != ha.Started {
				g.complain("%s is wanted, but %+v", guest.SID, guest)
			}
		default:
			if len(guest.Runs) != 0 || guest.State != ha.Stopped {
				g.complain("%s is not wanted, but %+v", guest.SID, guest)
			}
		}
	}
}

// The guard has to notice what it is there for.
func TestGuardNotices(t *testing.T) {
	for name, test := range map[string]struct {
		harm func(g *guard)
		want string
	}{
		"nothing":        {func(*guard) {}, ""},
		"a second start": {func(g *guard) { g.nodes["node3"].running["vm:101"] = true }, "vm:101 runs on [node1 node3]"},
		"a stolen guest": {func(g *guard) {
			g.line(Line{Text: "execute network node1 off"})
			g.cfs.guests["vm:101"].Node = "node2"
		}, "vm:101 is taken from node1, which is cut off and was not seen dead"},
		"a guest of a node that was reset": {func(g *guard) {
			g.line(Line{Text: "execute network node1 off"})
			g.line(Line{From: "watchdog", Text: "execute power node1 off"})
			g.cfs.guests["vm:101"].Node = "node2"
			g.nodes["node1"].running, g.nodes["node2"].running = nil, map[ha.SID]bool{"vm:101": true}
		}, ""},
		"a lock that proves nothing": {func(g *guard) {
			g.line(Line{From: "node2/crm", Text: "fencing: acknowledged - got agent lock for node 'node1'"})
		}, "node2/crm has the lock of node1, which still runs [vm:101]"},
		"a lost guest":     {func(g *guard) { g.nodes["node1"].running["vm:101"] = false }, "vm:101 is wanted, but"},
		"a guest at large": {func(g *guard) { g.nodes["node2"].running["vm:102"] = true }, "vm:102 is not wanted, but"},
		"a node away":      {func(g *guard) { g.cfs.manager.NodeStatus["node2"] = ha.NodeUnknown }, "node2 is healed, but"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newRunningLab(t, folder{fileServices: `{"vm:101": {"node": "node1", "state": "started"},
				"vm:102": {"node": "node2", "state": "stopped"}}`})
			g := &guard{Cluster: l.Cluster, cut: map[string]bool{}}
			g.look()
			test.harm(g)
			g.look()
			g.lookAtTheEnd()
			if test.want == "" {
				require.Empty(t, g.wrong)
			} else {
				require.ErrorContains(t, errors.Join(g.wrong...), test.want)
			}
		})
	}
}
