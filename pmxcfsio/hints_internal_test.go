package pmxcfsio

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLooksThatTakeLongAreFarApart(t *testing.T) {
	for took, want := range map[time.Duration]time.Duration{
		0: journalGap, time.Millisecond / 2: journalGap, 2 * time.Millisecond: 400 * time.Millisecond, 8 * time.Second: maxGap,
	} {
		require.Equal(t, want, gapAfter(took, false), took)
		require.Equal(t, maxGap, gapAfter(took, true), took)
	}
}
