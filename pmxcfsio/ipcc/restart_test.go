package ipcc

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/pmxcfsio/ipcc/qb"
)

// restarting is a client's configuration while the flag says that pmxcfs
// restarts, and the flag.
func restarting(t *testing.T, grace time.Duration) (Config, string) {
	t.Helper()
	flag := filepath.Join(t.TempDir(), "cfs-restart-flag")
	require.NoError(t, os.WriteFile(flag, nil, 0o600))
	return Config{Name: newName(), RestartFlag: flag, RestartGrace: grace, RestartPoll: time.Millisecond}, flag
}

func TestClientWaitsWhilePmxcfsRestarts(t *testing.T) {
	leavesNothing(t)
	config, flag := restarting(t, patience)
	up := make(chan error, 1)
	time.AfterFunc(30*time.Millisecond, func() {
		server, err := Listen(ServerConfig{Name: config.Name, Handler: &recorder{}})
		if err == nil {
			t.Cleanup(func() { require.NoError(t, server.Close()) })
			go func() { up <- server.Run(within(t, patience)) }()
		} else {
			up <- err
		}
	})
	_, err := client(t, config).Versions(within(t, patience))
	require.NoError(t, err)
	require.FileExists(t, flag, "pmxcfs removes it")
}

func TestAFlagThatIsWrongIsRemoved(t *testing.T) {
	leavesNothing(t)
	config, flag := restarting(t, 20*time.Millisecond)
	c := client(t, config)
	_, err := c.Versions(within(t, patience))
	require.ErrorIs(t, err, ErrUnreachable)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	require.NoFileExists(t, flag)
}

func TestAFlagThatIsNewStays(t *testing.T) {
	config, flag := restarting(t, patience)
	c := client(t, config)
	old, err := os.Open(flag)
	require.NoError(t, err)
	defer old.Close()
	require.NoError(t, os.Remove(flag))
	require.NoError(t, os.WriteFile(flag, nil, 0o600))
	c.removeFlag(old)
	require.FileExists(t, flag)
	require.NoError(t, os.Remove(flag))
	c.removeFlag(old) // none is there
}

func TestARequestsTimeEndsTheWaitForARestart(t *testing.T) {
	leavesNothing(t)
	config, flag := restarting(t, 10*patience)
	_, err := client(t, config).Versions(within(t, 300*time.Millisecond))
	require.ErrorIs(t, err, ErrUnreachable)
	require.FileExists(t, flag)
}

func TestWithoutTheFlagNobodyWaits(t *testing.T) {
	leavesNothing(t)
	began := time.Now()
	_, err := client(t, Config{Name: newName()}).Versions(t.Context())
	require.ErrorIs(t, err, ErrUnreachable)
	require.Less(t, time.Since(began), DefaultRestartGrace/2)
}

func TestWhatErrorsMean(t *testing.T) {
	for _, test := range []struct{ err, want error }{
		{qb.ErrTimeout, ErrTimeout},
		{qb.ErrProtocol, ErrProtocol},
		{qb.ErrRefused, ErrUnreachable},
		{qb.ErrDisconnected, ErrUnreachable},
		{errors.New("any other"), ErrUnreachable},
		{qb.ErrTooLarge, qb.ErrTooLarge},
		{ErrClosed, ErrClosed},
	} {
		require.ErrorIs(t, classify(test.err), test.want)
		require.ErrorIs(t, classify(test.err), test.err)
	}
}
