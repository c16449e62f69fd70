package worker

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
	"pveha/lrm"
)

// killedDaemon starts a job from another process and kills that without
// warning.
func killedDaemon(t *testing.T, dir string, j Job) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, "daemon", dir)
	data, err := json.Marshal(j)
	require.NoError(t, err)
	cmd.Stdin = strings.NewReader(string(data))
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	said, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "<nil>\n", said)
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
}

func TestRunningWorkerIsAdopted(t *testing.T) {
	dir, gate := t.TempDir(), gate(t)
	j := job("vm:100", "u1", "wait "+gate)
	killedDaemon(t, dir, j)

	p, _ := open(t, dir)
	require.Equal(t, []lrm.Order{j.Order}, p.Adopted())
	require.Empty(t, p.Adopted(), "asked for once")
	require.Equal(t, 1, p.Running())
	require.ErrorIs(t, p.Start(job("vm:100", "u2", "succeed")), ErrBusy)
	require.Empty(t, p.Finished())
	pass(t, gate)
	require.Equal(t, []lrm.Finished{{SID: "vm:100"}}, finished(t, p))
	require.NoError(t, p.Acknowledge())
	require.Empty(t, records(t, dir))
}

func TestAdoptedWorkerThatDies(t *testing.T) {
	dir := t.TempDir()
	killedDaemon(t, dir, job("vm:100", "u1", "wait "+gate(t)))
	p, log := open(t, dir)
	require.Len(t, p.Adopted(), 1)
	require.NoError(t, syscall.Kill(begun(t, dir, 1).PID, syscall.SIGKILL))
	got := finished(t, p)
	require.Len(t, got, 1)
	require.Equal(t, ha.ExitNotRun, got[0].Result.Code)
	require.EqualError(t, got[0].Result.Err, "worker for started of 'vm:100' ended without a result")
	require.Equal(t, []string{"worker for started of 'vm:100' ended without a result"}, log.all())
}

func TestResultOutlivesTheDaemon(t *testing.T) {
	for name, c := range map[string]struct {
		play string
		want lrm.Outcome
	}{
		"of success": {"succeed", lrm.Outcome{}},
		"of failure": {"code", lrm.Outcome{Code: ha.ExitError}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			j := job("vm:100", "u1", c.play)
			killedDaemon(t, dir, j)
			lock := waitForLock(t, dir, "vm:100")
			require.NoError(t, lock.Close())

			// Told, but not written anywhere when this daemon dies, too.
			for range 2 {
				p, err := Open(config(dir, nil))
				require.NoError(t, err)
				require.Equal(t, []lrm.Order{j.Order}, p.Adopted())
				require.Equal(t, []lrm.Finished{{SID: "vm:100", Result: c.want}}, finished(t, p))
				require.NoError(t, p.Close())
			}
			p, _ := open(t, dir)
			require.Len(t, p.Adopted(), 1)
			finished(t, p)
			require.NoError(t, p.Acknowledge())
			again, _ := open(t, dir)
			require.Empty(t, again.Adopted())
		})
	}
}

// waitForLock waits until nobody acts on a guest.
func waitForLock(t *testing.T, dir string, sid ha.SID) *os.File {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		lock, err := lockGuest(dir, sid)
		if err == nil {
			return lock
		}
		require.ErrorIs(t, err, ErrBusy)
		require.True(t, time.Now().Before(end), "the child does not end")
	}
}

// A daemon that does not ask what was left finds out when it starts the same.
func TestTheSameOrderIsNotRunAgain(t *testing.T) {
	dir, gate := t.TempDir(), gate(t)
	j := job("vm:100", "u1", "wait "+gate)
	killedDaemon(t, dir, j)
	p, _ := open(t, dir)
	require.NoError(t, p.Start(j))
	require.Equal(t, []int{1}, records(t, dir), "no second child")
	require.ErrorIs(t, p.Start(j), ErrBusy)
	pass(t, gate)
	require.Equal(t, []lrm.Finished{{SID: "vm:100"}}, finished(t, p))
}

func TestResultThatNobodyWantsIsDropped(t *testing.T) {
	dir := t.TempDir()
	killedDaemon(t, dir, job("vm:100", "u1", "code"))
	require.NoError(t, waitForLock(t, dir, "vm:100").Close())
	p, _ := open(t, dir)
	require.Empty(t, p.Finished(), "nobody asked for it")
	require.NoError(t, p.Start(job("vm:100", "u2", "succeed")))
	require.Equal(t, []int{2}, records(t, dir))
	require.Equal(t, []lrm.Finished{{SID: "vm:100"}}, finished(t, p), "and it is the new one's result")
}

func TestFolderOfManyShapes(t *testing.T) {
	dir := t.TempDir()
	p, _ := open(t, dir)
	require.NoError(t, p.Close())
	put := func(number int, r record) { require.NoError(t, r.write(recordFile(dir, number))) }
	done := &result{Code: ha.ExitSuccess}
	put(3, record{Job: job("vm:100", "old", ""), PID: 1, Result: done})
	put(12, record{Job: job("vm:100", "new", ""), PID: 1, Result: &result{Code: ha.ExitError}})
	put(4, record{Job: job("vm:101", "never begun", "")})
	put(5, record{Job: job("vm:102", "died", ""), PID: os.Getpid(), Start: 1})
	require.NoError(t, os.WriteFile(recordFile(dir, 6), []byte("{"), 0o600))
	require.NoError(t, os.WriteFile(recordFile(dir, 7), []byte("{}"), 0o600))
	require.NoError(t, os.WriteFile(ordersDir(dir)+"/note.txt", nil, 0o600))

	p, log := open(t, dir)
	adopted := p.Adopted()
	require.Equal(t, []string{"died", "new"}, []string{adopted[0].UID, adopted[1].UID})
	require.Len(t, adopted, 2)
	require.ElementsMatch(t, []int{5, 12}, records(t, dir))
	got := finished(t, p)
	require.Len(t, got, 2)
	require.Error(t, got[0].Result.Err, "its process is another by now")
	require.Equal(t, lrm.Outcome{Code: ha.ExitError}, got[1].Result)
	require.Len(t, log.all(), 3)
	require.NoError(t, p.Start(job("vm:103", "next", "succeed")))
	require.Equal(t, "next", begun(t, dir, 13).Order.UID)
	finished(t, p)
}

func TestCloseLeavesNothingAndChildrenGoOn(t *testing.T) {
	dir, one, two := t.TempDir(), gate(t), gate(t)
	killedDaemon(t, dir, job("vm:100", "u1", "wait "+one))
	before := runtime.NumGoroutine()
	p, err := Open(config(dir, nil))
	require.NoError(t, err)
	require.NoError(t, p.Start(job("vm:101", "u2", "wait "+two)))
	first, second := begun(t, dir, 1), begun(t, dir, 2)
	require.NoError(t, p.Close())
	require.NoError(t, p.Close(), "twice")
	require.Error(t, p.Start(job("vm:102", "u3", "succeed")))
	for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		require.True(t, time.Now().Before(end), "goroutines are left")
	}
	require.NoError(t, syscall.Kill(first.PID, 0))
	require.NoError(t, syscall.Kill(second.PID, 0))

	p, _ = open(t, dir)
	require.Len(t, p.Adopted(), 2)
	pass(t, one)
	pass(t, two)
	n := 0
	for n < 2 {
		n += len(finished(t, p))
	}
}
