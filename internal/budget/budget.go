// Package budget holds work that never ends to a share of the time, and lets
// be done at once what comes now and then.
package budget

import "time"

// Budget is credit for pieces of work: so many at once, and another one for
// every gap of time that passes. The zero value with a Burst has it all. It is used by
// one goroutine.
type Budget struct {
	Burst int // pieces that may be done at once

	spent float64       // pieces that time has not made up for yet
	at    time.Duration // when that was
}

// settle makes up for what was spent. The gap may be another each time: what
// the work costs decides it.
func (b *Budget) settle(now, gap time.Duration) {
	b.spent = max(0, b.spent-float64(now-b.at)/float64(gap))
	b.at = now
}

// Wait returns for how long the next piece of work has to wait. now is the
// time on a clock that is never set.
func (b *Budget) Wait(now, gap time.Duration) time.Duration {
	b.settle(now, gap)
	over := b.spent + 1 - float64(b.Burst)
	return max(0, time.Duration(over*float64(gap)))
}

// Spend takes note of a piece of work.
func (b *Budget) Spend(now, gap time.Duration) {
	b.settle(now, gap)
	b.spent++
}
