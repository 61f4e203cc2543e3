package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// scaleOptions are the flags of -scale.
type scaleOptions struct {
	on     bool
	rows   int
	steady time.Duration
	only   string
}

func (o *scaleOptions) register(flags *flag.FlagSet) {
	flags.BoolVar(&o.on, "scale", false, "measure us alone with very many rows, for hours: one JSON object per line, then a table")
	flags.IntVar(&o.rows, "rows", 10_000_000, "with -scale: rows of the backlog, and of what is purged or dropped")
	flags.DurationVar(&o.steady, "steady", 30*time.Minute, "with -scale: how long the vacuum step runs")
	flags.StringVar(&o.only, "scale-step", "", "with -scale: only these of backlog, purge, partitions, vacuum, separated by commas")
}

// Less than this and a slice or an interval has nothing in it.
const (
	leastRows   = 3_000
	leastSteady = 15 * time.Second
)

// scaleStep is a part of -scale that can be run alone.
type scaleStep struct {
	name string
	run  func(*scale, context.Context) error
}

func scaleSteps() []scaleStep {
	return []scaleStep{
		{"backlog", (*scale).backlog},
		{"purge", (*scale).purge},
		{"partitions", (*scale).partitions},
		{"vacuum", (*scale).vacuum},
	}
}

// steps are those that were asked for, in their own order.
func (o scaleOptions) steps() ([]scaleStep, error) {
	switch {
	case o.rows < leastRows:
		return nil, fmt.Errorf("-rows is %d: want at least %d", o.rows, leastRows)
	case o.steady < leastSteady:
		return nil, fmt.Errorf("-steady is %v: want at least %v", o.steady, leastSteady)
	case o.only == "":
		return scaleSteps(), nil
	}
	var chosen []scaleStep
	wanted := strings.Split(o.only, ",")
	for _, step := range scaleSteps() {
		if at := slices.Index(wanted, step.name); at >= 0 {
			chosen, wanted = append(chosen, step), slices.Delete(wanted, at, at+1)
		}
	}
	if len(wanted) > 0 {
		return nil, fmt.Errorf("-scale-step %q: want some of backlog, purge, partitions, vacuum", strings.Join(wanted, ","))
	}
	return chosen, nil
}

// scale is one run of -scale.
type scale struct {
	options  scaleOptions
	servers  *servers
	report   *scaleReport
	progress io.Writer
}

// stepTimeout bounds a step, its preparation included.
const stepTimeout = 6 * time.Hour

// runScale runs the steps. One that fails does not keep the others from being
// measured, and what was measured is printed in any case.
func runScale(ctx context.Context, o scaleOptions, out, progress io.Writer) error {
	steps, err := o.steps()
	if err != nil {
		return err
	}
	servers, err := findServers(ctx)
	if err != nil {
		return err
	}
	s := &scale{options: o, servers: servers, report: newScaleReport(out), progress: progress}
	var errs []error
	for _, step := range steps {
		if ctx.Err() != nil {
			errs = append(errs, context.Cause(ctx))
			break
		}
		began := time.Now()
		if err := s.runStep(ctx, step); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", step.name, err))
			s.say("%s failed: %v", step.name, err)
			continue
		}
		s.say("%s took %v", step.name, time.Since(began).Round(time.Second))
	}
	return errors.Join(append(errs, s.report.writeTables())...)
}

func (s *scale) runStep(ctx context.Context, step scaleStep) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	return step.run(s, ctx)
}

// within runs do with an app in a fresh database and vhost: what one
// measurement leaves behind, on the disk too, must not meet the next one.
func (s *scale) within(ctx context.Context, do func(ctx context.Context, env *Env, a *app) error) (err error) {
	env, err := s.servers.fresh(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, env.drop(context.WithoutCancel(ctx))) }()
	a, err := openOurs(ctx, env.Database, env.AMQP, oursDefault())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	return do(ctx, env, a)
}

func (s *scale) say(format string, args ...any) {
	_, _ = fmt.Fprintf(s.progress, "bench: %s "+format+"\n", append([]any{time.Now().Format(time.TimeOnly)}, args...)...)
}

// pause waits, and reports whether it waited for all of d.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
