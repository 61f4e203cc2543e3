package outbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ackbox/ackbox"
)

// Entry is a job's row as an operator reads it.
type Entry struct {
	ackbox.Job
	State ackbox.State
	// DueAt is when a pending job may be published, or a nacked one is next
	// tried.
	DueAt time.Time
	// SentAt and FinishedAt are nil as long as that has not happened.
	SentAt, FinishedAt *time.Time
	// Holder is the instance in whose hands the job is, as far as is known; empty if
	// that is nobody. It stays with a job that is finished. StartedAt is when its
	// handler began there, nil while it waits.
	Holder    string
	StartedAt *time.Time
	// Starts counts the starts of this try that had no outcome, as far as they were
	// written down: what is done within a second is not.
	Starts int
	// LastError is the latest reason why something did not work; a job that
	// came through in the end keeps it.
	LastError string
	// History is what happened to it off the straight way, oldest first, the latest 50
	// events. Where somebody has edited the row so that it cannot be read, the only one
	// says so.
	History []HistoryEntry
}

// Get returns the row of the job with this id, or [ErrNotFound]. It is bounded like
// [Store.List].
func (s *Store) Get(ctx context.Context, id string) (Entry, error) {
	if !validID(id) {
		return Entry{}, fmt.Errorf("%w: %q is not a UUID", ErrNotFound, id)
	}
	ledger, err := s.Identity(ctx)
	if err != nil {
		return Entry{}, err
	}
	var found []Entry
	err = s.look(ctx, "read job "+id, func(ctx context.Context, c conn) error {
		rows, err := c.QueryContext(ctx, s.sql.get, id)
		return scanEach(rows, err, func(rows *sql.Rows) error {
			entry, err := readEntry(ledger, rows.Scan)
			found = append(found, entry)
			return err
		})
	})
	switch {
	case err != nil:
		return Entry{}, err
	case len(found) == 0:
		return Entry{}, fmt.Errorf("%w: %s", ErrNotFound, id)
	}
	return found[0], nil
}

func readEntry(ledger string, scan func(...any) error) (Entry, error) {
	var r row
	if err := scan(r.entryFields()...); err != nil {
		return Entry{}, fmt.Errorf("outbox: read job %s: %w", r.job.ID, err)
	}
	entry := Entry{
		Job:        r.asJob(),
		State:      ackbox.State(r.state),
		DueAt:      r.due.Time,
		SentAt:     r.sent.pointer(),
		FinishedAt: r.finished.pointer(),
		Holder:     r.holder,
		StartedAt:  r.started.pointer(),
		Starts:     r.starts,
		LastError:  r.lastError.String,
	}
	if entry.Queue != "" {
		entry.Ledger = ledger
	}
	if r.failure.Valid {
		if err := json.Unmarshal([]byte(r.failure.String), &entry.History); err != nil {
			entry.History = []HistoryEntry{{Error: fmt.Sprintf("outbox: the row's history cannot be read: %v", err)}}
		}
		for i := range entry.History {
			entry.History[i].toUTC()
		}
	}
	return entry, nil
}

// Counts returns the exact number of rows in each state; every state has an entry.
// It reads the whole table, for as long as Config.StatementTimeout lets it: for tests and
// small ledgers. What people look at again and again is [Store.Count], which ends at 10,000.
func (s *Store) Counts(ctx context.Context) (map[ackbox.State]int, error) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	counts := make(map[ackbox.State]int)
	for _, state := range ackbox.States() {
		counts[state] = 0
	}
	rows, err := s.pool.QueryContext(ctx, s.sql.counts)
	if err != nil {
		return nil, fmt.Errorf("outbox: count jobs: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is rows.Err's
	for rows.Next() {
		var state ackbox.State
		var n int
		if err := rows.Scan(&state, &n); err != nil {
			return nil, fmt.Errorf("outbox: count jobs: %w", err)
		}
		counts[state] = n
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("outbox: count jobs: %w", err)
	}
	return counts, nil
}
