package outbox

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// A quantile is exact to 19 %, whatever is counted.
func TestQuantile(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var h Histogram
		all := make([]time.Duration, 1+rnd.IntN(500))
		for i := range all {
			all[i] = time.Duration(float64(time.Millisecond) * math.Exp2(rnd.Float64()*28)) // to 3 days
			h.add(all[i])
		}
		slices.Sort(all)
		if h.Total() != int64(len(all)) {
			t.Fatalf("counted %d of %d", h.Total(), len(all))
		}
		for _, p := range []float64{0, 0.5, 0.9, 0.99, 1} {
			want := all[max(int(math.Ceil(p*float64(len(all))))-1, 0)]
			if got := h.Quantile(p); float64(got) > 1.19*float64(want) || float64(got) < float64(want)/1.19 {
				t.Errorf("p%v of %d is %v, want %v", 100*p, len(all), got, want)
			}
		}
	}
}

func TestQuantileOfLittle(t *testing.T) {
	t.Parallel()
	var none, fast, slow Histogram
	fast.add(-time.Second)
	fast.add(0)
	fast.add(time.Millisecond)
	slow.add(1000 * 24 * time.Hour)
	if len(fast) != 1 || len(slow) != maxSteps {
		t.Errorf("%d and %d steps", len(fast), len(slow))
	}
	for _, p := range []float64{-1, 0, 0.5, 1, 2, math.NaN()} {
		if got := none.Quantile(p); got != 0 {
			t.Errorf("p%v of nothing is %v", p, got)
		}
		if got := fast.Quantile(p); got != time.Millisecond {
			t.Errorf("p%v of a millisecond is %v", p, got)
		}
		if got := slow.Quantile(p); got < 19*24*time.Hour {
			t.Errorf("p%v of years is %v", p, got)
		}
	}
}

func TestHistogramsAddUp(t *testing.T) {
	t.Parallel()
	a, b := Histogram{1, 2}, Histogram{1, 2, 3}
	for _, pair := range [][2]Histogram{{a, b}, {b, a}, {nil, Histogram{2, 4, 3}}} {
		sum := slices.Clone(pair[0])
		sum.addAll(pair[1])
		if !slices.Equal(sum, Histogram{2, 4, 3}) {
			t.Errorf("%v and %v are %v", pair[0], pair[1], sum)
		}
	}
}

func TestHistogramsAreRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Histogram{
		"{}": {1}, "[]": {1}, "{1}": {2}, "[1,20]": {2, 20}, "[1, 0,3]": {2, 0, 3}, "{123456789012345678}": {123456789012345679},
	} {
		h := Histogram{1}
		if err := h.addText([]byte(text)); err != nil || !slices.Equal(h, want) {
			t.Errorf("%s added is %v, %v, want %v", text, h, err, want)
		}
	}
	for _, text := range []string{"{NULL}", "{-1}", "[1.5]", "{1234567890123456789}", "{" + strings.Repeat("1,", maxSteps) + "1}"} {
		var h Histogram
		if err := h.addText([]byte(text)); err == nil {
			t.Errorf("%s was read as %v", text, h)
		}
	}
}
