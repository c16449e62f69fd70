package pveenv

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"pveha/internal/budget"
	"pveha/internal/ha"
	"pveha/pmxcfsio"
)

// bubbleClock is the clock of a synctest bubble: its time passes when everybody
// waits.
type bubbleClock struct{ start time.Time }

func (bubbleClock) Now() time.Time        { return time.Now() }
func (c bubbleClock) Boot() time.Duration { return time.Since(c.start) }
func (bubbleClock) Sleep(ctx context.Context, d time.Duration) error {
	return pmxcfsio.SystemClock{}.Sleep(ctx, d)
}

// inBubble runs a test with a timekeeper whose clock starts at 1000.4 s.
func inBubble(t *testing.T, f func(t *testing.T, k *timekeeper, at func() time.Duration)) {
	synctest.Test(t, func(t *testing.T) {
		clock := bubbleClock{time.Now().Add(-1000400 * time.Millisecond)}
		k := &timekeeper{ctx: t.Context(), clock: clock, waker: NewWaker(), share: localShare, extra: budget.Budget{Burst: roundBurst}, round: clock.Boot()}
		start := time.Now()
		f(t, k, func() time.Duration { return time.Since(start) })
	})
}

func TestSleepUntilCountsFullSeconds(t *testing.T) {
	inBubble(t, func(t *testing.T, k *timekeeper, at func() time.Duration) {
		require.Equal(t, ha.Epoch(1000), k.Monotonic())
		require.False(t, k.SleepUntil(k.Monotonic()+3))
		require.Equal(t, 2600*time.Millisecond, at())
		require.False(t, k.SleepUntil(k.Monotonic()))
		require.False(t, k.SleepUntil(k.Monotonic()-10))
		require.Equal(t, 2600*time.Millisecond, at())
	})
}

func TestAnEventEndsAWait(t *testing.T) {
	inBubble(t, func(t *testing.T, k *timekeeper, at func() time.Duration) {
		time.AfterFunc(4*time.Second, k.waker.Wake)
		require.True(t, k.SleepUntil(1010))
		require.Equal(t, 4*time.Second, at())
	})
}

// What happens while a round works must not be missed, and not be forgotten
// before the next one begins.
func TestAnEventDuringARoundEndsTheNextWait(t *testing.T) {
	inBubble(t, func(t *testing.T, k *timekeeper, at func() time.Duration) {
		k.begin()
		time.Sleep(time.Second)
		k.waker.Wake()
		require.True(t, k.SleepUntil(1010))
		require.True(t, k.SleepUntil(1010), "no round has begun")
		require.Equal(t, time.Second, at())
		k.begin()
		require.False(t, k.SleepUntil(1005))
	})
}

func TestAnEventDoesNotCutASleep(t *testing.T) {
	inBubble(t, func(t *testing.T, k *timekeeper, at func() time.Duration) {
		time.AfterFunc(time.Second, k.waker.Wake)
		k.Sleep(5)
		require.Equal(t, 5*time.Second, at())
		require.True(t, k.SleepUntil(1010))
		require.Equal(t, 5*time.Second, at())
	})
}

// A storm of events must not keep the machine busy with rounds.
func TestRoundsStayApartInAStorm(t *testing.T) {
	inBubble(t, func(t *testing.T, k *timekeeper, at func() time.Duration) {
		storm := time.NewTicker(time.Millisecond)
		defer storm.Stop()
		ctx, cancel := context.WithCancel(t.Context())
		var loop sync.WaitGroup
		loop.Go(func() {
			for {
				select {
				case <-storm.C:
					k.waker.Wake()
				case <-ctx.Done():
					return
				}
			}
		})
		rounds := 0
		for at() < 10*time.Second {
			k.begin()
			rounds++
			require.True(t, k.SleepUntil(k.Monotonic()+10))
		}
		cancel()
		loop.Wait()
		require.Equal(t, int(10*time.Second/minRound), rounds)
	})
}

// Rounds that take long follow each other at once, but not for ever.
func TestRoundsThatTakeLongAreFarApartInTheLongRun(t *testing.T) {
	for took, want := range map[time.Duration]time.Duration{
		time.Millisecond: minRound, 60 * time.Millisecond: 600 * time.Millisecond, 200 * time.Millisecond: maxRound, 3 * time.Second: 3 * time.Second,
	} {
		inBubble(t, func(t *testing.T, k *timekeeper, at func() time.Duration) {
			var begun []time.Duration
			for range 100 {
				k.begin()
				begun = append(begun, at())
				time.Sleep(took)
				k.waker.Wake()
				require.True(t, k.SleepUntil(k.Monotonic()+10))
			}
			require.Equal(t, max(minRound, took), begun[1]-begun[0], took)
			require.InDelta(t, want, begun[99]-begun[98], float64(time.Millisecond), took)
		})
	}
}

func TestTheEndOfAWaitIsNotPutOff(t *testing.T) {
	inBubble(t, func(t *testing.T, k *timekeeper, at func() time.Duration) {
		time.Sleep(500 * time.Millisecond) // 1000.9
		k.begin()
		time.AfterFunc(50*time.Millisecond, k.waker.Wake)
		k.SleepUntil(1001)
		require.Equal(t, 600*time.Millisecond, at(), "the rounds would be 250 ms apart")
	})
}

func TestCloseEndsEveryWait(t *testing.T) {
	inBubble(t, func(t *testing.T, k *timekeeper, at func() time.Duration) {
		ctx, cancel := context.WithCancel(t.Context())
		k.ctx = ctx
		time.AfterFunc(time.Second, cancel)
		k.Sleep(3600)
		require.False(t, k.SleepUntil(9999))
		require.Equal(t, time.Second, at())
	})
}

// A step of the wall clock changes what goes into files, and no delay.
func TestAStepOfTheWallClockChangesNoDelay(t *testing.T) {
	var step time.Duration
	k := &timekeeper{ctx: t.Context(), waker: NewWaker(), clock: steppedClock{&step}}
	before, own := k.Now(), k.Monotonic()
	step = -time.Hour
	require.InDelta(t, int64(before-3600), int64(k.Now()), 2)
	require.InDelta(t, int64(own), int64(k.Monotonic()), 2)
	require.False(t, k.SleepUntil(own), "a wait that has passed")
}

type steppedClock struct{ step *time.Duration }

func (c steppedClock) Now() time.Time      { return time.Now().Add(*c.step) }
func (c steppedClock) Boot() time.Duration { return pmxcfsio.SystemClock{}.Boot() }
func (c steppedClock) Sleep(ctx context.Context, d time.Duration) error {
	return pmxcfsio.SystemClock{}.Sleep(ctx, d)
}
