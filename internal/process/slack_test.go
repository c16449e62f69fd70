package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// slacks reads the slack of every thread of this process.
func slacks(t *testing.T) map[string]bool {
	t.Helper()
	threads, err := os.ReadDir("/proc/self/task")
	require.NoError(t, err)
	found := map[string]bool{}
	for _, thread := range threads {
		text, err := os.ReadFile(filepath.Join(proc, thread.Name(), "timerslack_ns"))
		if err == nil { // else it has ended
			found[strings.TrimSpace(string(text))] = true
		}
	}
	return found
}

func TestTimersAreRelaxedAndThoseOfCommandsAreNot(t *testing.T) {
	const usual = "50000"
	require.Equal(t, map[string]bool{usual: true}, slacks(t))
	require.NoError(t, RelaxTimers())
	t.Cleanup(func() {
		require.NoError(t, relaxTimers(50*time.Microsecond))
		precise.Store(0)
	})
	require.Equal(t, map[string]bool{"2000000": true}, slacks(t))

	file := filepath.Join(t.TempDir(), "slack")
	for range 20 {
		// What the command starts has the same.
		cmd := exec.Command("sh", "-c", "cat /proc/self/timerslack_ns; sleep 0; exec cat /proc/self/timerslack_ns")
		out, err := os.Create(file)
		require.NoError(t, err)
		cmd.Stdout = out
		require.NoError(t, Start(cmd))
		require.NoError(t, cmd.Wait())
		require.NoError(t, out.Close())
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, usual+"\n"+usual+"\n", string(text))
	}
	require.Equal(t, map[string]bool{"2000000": true}, slacks(t), "and ours are still relaxed")
}
