package usage

import (
	"math"
	"math/bits"
)

// exactSum is a sum of float64 values in which nothing is ever rounded away:
// a fixed-point number in two's complement, lowest word first, whose unit is
// the smallest float64, 2^-1074. Its 2176 bits hold 2^77 times the largest one.
//
// A plain float64 sum depends on the order of its terms, and after subtracting
// one of them again it may differ from the sum that never had it. Two nodes
// with the same guests would then rank by the history of the round. The
// ways out are to add up all guests of a node again after each change, which
// costs guests times changes, or to add without error and round only the
// result. Where the plain sum has no rounding in any order, as with whole,
// half and quarter cores, the results are the same.
type exactSum [34]uint64

const (
	mantissaBits = 52
	exponentMask = 1<<11 - 1
	unitExponent = -1074 // of the exactSum's lowest bit
)

// add adds x, which must be finite.
func (s *exactSum) add(x float64) {
	b := math.Float64bits(x)
	mantissa := b & (1<<mantissaBits - 1)
	shift := int(b >> mantissaBits & exponentMask)
	if shift > 0 { // not subnormal: the leading one is implied
		mantissa |= 1 << mantissaBits
		shift--
	}
	word, bit := shift/64, shift%64
	low, high := mantissa<<bit, mantissa>>(64-bit)

	op := bits.Add64
	if x < 0 {
		op = bits.Sub64
	}
	var carry uint64
	s[word], carry = op(s[word], low, 0)
	s[word+1], carry = op(s[word+1], high, carry)
	for i := word + 2; carry != 0 && i < len(s); i++ {
		s[i], carry = op(s[i], 0, carry)
	}
}

// value returns the sum, rounded once to the nearest float64.
func (s *exactSum) value() float64 {
	size, negative := *s, s[len(s)-1]>>63 == 1
	if negative {
		var borrow uint64
		for i, w := range s {
			size[i], borrow = bits.Sub64(0, w, borrow)
		}
	}
	top := len(size) - 1
	for top > 0 && size[top] == 0 {
		top--
	}
	x := size.round(top)
	if negative {
		return -x
	}
	return x
}

// round returns the value of a sum that is not negative and has its highest
// bit in the word top.
func (s *exactSum) round(top int) float64 {
	length := bits.Len64(s[top])
	if top == 0 && length <= mantissaBits+1 {
		return math.Ldexp(float64(s[0]), unitExponent) // fits as it is
	}
	// The 64 highest bits decide, and whether there is anything below them.
	head := s[top] << (64 - length)
	if top > 0 {
		head |= s[top-1] >> length
		rest := s[top-1] << (64 - length)
		for i := 0; i < top-1 && rest == 0; i++ {
			rest = s[i]
		}
		if rest != 0 {
			head |= 1 // far below the rounding position, breaks a tie
		}
	}
	return math.Ldexp(float64(head), top*64+length-64+unitExponent)
}
