package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// grow measures how rates change with one setting at a time, and prints a line
// for each series and point as soon as its sweep is over.
func grow(ctx context.Context, o options, out, progress io.Writer) error {
	sweeps, err := chooseSweeps(allSweeps(o.quick), o.only)
	if err != nil {
		return err
	}
	servers, err := findServers(ctx)
	if err != nil {
		return err
	}
	r := runner{servers: servers, options: o, progress: progress}
	for _, s := range sweeps {
		lines, err := r.sweep(ctx, s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if err := writeLines(out, lines); err != nil {
			return err
		}
	}
	return nil
}

// sweep measures all points of s in each round, one after the other and in
// alternating order, so that what changes on the machine meanwhile meets all.
func (r runner) sweep(ctx context.Context, s sweep) ([]line, error) {
	began := time.Now()
	measured := make([][]figures, len(s.points))
	order := make([]int, len(s.points))
	for i := range order {
		order[i] = i
	}
	for round := 1; round <= r.options.rounds; round++ {
		for _, i := range order {
			p := s.points[i]
			f, err := r.measure(ctx, Case{name: s.name}, round, false, p.trial.measure)
			if err != nil {
				return nil, fmt.Errorf("round %d, at %g: %w", round, p.x, err)
			}
			measured[i] = append(measured[i], f)
		}
		slices.Reverse(order)
	}
	_, _ = fmt.Fprintf(r.progress, "bench: %s: %d rounds in %v\n", s.name, r.options.rounds, time.Since(began).Round(time.Second))
	return s.lines(measured), nil
}

// lines summarises what was measured at each point.
func (s sweep) lines(measured [][]figures) []line {
	var lines []line
	for _, series := range s.series {
		for i, p := range s.points {
			// A figure that some round lacks could not be known there.
			values, ok := column(measured[i], series.figure)
			if !ok {
				continue
			}
			sum := spreadOf(values)
			lines = append(lines, line{
				Sweep: s.name, Series: series.name, X: p.x, Unit: series.unit,
				Median: sum.median, Min: sum.least, Max: sum.most, Rounds: len(values),
			})
		}
	}
	return lines
}

// chooseSweeps picks the sweeps that were asked for by name, or all.
func chooseSweeps(all []sweep, only []string) ([]sweep, error) {
	if len(only) == 0 {
		return all, nil
	}
	var chosen []sweep
	for _, name := range only {
		i := slices.IndexFunc(all, func(s sweep) bool { return s.name == name })
		if i < 0 {
			names := make([]string, len(all))
			for i, s := range all {
				names[i] = s.name
			}
			return nil, fmt.Errorf("-case %q: there is no such sweep: want some of %s", name, strings.Join(names, ", "))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}
