package playground

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/compat/scenarios"
	"pveha/compat/sim"
	"pveha/internal/corpus"
)

// wall is a real time that tests move by hand.
type wall struct{ t time.Time }

func (w *wall) now() time.Time { return w.t }

// lab is a session whose time is moved by hand.
type lab struct {
	*Session
	t    *testing.T
	dir  string
	wall *wall
}

func openLab(t *testing.T, dir string) *lab {
	t.Helper()
	s, err := Open(dir)
	require.NoError(t, err)
	l := &lab{Session: s, t: t, dir: dir, wall: &wall{time.Unix(1000, 0)}}
	s.now, s.since = l.wall.now, l.wall.t
	t.Cleanup(func() { _ = s.Close() })
	return l
}

// wait lets real time pass, in steps as Run would take them.
func (l *lab) wait(d time.Duration) {
	l.t.Helper()
	end := l.wall.t.Add(d)
	for l.wall.t.Before(end) {
		l.mu.Lock()
		next := min(l.pass(), end.Sub(l.wall.t))
		l.mu.Unlock()
		l.wall.t = l.wall.t.Add(max(next, time.Microsecond))
	}
	l.mu.Lock()
	l.pass()
	l.mu.Unlock()
}

func (l *lab) do(commands ...string) {
	l.t.Helper()
	require.NoError(l.t, l.Do(commands))
}

// shown is the state as a page that just came has it.
func (l *lab) shown() string {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.play.history.now.whole()
	f.Log, f.Marks = nil, nil
	data, err := json.MarshalIndent(f, "", " ")
	require.NoError(l.t, err)
	return string(data)
}

// checkRecording plays the session's recording with the tester's own code.
func (l *lab) checkRecording() {
	l.t.Helper()
	data, err := l.Recording()
	require.NoError(l.t, err)
	path := filepath.Join(l.t.TempDir(), "recording.txtar")
	require.NoError(l.t, os.WriteFile(path, data, 0o644))
	var report bytes.Buffer
	passed, failed, err := scenarios.Check([]string{path}, &report, sim.Options{})
	require.NoError(l.t, err)
	require.Equal(l.t, []int{1, 0}, []int{passed, failed}, report.String())

	// Our reader of archives and the tester's agree.
	ours, err := ParseArchive(data)
	require.NoError(l.t, err)
	c, err := corpus.Load(path)
	require.NoError(l.t, err)
	require.Equal(l.t, c.Files, map[string][]byte(ours))
}

func TestFreshClusterComesUp(t *testing.T) {
	l := openLab(t, t.TempDir())
	require.Equal(t, Clock{Speed: 10}, l.clock)
	l.wait(30 * time.Second)
	require.InDelta(t, 300, l.clock.Time, 1e-3)
	h := l.play.history.now
	require.Len(t, h.nodes, 3)
	require.Len(t, h.guests, 6)
	for sid, g := range h.guests {
		require.Len(t, g.Runs, 1, sid)
	}
	require.Equal(t, "node1", h.last.State.Master)
	l.checkRecording()
}

// A command takes effect at once, whatever the time.
func TestCommandsCutTheRound(t *testing.T) {
	l := openLab(t, t.TempDir())
	l.wait(30*time.Second + 50*time.Millisecond)
	l.do("network node3 off")
	require.False(t, l.play.history.now.nodes["node3"].Network)
	require.Equal(t, "unknown", string(l.play.history.now.nodes["node3"].State), "the master has looked, too")
	last := l.play.actions[len(l.play.actions)-1]
	require.EqualValues(t, []string{"network node3 off"}, last.Commands)
	require.InDelta(t, 306, float64(last.At), 1, "the daemons had their turns until then")
	l.checkRecording()
	l.wait(60 * time.Second)
	require.False(t, l.play.history.now.nodes["node3"].Power, "its watchdog has reset it")
	for sid, g := range l.play.history.now.guests {
		require.NotEqual(t, "node3", g.Node, sid)
		require.Len(t, g.Runs, 1, sid)
	}
	l.checkRecording()
}

func TestPausedCommandsWaitForTheNextRound(t *testing.T) {
	l := openLab(t, t.TempDir())
	l.wait(30 * time.Second)
	paused, goes := true, false
	require.NoError(t, l.Set(&paused, nil))
	before := l.clock.Time
	l.wait(time.Hour)
	require.Equal(t, before, l.clock.Time)
	l.do("service vm:101 stopped")
	l.do("service vm:102 stopped", "crm node1 enable-node-maintenance")
	require.Equal(t, "started", string(l.play.history.now.guests["vm:101"].State))
	require.Equal(t, "stopped", string(l.play.history.now.guests["vm:101"].Wanted))
	l.checkRecording()
	require.NoError(t, l.Step(1))
	require.Equal(t, "request_stop", string(l.play.history.now.guests["vm:101"].State))
	require.NoError(t, l.Set(&goes, nil))
	l.wait(30 * time.Second)
	require.Equal(t, "maintenance", string(l.play.history.now.nodes["node1"].State))
	l.checkRecording()
}

