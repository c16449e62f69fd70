// Package topsis ranks alternatives that are measured by several criteria, with
// the method called TOPSIS: an alternative is the better, the closer it is to
// the best values met among all of them and the farther from the worst.
//
// Scores decide where guests go, and two nodes of a cluster must come to the
// same ones whatever their processor. Every sum therefore runs in the order of
// the input, and every product is rounded before it is added: the conversions
// float64(x*y) are there to forbid fused multiply-add, which Go uses on some
// architectures and which rounds once instead of twice.
package topsis

import (
	"errors"
	"fmt"
	"math"
)

// Criterion is one measure of an alternative. A positive weight means that
// more is better, a negative one that less is better; the weight's size is the
// criterion's importance in relation to the others.
type Criterion struct {
	Name   string // for messages
	Weight float64
}

// Criteria is a set of criteria whose weights have been normalised to a sum of
// one.
type Criteria []criterion

type criterion struct {
	weight   float64
	maximize bool
}

// NewCriteria normalises the weights. It fails when they cannot be: all of
// them zero, or one infinite or not a number.
func NewCriteria(list ...Criterion) (Criteria, error) {
	sum := 0.0
	for _, c := range list {
		sum += math.Abs(c.Weight)
	}
	if sum == 0 {
		return nil, errors.New("no criterion has a non-zero weight")
	}
	criteria := make(Criteria, len(list))
	for i, c := range list {
		weight := math.Abs(c.Weight) / sum
		if math.IsNaN(weight) {
			return nil, fmt.Errorf("criterion '%s' got invalid weight %v", c.Name, weight)
		}
		criteria[i] = criterion{weight: weight, maximize: c.Weight >= 0}
	}
	return criteria, nil
}

// Score returns one score per alternative, between 0 and 1, higher is better.
// The alternatives stand one behind the other in values, each with as many
// values as there are criteria; values is overwritten. When all alternatives
// are alike, each scores 0.
//
// It fails when a value is infinite or not a number.
func (c Criteria) Score(values []float64) ([]float64, error) {
	if len(c) == 0 || len(values)%len(c) != 0 {
		return nil, fmt.Errorf("%d values cannot be divided among %d criteria", len(values), len(c))
	}
	if err := c.normalize(values); err != nil {
		return nil, err
	}
	best, worst := c.ideals(values)

	scores := make([]float64, 0, len(values)/len(c))
	for ; len(values) > 0; values = values[len(c):] {
		toBest := c.distance(values, best)
		toWorst := c.distance(values, worst)
		score := 0.0
		if sum := toWorst + toBest; sum != 0 {
			score = toWorst / sum
		}
		scores = append(scores, score)
	}
	return scores, nil
}

// normalize divides the values of each criterion by their Euclidean norm, so
// that criteria of different units compare. All zeros stay as they are.
func (c Criteria) normalize(values []float64) error {
	for n := range c {
		squares := 0.0
		for i := n; i < len(values); i += len(c) {
			squares += float64(values[i] * values[i])
		}
		norm := math.Sqrt(squares)
		if norm == 0 {
			continue
		}
		for i := n; i < len(values); i += len(c) {
			values[i] /= norm
			if math.IsNaN(values[i]) || math.IsInf(values[i], 0) {
				return fmt.Errorf("criterion %d got invalid value %v", n, values[i])
			}
		}
	}
	return nil
}

// ideals returns two made-up alternatives: for each criterion the best and the
// worst value met.
func (c Criteria) ideals(values []float64) (best, worst []float64) {
	best = make([]float64, len(c))
	worst = make([]float64, len(c))
	for n := range c {
		low, high := math.Inf(1), math.Inf(-1)
		for i := n; i < len(values); i += len(c) {
			low = min(low, values[i])
			high = max(high, values[i])
		}
		if c[n].maximize {
			best[n], worst[n] = high, low
		} else {
			best[n], worst[n] = low, high
		}
	}
	return best, worst
}

// distance is the weighted Euclidean distance of the alternative at the head of
// values from ideal.
func (c Criteria) distance(values, ideal []float64) float64 {
	squares := 0.0
	for n := range c {
		d := float64((values[n] - ideal[n]) * c[n].weight)
		squares += float64(d * d)
	}
	return math.Sqrt(squares)
}
