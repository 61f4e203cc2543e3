package outbox

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ackbox/ackbox/internal/core"
)

const (
	// statsInterval is how often a process writes what it has counted.
	statsInterval = 10 * time.Second
	// minuteStatsRetention and hourStatsRetention are for how long there are statistics
	// by minutes and by hours.
	minuteStatsRetention = 26 * time.Hour
	hourStatsRetention   = 31 * 24 * time.Hour
)

// written is when statistics were last written, and by whom they are now. The zero value
// is ready; safe for concurrent use.
type written struct {
	turn sync.Mutex
	last time.Time
}

// clock is how far the database's clock is from this machine's, as a beat has found it.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// learn notes that the database's clock showed a time between two of ours.
func (c *clock) learn(shown, before, after time.Time) {
	c.ahead.Store(int64(shown.Sub(before.Add(after.Sub(before) / 2))))
}

// Ran counts a handler's run. It waits for nobody; [Store.WriteStats] makes the counts
// durable. Safe for concurrent use.
func (s *Store) Ran(r core.Ran) { s.tally.ran(s.clock.now(), r) }

// WriteStats writes what this process has counted since it last did, unless that was less
// than 10 s ago and all is false. What cannot be written is kept for the next time. If
// PostgreSQL's answer is lost some may be counted twice; what a process that dies has
// counted since the last time is lost. It takes core.BeatInterval at most, on SQLite
// Config.StatementTimeout.
// Safe for concurrent use.
func (s *Store) WriteStats(ctx context.Context, all bool) error {
	if all {
		s.written.turn.Lock()
	} else if !s.written.turn.TryLock() {
		return nil
	}
	defer s.written.turn.Unlock()
	if !all && time.Since(s.written.last) < statsInterval {
		return nil
	}
	s.written.last = time.Now()
	taken := s.tally.take()
	rows := statsRows(taken, s.clock.now())
	if len(rows) == 0 {
		return nil
	}
	if err := s.addStats(ctx, rows); err != nil {
		s.tally.giveBack(taken)
		return fmt.Errorf("outbox: write statistics: %w", explain(err))
	}
	return nil
}

// addStats adds all of rows, or nothing.
func (s *Store) addStats(ctx context.Context, rows []statsRow) error {
	bound := min(s.cfg.StatementTimeout, core.BeatInterval)
	if !s.d.schemas { // of one process nobody takes a loop for dead whose next beat is late
		bound = s.cfg.StatementTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	tx, err := s.pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	for some := range slices.Chunk(rows, rowsPerStatement) {
		list, err := json.Marshal(some)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, s.sql.addStats, string(list)); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// statsRow is what is added to a row of the statistics.
type statsRow struct {
	Span  int64  `json:"span"` // seconds
	At    int64  `json:"at"`   // seconds since 1970
	Queue string `json:"queue"`
	Kind  string `json:"kind"`
	counts
}

// statsRows makes a row for each minute, and for each hour, that will not be purged at
// once. They are in the order of the table's key, so that processes that write the same
// ones wait for each other and not in a circle.
func statsRows(taken map[tallied]*counts, now time.Time) []statsRow {
	rows := make([]statsRow, 0, 2*len(taken))
	add := func(span int64, kept time.Duration, key tallied, c *counts) {
		if at := 60 * key.minute; now.Sub(time.Unix(at, 0)) < kept {
			row := statsRow{span, at, key.queue, key.kind, *c}
			row.Wait, row.Run = append(Histogram{}, c.Wait...), append(Histogram{}, c.Run...) // lists in any case
			rows = append(rows, row)
		}
	}
	hours := make(map[tallied]*counts)
	for key, c := range taken {
		add(60, minuteStatsRetention, key, c)
		key.minute -= key.minute % 60
		if hours[key] == nil {
			hours[key] = &counts{}
		}
		hours[key].add(c)
	}
	for key, c := range hours {
		add(3600, hourStatsRetention, key, c)
	}
	slices.SortFunc(rows, func(a, b statsRow) int {
		return cmp.Or(cmp.Compare(a.Span, b.Span), cmp.Compare(a.At, b.At), strings.Compare(a.Queue, b.Queue), strings.Compare(a.Kind, b.Kind))
	})
	return rows
}
