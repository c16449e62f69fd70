package playground

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// desk is a server with a session that stands still.
type desk struct {
	t      *testing.T
	lab    *lab
	server *Server
	http   *httptest.Server
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	l := openLab(t, t.TempDir())
	v := NewServer(l.Session, "simulator.example.org")
	h := httptest.NewServer(v)
	t.Cleanup(h.Close)
	t.Cleanup(v.Close)
	return &desk{t, l, v, h}
}

// request is made as the page would, changed by a function.
func (d *desk) request(method, path, body string, change func(*http.Request)) (int, string) {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), method, d.http.URL+path, strings.NewReader(body))
	require.NoError(d.t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Origin", d.http.URL)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.AddCookie(&http.Cookie{Name: d.server.guard.cookie(&http.Request{Host: r.URL.Host}), Value: d.server.guard.token})
	if change != nil {
		change(r)
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	require.NoError(d.t, err)
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	require.NoError(d.t, err)
	require.Contains(d.t, answer.Header.Get("Content-Security-Policy"), "default-src 'none'")
	return answer.StatusCode, string(data)
}

func TestOnlyThePageMayCome(t *testing.T) {
	d := newDesk(t)
	for name, test := range map[string]struct {
		change func(*http.Request)
		want   int
	}{
		"the page itself":              {nil, http.StatusOK},
		"a program that has the key":   {func(r *http.Request) { r.Header.Del("Origin"); r.Header.Del("Sec-Fetch-Site") }, http.StatusOK},
		"without the key":              {func(r *http.Request) { r.Header.Del("Cookie") }, http.StatusUnauthorized},
		"with another key":             {func(r *http.Request) { r.Header.Set("Cookie", "pve-ha-simulator=guess") }, http.StatusUnauthorized},
		"a page elsewhere":             {func(r *http.Request) { r.Header.Set("Origin", "https://evil.example.org") }, http.StatusForbidden},
		"a page on another port":       {func(r *http.Request) { r.Header.Set("Origin", "http://127.0.0.1:1") }, http.StatusForbidden},
		"a page without an origin":     {func(r *http.Request) { r.Header.Set("Origin", "null") }, http.StatusForbidden},
		"what the browser calls cross": {func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, http.StatusForbidden},
		"what the browser calls near":  {func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") }, http.StatusForbidden},
		"a name pointed at us":         {func(r *http.Request) { r.Host = "evil.example.org" }, http.StatusMisdirectedRequest},
		"a name that begins like us":   {func(r *http.Request) { r.Host = "localhost.evil.example.org" }, http.StatusMisdirectedRequest},
	} {
		t.Run(name, func(t *testing.T) {
			before := d.lab.clock.Speed
			status, body := d.request("POST", "/api/clock", `{"speed": 3}`, test.change)
			require.Equal(t, test.want, status, body)
			if test.want != http.StatusOK {
				require.Equal(t, before, d.lab.clock.Speed, "and nothing happened")
			}
			d.lab.clock.Speed = defaultSpeed
		})
	}
}

func TestNames(t *testing.T) {
	g := guard{names: []string{"simulator.example.org"}}
	for _, host := range []string{
		"127.0.0.1:80", "[::1]:8080", "localhost", "LOCALHOST:1", "192.0.2.7:99", "simulator.example.org:8", "localhost.:8",
	} {
		require.True(t, g.knows(host), host)
	}
	for _, host := range []string{"", "example.org", "evil.org:80", "127.0.0.1.evil.org", "localhost.evil.org"} {
		require.False(t, g.knows(host), host)
	}
}

// The address that was printed opens the page and leaves a key for this port.
func TestTheKeyOpensThePage(t *testing.T) {
	d := newDesk(t)
	open := func(path, site, mode string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), "GET", d.http.URL+path, nil)
		require.NoError(t, err)
		r.Header.Set("Sec-Fetch-Site", site)
		r.Header.Set("Sec-Fetch-Mode", mode)
		answer, err := http.DefaultTransport.RoundTrip(r)
		require.NoError(t, err)
		answer.Body.Close()
		return answer
	}
	answer := open(d.server.Path(), "none", "navigate")
	require.Equal(t, http.StatusOK, answer.StatusCode)
	require.Len(t, answer.Cookies(), 1)
	c := answer.Cookies()[0]
	require.Regexp(t, `^pve-ha-simulator-[0-9]+$`, c.Name)
	require.True(t, c.HttpOnly)
	require.Equal(t, http.SameSiteStrictMode, c.SameSite)

	require.Equal(t, http.StatusOK, open(d.server.Path(), "cross-site", "navigate").StatusCode, "from a link in a mail")
	require.Equal(t, http.StatusForbidden, open(d.server.Path(), "cross-site", "no-cors").StatusCode)
	require.Equal(t, http.StatusUnauthorized, open("/?token=guess", "none", "navigate").StatusCode)
	require.Equal(t, http.StatusUnauthorized, open("/app.js?token="+d.server.guard.token, "none", "navigate").StatusCode)
}

