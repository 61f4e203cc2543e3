package outbox

import (
	"fmt"
	"math"
	"time"
)

// Histogram counts durations by steps of a factor √2, from a millisecond on: a quantile is
// exact to 19 %. Its first number are those of a millisecond and less; those of 19 days and
// more share the last one.
type Histogram []int64

// maxSteps is the length of a full Histogram.
const maxSteps = 64

// stepOf is the place of d.
func stepOf(d time.Duration) int {
	if d <= time.Millisecond {
		return 0
	}
	return min(int(math.Ceil(2*math.Log2(float64(d)/float64(time.Millisecond)))), maxSteps-1)
}

// add counts d.
func (h *Histogram) add(d time.Duration) {
	i := stepOf(d)
	for len(*h) <= i {
		*h = append(*h, 0)
	}
	(*h)[i]++
}

// addAll adds what other has counted.
func (h *Histogram) addAll(other Histogram) {
	for len(*h) < len(other) {
		*h = append(*h, 0)
	}
	for i, n := range other {
		(*h)[i] += n
	}
}

// addText adds a list of numbers as either database writes it: {1,2} or [1,2].
func (h *Histogram) addText(list []byte) error {
	n, digits, i := int64(0), 0, 0
	for _, c := range list {
		switch {
		case c >= '0' && c <= '9' && digits < 18:
			n, digits = 10*n+int64(c-'0'), digits+1
		case c == ',' || c == '}' || c == ']':
			if digits == 0 {
				break // the list is empty
			}
			if i == maxSteps {
				return fmt.Errorf("a histogram of more than %d numbers", maxSteps)
			}
			if len(*h) == i {
				*h = append(*h, 0)
			}
			(*h)[i] += n
			n, digits, i = 0, 0, i+1
		case c == '{' || c == '[' || c == ' ':
		default:
			return fmt.Errorf("%q is no list of numbers", list)
		}
	}
	return nil
}

// Total returns how many durations were counted.
func (h Histogram) Total() (n int64) {
	for _, c := range h {
		n += c
	}
	return n
}

// Quantile returns the duration that the share p (0.5, 0.99; 0 to 1) of all durations did
// not exceed, as well as it is known; 0 if there are none. Of a millisecond and less it is a
// millisecond.
func (h Histogram) Quantile(p float64) time.Duration {
	total := h.Total()
	if total == 0 {
		return 0
	}
	rank := int64(math.Ceil(min(max(p, 0), 1) * float64(total)))
	for i, n := range h {
		if rank -= n; rank <= 0 && n > 0 {
			return middle(i)
		}
	}
	return middle(len(h) - 1) // p is no number
}

// middle is the duration that stands for a step: as far, as a factor, from both its ends.
func middle(i int) time.Duration {
	if i <= 0 {
		return time.Millisecond
	}
	return time.Duration(float64(time.Millisecond) * math.Exp2((float64(i)-0.5)/2))
}
