package handover

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
	"pveha/pmxcfsio"
)

// world is a node whose dpkg-divert and systemctl are simulated on a real
// folder, and can be made to fail, or the whole run to be killed, at any call.
type world struct {
	t     *testing.T
	node  *Node
	out   bytes.Buffer
	now   time.Time
	calls []string

	killAt int // the call at which the run is killed; 0 for none
	failAt int // the call that fails
	after  bool

	diversions map[string]string // path: package
	active     map[string]string // unit: state
	pids       map[string]int
	started    int
	loaded     map[string]bool // unit: has systemd read a drop-in of it
	packages   map[string]string
	fails      map[string]string // command line: what it says

	files    map[string]string
	quorate  bool
	mountErr error
	members  pmxcfsio.Members
	kv       map[string]string
}

type killed struct{}

func newWorld(t *testing.T) *world {
	w := &world{
		t: t, now: time.Unix(1_700_000_000, 0), quorate: true,
		diversions: map[string]string{}, active: map[string]string{}, pids: map[string]int{}, loaded: map[string]bool{},
		packages: map[string]string{perlPackage: "installed 5.2.0"}, fails: map[string]string{},
		members: pmxcfsio.Members{Nodes: map[string]pmxcfsio.Member{"n1": {Online: true}, "n2": {Online: true}}},
		kv:      map[string]string{"n1": `{"version":"9.1.6"}` + "\x00", "n2": `{"version":"8.4.1"}` + "\x00"},
	}
	w.files = map[string]string{pmxcfsio.ResourcesFile: "vm: 100\n"}
	w.writeManager(ha.Started)
	w.node = &Node{
		Name: "n1", Root: t.TempDir(), Cluster: w, Out: &w.out, Run: w.run,
		Now: func() time.Time { return w.now }, Sleep: func(d time.Duration) { w.now = w.now.Add(d) },
	}
	for _, r := range replacements {
		w.write(r.path, "perl's "+r.path)
		w.write(r.ours, "ours")
	}
	w.write("/usr/sbin/corosync-cfgtool", "")
	w.write("/run/systemd/system/x", "")
	w.write(muxSocket, "")
	for _, name := range units {
		w.start(name)
	}
	return w
}

func (w *world) writeManager(state ha.ServiceState) {
	ms := &ha.ManagerStatus{
		MasterNode: "n2", Timestamp: ha.Epoch(w.now.Unix()), NodeStatus: map[string]ha.NodeState{"n1": ha.NodeOnline},
		ServiceStatus: map[ha.SID]*ha.ServiceStatus{"vm:100": {State: state, Node: "n1"}},
	}
	w.files[pmxcfsio.ManagerStatusFile] = string(ms.Encode())
}

func (w *world) writeLRM(mode ha.LRMMode) {
	status := &ha.LRMStatus{State: ha.LRMActive, Mode: mode, Timestamp: ha.Epoch(w.now.Unix())}
	w.files[pmxcfsio.LRMStatusFile("n1")] = string(status.Encode())
}

func (w *world) write(path, text string) {
	w.t.Helper()
	require.NoError(w.t, os.MkdirAll(filepath.Dir(w.node.at(path)), 0o755))
	require.NoError(w.t, os.WriteFile(w.node.at(path), []byte(text), 0o755))
}

func (w *world) read(path string) string {
	w.t.Helper()
	if target, err := os.Readlink(w.node.at(path)); err == nil {
		path = target
	}
	data, err := os.ReadFile(w.node.at(path))
	require.NoError(w.t, err)
	return string(data)
}

// run is one call of a program, at which things may end.
func (w *world) run(name string, args ...string) (string, error) {
	line := strings.Join(append([]string{name}, args...), " ")
	w.calls = append(w.calls, line)
	count := len(w.calls)
	if count == w.killAt && !w.after {
		panic(killed{})
	}
	if count == w.failAt {
		return "", errors.New("it was told to fail")
	}
	if text, ok := w.fails[line]; ok {
		return text, errors.New("exit status 1")
	}
	out, err := w.perform(name, args)
	if count == w.killAt {
		panic(killed{})
	}
	return out, err
}

func (w *world) perform(name string, args []string) (string, error) {
	last := args[len(args)-1]
	switch {
	case name == "dpkg-divert" && args[0] == "--listpackage":
		return w.diversions[last] + "\n", nil
	case name == "dpkg-divert" && slices.Contains(args, "--add"):
		w.diversions[last] = packageName
	case name == "dpkg-divert" && slices.Contains(args, "--remove"):
		delete(w.diversions, last)
	case name == "dpkg-query":
		if w.packages[last] == "" {
			return "", errors.New("no packages found")
		}
		return w.packages[last], nil
	case name == "dpkg":
		older := strings.HasPrefix(args[1], "4.")
		newer := strings.HasPrefix(args[1], "6.")
		if args[2] == "ge" && older || args[2] == "lt" && newer {
			return "", errors.New("exit status 1")
		}
	case name == "systemctl":
		return w.systemctl(args)
	case name == "corosync-cfgtool", name == programs+"ha-manager":
	default:
		w.t.Errorf("unexpected: %s %v", name, args)
	}
	return "", nil
}

