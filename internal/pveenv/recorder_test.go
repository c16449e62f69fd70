package pveenv

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pveha/internal/ha"
)

// recorder keeps what is logged.
type recorder struct {
	mu  sync.Mutex
	all []ha.Entry
}

func (r *recorder) log(e ha.Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, e)
}

func (r *recorder) entries() []ha.Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}

func (r *recorder) texts() []string {
	var texts []string
	for _, e := range r.entries() {
		texts = append(texts, e.Text)
	}
	return texts
}

func (r *recorder) has(part string) bool {
	return slices.ContainsFunc(r.texts(), func(text string) bool { return strings.Contains(text, part) })
}

// eventually waits for something that another goroutine or process does.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}
