package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func sleeper(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}

func TestStateNamesAProcess(t *testing.T) {
	cmd := sleeper(t)
	state, err := Table{}.State(cmd.Process.Pid)
	require.NoError(t, err)
	require.True(t, state.Alive)
	require.NotZero(t, state.Start)
	own, err := Table{}.State(os.Getpid())
	require.NoError(t, err)
	require.LessOrEqual(t, own.Start, state.Start)
}

func TestStateOfAZombieAndOfNobody(t *testing.T) {
	cmd := sleeper(t)
	h, err := Open(cmd.Process.Pid)
	require.NoError(t, err)
	require.NoError(t, cmd.Process.Kill())
	require.NoError(t, h.Wait())
	state, err := Table{}.State(cmd.Process.Pid)
	require.NoError(t, err)
	require.False(t, state.Alive, "nobody has waited for it")
	require.NotZero(t, state.Start)
	_ = cmd.Wait()
	state, err = Table{}.State(cmd.Process.Pid)
	require.NoError(t, err)
	require.Equal(t, State{}, state)
	require.NoError(t, h.Close())
	_, err = Open(cmd.Process.Pid)
	require.ErrorIs(t, err, syscall.ESRCH)
}

func TestStateReadsBehindAnyName(t *testing.T) {
	root := t.TempDir()
	const tail = " 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20"
	for name, c := range map[string]struct {
		stat string
		want State
		fail string
	}{
		"plain":             {stat: "7 (kvm) S" + tail, want: State{Alive: true, Start: 4711}},
		"brackets in it":    {stat: "7 (a) R (b) c) S" + tail, want: State{Alive: true, Start: 4711}},
		"a zombie":          {stat: "7 (kvm) Z" + tail, want: State{Start: 4711}},
		"dead":              {stat: "7 (kvm) X" + tail, want: State{Start: 4711}},
		"cut off":           {stat: "7 (kvm) S 1 2", fail: "3 fields behind the name"},
		"no number":         {stat: "7 (kvm) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 x", fail: "invalid syntax"},
		"gone while looked": {stat: ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(root, strconv.Itoa(7))
			require.NoError(t, os.MkdirAll(dir, 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "stat"), []byte(c.stat), 0o644))
			got, err := Table{root}.State(7)
			if c.fail != "" {
				require.ErrorContains(t, err, c.fail)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestArguments(t *testing.T) {
	args, err := Table{}.Arguments(os.Getpid())
	require.NoError(t, err)
	require.Equal(t, os.Args, args)
	args, err = Table{t.TempDir()}.Arguments(1)
	require.NoError(t, err)
	require.Empty(t, args)
}

func TestCloseEndsAWait(t *testing.T) {
	h, err := Open(sleeper(t).Process.Pid)
	require.NoError(t, err)
	ended := make(chan error)
	go func() { ended <- h.Wait() }()
	require.NoError(t, h.Close())
	require.Error(t, <-ended)
}
