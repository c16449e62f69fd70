package ha_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
)

func TestExtraRoundsDoNotShiftTheFullOnes(t *testing.T) {
	var p ha.Pace
	var full []ha.Epoch
	for _, now := range []ha.Epoch{100, 101, 109, 110, 113, 119, 125, 126, 135, 135, 145} {
		if p.Full(now, 10) {
			full = append(full, now)
			require.Equal(t, now+10, p.Next(10))
		}
	}
	require.Equal(t, []ha.Epoch{100, 110, 125, 135, 145}, full)
}

func TestRoundAfterOneThatFailedIsFull(t *testing.T) {
	var p ha.Pace
	require.True(t, p.Full(0, 5))
	require.False(t, p.Full(1, 5))
	p.Reset()
	require.True(t, p.Full(1, 5))
	require.Equal(t, ha.Epoch(6), p.Next(5))
}
