package main

import (
	"math"
	"slices"
)

// spread is a median with the range around it.
type spread struct{ median, least, most float64 }

// spreadOf summarises values, of which there is at least one.
func spreadOf(values []float64) spread {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return spread{
		median: (sorted[(n-1)/2] + sorted[n/2]) / 2,
		least:  sorted[0],
		most:   sorted[n-1],
	}
}

// percentile is the smallest of values that at least p percent of them do not
// exceed (nearest rank); 0 of no values.
func percentile(values []float64, p float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// result is a row of a case over all rounds.
type result struct {
	row
	rounds              int
	ours, other, ratios spread
}

// met reports whether the medians keep the row's bound.
func (r result) met() bool { return r.row.met(r.ours.median, r.ratios.median) }

// summarise pairs what both sides measured, round by round. A figure that some
// round lacks has no result: it could not be known.
func summarise(rows []row, ours, other []figures) []result {
	var results []result
	for _, r := range rows {
		a, okOurs := column(ours, r.figure)
		b, okOther := column(other, r.figure)
		if !okOurs || !okOther {
			continue
		}
		ratios := make([]float64, len(a))
		for i := range a {
			ratios[i] = r.ratioOf(a[i], b[i])
		}
		results = append(results, result{
			row: r, rounds: len(a),
			ours: spreadOf(a), other: spreadOf(b), ratios: spreadOf(ratios),
		})
	}
	return results
}

// column returns one figure of every round, and whether all of them have it.
func column(rounds []figures, figure string) ([]float64, bool) {
	values := make([]float64, 0, len(rounds))
	for _, f := range rounds {
		v, ok := f[figure]
		if !ok {
			return nil, false
		}
		values = append(values, v)
	}
	return values, len(values) > 0
}
