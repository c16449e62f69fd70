package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// bursts is a fork server, the clock of which stands still.
type bursts struct {
	*ForkServer
	now    time.Time
	log    *journal
	starts string // a file: a line for every start
}

// newBursts returns one whose program does what a script says after it has noted
// its start.
func newBursts(t *testing.T, script string) *bursts {
	t.Helper()
	b := &bursts{now: time.Unix(1000, 0), log: &journal{}, starts: filepath.Join(t.TempDir(), "starts")}
	b.ForkServer = NewForkServer(ForkServerConfig{
		Action: []string{"sh", "-c", `echo "$0 $1" >>` + b.starts + "; " + script}, Socket: socketName(t), Log: b.log.log,
		Now: func() time.Time { return b.now },
	})
	return b
}

// announce announces an action so long after the last, waits until nobody looks
// after the server any more, and returns how often it was started so far.
func (b *bursts) announce(t *testing.T, after time.Duration) int {
	t.Helper()
	b.now = b.now.Add(after)
	b.Announce()
	b.settle(t)
	return b.started(t)
}

func (b *bursts) settle(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return !b.busy
	}, time.Minute, time.Millisecond)
}

func (b *bursts) started(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(b.starts)
	if !os.IsNotExist(err) {
		require.NoError(t, err)
	}
	require.Equal(t, strings.Repeat("serve "+b.cfg.Socket+"\n", strings.Count(string(text), "\n")), string(text))
	return strings.Count(string(text), "\n")
}

func TestForkServerIsStartedInABurst(t *testing.T) {
	b := newBursts(t, "exit 0")
	require.Zero(t, b.announce(t, 0), "one action is no burst")
	require.Zero(t, b.announce(t, 61*time.Second))
	require.Zero(t, b.announce(t, time.Hour))
	require.Equal(t, 1, b.announce(t, time.Minute), "two within a minute are")
	require.Equal(t, 1, b.announce(t, time.Second), "it was there just now")
	require.Equal(t, 2, b.announce(t, 9*time.Second), "and has ended")
	require.Equal(t, 2, b.announce(t, time.Hour))
	require.Empty(t, b.log.text())
}

func TestForkServerThatRunsIsNotStartedAgain(t *testing.T) {
	gate := fifo(t)
	b := newBursts(t, "read x <"+gate)
	require.Zero(t, b.announce(t, 0))
	for range 10 {
		b.now = b.now.Add(50 * time.Second)
		b.Announce() // and it waits for nothing
	}
	open(t, gate)
	b.settle(t)
	require.Equal(t, 1, b.started(t))
}

func TestForkServerThatFailsIsLeftAlone(t *testing.T) {
	b := newBursts(t, "echo 'no modules here' >&2; exit 3")
	require.Zero(t, b.announce(t, 0))
	for range 11 {
		require.Equal(t, 1, b.announce(t, 54*time.Second))
	}
	require.Equal(t, []string{"info actions take longer, sh serve: no modules here (exit status 3)"}, b.log.text())
	require.Equal(t, 2, b.announce(t, time.Minute))
	require.Len(t, b.log.text(), 2)

	b = newBursts(t, "")
	b.cfg.Action = []string{"/no/program"}
	b.announce(t, 0)
	b.announce(t, time.Second)
	require.Equal(t, []string{"info actions take longer, program serve: fork/exec /no/program: no such file or directory"}, b.log.text())
}

func TestForkServerWithALotToSay(t *testing.T) {
	b := newBursts(t, "head -c 3000000 /dev/zero | tr '\\0' x >&2; exit 3")
	b.announce(t, 0)
	b.announce(t, time.Second)
	require.Equal(t, []string{"info actions take longer, sh serve: " + strings.Repeat("x", maxComplaint) + " (exit status 3)"}, b.log.text())
}

// A new daemon uses the server of the one before.
func TestForkServerOfAnotherIsUsed(t *testing.T) {
	a := newAPI(t, executing, nil)
	b := newBursts(t, "exit 9")
	b.cfg.Socket = serve(t, a.program).socket
	for range 10 {
		require.Zero(t, b.announce(t, 20*time.Second))
	}
	require.Empty(t, b.log.text())
}

func TestForkServerOfTheDaemonServes(t *testing.T) {
	a := newAPI(t, executing, nil)
	b := newBursts(t, "")
	b.cfg.Action = a.program
	b.Announce()
	b.Announce()
	require.Eventually(t, func() bool { return answers(b.cfg.Socket) }, time.Minute, 5*time.Millisecond)
	a.agent.cfg.Action, a.agent.cfg.ForkServer = []string{"false"}, b.cfg.Socket
	require.NoError(t, a.agent.Start("vm:100"))
	require.NoError(t, os.Remove(b.cfg.Socket))
	b.settle(t)
	require.Empty(t, b.log.text())
}

func TestForkServerHasASessionOfItsOwn(t *testing.T) {
	b := newBursts(t, "")
	b.cfg.Action[2] = `cat /proc/$$/stat >&2; pwd >&2; exit 3`
	b.announce(t, 0)
	b.announce(t, time.Second)
	text := b.log.text()[0]
	fields := strings.Fields(text[strings.Index(text, "serve: ")+len("serve: "):])
	require.Equal(t, fields[0], fields[5], "it leads its session: %s", text)
	require.Contains(t, text, "\n/ (")
}
