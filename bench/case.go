package main

import (
	"context"
	"fmt"
	"strings"
)

// Case compares us with one other at one thing. Each side prepares, measures
// and cleans up by itself, in the database and vhost of its Env.
type Case struct {
	name string
	// rows are what is reported of it; the first one has its name.
	rows []row
	ours side
	// other is what we are compared with.
	other side
	// extra cases are left out of -quick.
	extra bool
}

// side measures one system once.
type side func(ctx context.Context, env *Env) (figures, error)

// figures are what a side measured, by name.
type figures map[string]float64

// row is a line of the table: one figure of both sides.
type row struct {
	name   string
	figure string
	unit   string
	// cost marks figures of which less is better.
	cost bool
	// ratio, if set, is how many times better than the other we have to be.
	ratio float64
	// most, if set, is what our own figure may be at most.
	most float64
}

// ratioOf is how many times better ours is: above 1 is in our favour whether
// more or less is better.
func (r row) ratioOf(ours, other float64) float64 {
	if r.cost {
		return other / ours
	}
	return ours / other
}

// bound is r's bound as people read it.
func (r row) bound() string {
	var parts []string
	if r.ratio > 0 {
		parts = append(parts, fmt.Sprintf("ratio >= %.2f", r.ratio))
	}
	if r.most > 0 {
		parts = append(parts, fmt.Sprintf("ours <= %g %s", r.most, r.unit))
	}
	return strings.Join(parts, ", ")
}

func (r row) met(ours, ratio float64) bool {
	return (r.ratio == 0 || ratio >= r.ratio) && (r.most == 0 || ours <= r.most)
}

// named reports whether name is the case's, or begins one of its rows'.
func (c Case) named(name string) bool {
	for _, r := range c.rows {
		if strings.HasPrefix(r.name, name) {
			return true
		}
	}
	return c.name == name
}

// allCases are in the order of the table.
func allCases() []Case {
	var all []Case
	for _, group := range [][]Case{relayCases(), drainCases(), watermillCases(), enqueueCases(), latencyCases(), isolationCases()} {
		all = append(all, group...)
	}
	return all
}

// choose picks the cases that were asked for by name, or all.
func choose(all []Case, only []string, quick bool) ([]Case, error) {
	if len(only) == 0 {
		var chosen []Case
		for _, c := range all {
			if !quick || !c.extra {
				chosen = append(chosen, c)
			}
		}
		return chosen, nil
	}
	for _, name := range only {
		if name == "" || !anyNamed(all, name) {
			return nil, fmt.Errorf("-case %q: there is no such case: want some of %s", name, strings.Join(names(all), ", "))
		}
	}
	var chosen []Case
	for _, c := range all {
		for _, name := range only {
			if c.named(name) {
				chosen = append(chosen, c)
				break
			}
		}
	}
	return chosen, nil
}

func anyNamed(cases []Case, name string) bool {
	for _, c := range cases {
		if c.named(name) {
			return true
		}
	}
	return false
}

func names(cases []Case) []string {
	list := make([]string, len(cases))
	for i, c := range cases {
		list[i] = c.name
	}
	return list
}
