package usage

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func sumOf(terms ...float64) float64 {
	var s exactSum
	for _, x := range terms {
		s.add(x)
	}
	return s.value()
}

func TestExactSum(t *testing.T) {
	const tiny = math.SmallestNonzeroFloat64
	for _, c := range []struct {
		name  string
		terms []float64
		want  float64
	}{
		{"nothing", nil, 0},
		{"one", []float64{0.1}, 0.1},
		{"whole cores", []float64{4, 8, 1, 16}, 29},
		{"rounded once", []float64{0.1, 0.2, 0.3}, 0.6},
		{"taken away again", []float64{0.1, 0.2, 0.3, -0.2, -0.3}, 0.1},
		{"down to nothing", []float64{0.1, 0.7, -0.1, -0.7}, 0},
		{"below nothing", []float64{0.5, -0.75}, -0.25},
		{"and back", []float64{0.5, -0.75, 1}, 0.75},
		{"small beside large", []float64{1e300, 1e-300, -1e300}, 1e-300},
		{"the smallest", []float64{tiny, tiny}, 2 * tiny},
		{"smallest below nothing", []float64{tiny, -3 * tiny}, -2 * tiny},
		{"the largest", []float64{math.MaxFloat64, math.MaxFloat64, -math.MaxFloat64}, math.MaxFloat64},
		{"too large", []float64{math.MaxFloat64, math.MaxFloat64}, math.Inf(1)},
		{"a tie goes to even, down", []float64{1 << 53, 1}, 1 << 53},
		{"a tie goes to even, up", []float64{1<<53 + 2, 1}, 1<<53 + 4},
		{"the least bit breaks a tie", []float64{1 << 53, 1, tiny}, 1<<53 + 2},
		{"the least bit breaks a tie downwards", []float64{1<<53 + 2, 1, -tiny}, 1<<53 + 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, math.Float64bits(c.want), math.Float64bits(sumOf(c.terms...)))
		})
	}
}

// TestExactSumAgainstBig compares with the arbitrary precision of math/big on
// numbers of all sizes.
func TestExactSumAgainstBig(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var s exactSum
		want := new(big.Float).SetPrec(2200)
		spread := 1 + random.IntN(2000)
		for range 1 + random.IntN(20) {
			x := math.Ldexp(random.Float64()-0.5, random.IntN(spread)-spread/2)
			if math.IsInf(x, 0) {
				continue
			}
			s.add(x)
			want.Add(want, new(big.Float).SetFloat64(x))
			rounded, _ := want.Float64()
			require.Equal(t, math.Float64bits(rounded), math.Float64bits(s.value()))
		}
	}
}
