package outbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/ackbox/ackbox"
)

const maxPage = 10_000

// List returns a page of the jobs that match f: up to limit of them, 1 to 10,000, behind the
// place that the page before names in Next, "" for the first.
//
// The order is that of an index, so that nothing is sorted or counted that is not shown:
// pending, nacked and refused jobs by their due time, the oldest first; sent ones by when
// they were last seen, the oldest first, and then publish-only messages, the newest first;
// running ones by their start; done, dead and cancelled ones by their end, the newest first;
// jobs of a key, or of any state, by their id, the newest first. Filter.After and Before
// bound that time.
//
// A call looks at 10,000 rows at most, however few match: what is left is behind Next. It
// takes 2 s at most on PostgreSQL, or returns [ErrSlow]. Rows that cannot be read, because
// somebody has edited them, are named in the error, beside which the others are returned.
func (s *Store) List(ctx context.Context, f Filter, after string, limit int) (Page, error) {
	if limit < 1 || limit > maxPage {
		return Page{}, fmt.Errorf("outbox: limit is %d: want 1 to %d", limit, maxPage)
	}
	if err := f.check(); err != nil {
		return Page{}, err
	}
	from, err := decodePlace(after)
	if err != nil {
		return Page{}, err
	}
	ledger, err := s.Identity(ctx)
	if err != nil {
		return Page{}, err
	}
	ways := s.waysOf(f)
	if from.Way >= len(ways) {
		return Page{}, ErrPlace
	}
	var page Page
	var unread []error
	err = s.look(ctx, "list jobs", func(ctx context.Context, c conn) error {
		var ids []string
		var next *bookmark
		for n, w := range ways[from.Way:] {
			if n > 0 {
				from = bookmark{Way: from.Way + 1}
			}
			l := listing{w: w, f: f, from: from, limit: limit - len(ids), budget: maxSearched - page.Searched}
			if err := s.walk(ctx, c, &l); err != nil {
				return err
			}
			ids = append(ids, l.ids...)
			page.Searched = maxSearched - l.budget
			if l.more {
				next = &l.from
				break
			}
		}
		if next != nil {
			page.Next = next.encode()
		}
		page.Entries, unread, err = s.entriesOf(ctx, c, ledger, ids)
		return err
	})
	if err != nil {
		return Page{}, err
	}
	return page, errors.Join(unread...)
}

// waysOf are the ways on which all that f selects is found.
func (s *Store) waysOf(f Filter) []*way {
	switch {
	case f.Running:
		return []*way{s.ways.running}
	case f.Key != "":
		return []*way{s.ways.byKey}
	case f.State == ackbox.Sent && f.Queue == "":
		return []*way{s.ways.byState[ackbox.Sent], s.ways.sentEvents}
	case f.State != "":
		return []*way{s.ways.byState[f.State]}
	}
	return []*way{s.ways.all}
}

// listing is the walk along one way for a page.
type listing struct {
	w *way
	f Filter
	// from is the row behind which it goes on, limit how many it may find yet, and budget
	// how many it may look at.
	from          bookmark
	limit, budget int

	ids []string
	// more says that there are rows behind from, which may match.
	more bool
}

// glimpse is a row as a walk sees it.
type glimpse struct {
	queue, id string
	at        int64
	match     bool
	// last says that it is the last one that was read of its queue, and n how many were.
	last bool
	n    int
}

// walk looks along a way until it has found a row too many, or has looked at as many as it
// may. It begins with as many as a page has, so that a list of all costs that, and goes on
// with ever more, so that a list of few costs few statements.
func (s *Store) walk(ctx context.Context, c conn, l *listing) error {
	queues := []string{l.f.Queue}
	if l.w.queues != "" && l.f.Queue == "" {
		var err error
		if queues, err = s.queuesOn(ctx, c, l.w.queues); err != nil {
			return err
		}
	}
	each := l.limit + 1
	if len(queues) > 1 {
		each = min(each, 2*each/len(queues)+8)
	}
	for l.more = len(queues) > 0; l.more && l.budget > 0; each *= 4 {
		each = max(1, min(each, l.budget/len(queues)))
		seen, err := s.steps(ctx, c, l, queues, each)
		if err != nil {
			return err
		}
		for _, r := range seen {
			if r.last {
				l.budget -= r.n
			}
		}
		if l.take(seen, each) {
			return nil
		}
	}
	return nil
}

// take takes the rows that match, in their order, as far as every queue was read: behind
// the last row of one that has more, that queue's would be missing. It reports whether it
// came to a row that matches and has no room any more.
func (l *listing) take(seen []glimpse, each int) (full bool) {
	l.more = false
	for _, r := range seen {
		if r.match && len(l.ids) == l.limit {
			l.more = true
			return true
		}
		if r.match {
			l.ids = append(l.ids, r.id)
		}
		l.from.At, l.from.ID = r.at, r.id
		if r.last && r.n == each {
			l.more = true
			return false
		}
	}
	return false
}

// steps reads the rows behind l.from, so many of each queue at most.
func (s *Store) steps(ctx context.Context, c conn, l *listing, queues []string, each int) ([]glimpse, error) {
	names, err := json.Marshal(queues)
	if err != nil {
		return nil, fmt.Errorf("encode the names of queues: %w", err)
	}
	var seen []glimpse
	rows, err := s.run(ctx, c, l.w.pageOf(s.d, l.f, l.from, string(names), each))
	err = scanEach(rows, err, func(rows *sql.Rows) error {
		var r glimpse
		var at dbTime
		if err := rows.Scan(&r.queue, &r.id, &at, &r.match, &r.last, &r.n); err != nil {
			return err
		}
		r.at = at.UnixMicro()
		seen = append(seen, r)
		return nil
	})
	return seen, err
}

// queuesOn lists the queues that an index has, by the statement for that.
func (s *Store) queuesOn(ctx context.Context, c conn, query string) ([]string, error) {
	var found []string
	all := window{-allAges, allAges}.args()
	if s.d.numbered {
		all = append(all, all...) // for the hop
	}
	for more, first := true, ""; more; {
		n := 0
		rows, err := c.QueryContext(ctx, query, slices.Concat([]any{first}, all, []any{rowsPerStatement})...)
		err = scanEach(rows, err, func(rows *sql.Rows) error {
			n++
			var queue string
			err := rows.Scan(&queue)
			found = append(found, queue)
			return err
		})
		if err != nil {
			return nil, err
		}
		if more = n == rowsPerStatement; more {
			first = found[len(found)-1] // once more: there is no name right after it
		}
	}
	return slices.Compact(found), nil
}

// entriesOf reads rows in the order of ids. One that is gone meanwhile is left out; one
// that cannot be read is named beside the others.
func (s *Store) entriesOf(ctx context.Context, c conn, ledger string, ids []string) (entries []Entry, unread []error, err error) {
	if len(ids) == 0 {
		return nil, nil, nil
	}
	read := make(map[string]Entry, len(ids))
	rows, err := c.QueryContext(ctx, s.ways.entries, s.d.idList(ids))
	err = scanEach(rows, err, func(rows *sql.Rows) error {
		entry, err := readEntry(ledger, rows.Scan)
		if err != nil {
			unread = append(unread, err)
		} else {
			read[entry.ID] = entry
		}
		return nil
	})
	for _, id := range ids {
		if entry, ok := read[id]; ok {
			entries = append(entries, entry)
		}
	}
	return entries, unread, err
}
