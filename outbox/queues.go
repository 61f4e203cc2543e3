package outbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ackbox/ackbox"
)

const (
	// minSeek is how often unknown queues are looked for at most. It is as long as
	// a dispatcher's poll; it takes a twentieth of the time at most.
	minSeek   = 250 * time.Millisecond
	maxSeek   = 30 * time.Second
	seekShare = 20
	// seekBack is how far back it looks when the whole index took too long.
	seekBack = time.Minute
	// maxNames is how many queues one claim looks at, maxKnown how many a Store
	// remembers.
	maxNames = 2000
	maxKnown = 10_000
)

// queues are those that claims and sweeps look at: the Store's own, events (the
// queue ""), and what others have put into the table. Claims take turns in beginning with
// each. Safe for concurrent use.
type queues struct {
	mu    sync.Mutex
	names []string // sorted
	last  string   // that a claim has come to
	due   time.Time
	late  bool // the latest search met its deadline
}

func newQueues(own []string) *queues {
	q := &queues{}
	q.learn(append([]string{""}, own...))
	return q
}

func (q *queues) learn(names []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, name := range names {
		if i, known := slices.BinarySearch(q.names, name); !known && len(q.names) < maxKnown {
			q.names = slices.Insert(q.names, i, name)
		}
	}
}

// known lists all of them.
func (q *queues) known() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.names)
}

// turn returns the names in the order of this claim: those behind the one that
// the last has come to go first.
func (q *queues) turn(except []string) []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	i, found := slices.BinarySearch(q.names, q.last)
	if found {
		i++
	}
	names := slices.Concat(q.names[i:], q.names[:i])
	if len(except) > 0 {
		names = slices.DeleteFunc(names, func(name string) bool { return slices.Contains(except, name) })
	}
	return names[:min(len(names), maxNames)]
}

// cameTo notes the last queue that a claim has looked at.
func (q *queues) cameTo(name string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.last = name
}

// toSeek reports whether it is time to look for unknown queues, beside which and
// how. It is the caller's to do then.
func (q *queues) toSeek() (known []string, late, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if time.Now().Before(q.due) {
		return nil, false, false
	}
	q.due = time.Now().Add(maxSeek)
	return slices.Clone(q.names), q.late, true
}

// sought notes how a search was.
func (q *queues) sought(took time.Duration, late bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.due = time.Now().Add(min(max(minSeek, seekShare*took), maxSeek))
	q.late = late
}

// seek looks for queues that this Store does not know yet, if it is time to. A
// search that met its deadline is no error: what is known can be claimed.
func (s *Store) seek(ctx context.Context) error {
	known, late, ok := s.queues.toSeek()
	if !ok {
		return nil
	}
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	began := time.Now()
	found, err := s.unknownQueues(ctx, known, late)
	s.queues.sought(time.Since(began), timedOut(err))
	if err != nil && !timedOut(err) {
		return fmt.Errorf("outbox: look for queues: %w", err)
	}
	s.queues.learn(found)
	return nil
}

func (s *Store) unknownQueues(ctx context.Context, known []string, recent bool) (found []string, err error) {
	tx, err := s.pool.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }() // it has changed nothing
	since, _, err := s.openClaim(ctx, tx)
	if err != nil {
		return nil, err
	}
	if since = since.Add(-seekBack); !recent {
		since = time.Time{}
	}
	list, err := json.Marshal(known)
	if err != nil {
		return nil, err
	}
	rows, err := tx.QueryContext(ctx, s.sql.seek, string(list), since, since)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // its error is rows.Err's
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		found = append(found, name)
	}
	return found, rows.Err()
}

// span is a part of one queue, as a claim is told.
type queueSpan struct {
	Queue string `json:"queue"`
	At    string `json:"at"` // behind this time and id
	ID    string `json:"id"`
	Until string `json:"until"`
}

const noID = "00000000-0000-0000-0000-000000000000"

func (s *Store) queueSpans(names []string, of func(name string) (span, bool)) []queueSpan {
	spans := make([]queueSpan, 0, len(names))
	for _, name := range names {
		part, ok := of(name)
		if !ok {
			continue
		}
		q := queueSpan{Queue: name, At: "-infinity", ID: noID, Until: "infinity"}
		if !part.from.IsZero() {
			q.At = timestamp(part.from)
		}
		if !part.to.IsZero() {
			q.Until = timestamp(part.to)
		}
		spans = append(spans, q)
	}
	return spans
}

func timestamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// behindJob is the part of a queue behind a job of it.
func behindJob(job *ackbox.Job, due time.Time) queueSpan {
	return queueSpan{Queue: job.Queue, At: timestamp(due), ID: job.ID, Until: "infinity"}
}
