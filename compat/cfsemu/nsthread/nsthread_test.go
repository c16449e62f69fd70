package nsthread_test

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/compat/cfsemu/nsthread"
)

// namespace opens a namespace of a process that has its own.
func namespace(t *testing.T, name string) *os.File {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to make namespaces")
	}
	cmd := exec.Command("cat")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET}
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, stdin.Close())
		require.NoError(t, cmd.Wait())
	})
	file, err := os.Open("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/ns/" + name)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, file.Close()) })
	return file
}

// same reports whether a path is the namespace.
func same(t *testing.T, namespace *os.File, path string) bool {
	t.Helper()
	want, err := namespace.Stat()
	require.NoError(t, err)
	got, err := os.Stat(path)
	require.NoError(t, err)
	return os.SameFile(want, got)
}

// Whatever thread it runs on, the process stays where it is.
func TestRun(t *testing.T) {
	for kind, name := range map[nsthread.Kind]string{nsthread.Mount: "mnt", nsthread.Network: "net"} {
		t.Run(name, func(t *testing.T) {
			other := namespace(t, name)
			failure := errors.New("failed")
			for range 50 {
				inside := false
				require.ErrorIs(t, nsthread.Run(other, kind, func() error {
					inside = same(t, other, "/proc/thread-self/ns/"+name)
					return failure
				}), failure)
				require.True(t, inside)
				require.False(t, same(t, other, "/proc/self/ns/"+name))
				require.False(t, same(t, other, "/proc/thread-self/ns/"+name))
			}
		})
	}
}

func TestRunSaysWhy(t *testing.T) {
	file, err := os.Open("/dev/null")
	require.NoError(t, err)
	defer file.Close()
	for _, kind := range []nsthread.Kind{nsthread.Mount, nsthread.Network} {
		err := nsthread.Run(file, kind, func() error { return nil })
		require.ErrorContains(t, err, "enter the "+string(kind)+" namespace /dev/null: ")
	}
}

// The threads end, and with them their hold on the namespace.
func TestRunLeavesNoThread(t *testing.T) {
	other := namespace(t, "net")
	require.NoError(t, nsthread.Run(other, nsthread.Network, func() error { return nil }))
	require.Eventually(t, func() bool {
		tasks, err := os.ReadDir("/proc/self/task")
		require.NoError(t, err)
		for _, task := range tasks {
			path := "/proc/self/task/" + task.Name() + "/ns/net"
			if _, err := os.Stat(path); err == nil && same(t, other, path) {
				return false
			}
		}
		return true
	}, 5*time.Second, time.Millisecond)
}
