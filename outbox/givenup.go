package outbox

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/ackbox/ackbox"
)

// Count counts the jobs that match f, along the index in which [Store.List] finds them.
// It looks at 10,000 rows at most: with More there are as many, or there may be more among
// those that it has not looked at. Errors and bounds are those of List.
func (s *Store) Count(ctx context.Context, f Filter) (Count, error) {
	if err := f.check(); err != nil {
		return Count{}, err
	}
	var sum Count
	err := s.look(ctx, "count jobs", func(ctx context.Context, c conn) error {
		for _, w := range s.waysOf(f) {
			var seen, match int
			rows, err := s.run(ctx, c, w.countOf(s.d, f, maxSearched+1))
			err = scanEach(rows, err, func(rows *sql.Rows) error { return rows.Scan(&seen, &match) })
			if err != nil {
				return err
			}
			sum.N += match
			sum.More = sum.More || seen > maxSearched
		}
		return nil
	})
	if sum.N > maxSearched {
		sum.N = maxSearched
	}
	return sum, err
}

// GivenUp groups the newest 10,000 dead jobs, those that match f, by kind and by the first
// line of their last error, the largest group first, 200 of them at most; f.State may be
// left out. It returns how many jobs are in all groups. Errors and bounds are those of List.
func (s *Store) GivenUp(ctx context.Context, f Filter) ([]Group, int, error) {
	if err := f.check(); err != nil {
		return nil, 0, err
	}
	if f.State != "" && f.State != ackbox.Dead {
		return nil, 0, fmt.Errorf("outbox: Filter.State is %q: given up are jobs that are %q", f.State, ackbox.Dead)
	}
	f.State = ackbox.Dead
	var groups []Group
	all := 0
	err := s.look(ctx, "group what was given up", func(ctx context.Context, c conn) error {
		rows, err := s.run(ctx, c, givenUpOf(s.d, s.ways.byState[ackbox.Dead], f))
		return scanEach(rows, err, func(rows *sql.Rows) error {
			var g Group
			var first, last dbTime
			if err := rows.Scan(&g.Kind, &g.Error, &g.N, &first, &last, &g.Sample, &all); err != nil {
				return err
			}
			g.First, g.Last = first.Time, last.Time
			groups = append(groups, g)
			return nil
		})
	})
	return groups, all, err
}