func (w *world) systemctl(args []string) (string, error) {
	unit := args[len(args)-1]
	switch args[0] {
	case "show":
		return fmt.Sprintf("ActiveState=%s\nUnitFileState=enabled\nMainPID=%d\n", w.active[unit], w.pids[unit]), nil
	case "daemon-reload":
		for _, name := range units {
			_, path := dropIn(name)
			w.loaded[name] = w.node.there(path)
		}
	case "stop":
		w.active[unit], w.pids[unit] = "inactive", 0
	case "start":
		return "", w.start(unit)
	}
	return "", nil
}

// start is refused where systemd would wait in vain: for the readiness of a
// Perl daemon.
func (w *world) start(unit string) error {
	if w.active[unit] == "active" {
		return nil
	}
	name := strings.TrimSuffix(unit, ".service")
	exe := "/usr/bin/perl"
	if w.node.linked(programs+name, "/usr/sbin/"+name) {
		exe = programs + name
	} else if w.loaded[unit] {
		return fmt.Errorf("%s: time-out: it never said that it is ready", unit)
	}
	w.started++
	w.pids[unit] = 100 + w.started
	w.active[unit] = "active"
	proc := w.node.at(fmt.Sprintf("/proc/%d", w.pids[unit]))
	require.NoError(w.t, os.MkdirAll(proc, 0o755))
	require.NoError(w.t, os.Symlink(exe, filepath.Join(proc, "exe")))
	if unit == unitLRM {
		w.writeLRM(ha.ModeActive)
	}
	return nil
}

// reboot starts everything with the configuration as it is.
func (w *world) reboot() {
	w.t.Helper()
	_ = os.RemoveAll(w.node.at("/run/pve-ha-switch"))
	_, _ = w.systemctl([]string{"daemon-reload"})
	for _, name := range units {
		w.active[name] = "inactive"
		require.NoError(w.t, w.start(name))
	}
}

func (w *world) Mounted(context.Context) error         { return w.mountErr }
func (w *world) Quorate(context.Context) (bool, error) { return w.quorate, nil }

func (w *world) Read(_ context.Context, name string) ([]byte, error) {
	text, ok := w.files[name]
	if !ok {
		return nil, pmxcfsio.ErrAbsent
	}
	return []byte(text), nil
}

func (w *world) Members(context.Context) (pmxcfsio.Members, error) { return w.members, nil }

func (w *world) KV(_ context.Context, node, _ string) ([]byte, error) {
	text, ok := w.kv[node]
	if !ok {
		return nil, pmxcfsio.ErrAbsent
	}
	return []byte(text), nil
}

// change switches, and tells whether it was killed.
func (w *world) change(to Stack) (dead bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(killed); !ok {
				panic(r)
			}
			dead = true
		}
	}()
	w.calls = nil
	return false, w.node.Switch(context.Background(), to, true)
}

// requireWorking is what must hold whatever was broken off.
func (w *world) requireWorking(at string) {
	w.t.Helper()
	for _, r := range replacements {
		text := w.read(r.path)
		require.True(w.t, text == "ours" || text == "perl's "+r.path, "%s: %s is %q", at, r.path, text)
	}
	for _, name := range units {
		_, path := dropIn(name)
		program := strings.TrimSuffix(name, ".service")
		if w.node.there(path) {
			require.True(w.t, w.node.linked(programs+program, "/usr/sbin/"+program), "%s: %s has a drop-in for a program that is not ours", at, name)
		}
	}
}

func (w *world) requireStack(s Stack, at string) {
	w.t.Helper()
	have, err := w.node.Installed()
	require.NoError(w.t, err)
	require.Equal(w.t, s, have, at)
	for _, r := range replacements {
		want := "ours"
		if s == Perl {
			want = "perl's " + r.path
			require.NoFileExists(w.t, w.node.at(r.aside), at)
		}
		require.Equal(w.t, want, w.read(r.path), at)
	}
	for _, name := range []string{unitCRM, unitLRM} {
		require.Equal(w.t, "active", w.active[name], "%s: %s", at, name)
		ours, _ := w.node.ownProgram(unitState{pid: w.pids[name]})
		require.Equal(w.t, s == Go, ours, "%s: %s", at, name)
	}
	require.NoFileExists(w.t, w.node.at(waiting), at)
}
