package hactl

import (
	"bytes"
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/internal/golden"
)

// steps is an output that makes the next thing happen whenever something was
// written to it.
type steps struct {
	bytes.Buffer
	next []func()
}

func (s *steps) Write(p []byte) (int, error) {
	n, err := s.Buffer.Write(p)
	if len(s.next) > 0 {
		step := s.next[0]
		s.next = s.next[1:]
		step()
	}
	return n, err
}

// feed makes a cluster tell about changes.
func (m *Memory) feed() chan<- struct{} {
	changes := make(chan struct{}, 10)
	m.ChangeFeed = changes
	return changes
}

func TestWatchWithoutATerminalPrintsWhatChanges(t *testing.T) {
	m := lab()
	changes := m.feed()
	ctx, cancel := context.WithCancel(context.Background())
	out := &steps{}
	lines := 0
	out.next = nil
	watch := func(step func()) { out.next = append(out.next, step) }
	for range 8 { // one write for each line of the first status
		watch(func() { lines++ })
	}
	watch(func() {
		m.Time = m.Time.Add(10 * time.Second)
		m.Files["ha/manager_status"] = managerJSON(m.Time, vm100Moving)
		changes <- struct{}{}
	})
	watch(func() { // the change was told
		m.Time = m.Time.Add(10 * time.Second)
		m.Files["ha/manager_status"] = managerJSON(m.Time, vm100Moving)
		changes <- struct{}{}
		m.Files["ha/manager_status"] = "{"
	})
	watch(cancel)
	a := m.callIn(ctx, Stdio{Out: out}, "status", "--watch")
	require.Equal(t, answer{}, a)
	require.Equal(t, 8, lines)
	text := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Equal(t, "2026-11-21 21:29:09 quorum OK", text[0])
	require.Equal(t, "2026-11-21 21:29:09 master node1 (active)", text[1])
	require.Contains(t, text, "2026-11-21 21:29:19 service vm:100 (node1, migrate)")
	require.Contains(t, text[len(text)-1], `2026-11-21 21:29:29 error '"' expected`, "a broken status is a line like any other")
	require.Len(t, text, 11, "what did not change is not told again, times aside:\n%s", out.String())
}

// screenOf is a terminal in a test.
type screenOf struct {
	columns, rows int
	keys          chan byte
	released      *bool
}

func (s screenOf) Size() (columns, rows int) { return s.columns, s.rows }

func (s screenOf) Keys() (<-chan byte, func(), error) {
	return s.keys, func() { *s.released = true }, nil
}

func TestWatchOnATerminalDrawsATable(t *testing.T) {
	for name, key := range map[string]byte{"q": 'q', "^C": 3} {
		t.Run(name, func(t *testing.T) {
			m := lab()
			changes := m.feed()
			keys, released := make(chan byte, 2), false
			out := &steps{}
			out.next = []func(){
				func() {}, // the screen is entered
				func() {
					m.Files["ha/manager_status"] = managerJSON(m.Time, vm100Moving)
					changes <- struct{}{}
				},
				func() { keys <- 'x'; keys <- key },
			}
			stdio := Stdio{Out: out, Terminal: screenOf{70, 30, keys, &released}}
			require.Equal(t, answer{}, m.callIn(context.Background(), stdio, "status", "--watch"))
			require.True(t, released, "the terminal is given back")
			text := out.String()
			require.True(t, strings.HasPrefix(text, screenEnter))
			require.True(t, strings.HasSuffix(text, screenLeave))
			screens := strings.Split(text, screenHome)
			require.Len(t, screens, 4, "drawn at the start, at the change and at the key that means nothing")
			require.Contains(t, screens[1], "vm:100  node1 started "+screenEOL)
			require.Contains(t, screens[2], "vm:100  node1 migrate node2"+screenEOL)
			require.Contains(t, screens[2], "| node1 | online |")
			for _, line := range strings.Split(screens[2], "\r\n") {
				require.LessOrEqual(t, len(strings.TrimSuffix(line, "\x1b[K")), 70+1)
			}
		})
	}
}

func TestScreenFitsTheTerminal(t *testing.T) {
	m := lab()
	keys, released := make(chan byte, 1), false
	keys <- 'q'
	var out bytes.Buffer
	m.callIn(context.Background(), Stdio{Out: &out, Terminal: screenOf{40, 10, keys, &released}}, "status", "--watch")
	require.Contains(t, out.String(), "master: node1 (active, Sat Nov 21 21:29:"+screenEOL, "cut at the edge")
	require.Equal(t, 9, strings.Count(out.String(), "\r\n"))
	require.Contains(t, out.String(), "more lines")
}

func TestStatusJSON(t *testing.T) {
	m := lab()
	m.Files["datacenter.cfg"] = "crs: ha=static\n"
	m.Files["ha/crm_commands"] = "stop vm:101 0\narm-ha\n"
	m.Files["ha/resources.cfg"] = "vm: 100\n\tcomment web\n\tfailback 0\n\tmax_restart 3\n\nvm: 101\n\tstate disabled\n\nvm: 999\n\n"
	m.Files["ha/manager_status"] = strings.Replace(managerJSON(testTime,
		`"vm:100":{"node":"node1","state":"migrate","target":"node2","uid":"a","failed_nodes":["node3"],"maintenance_node":"node1"},"ct:200":{"node":"node3","state":"started","running":1,"uid":"b"}`),
		`"service_status"`, `"node_request":{"node2":{"maintenance":1}},"service_status"`, 1)
	m.Files["nodes/node1/lrm_status"] = `{"mode":"active","state":"active","timestamp":1795296549,"results":{}}`
	m.Files["nodes/node2/lrm_status"] = `{"mode":"maintenance","state":"maintenance","timestamp":1795296548,"results":{}}`
	a := m.call("status", "--json")
	require.Zero(t, a.exit)
	require.Equal(t, "unable to read file '/etc/pve/nodes/node3/lrm_status'\n", a.stderr)
	golden.Golden(t, "testdata/status.json", []byte(a.stdout))

	var report StatusReport
	require.NoError(t, json.Unmarshal([]byte(a.stdout), &report))
	require.Equal(t, StatusVersion, report.Version)

	empty := &Memory{NodeName: "node1", Time: testTime}
	a = empty.call("status", "--json")
	require.Zero(t, a.exit, a.stderr)
	require.Contains(t, a.stdout, `"master": null`)
	require.Contains(t, a.stdout, `"services": []`, "lists are never null")
}

func TestStatusShowsOneThingAtATime(t *testing.T) {
	for _, args := range [][]string{{"--json", "--watch"}, {"--verbose", "--json"}, {"--watch", "--verbose"}} {
		a := lab().call(append([]string{"status"}, args...)...)
		require.Equal(t, exitFailed, a.exit)
		require.Equal(t, "400 only one of --verbose, --json and --watch is possible\nha-manager status  [OPTIONS]\n", a.stderr)
	}
}

// Every key that "status --json" prints is described, and no other.
func TestStatusKeysAreDescribed(t *testing.T) {
	var keys []string
	var collect func(prefix string, typ reflect.Type)
	collect = func(prefix string, typ reflect.Type) {
		for typ.Kind() == reflect.Slice || typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct {
			return
		}
		for i := range typ.NumField() {
			key, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			keys = append(keys, prefix+key)
			collect(prefix+key+".", typ.Field(i).Type)
		}
	}
	collect("", reflect.TypeFor[StatusReport]())
	var described []string
	for _, k := range statusKeys {
		described = append(described, k.key)
	}
	require.Equal(t, keys, described)
}
