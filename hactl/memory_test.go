package hactl

import (
	"context"
	"io/fs"
	"maps"
	"slices"
	"time"
)

// Memory is an environment in memory. The zero value
// is an empty cluster without quorum.
type Memory struct {
	Time       time.Time
	NodeName   string
	NotRoot    bool
	HasQuorum  bool
	NodeNames  []string
	GuestList  map[string]Guest
	Files      map[string]string // by name
	AccessErr  error             // what Access returns
	LockErr    error             // what Locked returns instead of running its body
	LockTries  int               // how often Locked says that it waits
	WriteErr   error
	OnSleep    func() // called by Sleep, which moves the clock
	ChangeFeed <-chan struct{}
}

// Env returns m as an environment.
func (m *Memory) Env() Env { return Env{Clock: m, Host: m, Cluster: m, Editor: m, Watcher: m} }

// Now implements Clock.
func (m *Memory) Now() time.Time { return m.Time }

// Sleep implements Clock: it moves the clock at once.
func (m *Memory) Sleep(ctx context.Context, d time.Duration) error {
	m.Time = m.Time.Add(d)
	if m.OnSleep != nil {
		m.OnSleep()
	}
	return ctx.Err()
}

// Node implements Host.
func (m *Memory) Node() string { return m.NodeName }

// IsRoot implements Host.
func (m *Memory) IsRoot() bool { return !m.NotRoot }

// Access implements Cluster.
func (m *Memory) Access(context.Context) error { return m.AccessErr }

// Read implements Cluster.
func (m *Memory) Read(_ context.Context, name string) ([]byte, error) {
	data, ok := m.Files[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return []byte(data), nil
}

// Quorate implements Cluster.
func (m *Memory) Quorate(context.Context) (bool, error) { return m.HasQuorum, nil }

// Nodes implements Cluster.
func (m *Memory) Nodes(context.Context) ([]string, error) {
	return slices.Sorted(slices.Values(m.NodeNames)), nil
}

// Guests implements Cluster.
func (m *Memory) Guests(context.Context) (map[string]Guest, error) {
	return maps.Clone(m.GuestList), nil
}

// MakeFolder implements Editor.
func (m *Memory) MakeFolder(context.Context, string) error { return m.WriteErr }

// Write implements Editor.
func (m *Memory) Write(_ context.Context, name string, data []byte) error {
	if m.WriteErr != nil {
		return m.WriteErr
	}
	if m.Files == nil {
		m.Files = map[string]string{}
	}
	m.Files[name] = string(data)
	return nil
}

// Locked implements Editor.
func (m *Memory) Locked(ctx context.Context, waiting func(string), body func(context.Context) error) error {
	for range m.LockTries {
		waiting("trying to acquire cfs lock 'domain-ha' ...")
	}
	if m.LockErr != nil {
		return m.LockErr
	}
	return body(ctx)
}

// Changes implements Watcher.
func (m *Memory) Changes(context.Context) (<-chan struct{}, error) { return m.ChangeFeed, nil }
