package golden

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// recorder stands in for a test and notes how it ended.
type recorder struct {
	testing.TB
	errors, fatal, skipped []string
}

func (r *recorder) Helper()           {}
func (r *recorder) Error(args ...any) { r.errors = append(r.errors, fmt.Sprint(args...)) }
func (r *recorder) Fatal(args ...any) { r.fatal = append(r.fatal, fmt.Sprint(args...)) }
func (r *recorder) Skip(args ...any)  { r.skipped = append(r.skipped, fmt.Sprint(args...)) }
func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func TestGoldenFailsOnDifference(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	require.NoError(t, os.WriteFile(path, []byte("one\ntwo\n"), 0o644))

	r := &recorder{}
	Golden(r, path, []byte("one\ntwo\n"))
	require.Empty(t, r.errors)

	Golden(r, path, []byte("one\n2\n"))
	require.Len(t, r.errors, 1)
	require.Contains(t, r.errors[0], "-two\n+2\n")
	require.Contains(t, r.errors[0], path)
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	require.ErrorContains(t, check(dir+"/new/log", []byte("a\n"), false), "is missing; run the test with -update")
	require.NoFileExists(t, dir+"/new/log")

	require.NoError(t, check(dir+"/new/log", []byte("a\n"), true))
	require.NoError(t, check(dir+"/new/log", []byte("a\n"), false))

	require.ErrorContains(t, check(dir+"/new/log", []byte("b\n"), false), "-a\n+b\n")
	require.NoError(t, check(dir+"/new/log", []byte("b\n"), true))
	require.NoError(t, check(dir+"/new/log", []byte("b\n"), false))

	require.ErrorContains(t, check(dir+"/new", nil, false), "cannot read golden file")
	require.ErrorContains(t, check(dir+"/new", nil, true), "cannot write golden file")
	require.ErrorContains(t, check(dir+"/new/log/below", nil, true), "cannot write golden file")
}

func TestEqualShowsDifference(t *testing.T) {
	r := &recorder{}
	Equal(r, "status", []byte("a\n"), []byte("a\n"))
	require.Empty(t, r.errors)

	Equal(r, "status", []byte("a\n"), []byte("b\n"))
	require.Len(t, r.errors, 1)
	require.Contains(t, r.errors[0], "-a\n+b\n")
}

func TestCasesEndsTestWithoutScenario(t *testing.T) {
	r := &recorder{}
	dir := t.TempDir()
	require.Empty(t, Cases(r, dir))
	require.Len(t, r.fatal, 1)

	require.NoError(t, os.WriteFile(dir+"/cmdlist", nil, 0o644))
	require.Len(t, Cases(r, dir), 1)
	require.Len(t, r.fatal, 1)
}
