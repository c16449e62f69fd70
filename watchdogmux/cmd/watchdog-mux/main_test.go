package main_test

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// maxBinary is what the program may weigh, in bytes: it is locked in memory.
const maxBinary = 5_000_000

func TestBinaryIsSmallAndStatic(t *testing.T) {
	path := filepath.Join(t.TempDir(), "watchdog-mux")
	build := exec.Command("go", "build", "-trimpath", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))

	info, err := os.Stat(path)
	require.NoError(t, err)
	t.Logf("watchdog-mux has %d bytes", info.Size())
	require.Less(t, info.Size(), int64(maxBinary))

	program, err := elf.Open(path)
	require.NoError(t, err)
	defer program.Close()
	for _, segment := range program.Progs {
		require.NotEqual(t, elf.PT_INTERP, segment.Type, "it needs a loader")
	}
}

func TestArgumentsAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "watchdog-mux")
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	out, err = exec.Command(path, "--help").CombinedOutput()
	require.Error(t, err)
	require.Equal(t, "usage: watchdog-mux (it takes no arguments)\n", string(out))
}
