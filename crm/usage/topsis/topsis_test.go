package topsis_test

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/crm/usage/topsis"
)

func weights(list ...float64) []topsis.Criterion {
	criteria := make([]topsis.Criterion, len(list))
	for i, w := range list {
		criteria[i] = topsis.Criterion{Name: "c", Weight: w}
	}
	return criteria
}

// rank returns the indices of the alternatives, best first, ties in their order.
func rank(t *testing.T, criteria []topsis.Criterion, rows [][]float64) []int {
	t.Helper()
	c, err := topsis.NewCriteria(criteria...)
	require.NoError(t, err)
	scores, err := c.Score(slices.Concat(rows...))
	require.NoError(t, err)
	require.Len(t, scores, len(rows))
	indices := make([]int, len(rows))
	for i := range indices {
		indices[i] = i
		require.True(t, scores[i] >= 0 && scores[i] <= 1, "score %v", scores[i])
	}
	slices.SortStableFunc(indices, func(a, b int) int {
		switch {
		case scores[a] > scores[b]:
			return -1
		case scores[a] < scores[b]:
			return 1
		}
		return 0
	})
	return indices
}

func TestRanking(t *testing.T) {
	five := [][]float64{{1}, {2}, {5}, {3}, {4}}
	negative := [][]float64{{-2}, {-5}, {-4}, {1}, {-3}}
	unit := [][]float64{{0, 1}, {1, 0}, {1, -1}, {1, 1}, {0, 0}}
	mixed := [][]float64{{7, 4}, {1, 0.5}, {-1, -1}, {-8.5, 11.5}, {4, 7}}
	axes := [][]float64{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}
	longAxis := [][]float64{{1, 0, 0}, {0, 1, 0}, {0, 0, 1000}}
	negAxes := [][]float64{{-1, 0, 0}, {0, -1, 0}, {0, 0, 1}}

	for _, c := range []struct {
		name    string
		weights []float64
		rows    [][]float64
		want    []int
	}{
		{"one alternative", []float64{1}, [][]float64{{0}}, []int{0}},
		{"one alternative, less is better", []float64{-1}, [][]float64{{0}}, []int{0}},
		{"zero and two", []float64{1}, [][]float64{{0}, {2}}, []int{1, 0}},
		{"zero and two, less is better", []float64{-1}, [][]float64{{0}, {2}}, []int{0, 1}},
		{"one and two", []float64{1}, [][]float64{{1}, {2}}, []int{1, 0}},
		{"one and two, less is better", []float64{-1}, [][]float64{{1}, {2}}, []int{0, 1}},
		{"five", []float64{1}, five, []int{2, 4, 3, 1, 0}},
		{"five, less is better", []float64{-1}, five, []int{0, 1, 3, 4, 2}},
		{"below zero", []float64{1}, negative, []int{3, 0, 4, 2, 1}},
		{"below zero, less is better", []float64{-1}, negative, []int{1, 2, 4, 0, 3}},

		{"two criteria, one alternative", []float64{1, -1}, [][]float64{{0, 0}}, []int{0}},
		{"unit square, max min", []float64{1, -1}, unit, []int{2, 1, 4, 3, 0}},
		{"unit square, min max", []float64{-1, 1}, unit, []int{0, 3, 4, 1, 2}},
		{"unit square, min min", []float64{-1, -1}, unit, []int{2, 4, 1, 0, 3}},
		{"unit square, max max", []float64{1, 1}, unit, []int{3, 0, 1, 4, 2}},
		{"mixed, max min", []float64{1, -1}, mixed, []int{0, 1, 4, 2, 3}},
		{"mixed, min max", []float64{-1, 1}, mixed, []int{3, 2, 4, 1, 0}},
		{"mixed, min min", []float64{-1, -1}, mixed, []int{2, 3, 1, 0, 4}},
		{"mixed, max max", []float64{1, 1}, mixed, []int{4, 0, 1, 3, 2}},

		{"the weightiest axis wins", []float64{10, 0.2, 0.1}, axes, []int{0, 1, 2}},
		{"also as the second", []float64{0.2, 10, 0.1}, axes, []int{1, 0, 2}},
		{"also as the third", []float64{0.2, 0.1, 10}, axes, []int{2, 0, 1}},
		{"two axes to avoid", []float64{-10, -5, 0.1}, axes, []int{2, 1, 0}},
		{"an axis of another scale changes nothing", []float64{10, 0.2, 0.1}, longAxis, []int{0, 1, 2}},
		{"an axis of another scale, second", []float64{0.2, 10, 0.1}, longAxis, []int{1, 0, 2}},
		{"an axis of another scale, third", []float64{0.2, 0.1, 10}, longAxis, []int{2, 0, 1}},
		{"an axis of another scale to avoid", []float64{-10, -5, 0.1}, longAxis, []int{2, 1, 0}},
		{"axes below zero", []float64{10, 0.2, 0.1}, negAxes, []int{2, 1, 0}},
		{"axes below zero, second", []float64{0.2, 10, 0.1}, negAxes, []int{2, 0, 1}},
		{"axes below zero, third", []float64{0.2, 0.1, 10}, negAxes, []int{2, 1, 0}},
		{"axes below zero to avoid", []float64{-10, -5, 0.1}, negAxes, []int{0, 1, 2}},

		{"a criterion that is zero throughout", []float64{10, 0.2, 0.1}, [][]float64{{0, 0, 0}, {0, 1, 0}, {0, 0, 1}}, []int{1, 2, 0}},
		{"ties keep their order", []float64{-1, -1}, [][]float64{{3, 3}, {2, 2}, {3, 3}, {2, 2}}, []int{1, 3, 0, 2}},
		{"all alike", []float64{-1, -2}, [][]float64{{3, 3}, {3, 3}, {3, 3}}, []int{0, 1, 2}},
		{"no alternative", []float64{-1, -2}, nil, []int{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, rank(t, weights(c.weights...), c.rows))
		})
	}
}

