package bed

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/lrm/agent"
)

func TestMain(m *testing.M) {
	runStandIn()
	os.Exit(m.Run())
}

// The stand-in that serves says what the agent understands.
func TestStandInServes(t *testing.T) {
	dir, err := os.MkdirTemp("", "bed") // short, for the socket
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	require.NoError(t, err)
	program, socket := filepath.Join(dir, standInAction), filepath.Join(dir, "socket")
	require.NoError(t, os.Symlink(self, program))
	server := exec.Command(program, serveVerb, socket)
	server.Stderr = os.Stderr
	require.NoError(t, server.Start())
	defer func() { _ = server.Process.Kill(); _ = server.Wait() }()
	require.Eventually(t, func() bool {
		_, err := os.Lstat(socket)
		return err == nil
	}, time.Minute, 5*time.Millisecond)

	a := agent.New(agent.Config{Node: "no-such-node", Action: []string{"false"}, ForkServer: socket, LockDir: dir})
	require.Eventually(t, func() bool { // a slow machine may need more than one try
		err := a.Start("vm:100")
		require.Error(t, err)
		return err.Error() == "open /etc/pve/nodes/no-such-node/qemu-server/100.conf: no such file or directory"
	}, time.Minute, time.Millisecond)
	require.FileExists(t, filepath.Join(dir, "vm-100.action"))
}
