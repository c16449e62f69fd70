package pveenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/crm/nodestate"
	"pveha/internal/golden"
	"pveha/internal/ha"
)

// helperProgram returns the program that the package installs.
func helperProgram(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("perl"); err != nil {
		t.Skip("there is no perl here")
	}
	path, err := filepath.Abs("helper/notify")
	require.NoError(t, err)
	return path
}

var sampleNotification = nodestate.FenceNotification{
	Prefix: "FENCE", Subject: "Try to fence node 'node3'", FailedNode: "node3", MasterNode: "node1", Timestamp: 1795295841,
	Nodes: []nodestate.NodeEntry{{Node: "node1", Status: ha.NodeOnline}, {Node: "node3", Status: ha.NodeFence}},
	Resources: []nodestate.ServiceEntry{
		{SID: "vm:100", State: ha.Started, Node: "node1", Running: true},
		{SID: "vm:101", State: ha.Fence, Node: "node3"},
	},
}

// notifierFor returns a notifier that calls the program with the modules of
// the tests.
func notifierFor(t *testing.T, lines *recorder, mode string) (n *notifier, out string) {
	t.Helper()
	program := helperProgram(t)
	out = filepath.Join(t.TempDir(), "out")
	modules, err := filepath.Abs("testdata/perl")
	require.NoError(t, err)
	t.Setenv("NOTIFY_OUT", out)
	t.Setenv("NOTIFY_TEST", mode)
	n = newNotifier(NotifyConfig{Program: []string{"perl", "-I", modules, program}}, lines.log)
	t.Cleanup(n.close)
	return n, out
}

func TestHelperIsPerl(t *testing.T) {
	out, err := exec.Command("perl", "-wc", helperProgram(t)).CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "syntax OK")
}

// The notification system gets what the Perl stack gives it: the template's
// data with those of the cluster, and the fields for the rules.
func TestANotificationReachesTheNotificationSystem(t *testing.T) {
	var lines recorder
	n, out := notifierFor(t, &lines, "")
	n.add(sampleNotification)
	done := sampleNotification
	done.Prefix, done.Success = "SUCCEED", true
	done.Nodes, done.Resources = nil, nil
	n.add(done)
	n.close()
	require.Empty(t, lines.entries())
	got, err := os.ReadFile(out)
	require.NoError(t, err)
	golden.Golden(t, "testdata/notification.golden", got)
}

func TestANotificationThatFailsIsAWarning(t *testing.T) {
	var lines recorder
	n, _ := notifierFor(t, &lines, "fail")
	n.add(sampleNotification)
	n.close()
	require.Equal(t, []ha.Entry{{
		Level: ha.LevelWarning, Node: "node3",
		Text: "could not notify: target 'mail' failed:; connection refused (FENCE: Try to fence node 'node3')",
	}}, lines.entries())
}

func TestANotificationThatHangsIsEndedWithItsChildren(t *testing.T) {
	var lines recorder
	n, _ := notifierFor(t, &lines, "hang")
	n.config.Timeout = 2 * time.Second
	start := time.Now()
	n.add(sampleNotification)
	require.Less(t, time.Since(start), n.config.Timeout, "nobody waits for it")
	n.close()
	require.Less(t, time.Since(start), 20*time.Second)
	require.True(t, lines.has("could not notify: the notification system did not answer within 2s"), lines.texts())
	eventually(t, "the child of the program is gone", func() bool {
		commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
		require.NoError(t, err)
		return !slices.ContainsFunc(commands, func(name string) bool {
			args, _ := os.ReadFile(name)
			return string(args) == "sleep\x00612345\x00"
		})
	})
}

func TestAMissingNotificationProgramIsAWarning(t *testing.T) {
	var lines recorder
	n := newNotifier(NotifyConfig{Program: []string{"/nowhere/notify"}}, lines.log)
	n.add(sampleNotification)
	n.close()
	require.True(t, lines.has("could not notify: the program '/nowhere/notify' is missing, nobody is told of fenced nodes"), lines.texts())
	require.Equal(t, DefaultNotifyProgram, newNotifier(NotifyConfig{}, lines.log).config.Program[0])
}

func TestAMissingNotificationSystemIsAWarning(t *testing.T) {
	program := helperProgram(t)
	if exec.Command("perl", "-MPVE::Notify", "-e", "1").Run() == nil {
		t.Skip("there is a notification system here")
	}
	var lines recorder
	n := newNotifier(NotifyConfig{Program: []string{"perl", program}}, lines.log)
	n.add(sampleNotification)
	n.close()
	require.True(t, lines.has("could not notify: notification system of Proxmox VE cannot be loaded: Can't locate PVE/Cluster.pm"), lines.texts())
}

func TestHelperRefusesWhatIsNoMessage(t *testing.T) {
	program := helperProgram(t)
	for input, want := range map[string]string{
		"": "message cannot be read", "{": "message cannot be read", "[]": "message cannot be read",
		`{"severity":"error"}`:                 "message has no template",
		`{"template":"x"}`:                     "message has no known severity",
		`{"template":"x","severity":"error!"}`: "message has no known severity",
	} {
		cmd := exec.Command("perl", program)
		cmd.Stdin = strings.NewReader(input)
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, input)
		require.Equal(t, 1, exit.ExitCode(), input)
		require.Contains(t, string(out), want, input)
	}
}

func TestNotificationsBeyondTheQueueAreDropped(t *testing.T) {
	var lines recorder
	n := newNotifier(NotifyConfig{Program: []string{"sleep", "1"}}, lines.log)
	for range notifyQueue + 10 {
		n.add(sampleNotification)
	}
	require.True(t, lines.has("could not notify: too many notifications wait to be sent"))
	n.cancel()
	n.close()
	n.add(sampleNotification)
	require.True(t, lines.has("too many"), "after the end")
}