func TestScoreBounds(t *testing.T) {
	c, err := topsis.NewCriteria(weights(-1, -2)...)
	require.NoError(t, err)

	scores, err := c.Score([]float64{1, 1, 2, 3, 4, 5})
	require.NoError(t, err)
	require.Equal(t, 1.0, scores[0], "best in everything")
	require.Equal(t, 0.0, scores[2], "worst in everything")

	scores, err = c.Score([]float64{7, 7, 7, 7})
	require.NoError(t, err)
	require.Equal(t, []float64{0, 0}, scores, "all alike")
}

func TestCriteriaErrors(t *testing.T) {
	for _, c := range []struct {
		weights []float64
		want    string
	}{
		{[]float64{0, 0, 0}, "no criterion has a non-zero weight"},
		{nil, "no criterion has a non-zero weight"},
		{[]float64{1, math.NaN()}, "criterion 'c' got invalid weight NaN"},
		{[]float64{math.Inf(-1)}, "criterion 'c' got invalid weight NaN"},
	} {
		_, err := topsis.NewCriteria(weights(c.weights...)...)
		require.EqualError(t, err, c.want)
	}
}

func TestScoreErrors(t *testing.T) {
	c, err := topsis.NewCriteria(weights(1, 1, 1)...)
	require.NoError(t, err)
	for _, v := range []struct {
		values []float64
		want   string
	}{
		{[]float64{-1, 0, 0, 0, -1, 0, 0, math.NaN(), 1}, "criterion 1 got invalid value NaN"},
		{[]float64{0, 0, math.Inf(1)}, "criterion 2 got invalid value NaN"},
		{[]float64{1, 2, 3, 4}, "4 values cannot be divided among 3 criteria"},
	} {
		_, err := c.Score(v.values)
		require.EqualError(t, err, v.want)
	}
	_, err = topsis.Criteria(nil).Score([]float64{1})
	require.Error(t, err)
}
