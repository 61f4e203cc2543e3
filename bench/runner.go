package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"
)

// sideTimeout bounds one side of one round, preparation included.
const sideTimeout = 5 * time.Minute

// runner runs cases, one after the other.
type runner struct {
	servers  *servers
	options  options
	progress io.Writer
}

// run runs all rounds of c: ours and the other in turns, and the turns in
// alternating order, so that what changes on the machine meanwhile meets both.
func (r runner) run(ctx context.Context, c Case) ([]result, error) {
	began := time.Now()
	var ours, other []figures
	one := func(round int, us bool) error {
		what, measure, list := "other", c.other, &other
		if us {
			what, measure, list = "ours", c.ours, &ours
		}
		f, err := r.measure(ctx, c, round, us, measure)
		if err != nil {
			return fmt.Errorf("round %d, %s: %w", round, what, err)
		}
		*list = append(*list, f)
		return nil
	}
	for round := 1; round <= r.options.rounds; round++ {
		first := round%2 == 1
		if err := one(round, first); err != nil {
			return nil, err
		}
		if err := one(round, !first); err != nil {
			return nil, err
		}
	}
	_, _ = fmt.Fprintf(r.progress, "bench: %s: %d rounds in %v\n", c.name, r.options.rounds, time.Since(began).Round(time.Second))
	return summarise(c.rows, ours, other), nil
}

// measure runs one side in a fresh database and vhost.
func (r runner) measure(ctx context.Context, c Case, round int, us bool, measure side) (f figures, err error) {
	ctx, cancel := context.WithTimeout(ctx, sideTimeout)
	defer cancel()
	env, err := r.servers.fresh(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, env.drop(context.WithoutCancel(ctx))) }()
	env.sizes = fullSizes
	if r.options.quick {
		env.sizes = quickSizes
	}
	if us && r.options.profiles != "" {
		env.profile = filepath.Join(r.options.profiles, fmt.Sprintf("%s-%d.pprof", c.name, round))
	}
	return measure(ctx, env)
}
