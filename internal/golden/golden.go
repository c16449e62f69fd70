package golden

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"pveha/internal/corpus"
)

var update = flag.Bool("update", false, "write golden files anew instead of comparing with them")

// Updating tells whether the tests run with -update.
func Updating() bool { return *update }

// Golden fails the test when got differs from the file at path, and shows how.
// With -update it writes the file instead.
func Golden(t testing.TB, path string, got []byte) {
	t.Helper()
	if err := check(path, got, Updating()); err != nil {
		t.Error(err)
	}
}

// Equal fails the test when got differs from want, and shows how.
func Equal(t testing.TB, name string, want, got []byte) {
	t.Helper()
	if d := corpus.Diff(name+" (want)", name+" (got)", want, got); d != "" {
		t.Errorf("%s is not as expected:\n%s", name, d)
	}
}

// Cases loads every scenario in the given places, as corpus.Walk does, and ends
// the test when there is none.
func Cases(t testing.TB, paths ...string) []corpus.Case {
	t.Helper()
	cases, err := corpus.Walk(paths...)
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

// check compares got with the golden file at path, or writes it.
func check(path string, got []byte, update bool) error {
	want, err := os.ReadFile(path)
	switch {
	case err == nil && bytes.Equal(want, got):
		return nil
	case update:
		return write(path, got)
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("golden file %s is missing; run the test with -update to write it", path)
	case err != nil:
		return fmt.Errorf("cannot read golden file: %w", err)
	}
	return fmt.Errorf("%s is out of date; if the change is meant, run the test with -update and review it:\n%s",
		path, corpus.Diff(path, "got", want, got))
}

func write(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("cannot write golden file: %w", err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		return fmt.Errorf("cannot write golden file: %w", err)
	}
	return nil
}
