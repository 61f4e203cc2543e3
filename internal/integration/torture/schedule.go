//go:build unix

package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// fault is one way to break something.
type fault struct {
	// group is what it breaks: of two at once each must be of another.
	group string
	name  string
	// strike breaks it and mends it again. It tells what it chose by r.
	strike func(ctx context.Context, r *run, rnd *rand.Rand) (detail string, err error)
}

func (f fault) String() string { return f.group + ": " + f.name }

// faults lists every fault, in an order that must not change lightly: seeds
// choose by it.
func faults(cluster bool) []fault {
	all := brokerFaults()
	if cluster {
		all = append(all, clusterFaults()...)
	} else {
		all = append(all, loneFaults()...)
	}
	all = append(all, queueFaults()...)
	all = append(all, databaseFaults()...)
	all = append(all, networkFaults()...)
	return append(all, processFaults()...)
}

// step is one entry of a schedule: faults that strike together after a pause.
type step struct {
	pause  time.Duration
	faults []fault
	seeds  []uint64 // of each fault's own choices
}

// schedule draws steps for ever. It deals the faults like cards, so that none
// is long missing.
type schedule struct {
	rnd  *rand.Rand
	all  []fault
	deck []fault
}

func newSchedule(cfg Config) (*schedule, error) {
	s := &schedule{rnd: rand.New(rand.NewPCG(cfg.Seed, 0x6f7574626f78))} //nolint:gosec // it shall repeat
	for _, f := range faults(cfg.Cluster) {
		if strings.Contains(f.String(), cfg.Only) {
			s.all = append(s.all, f)
		}
	}
	if len(s.all) == 0 {
		return nil, fmt.Errorf("torture: no fault's name contains %q", cfg.Only)
	}
	return s, nil
}

func (s *schedule) next() step {
	st := step{pause: between(s.rnd, 500*time.Millisecond, 3*time.Second)}
	st.add(s.deal(), s.rnd)
	if s.rnd.IntN(4) == 0 {
		if second := s.deal(); second.group != st.faults[0].group {
			st.add(second, s.rnd)
		}
	}
	return st
}

func (st *step) add(f fault, rnd *rand.Rand) {
	st.faults, st.seeds = append(st.faults, f), append(st.seeds, rnd.Uint64())
}

func (s *schedule) deal() fault {
	if len(s.deck) == 0 {
		s.deck = append([]fault(nil), s.all...)
		s.rnd.Shuffle(len(s.deck), func(i, j int) { s.deck[i], s.deck[j] = s.deck[j], s.deck[i] })
	}
	f := s.deck[0]
	s.deck = s.deck[1:]
	return f
}

// between draws a duration, in whole milliseconds.
func between(rnd *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(rnd.Int64N(int64((high-low)/time.Millisecond)+1))*time.Millisecond
}

// hold waits, as long as ctx does.
func hold(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Schedule describes the first steps of a run, which its seed decides on, a line
// each.
func Schedule(cfg Config, steps int) (string, error) {
	s, err := newSchedule(cfg)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for range steps {
		st := s.next()
		fmt.Fprintf(&b, "after %v: %v %v\n", st.pause, st.faults, st.seeds)
	}
	return b.String(), nil
}