// A session that is too long says so, and can be gone back in.
func TestSessionsEnd(t *testing.T) {
	l := openLab(t, t.TempDir())
	require.EqualValues(t, 7*24*60*60, l.play.limit)
	l.play.limit = 4000
	require.NoError(t, l.Step(maxSteps))
	require.Contains(t, l.clock.Over, "a session holds one week")
	require.ErrorContains(t, l.Step(1), "one week")
	goes := false
	require.ErrorContains(t, l.Set(&goes, nil), "one week")
	require.NoError(t, l.Back(50))
	require.Empty(t, l.clock.Over)
	require.NoError(t, l.Step(1))
}

// The history of a long session is cut; what is left still adds up.
func TestHistoryIsBounded(t *testing.T) {
	files, err := Fresh(20, 1000)
	require.NoError(t, err)
	p, err := newPlay(files)
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(3, 3))
	for range 100 {
		p.next()
		for sid, g := range p.history.now.guests { // as if all was different
			g.CPU = rng.Float64()
			p.history.now.guests[sid] = g
		}
		p.history.add(p.frame())
	}
	require.LessOrEqual(t, p.history.size, maxHistory)
	require.Less(t, len(p.history.frames), 100)
	require.Equal(t, p.rounds, p.history.now.last.Round)
	require.Equal(t, p.history.frames[0].Round, p.history.base.last.Round+1)
}

// What a session shows is the same when it was closed, or died, and opened
// again: after every change.
func TestSessionsComeBack(t *testing.T) {
	dir := t.TempDir()
	l := openLab(t, dir)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 25 {
		_ = l.Do([]string{randomCommand(rng)}) // what cannot be done is refused
		l.wait(time.Duration(rng.IntN(8000)) * time.Millisecond)
		if i%5 == 0 {
			require.NoError(t, l.Step(1+rng.IntN(3)))
			goes := false
			require.NoError(t, l.Set(&goes, nil))
		}
		want, clock := l.shown(), l.clock
		die(t, l)
		l = openLab(t, dir)
		require.Equal(t, want, l.shown())
		require.Equal(t, clock.Speed, l.clock.Speed)
		require.True(t, l.clock.Paused)
		goes := false
		require.NoError(t, l.Set(&goes, nil))
	}
	l.checkRecording()
}

// die lets go of the folder as the end of the process would: nothing is saved.
func die(t *testing.T, l *lab) {
	t.Helper()
	require.NoError(t, l.store.Close())
}

func randomCommand(rng *rand.Rand) string {
	node := fmt.Sprintf("node%d", 1+rng.IntN(3))
	sid := []string{"vm:101", "vm:102", "ct:103", "vm:104", "vm:105", "ct:106", "vm:200"}[rng.IntN(7)]
	switch rng.IntN(14) {
	case 0:
		return "power " + node + " off"
	case 1, 2:
		return "power " + node + " on"
	case 3:
		return "network " + node + " off"
	case 4:
		return "network " + node + " on"
	case 5:
		return []string{"reboot ", "shutdown ", "restart-lrm "}[rng.IntN(3)] + node
	case 6:
		return "service " + sid + " " + []string{"started", "stopped", "disabled", "ignored"}[rng.IntN(4)]
	case 7, 8:
		return "service " + sid + " " + []string{"migrate ", "relocate "}[rng.IntN(2)] + node
	case 9:
		return "service vm:200 " + []string{"add " + node, "delete"}[rng.IntN(2)]
	case 10:
		return "crm " + node + " " + []string{"enable-node-maintenance", "disable-node-maintenance", "disarm-ha freeze", "arm-ha"}[rng.IntN(4)]
	case 11:
		return "service " + sid + " fail start 2"
	case 12:
		return []string{
			"rule add resource-affinity apart affinity=negative resources=vm:101,vm:102", "rule delete apart",
			"rule add node-affinity home nodes=node1:2,node2 resources=vm:104,vm:105", "rule set home strict=1",
		}[rng.IntN(4)]
	}
	return "cfs " + node + " " + []string{"rw work", "rw fail", "update work", "update fail"}[rng.IntN(4)]
}

// Whatever is done at whatever time, the recording repeats it, and the frames
// put together are the state.
func TestRandomSessionsRepeat(t *testing.T) {
	for seed := range uint64(30) {
		files, err := Fresh(3, 6)
		require.NoError(t, err)
		p, err := newPlay(files)
		require.NoError(t, err)
		rng := rand.New(rand.NewPCG(seed, 7))
		for range 60 {
			for range rng.IntN(3) {
				commands, err := parseCommands([]string{randomCommand(rng)})
				require.NoError(t, err)
				at := p.cluster.Now()
				if p.open {
					at += (p.cluster.RoundEnd() - at) / 2
				}
				_, _ = p.execute(at, commands)
				p.history.add(p.frame())
			}
			p.next()
			p.history.add(p.frame())
			require.Empty(t, p.halted, "seed %d", seed)
		}
		_, err = p.recording(p.cluster.RoundEnd())
		require.NoError(t, err, "seed %d", seed)

		rebuilt := p.history.base
		for _, f := range p.history.frames {
			rebuilt.apply(f)
		}
		rebuilt.last.Log, rebuilt.last.Marks = nil, nil
		full := p.frame()
		full.Log, full.Marks = nil, nil
		require.JSONEq(t, string(encodeFrame(full)), string(encodeFrame(rebuilt.whole())), "seed %d", seed)
	}
}
