package main

import (
	"math"
	"slices"
	"testing"
)

func TestSpread(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   spread
	}{
		{[]float64{7}, spread{7, 7, 7}},
		{[]float64{3, 1}, spread{2, 1, 3}},
		{[]float64{9, 1, 5}, spread{5, 1, 9}},
		{[]float64{4, 1, 2, 9}, spread{3, 1, 9}},
	} {
		given := slices.Clone(test.values)
		if got := spreadOf(test.values); got != test.want {
			t.Errorf("spreadOf(%v) = %+v, want %+v", given, got, test.want)
		}
		if !slices.Equal(given, test.values) {
			t.Errorf("spreadOf changed %v to %v", given, test.values)
		}
	}
}

func TestPercentile(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(100 - i)
	}
	for _, test := range []struct {
		values  []float64
		p, want float64
	}{
		{nil, 50, 0},
		{[]float64{8}, 50, 8},
		{[]float64{8}, 99, 8},
		{[]float64{2, 1}, 50, 1},
		{hundred, 50, 50},
		{hundred, 95, 95},
		{hundred, 99, 99},
		{hundred, 100, 100},
		{hundred, 0, 1},
	} {
		if got := percentile(test.values, test.p); got != test.want {
			t.Errorf("percentile(%d values, %v) = %v, want %v", len(test.values), test.p, got, test.want)
		}
	}
}

func TestSummarise(t *testing.T) {
	rows := []row{
		{name: "rate", figure: "rate", unit: "msg/s", ratio: 2},
		{name: "cost", figure: "cost", unit: "µs", cost: true},
		{name: "unknown", figure: "unknown", unit: "µs"},
	}
	ours := []figures{{"rate": 30, "cost": 2}, {"rate": 20, "cost": 4, "unknown": 1}, {"rate": 90, "cost": 5}}
	other := []figures{{"rate": 10, "cost": 4, "unknown": 1}, {"rate": 20, "cost": 4, "unknown": 1}, {"rate": 45, "cost": 5}}
	results := summarise(rows, ours, other)
	if len(results) != 2 {
		t.Fatalf("%d results, want 2: what a round does not know has none", len(results))
	}
	rate, cost := results[0], results[1]
	if rate.ours.median != 30 || rate.other.median != 20 || rate.rounds != 3 {
		t.Errorf("rate is %+v", rate)
	}
	// Of the pairs 3, 1 and 2; that of the medians would be 1.5.
	if rate.ratios != (spread{2, 1, 3}) || !rate.met() {
		t.Errorf("the ratios of the rate are %+v, met %v", rate.ratios, rate.met())
	}
	if cost.ratios != (spread{1, 1, 2}) {
		t.Errorf("the ratios of a cost are %+v: want the other's by ours", cost.ratios)
	}
}

func TestBound(t *testing.T) {
	r := row{unit: "ms p50", cost: true, most: 4, ratio: 10}
	if got, want := r.bound(), "ratio >= 10.00, ours <= 4 ms p50"; got != want {
		t.Errorf("bound is %q, want %q", got, want)
	}
	for _, test := range []struct {
		ours, ratio float64
		want        bool
	}{{4, 10, true}, {4.1, 10, false}, {4, 9.9, false}, {1, math.NaN(), false}} {
		if got := r.met(test.ours, test.ratio); got != test.want {
			t.Errorf("met(%v, %v) = %v", test.ours, test.ratio, got)
		}
	}
	if none := (row{}); none.bound() != "" || !none.met(1, 0) {
		t.Error("a row without a bound has one")
	}
}
