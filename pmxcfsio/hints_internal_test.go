package pmxcfsio

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLooksThatTakeLongAreFarApart(t *testing.T) {
	for _, test := range []struct {
		why               hint
		since, took, want time.Duration
	}{
		{journalHint, time.Hour, time.Millisecond, hintDelay},
		{journalHint, 0, time.Millisecond, journalGap},
		{journalHint, 30 * time.Millisecond, time.Millisecond, journalGap - 30*time.Millisecond},
		{journalHint, 0, 4 * time.Millisecond, 400 * time.Millisecond},
		{journalHint, 100 * time.Millisecond, 4 * time.Millisecond, 300 * time.Millisecond},
		{journalHint, 0, 8 * time.Second, maxGap},
		{journalHint | localHint, 0, 8 * time.Second, localGap},
		{localHint, 0, 0, localGap},
	} {
		require.Equal(t, test.want, test.why.wait(test.since, test.took), test)
	}
}
