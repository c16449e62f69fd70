package bed

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLedgerKnowsWhoRunsAndWhoRunsTwice(t *testing.T) {
	l, err := NewLedger(t.TempDir())
	require.NoError(t, err)
	running, err := l.Running("vm:100")
	require.NoError(t, err)
	require.False(t, running)

	release, err := l.hold("vm:100")
	require.NoError(t, err)
	require.NoError(t, l.note(noteStarted, "vm:100"))
	running, err = l.Running("vm:100")
	require.NoError(t, err)
	require.True(t, running)
	place, err := l.Place("vm:100")
	require.NoError(t, err)
	require.NotEmpty(t, place)
	screams, err := l.Screams()
	require.NoError(t, err)
	require.Empty(t, screams)

	again, err := l.hold("vm:100")
	require.NoError(t, err)
	screams, err = l.Screams()
	require.NoError(t, err)
	require.Len(t, screams, 1)
	require.Equal(t, "vm:100", screams[0].Guest)

	again()
	release()
	running, err = l.Running("vm:100")
	require.NoError(t, err)
	require.False(t, running)
	place, err = l.Place("vm:100")
	require.NoError(t, err)
	require.Empty(t, place)
	starts, err := l.Starts("vm:100")
	require.NoError(t, err)
	require.Equal(t, 1, starts)
}
