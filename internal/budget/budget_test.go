package budget

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const gap = 100 * time.Millisecond

func TestWhatComesNowAndThenNeedNotWait(t *testing.T) {
	b := Budget{Burst: 3}
	for now := time.Hour; now < 2*time.Hour; now += time.Second {
		for range 3 {
			require.Zero(t, b.Wait(now, gap))
			b.Spend(now, gap)
		}
		require.Equal(t, gap, b.Wait(now, gap).Round(time.Microsecond))
		require.Equal(t, gap/2, b.Wait(now+gap/2, gap).Round(time.Microsecond))
	}
}

func TestWhatNeverEndsIsDoneOnceInAGap(t *testing.T) {
	b := Budget{Burst: 3}
	now, done := time.Duration(0), 0
	for ; now < time.Minute; done++ {
		now += b.Wait(now, gap)
		b.Spend(now, gap)
	}
	require.InDelta(t, time.Minute/gap, done, 4)
}

func TestTheGapMayChange(t *testing.T) {
	b := Budget{Burst: 1}
	b.Spend(0, gap)
	require.Equal(t, 10*gap, b.Wait(0, 10*gap))
	require.Equal(t, 5*gap, b.Wait(5*gap, 10*gap))
	require.Equal(t, gap/2, b.Wait(5*gap, gap).Round(time.Microsecond))
}
