package agent

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// spent is the processor time of this process and of all children that it has
// waited for.
func spent(t testing.TB) time.Duration {
	t.Helper()
	var sum time.Duration
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var use unix.Rusage
		require.NoError(t, unix.Getrusage(who, &use))
		sum += time.Duration(use.Utime.Nano() + use.Stime.Nano())
	}
	return sum
}

// spentBy is the same of another process.
func spentBy(t testing.TB, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	require.NoError(t, err)
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var ticks int
	for _, field := range fields[11:15] { // utime, stime, cutime, cstime
		n, err := strconv.Atoi(field)
		require.NoError(t, err)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// What an action costs, with stand-ins for the API that cost next to nothing:
// the real one takes far longer to load.
func BenchmarkAction(b *testing.B) {
	for _, w := range []way{executing, forking} {
		b.Run(string(w), func(b *testing.B) {
			a := newAPI(b, executing, nil)
			others := func() time.Duration { return 0 }
			if w == forking {
				s := serve(b, a.program)
				a.agent.cfg.ForkServer = s.socket
				a.agent.cfg.Action = []string{"perl", "-e", "die 'it was executed'"}
				others = func() time.Duration { return spentBy(b, s.cmd.Process.Pid) }
			}
			before := spent(b) + others()
			for b.Loop() {
				require.NoError(b, a.agent.Start("vm:100"))
			}
			b.ReportMetric(float64((spent(b)+others()-before).Microseconds())/1000/float64(b.N), "cpu-ms/op")
		})
	}
}
