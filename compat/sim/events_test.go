package sim

import (
	"errors"
	"math/rand/v2"
	"runtime/debug"
	"testing"
)

// Events wake the daemons at any time: each may have extra rounds behind its
// own, and others in between, in any order. Whatever happens to a cluster, no
// guest runs twice and none is lost. Play one scenario again with
// -run RandomEvents -seed N -seeds 1.
func TestRandomEvents(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(1000)) // small clusters, many of them
	ended := uint64(0)
	for seed := *firstSeed; seed < *firstSeed+*seeds; seed++ {
		files := generate(seed)
		rnd := rand.New(rand.NewPCG(seed, 3))
		log, err := playWoken(files, Options{Extra: func() int { return rnd.IntN(3) }}, func(c *Cluster) error {
			return wakeSome(c, rnd)
		})
		switch {
		case errors.Is(err, errNotMounted), errors.Is(err, errWatchdogExpired):
			ended++ // as in TestRandomScenarios
		case err != nil:
			t.Fatalf("seed %d: %v\n%s\nlog:\n%s", seed, err, files[fileCommands], log)
		}
	}
	if ended > *seeds/20 {
		t.Errorf("%d of %d scenarios came to no end", ended, *seeds)
	}
}

// wakeSome gives some daemons a round out of turn.
func wakeSome(c *Cluster, rnd *rand.Rand) error {
	for range rnd.IntN(4) {
		n := c.nodes[c.names[rnd.IntN(len(c.names))]]
		wake := c.roundCRM
		if rnd.IntN(2) == 0 {
			wake = c.roundLRM
		}
		if err := wake(n, false); err != nil {
			return err
		}
		c.checkWatchdogs()
	}
	return nil
}
