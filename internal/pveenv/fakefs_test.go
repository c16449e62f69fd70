package pveenv

import (
	"context"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/pmxcfsio"
	"pveha/pmxcfsio/ipcc"
)

// fakeIPC answers what it is given. What it has not is missing.
type fakeIPC struct {
	mu         sync.Mutex
	members    string
	guests     string
	usage      string
	properties string
	kv         map[string]string // by node and name
	files      map[string]string
	asked      map[string]int
	fail       map[string]syscall.Errno // by request
}

func (f *fakeIPC) answer(request, text string, ok bool) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.asked == nil {
		f.asked = map[string]int{}
	}
	f.asked[request]++
	if errno := f.fail[request]; errno != 0 {
		return nil, &ipcc.RequestError{Request: request, Errno: errno}
	}
	if !ok {
		return nil, &ipcc.RequestError{Request: request, Errno: syscall.ENOENT}
	}
	return []byte(text), nil
}

func (f *fakeIPC) Versions(context.Context) ([]byte, error) {
	return f.answer("versions", `{"starttime":1,"clinfo":1,"vmlist":1}`, true)
}

func (f *fakeIPC) ClusterInfo(context.Context) ([]byte, error) {
	return f.answer("members", f.members, true)
}

func (f *fakeIPC) GuestList(context.Context) ([]byte, error) {
	return f.answer("guests", f.guests, true)
}
func (f *fakeIPC) Usage(context.Context) ([]byte, error) { return f.answer("usage", f.usage, true) }
func (f *fakeIPC) GuestProperties(context.Context, uint32, []string) ([]byte, error) {
	return f.answer("properties", f.properties, true)
}

func (f *fakeIPC) Status(_ context.Context, node, name string) ([]byte, error) {
	text, ok := f.kv[node+"/"+name]
	return f.answer("status", text, ok)
}

func (f *fakeIPC) ReadFile(_ context.Context, path string) ([]byte, error) {
	text, ok := f.files[path]
	return f.answer("file "+path, text, ok)
}

// noMount is a mount that does not answer.
type noMount struct{ pmxcfsio.Mount }

func (noMount) Lstat(string) (pmxcfsio.Info, error) { return pmxcfsio.Info{}, syscall.ENOTCONN }
func (noMount) ReadFile(string) ([]byte, error)     { return nil, syscall.ENOTCONN }
func (noMount) ReadDir(string) ([]string, error)    { return nil, syscall.ENOTCONN }
func (noMount) Create(string, []byte) error         { return syscall.ENOTCONN }
func (noMount) Rename(string, string) error         { return syscall.ENOTCONN }
func (noMount) Unlink(string) error                 { return syscall.ENOTCONN }
func (noMount) Mkdir(string) error                  { return syscall.ENOTCONN }
func (noMount) Rmdir(string) error                  { return syscall.ENOTCONN }
func (noMount) Utime(string, int64) error           { return syscall.ENOTCONN }

// tickClock stands still but for what is slept.
type tickClock struct {
	mu  sync.Mutex
	now time.Duration
}

func (c *tickClock) Now() time.Time { return epoch.Add(c.Boot()) }

func (c *tickClock) Boot() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *tickClock) Sleep(_ context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now += d
	return nil
}

// answering returns environments on a cluster file system that answers over
// IPC alone.
func answering(t testing.TB, ipc *fakeIPC) (*CRM, *LRM, *tickClock, *recorder) {
	t.Helper()
	clock, lines := &tickClock{now: time.Hour}, &recorder{}
	fs, err := pmxcfsio.New(pmxcfsio.Config{Root: "/etc/pve", Mount: noMount{}, IPC: ipc, Clock: clock, Journal: "/nowhere"})
	require.NoError(t, err)
	cfg := Config{Node: "node1", Files: fs, Log: lines.log, Clock: clock, StateDir: t.TempDir(), WatchdogSocket: "/nowhere/mux"}
	c, err := NewCRM(CRMConfig{Config: cfg})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	l, err := NewLRM(LRMConfig{Config: cfg, SystemBus: "unix:path=/nowhere/bus"})
	require.NoError(t, err)
	t.Cleanup(l.Close)
	return c, l, clock, lines
}

const threeMembers = `{"nodename":"node1","version":3,"cluster":{"name":"lab","version":3,"nodes":3,"quorate":1},"nodelist":{
"node1":{"id":1,"online":1,"ip":"10.0.0.1"},"node2":{"id":2,"online":0},"node3":{"id":3,"online":1}}}`

// guestList makes a guest list of entries "ID TYPE NODE".
func guestList(entries ...string) string {
	var parts []string
	for _, e := range entries {
		f := strings.Fields(e)
		parts = append(parts, `"`+f[0]+`":{"node":"`+f[2]+`","type":"`+f[1]+`","version":1}`)
	}
	return `{"version":7,"ids":{` + strings.Join(parts, ",") + `}}`
}