func TestInputIsChecked(t *testing.T) {
	d := newDesk(t)
	for _, test := range []struct{ path, body, want string }{
		{"commands", `{"commands": ["power node9 on"]}`, "no such node 'node9'"},
		{"commands", `{"commands": []}`, "no command given"},
		{"commands", `{"commands": ["at 5"]}`, "only a scenario has times and an end"},
		{"commands", `{"commands": ["end"]}`, "only a scenario has times and an end"},
		{"commands", `{"commands": ["power node1 on\ninfo forged"]}`, "holds control characters"},
		{"commands", `{"commands": ["power node1 off", "power node9 on"]}`, "no such node 'node9'"},
		{"commands", `{"commands": ["service vm:300 add node1", "service vm:300 add node2"]}`, "already defined"},
		{"commands", `{"command": "power node1 on"}`, "unknown field"},
		{"commands", `{"commands": ["power node1 on"]} {}`, "more follows its end"},
		{"commands", `[`, "cannot be read"},
		{"clock", `{"speed": 0.5}`, "speed is 0.5, want a number from 1 to 100"},
		{"clock", `{"speed": 1000}`, "want a number from 1 to 100"},
		{"step", `{"rounds": 0}`, "a step is 1 to 1000 rounds, not 0"},
		{"back", `{"rounds": 99}`, "the session has rounds 1 to 1, not 99"},
		{"fresh", `{"nodes": 30, "guests": 1}`, "a cluster has 1 to 29 nodes here, not 30"},
		{"fresh", `{"nodes": 3, "guests": 5001}`, "a cluster has up to 5000 guests here, not 5001"},
		{"load", `{"name": "x.txtar", "archive": "no archive"}`, "x.txtar: no line '-- NAME --'"},
		{"load", `{"name": "x.txtar", "archive": "-- cmdlist --\n[["}`, "x.txtar: cmdlist:"},
		{"load", `{"name": "x.txtar", "archive": "-- ../../etc/passwd --\n"}`, "not a plain file name"},
		{"import", `{"files": {}}`, "resources.cfg is missing"},
		{"try", `{"command": "power node1 off"}`, "changes neither rules nor groups"},
		{"try", `{"command": "rule delete gone"}`, "HA rule 'gone' does not exist"},
	} {
		before := d.lab.shown()
		status, body := d.request("POST", "/api/"+test.path, test.body, nil)
		require.Equal(t, http.StatusBadRequest, status, test.body)
		var answer struct{ Error string }
		require.NoError(t, json.Unmarshal([]byte(body), &answer))
		require.Contains(t, answer.Error, test.want)
		require.Equal(t, before, d.lab.shown(), "nothing has changed after %s", test.body)
	}
	status, _ := d.request("POST", "/api/commands", `{"commands": ["`+strings.Repeat("x", maxCommands)+`"]}`, nil)
	require.Equal(t, http.StatusRequestEntityTooLarge, status)
	status, body := d.request("POST", "/api/clock", `{"speed": 3}`, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") })
	require.Equal(t, http.StatusBadRequest, status, body)
	status, _ = d.request("GET", "/api/commands", "", nil)
	require.Equal(t, http.StatusNotFound, status)
	status, _ = d.request("GET", "/../session_test.go", "", nil)
	require.NotEqual(t, http.StatusOK, status)
	status, _ = d.request("GET", "/api/explain?service=nonsense", "", nil)
	require.Equal(t, http.StatusBadRequest, status)
}

// A rule is tried without anything happening, and said why it would not do.
func TestTry(t *testing.T) {
	d := newDesk(t)
	d.lab.do("rule add resource-affinity apart affinity=negative resources=vm:101,vm:102")
	before := d.lab.shown()
	status, body := d.request("POST", "/api/try", `{"command": "rule add resource-affinity near affinity=positive resources=vm:101,vm:102"}`, nil)
	require.Equal(t, http.StatusOK, status, body)
	require.Contains(t, body, "rule shares two or more resources with a negative resource affinity rule")
	require.Contains(t, body, "Two resources cannot be kept together by this rule and apart by another.")
	require.Equal(t, before, d.lab.shown())
}

// A page that comes gets everything, then what changes.
func TestEvents(t *testing.T) {
	d := newDesk(t)
	require.NoError(t, d.lab.Step(8))
	r, err := http.NewRequestWithContext(t.Context(), "GET", d.http.URL+"/api/events", nil)
	require.NoError(t, err)
	r.AddCookie(&http.Cookie{Name: d.server.guard.cookie(&http.Request{Host: r.URL.Host}), Value: d.server.guard.token})
	answer, err := http.DefaultTransport.RoundTrip(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	in := bufio.NewReader(answer.Body)
	next := func() (name, data string) {
		for {
			line, err := in.ReadString('\n')
			require.NoError(t, err)
			line = strings.TrimSuffix(line, "\n")
			switch {
			case strings.HasPrefix(line, "event: "):
				name = line[len("event: "):]
			case strings.HasPrefix(line, "data: "):
				data = line[len("data: "):]
			case line == "" && name != "":
				return name, data
			}
		}
	}
	name, data := next()
	require.Equal(t, eventStart, name)
	var start beginning
	require.NoError(t, json.Unmarshal([]byte(data), &start))
	require.Len(t, start.Frames, 8)
	require.Len(t, start.Base.Nodes, 3)
	require.True(t, start.Clock.Paused)

	d.lab.do("network node2 off")
	name, data = next()
	require.Equal(t, eventFrame, name)
	var f struct{ Frame Frame }
	require.NoError(t, json.Unmarshal([]byte(data), &f))
	require.Len(t, f.Frame.Nodes, 1, "only what changed")
	require.False(t, f.Frame.Nodes[0].Network)
	require.Equal(t, MarkCommand, f.Frame.Marks[0].Kind)
}

// A page that does not keep up is let go, and nobody waits for it.
func TestSlowPagesAreLetGo(t *testing.T) {
	l := openLab(t, t.TempDir())
	p := l.watch()
	require.NoError(t, l.Step(maxBehind+10))
	require.Empty(t, l.pages)
	n := 0
	for range p.events {
		n++
	}
	require.Equal(t, maxBehind, n)
}
