//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	// loadGuests is how many guests there are besides, and changePause the time
	// between two orders, of which each guest gets two: to stop and to start.
	loadGuests  = 30
	changePause = 500 * time.Millisecond
	// changeCost is the most processor time that all daemons together may take for
	// an order, on top of what they take at rest: a guard at three times what was
	// measured, as machines differ.
	changeCost = 60 * time.Millisecond
)

// load measures what the daemons take while somebody stops and starts one
// guest after the other. What they start is left out: it does in this bed
// what has little in common with the work of a real hypervisor.
func (c *cluster) load(t *testing.T) {
	c.t = t
	var guests []string
	for i := range loadGuests {
		guest := fmt.Sprintf("vm:%d", 300+i)
		require.NoError(t, c.Files.Node("n1").Write(configOf(names[i%len(names)], guest), nil))
		c.run("n1", "ha-manager", "add", guest)
		guests = append(guests, guest)
	}
	c.guests = slices.Concat(c.guests, guests)
	c.settle(2 * settleLimit)
	time.Sleep(20 * time.Second)

	before, began := c.times(), time.Now()
	time.Sleep(idleTime / 2)
	rest := total(before, c.times()) / time.Duration(time.Since(began).Seconds()) // a second
	t.Logf("MEASURED %d services at rest, share of a core of all daemons: %.4f %%", len(c.guests), 100*rest.Seconds())

	before, began = c.times(), time.Now()
	orders := 0
	for _, state := range []string{"stopped", "started"} {
		for _, guest := range guests {
			time.Sleep(time.Until(began.Add(time.Duration(orders) * changePause)))
			c.run(names[orders%len(names)], "ha-manager", "set", guest, "--state", state)
			orders++
		}
	}
	c.settle(2 * settleLimit)
	took, passed := total(before, c.times()), time.Since(began)
	cost := (took - time.Duration(float64(rest)*passed.Seconds())) / time.Duration(orders)
	t.Logf("MEASURED %d orders in %.0f s: all daemons took %d ms, %.1f ms an order on top of what they take at rest",
		orders, passed.Seconds(), took.Milliseconds(), float64(cost)/1e6)
	require.Less(t, cost, changeCost)
}

// total is the time on a processor of all daemons between two looks.
func total(before, after map[string]time.Duration) (sum time.Duration) {
	for daemon := range after {
		sum += after[daemon] - before[daemon]
	}
	return sum
}
