package pveenv

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pveha/pmxcfsio"

	"github.com/stretchr/testify/require"
)

// keeperAt returns the keeper of a daemon that starts in some run of the
// machine, and its lines.
func keeperAt(t *testing.T, dir, boot string, links map[string]time.Time) (*fenceKeeper, *recorder) {
	t.Helper()
	lines := &recorder{}
	cfg := Config{StateDir: dir, Log: lines.log, Clock: pmxcfsio.SystemClock{}}
	k := newFenceKeeper(cfg, "lrm", func() map[string]time.Time { return links })
	require.NotEmpty(t, k.record.Boot, "the kernel names its run")
	k.record.Boot = boot
	k.report()
	t.Cleanup(func() { k.wait(10 * time.Second) })
	return k, lines
}

func at(clock string) time.Time {
	moment, err := time.ParseInLocation(time.DateTime, "2026-11-22 "+clock, time.Local)
	if err != nil {
		panic(err)
	}
	return moment
}

func TestTheReasonOfAResetIsToldAtTheNextStart(t *testing.T) {
	dir := t.TempDir()
	links := map[string]time.Time{}
	k, _ := keeperAt(t, dir, "first", links)
	k.armed(true)
	k.wait(10 * time.Second)
	k.now = func() time.Time { return at("09:59:57") }
	k.watchdog(nil)
	k.now = func() time.Time { return at("10:00:01") }
	links["eno2"], links["eno1"] = at("10:00:00"), time.Time{}
	k.linksChanged()
	k.quorum(false)
	k.now = func() time.Time { return at("10:00:07") }
	k.quorum(false) // still
	k.lock("ha_agent_node1_lock", true, false)
	k.files(false)
	k.watchdog(os.ErrClosed)
	k.wait(10 * time.Second)

	_, lines := keeperAt(t, dir, "second", nil)
	require.Equal(t, []string{
		"this node went down while its watchdog was active: network link 'eno1' down, " +
			"network link 'eno2' down at 2026-11-22 10:00:00, cluster file system lost at 2026-11-22 10:00:07, " +
			"quorum lost at 2026-11-22 10:00:01, lock 'ha_agent_node1_lock' lost at 2026-11-22 10:00:07, file already closed, " +
			"watchdog last updated at 2026-11-22 09:59:57",
	}, lines.texts())
	require.FileExists(t, filepath.Join(dir, "lrm-fence-last.json"))

	_, lines = keeperAt(t, dir, "third", nil)
	require.Empty(t, lines.texts(), "it is told once")
}

func TestAResetOutOfTheBlueIsToldAsSuch(t *testing.T) {
	dir := t.TempDir()
	k, _ := keeperAt(t, dir, "first", nil)
	k.armed(true)
	k.quorum(false)
	k.lock("x", true, false)
	k.quorum(true) // all is well again
	k.lock("x", false, true)
	k.wait(10 * time.Second)
	_, lines := keeperAt(t, dir, "second", nil)
	require.Equal(t, []string{
		"this node went down while its watchdog was active: " +
			"nothing was wrong that the daemon knew of (power lost, or the daemon died or hung)",
	}, lines.texts())
}

func TestNothingIsToldAfterAGoodbyeOrARestartOfTheDaemon(t *testing.T) {
	dir := t.TempDir()
	k, _ := keeperAt(t, dir, "first", nil)
	k.armed(true)
	k.wait(10 * time.Second)
	_, lines := keeperAt(t, dir, "first", nil)
	require.Empty(t, lines.texts(), "the daemon alone was restarted")
	k.armed(false)
	k.wait(10 * time.Second)
	_, lines = keeperAt(t, dir, "second", nil)
	require.Empty(t, lines.texts())
	require.NoFileExists(t, filepath.Join(dir, "lrm-fence.json"))
}

func TestNothingIsWrittenWithoutAWatchdog(t *testing.T) {
	dir := t.TempDir()
	k, _ := keeperAt(t, dir, "first", nil)
	k.quorum(false)
	k.lock("x", true, false)
	k.linksChanged()
	k.armed(false)
	k.wait(10 * time.Second)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
	k.armed(true)
	k.wait(10 * time.Second)
	var r fenceRecord
	raw, err := os.ReadFile(filepath.Join(dir, "lrm-fence.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &r))
	require.False(t, r.QuorumLost.IsZero(), "what went wrong before is part of the reason")
	require.Equal(t, "x", r.Lock)
}

// The record is written when something changes, not in every round.
func TestRoundsDoNotWriteToTheDisk(t *testing.T) {
	dir := t.TempDir()
	k, _ := keeperAt(t, dir, "first", nil)
	k.armed(true)
	k.wait(10 * time.Second)
	require.NoError(t, os.Remove(k.path))
	for range 100 {
		k.quorum(true)
		k.files(true)
		k.lock("x", true, true)
		k.watchdog(nil)
	}
	k.wait(10 * time.Second)
	require.NoFileExists(t, k.path)
	k.quorum(false)
	k.wait(10 * time.Second)
	require.FileExists(t, k.path)
}

func TestADiskThatFailsIsAWarningOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	k, lines := keeperAt(t, filepath.Join(file, "no-folder"), "first", nil)
	k.armed(true)
	k.wait(10 * time.Second)
	k.quorum(false)
	k.wait(10 * time.Second)
	var said []string
	for _, text := range lines.texts() {
		if strings.HasPrefix(text, "the reason of a reset would not be known: ") {
			said = append(said, text)
		}
	}
	require.Len(t, said, 1, lines.texts())
}

func TestARecordThatMakesNoSenseIsPutAside(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "lrm-fence.json"), []byte("{"), 0o600))
	_, lines := keeperAt(t, dir, "second", nil)
	require.Len(t, lines.texts(), 1)
	require.Contains(t, lines.texts()[0], "the reason of the last reset cannot be read")
	_, lines = keeperAt(t, dir, "third", nil)
	require.Empty(t, lines.texts())
}
