package fusemount_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/compat/cfsemu"
	"pveha/compat/cfsemu/fusemount"
)

// container is a process with a mount namespace of its own that runs shell
// commands.
type container struct {
	t   *testing.T
	pid int
}

func newContainer(t *testing.T) container {
	t.Helper()
	cmd := exec.Command("sh", "-c", "echo; exec cat")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	return startContainer(t, cmd)
}

// startContainer runs a command that enters a namespace, writes a line then
// and ends with its input.
func startContainer(t *testing.T, cmd *exec.Cmd) container {
	t.Helper()
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, stdin.Close())
		require.NoError(t, cmd.Wait())
	})
	_, err = stdout.Read(make([]byte, 1))
	require.NoError(t, err, "the command does not run")
	return container{t, cmd.Process.Pid}
}

func (c container) namespace() string { return fmt.Sprintf("/proc/%d/ns/mnt", c.pid) }

// run runs a command inside and returns all it says.
func (c container) run(command string) string {
	out, err := exec.Command("nsenter", fmt.Sprintf("--mount=%s", c.namespace()), "sh", "-c", command).CombinedOutput()
	if err != nil {
		return fmt.Sprintf("%s(%v)", out, err)
	}
	return strings.TrimSpace(string(out))
}

func TestExposedInAnotherNamespace(t *testing.T) {
	if _, err := exec.LookPath("nsenter"); err != nil {
		t.Skip(err)
	}
	b := newBed(t, 0, cfsemu.Timing{})
	inside := newContainer(t)
	target := filepath.Join(t.TempDir(), "pve")
	require.NoError(t, os.Mkdir(target, 0o755))
	require.NoError(t, b.mounts.Expose("node1", fusemount.Place{Namespace: inside.namespace(), Target: target}))
	require.NoDirExists(t, filepath.Join(target, "ha"), "nothing here")
	require.Equal(t, "nodes/node1", inside.run("readlink "+target+"/local"))

	require.NoError(t, b.cluster.Crash("node1"))
	require.Contains(t, inside.run("ls "+target), "Transport endpoint is not connected")
	require.NoError(t, b.cluster.Start("node1"))
	require.Equal(t, "nodes/node1", inside.run("readlink "+target+"/local"))

	require.NoError(t, b.cluster.Stop("node1"))
	require.Empty(t, inside.run("ls -A "+target))
	require.NoError(t, b.cluster.Start("node1"))
	require.Equal(t, "done", inside.run("echo hello > "+target+"/f && echo done"))
	require.Equal(t, "hello\n", b.read(2, "f"))

	another := newContainer(t)
	private := t.TempDir()
	require.NoError(t, b.mounts.Expose("node1", fusemount.Place{Namespace: another.namespace(), Target: target}))
	require.Empty(t, inside.run("ls -A "+target))
	require.Equal(t, "hello", another.run("cat "+target+"/f"))
	require.NoError(t, b.mounts.Withdraw("node1"))
	require.Empty(t, another.run("ls -A "+target))
	require.Empty(t, another.run("mount -t tmpfs none "+private))
	require.NoError(t, os.Mkdir(filepath.Join(private, "s"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(private, "s", "f"), []byte("shared"), 0o600))
	place := fusemount.Place{Namespace: another.namespace(), Target: target, Folders: []string{filepath.Join(private, "s")}}
	require.NoError(t, b.mounts.Expose("node1", place))
	require.Equal(t, "shared", another.run("cat "+private+"/s/f"))
	require.NoError(t, b.mounts.Withdraw("node1"))
	require.Empty(t, another.run("ls -A "+private+"/s"))

	require.ErrorContains(t, b.mounts.Expose("node1", fusemount.Place{Namespace: another.namespace(), Target: "/none/of/this"}), "no such file")
	require.ErrorContains(t, b.mounts.Expose("node1", fusemount.Place{Namespace: "/none", Target: target}), "mount namespace of node1")
	require.ErrorContains(t, b.mounts.Expose("node9", fusemount.Place{Namespace: another.namespace(), Target: target}), "no node")
	require.ErrorContains(t, b.mounts.Withdraw("node9"), "no node")
	require.NoError(t, b.mounts.Expose("node2", fusemount.Place{Namespace: another.namespace(), Target: target})) // for Close to end
}
