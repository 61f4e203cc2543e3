//go:build unix

package deploys

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ackbox/ackbox/internal/integration/shop"
)

// Result is what a run has found.
type Result struct {
	Seed    uint64
	Minutes float64
	// Graceful and Killed processes had a successor.
	Graceful, Killed int
	shop.Audit
	// Charged are the tries that the ledger has charged, Failures those that had to
	// be. Unearned are the first without the second, Uncharged the other way round.
	Charged, Failures, Unearned, Uncharged int
	// Overlaps are pairs of runs of one job at the same time.
	Overlaps int
	// CutShort runs were ended by a kill, Interrupted ones by the end of the grace.
	CutShort, Interrupted int
	// Stories tell of the first few jobs that Err complains about.
	Stories []string
}

// String is the run's last line.
func (r Result) String() string {
	return fmt.Sprintf("deploys: seed=%d minutes=%.3g jobs=%d restarts=%d (graceful=%d killed=%d) charged=%d failures=%d overlaps=%d lost=%d duplicate_effects=%d",
		r.Seed, r.Minutes, r.Jobs, r.Graceful+r.Killed, r.Graceful, r.Killed, r.Charged, r.Failures, r.Overlaps, r.Lost+r.Unfinished, r.DuplicateEffects)
}

// Err says what is wrong with the result, if anything.
func (r Result) Err() error {
	var errs []error
	if r.Jobs == 0 || r.Failures == 0 || r.CutShort == 0 {
		errs = append(errs, fmt.Errorf("deploys: %d jobs, %d failures, %d runs cut short: this run proves nothing", r.Jobs, r.Failures, r.CutShort))
	}
	if r.Unearned+r.Uncharged+r.Overlaps > 0 || r.Charged != r.Failures {
		errs = append(errs, fmt.Errorf("deploys: %d tries were charged that did not fail, %d failed that were not charged, %d times a job ran twice at once:\n%s",
			r.Unearned, r.Uncharged, r.Overlaps, strings.Join(r.Stories, "\n")))
	}
	return errors.Join(append(errs, r.Audit.Err())...)
}
