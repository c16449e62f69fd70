package ha

// Pace tells the full rounds of a daemon, which come at a fixed period as those
// of the Perl stack do, from the extra ones that an event brings in between.
// What the stack counts in rounds counts full ones, so that extra rounds change
// nothing but how soon things happen. Times are of a clock that is never set.
// The zero value is ready: the first round is a full one.
type Pace struct {
	last  Epoch
	begun bool
}

// Full reports whether the round that begins now is a full one: the last one
// began a period ago.
func (p *Pace) Full(now, period Epoch) bool {
	if p.begun && now-p.last < period {
		return false
	}
	p.last, p.begun = now, true
	return true
}

// Next is when the next full round is due.
func (p *Pace) Next(period Epoch) Epoch { return p.last + period }

// Reset makes the next round a full one.
func (p *Pace) Reset() { p.begun = false }
