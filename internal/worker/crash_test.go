package worker

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
	"pveha/lrm"
)

// appendLine adds a line to a file, whole or not at all.
func appendLine(file, line string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, line)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// alone acts on a guest for a moment and fails when somebody else does, too.
func alone(j Job, place string) error {
	if err := appendLine(filepath.Join(place, "ran"), j.Order.UID); err != nil {
		return err
	}
	mark := filepath.Join(place, "mark-"+j.Order.SID.Name())
	if err := os.Mkdir(mark, 0o700); err != nil {
		_ = appendLine(filepath.Join(place, "together"), j.Order.UID)
		return err
	}
	time.Sleep(time.Duration(rand.N(8)) * time.Millisecond)
	return os.Remove(mark)
}

// lifelong is a daemon that gives orders to three guests for as long as it
// lives, and writes each result down before it acknowledges it.
func lifelong(dir, place string) int {
	p, err := Open(config(dir, nil))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	busy := map[ha.SID]string{}
	for _, o := range p.Adopted() {
		busy[o.SID] = o.UID
	}
	for n := 0; ; n++ {
		for _, sid := range []ha.SID{"vm:1", "vm:2", "vm:3"} {
			uid := fmt.Sprintf("%s/%d/%d", sid, os.Getpid(), n)
			if busy[sid] == "" && p.Start(job(sid, uid, "alone "+place)) == nil {
				busy[sid] = uid
			}
		}
		<-p.Changed()
		for _, f := range p.Finished() {
			if err := appendLine(filepath.Join(place, "results"), fmt.Sprint(busy[f.SID], " ", f.Result)); err != nil {
				return 1
			}
			delete(busy, f.SID)
		}
		if err := p.Acknowledge(); err != nil {
			return 1
		}
	}
}

func lines(t *testing.T, file string) []string {
	t.Helper()
	data, err := os.ReadFile(file)
	if !errors.Is(err, fs.ErrNotExist) {
		require.NoError(t, err)
	}
	return strings.FieldsFunc(string(data), func(r rune) bool { return r == '\n' })
}

// However often the daemon is killed, and in whatever moment: no two orders act
// on one guest at the same time, none runs twice, and none that ran is without
// a result.
func TestDaemonKilledAgainAndAgain(t *testing.T) {
	dir, place := t.TempDir(), t.TempDir()
	self, err := os.Executable()
	require.NoError(t, err)
	ran := func() []string { return lines(t, filepath.Join(place, "ran")) }
	const enough = 25
	const usual = 80 * time.Millisecond
	life, before := usual, 0
	for end, kills := time.Now().Add(2*time.Minute), 0; kills < 25 || before <= enough; kills++ {
		require.True(t, time.Now().Before(end), "orders are carried out")
		cmd := exec.Command(self, "lifelong", dir, place)
		require.NoError(t, cmd.Start())
		time.Sleep(10*time.Millisecond + rand.N(life))
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())
		// A slow machine needs longer lives for an order to be given in one.
		if now := len(ran()); now == before {
			life = life * 3 / 2
		} else {
			life, before = max(usual, life*3/4), now
		}
	}
	p, _ := open(t, dir)
	left := map[ha.SID]lrm.Order{}
	for _, o := range p.Adopted() {
		left[o.SID] = o
	}
	for len(left) > 0 {
		for _, f := range finished(t, p) {
			require.NoError(t, appendLine(filepath.Join(place, "results"), fmt.Sprint(left[f.SID].UID, " ", f.Result)))
			delete(left, f.SID)
		}
	}

	require.NoFileExists(t, filepath.Join(place, "together"))
	results := map[string]string{}
	for _, line := range lines(t, filepath.Join(place, "results")) {
		uid, result, _ := strings.Cut(line, " ")
		require.Contains(t, []string{"", result}, results[uid], "told twice, it is the same")
		results[uid] = result
	}
	seen := map[string]bool{}
	for _, uid := range ran() {
		require.False(t, seen[uid], "%s ran twice", uid)
		seen[uid] = true
		require.Equal(t, fmt.Sprint(lrm.Outcome{}), results[uid], uid)
	}
}
