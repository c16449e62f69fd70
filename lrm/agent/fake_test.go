package agent

import (
	"context"
	"io/fs"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
	"pveha/lrm"
	"pveha/pmxcfsio"
)

var (
	_ Files     = (*pmxcfsio.FS)(nil)
	_ lrm.Agent = (*Agent)(nil)
)

// memory is a cluster file system in memory.
type memory struct {
	mu     sync.Mutex
	files  map[string]string
	broken error // of every call
	writes int
	hang   chan struct{} // reads wait until it is closed
}

func (m *memory) Read(_ context.Context, name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if hang := m.hang; hang != nil {
		m.mu.Unlock()
		<-hang
		m.mu.Lock()
	}
	data, ok := m.files[name]
	switch {
	case m.broken != nil:
		return nil, m.broken
	case !ok:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return []byte(data), nil
}

func (m *memory) Exists(_ context.Context, name string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.files[name]
	return ok, m.broken
}

func (m *memory) Write(_ context.Context, name string, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.writes++
	m.files[name] = string(data)
	return m.broken
}

func (m *memory) Rename(_ context.Context, from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return m.broken
	}
	m.files[to] = m.files[from]
	delete(m.files, from)
	return nil
}

func (m *memory) set(name, data string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files[name] = data
}

// journal collects what is logged.
type journal struct {
	mu    sync.Mutex
	lines []string
	seen  chan string // gets every line, if set
}

func (j *journal) log(e ha.Entry) {
	j.mu.Lock()
	line := string(e.Level) + " " + e.Text
	j.lines = append(j.lines, line)
	seen := j.seen
	j.mu.Unlock()
	if seen != nil {
		seen <- line
	}
}

func (j *journal) text() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]string(nil), j.lines...)
}

// machine is a machine under a folder, and an agent on it.
type machine struct {
	paths Paths
	files *memory
	log   *journal
	agent *Agent
}

func newMachine(t testing.TB, change func(*Config)) *machine {
	t.Helper()
	root := t.TempDir()
	m := &machine{
		paths: Paths{
			Proc: filepath.Join(root, "proc"), Run: filepath.Join(root, "run"), Cgroup: filepath.Join(root, "cgroup"),
		},
		files: &memory{files: map[string]string{}},
		log:   &journal{},
	}
	cfg := Config{Node: "node1", Files: m.files, Paths: m.paths, Log: m.log.log}
	if change != nil {
		change(&cfg)
		m.paths = cfg.Paths.withDefaults()
	}
	m.agent = New(cfg)
	require.NotNil(t, m.agent)
	return m
}
