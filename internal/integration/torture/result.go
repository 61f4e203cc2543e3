//go:build unix

package torture

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ackbox/ackbox/internal/integration/shop"
)

// Result is what a run has found.
type Result struct {
	Seed uint64
	shop.Audit
	RolledBack, Faults int
	// Growth is how many octets of live heap the instance that lived longest
	// had more at the end of that life than at its beginning.
	Growth int64
}

// String is the run's last line.
func (r Result) String() string {
	return fmt.Sprintf("torture: seed=%d committed=%d rolled_back=%d faults=%d lost=%d phantom=%d duplicate_runs=%d duplicate_effects=%d",
		r.Seed, r.Orders, r.RolledBack, r.Faults, r.Lost+r.Unfinished, r.Phantoms, r.DuplicateRuns, r.DuplicateEffects)
}

// growthAllowed is what the live heap of an instance may differ by at two
// moments of the same load: a batch of jobs more or less in hand.
const growthAllowed = 8 << 20

// Err says what is wrong with the result, if anything.
func (r Result) Err() error {
	var errs []error
	if r.Orders == 0 {
		errs = append(errs, errors.New("torture: nothing was committed: this run proves nothing"))
	}
	if r.Growth > growthAllowed {
		errs = append(errs, fmt.Errorf("torture: the live heap of an instance has grown by %d octets: at most %d are allowed", r.Growth, growthAllowed))
	}
	return errors.Join(append(errs, r.Audit.Err())...)
}

// growth compares the live heap in the second and in the last quarter of a
// life: the median of each. The first quarter is for warming up.
func growth(life []shop.Report) int64 {
	quarter := len(life) / 4
	if quarter < 10 {
		return 0
	}
	return median(life[3*quarter:]) - median(life[quarter:2*quarter])
}

func median(reports []shop.Report) int64 {
	heaps := make([]int64, len(reports))
	for i, r := range reports {
		heaps[i] = int64(r.LiveHeap)
	}
	slices.Sort(heaps)
	return heaps[len(heaps)/2]
}
