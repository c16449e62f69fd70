package envtest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/crm"
	"pveha/internal/ha"
)

// clocks returns the clock of every daemon, at the beginning of a round:
// nothing has happened yet that would wake the daemon.
func clocks(w World) []crm.Clock {
	beginRounds(w)
	var all []crm.Clock
	for _, node := range w.Nodes() {
		all = append(all, w.CRM(node), w.LRM(node))
	}
	return all
}

// beginRounds begins a round of every daemon, whether the view is consistent or
// not.
func beginRounds(w World) {
	for _, node := range w.Nodes() {
		w.CRM(node).Refresh()
		w.LRM(node).Refresh()
	}
}

func requireAbout(t testing.TB, w World, want, got ha.Epoch) {
	t.Helper()
	require.InDelta(t, int64(want), int64(got), float64(w.Slack()))
}

// requireTook checks how long something took, in seconds.
func requireTook(t testing.TB, w World, want int64, clock crm.Clock, f func()) {
	t.Helper()
	before := clock.Now()
	got := w.Took(clock, f)
	require.GreaterOrEqual(t, got, want)
	require.LessOrEqual(t, got, want+w.Slack())
	require.GreaterOrEqual(t, clock.Now(), before, "time does not go back")
}

var clockClauses = []Clause{
	{Name: "time passes on every clock alike", Check: func(t testing.TB, w World) {
		var before []ha.Epoch
		for _, c := range clocks(w) {
			before = append(before, c.Now())
		}
		w.Advance(7)
		for i, c := range clocks(w) {
			requireAbout(t, w, before[i]+7, c.Now())
			requireAbout(t, w, clocks(w)[0].Now(), c.Now())
		}
	}},
	{Name: "both times pass alike", Check: func(t testing.TB, w World) {
		for _, c := range clocks(w) {
			wall, own := c.Now(), c.Monotonic()
			w.Advance(5)
			requireAbout(t, w, wall+5, c.Now())
			require.InDelta(t, int64(own+5), int64(c.Monotonic()), float64(w.Slack()))
		}
	}},
	{Name: "a sleep that ends early says so", Check: func(t testing.TB, w World) {
		for _, node := range w.Nodes() {
			c := w.CRM(node)
			c.Refresh()
			w.Queue("arm-ha")
			var woken bool
			took := w.Took(c, func() { woken = c.SleepUntil(c.Monotonic() + 3) })
			if !woken {
				require.GreaterOrEqual(t, took, int64(3))
			}
			require.LessOrEqual(t, took, 3+w.Slack())
		}
	}},
	{Name: "a sleep takes its time", Check: func(t testing.TB, w World) {
		for _, c := range clocks(w) {
			requireTook(t, w, 0, c, func() { c.Sleep(0) })
			requireTook(t, w, 2, c, func() { c.Sleep(2) })
			requireTook(t, w, 3, c, func() { c.Sleep(2); c.Sleep(1) })
		}
	}},
	{Name: "a sleep until some time takes what is left", Check: func(t testing.TB, w World) {
		for _, c := range clocks(w) {
			requireTook(t, w, 3, c, func() { c.SleepUntil(c.Monotonic() + 3) })
			w.Advance(10)
			start := c.Monotonic()
			requireTook(t, w, 3, c, func() { c.Sleep(1); c.SleepUntil(start + 3) })
		}
	}},
	{Name: "a sleep until a time that has come takes none", Check: func(t testing.TB, w World) {
		w.Advance(10)
		for _, c := range clocks(w) {
			requireTook(t, w, 0, c, func() { c.SleepUntil(c.Monotonic()) })
			requireTook(t, w, 0, c, func() { c.SleepUntil(c.Monotonic() - 5) })
			start := c.Monotonic()
			requireTook(t, w, 3, c, func() { c.Sleep(3); c.SleepUntil(start + 2) })
			w.Advance(10)
		}
	}},
}
