package outbox

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ackbox/ackbox"
)

// bookmark is where a list goes on: behind a row of one of the ways that it goes.
type bookmark struct {
	Way int    `json:"w"`
	At  int64  `json:"t"` // microseconds since 1970
	ID  string `json:"i"`
}

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
	var unread error
	for {
		found, more, err := s.walk(ctx, ways[from.Way], f, from, limit)
		if err != nil {
			return Page{}, err
		}
		page.Searched += found.searched
		entries, err := s.entriesOf(ctx, ledger, found.ids)
		unread = errors.Join(unread, err)
		page.Entries = append(page.Entries, entries...)
		limit -= len(found.ids)
		switch {
		case more:
			found.last.Way = from.Way
			page.Next = found.last.encode()
			return page, unread
		case from.Way+1 == len(ways):
			return page, unread
		case limit == 0:
			page.Next = bookmark{Way: from.Way + 1}.encode()
			return page, unread
		}
		from = bookmark{Way: from.Way + 1}
	}
}

const maxPage = 10_000

func (p bookmark) encode() string {
	text, _ := json.Marshal(p) // numbers and a text always encode
	return base64.RawURLEncoding.EncodeToString(text)
}

func decodePlace(after string) (p bookmark, err error) {
	if after == "" {
		return bookmark{}, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(after)
	if err != nil || json.Unmarshal(text, &p) != nil || p.Way < 0 || p.ID != "" && !validID(p.ID) {
		return bookmark{}, ErrPlace
	}
	return p, nil
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

// found are rows that a walk has come to.
type found struct {
	ids      []string
	searched int
	last     bookmark
}

// walk looks along a way for up to limit rows that match; more says that there are rows
// behind the last one.
func (s *Store) walk(ctx context.Context, w *way, f Filter, from bookmark, limit int) (found, bool, error) {
	queues, each := []string(nil), maxSearched
	if w.queues != "" {
		if queues = []string{f.Queue}; f.Queue == "" {
			var err error
			if queues, err = s.listQueues(ctx, "list the queues of jobs", w.queues); err != nil {
				return found{}, false, err
			}
		}
		each = max(limit+1, maxSearched/max(1, len(queues)))
	}
	var seen []looked
	err := s.look(ctx, "list jobs", func(ctx context.Context, c conn) error {
		args, err := s.pageArgs(w, f, from, queues, each)
		if err != nil {
			return err
		}
		rows, err := c.QueryContext(ctx, w.page, args...)
		return scanEach(rows, err, func(rows *sql.Rows) error {
			var r looked
			var at dbTime
			if err := rows.Scan(&r.queue, &r.id, &at, &r.match); err != nil {
				return err
			}
			r.at = at.Time.UnixMicro()
			seen = append(seen, r)
			return nil
		})
	})
	if err != nil {
		return found{}, false, err
	}
	result, more := take(seen, each, limit)
	return result, more, nil
}

// looked is a row as a walk sees it.
type looked struct {
	queue, id string
	at        int64
	match     bool
}

// take takes the rows that match, in their order, as far as every queue was read: behind
// the last row of one that has more, that queue's would be missing.
func take(seen []looked, each, limit int) (found, bool) {
	read := make(map[string]int)
	end := len(seen)
	for i, r := range seen {
		if read[r.queue]++; read[r.queue] == each {
			end = i + 1
			break
		}
	}
	more := end < len(seen) || len(seen) > 0 && read[seen[end-1].queue] == each
	var result found
	for _, r := range seen[:end] {
		if r.match && len(result.ids) == limit {
			return result, true
		}
		if r.match {
			result.ids = append(result.ids, r.id)
		}
		result.searched++
		result.last = bookmark{At: r.at, ID: r.id}
	}
	return result, more
}

// pageArgs are the parameters of a way's page.
func (s *Store) pageArgs(w *way, f Filter, from bookmark, queues []string, each int) ([]any, error) {
	var args []any
	if w.queues != "" {
		names, err := json.Marshal(append([]string{}, queues...)) // a list in any case
		if err != nil {
			return nil, fmt.Errorf("encode the names of queues: %w", err)
		}
		args = append(args, string(names))
	}
	if w == s.ways.byKey {
		args = append(args, f.matchArgs()...)
		args = append(args, s.timeArgs(f)...)
		return append(args, f.Key, from.idFrom(w), each), nil
	}
	args = append(args, f.matchArgs()...)
	if w.column == "" {
		args = append(args, s.timeArgs(f)...)
		return append(args, from.idFrom(w), each), nil
	}
	at := from.At
	if from.ID == "" && w.newestFirst {
		at = lastTime.UnixMicro()
	} else if from.ID == "" {
		at = firstTime.UnixMicro()
	}
	args = append(args, s.d.timeParam(time.UnixMicro(at)), from.idFrom(w))
	return append(append(args, s.timeArgs(f)...), each), nil
}

// firstTime and lastTime lie before and behind all times of a row.
var (
	firstTime = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	lastTime  = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
)

// idFrom is the id behind which a walk goes on.
func (p bookmark) idFrom(w *way) string {
	switch {
	case p.ID != "":
		return p.ID
	case w.newestFirst:
		return "ffffffff-ffff-ffff-ffff-ffffffffffff"
	}
	return "00000000-0000-0000-0000-000000000000"
}

// entriesOf reads rows in the order of ids. One that is gone meanwhile is left out.
func (s *Store) entriesOf(ctx context.Context, ledger string, ids []string) ([]Entry, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	read := make(map[string]Entry, len(ids))
	var unread []error
	err := s.look(ctx, "read jobs", func(ctx context.Context, c conn) error {
		rows, err := c.QueryContext(ctx, s.ways.entries, s.d.idList(ids))
		return scanEach(rows, err, func(rows *sql.Rows) error {
			entry, err := readEntry(ledger, rows.Scan)
			if err != nil {
				unread = append(unread, err)
				return nil //nolint:nilerr // it is named beside the others
			}
			read[entry.ID] = entry
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, 0, len(ids))
	for _, id := range ids {
		if entry, ok := read[id]; ok {
			entries = append(entries, entry)
		}
	}
	return entries, errors.Join(unread...)
}
