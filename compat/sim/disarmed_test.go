package sim

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The worst that was found in the Perl stack: disarmed in mode ignore, a node is
// cut off, and arming starts its guests elsewhere while they run on.
func TestGuestOfADisarmedNodeIsNotStartedTwice(t *testing.T) {
	files := folder{
		fileServices: `{"vm:101": {"node": "node2", "state": "started"}}`,
		fileCommands: `[["power node1 on", "power node2 on", "power node3 on"],
			["crm node1 disarm-ha ignore"], ["network node2 off"], ["crm node1 arm-ha"]]`,
	}
	runsOn := func(slips bool) []string {
		s, err := files.parse()
		require.NoError(t, err)
		c, err := New(s, Options{Slips: slips})
		require.NoError(t, err)
		require.NoError(t, c.Run())
		return c.View().Guests[0].Runs
	}
	require.Equal(t, []string{"node2"}, runsOn(false))
	require.Equal(t, []string{"node1", "node2"}, runsOn(true), "as the Perl stack does")
}
