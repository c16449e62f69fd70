//go:build e2e

package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What all other tests rely on: a guest that runs twice is heard, and a node
// whose watchdog is not fed is reset.
func TestTheBedNotices(t *testing.T) {
	t.Parallel()
	c := newCluster(t, map[string]string{"vm:100": "n1"})
	_, err := c.Node("n2").Run("sh", "-c", "setsid /usr/bin/qemu-system-standin -id 100 -pidfile /run/elsewhere.pid >/dev/null 2>&1 &")
	require.NoError(t, err)
	c.eventually("the scream", 10*time.Second, func() (bool, error) {
		screams, err := c.Ledger.Screams()
		return len(screams) == 1 && screams[0].Guest == "vm:100" && screams[0].Node == "n2", err
	})

	// watchdog-mux sleeps, and the daemons cannot know.
	frozen := time.Now()
	c.run("n1", "systemctl", "kill", "-s", "STOP", "watchdog-mux")
	c.eventually("reset", 15*time.Second, func() (bool, error) { return !c.Node("n1").On(), nil })
	c.wasReset("n1", frozen)
	require.True(t, c.Node("n2").On())
}
