package outbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ackbox/ackbox"
)

// batch are claimed jobs.
type batch struct {
	jobs []ackbox.Job
	lots []lot
	// topped is where jobs begin that a second statement has found.
	topped int
	// large says that there are jobs whose payloads are still in the table.
	large bool
	// cut says that not all jobs that were claimed went into the batch.
	cut bool
}

// lot are the jobs of one queue in a batch.
type lot struct {
	start, n    int
	first, last time.Time // when they were due
}

// rest are the parts behind the jobs of those queues that gave all they were asked
// for, of a claim of so many rows.
func (b *batch) rest(rows int) []queueSpan {
	if len(b.lots) < 2 {
		return nil // it was asked for all
	}
	var rest []queueSpan
	for _, l := range b.lots {
		if l.n >= rows/len(b.lots) {
			rest = append(rest, behindJob(&b.jobs[l.start+l.n-1], l.last))
		}
	}
	return rest
}

// readBatch reads what a claim answers; now is the database's time.
func readBatch(now time.Time, rows *sql.Rows, err error) (batch, error) {
	if err != nil {
		return batch{}, fmt.Errorf("outbox: claim: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is rows.Err's
	var b batch
	var r row
	fields := append(r.jobFields(), &r.due, &r.refused)
	for rows.Next() {
		r = row{}
		if err := rows.Scan(fields...); err != nil {
			return batch{}, fmt.Errorf("outbox: claim: %w", err)
		}
		if n := len(b.jobs); n == 0 || b.jobs[n-1].Queue != r.job.Queue {
			b.lots = append(b.lots, lot{start: n, first: r.due.Time})
		}
		l := &b.lots[len(b.lots)-1]
		l.n++
		l.last = r.due.Time
		b.large = b.large || r.job.Payload == nil
		job := r.asJob()
		job.Waited = max(0, now.Sub(r.due.Time))
		b.jobs = append(b.jobs, job)
	}
	if err := rows.Err(); err != nil {
		return batch{}, fmt.Errorf("outbox: claim: %w", err)
	}
	b.topped = len(b.jobs)
	return b, nil
}

// fill reads the large payloads of a batch through c, as far as the batch may have
// so many bytes, and cuts it off there. What is cut off stays as it is in the table.
func (s *Store) fill(ctx context.Context, c conn, b *batch, bytes int) error {
	if !b.large {
		return nil
	}
	var ids []string
	for i := range b.jobs {
		if b.jobs[i].Payload == nil {
			ids = append(ids, b.jobs[i].ID)
			continue
		}
		bytes -= len(b.jobs[i].Payload)
	}
	list, _ := json.Marshal(ids) // a []string always encodes
	rows, err := c.QueryContext(ctx, s.sql.large, string(list), max(1, bytes))
	if err != nil {
		return fmt.Errorf("outbox: claim: read large payloads: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is rows.Err's
	for i := range b.jobs {
		if b.jobs[i].Payload != nil {
			continue
		}
		var r row
		if rows.Next() {
			if err := rows.Scan(&r.job.ID, &r.job.Payload, &r.headers); err != nil {
				return fmt.Errorf("outbox: claim: read large payloads: %w", err)
			}
		}
		if r.job.ID != b.jobs[i].ID { // the end, or, on SQLite, a row that is gone
			b.jobs, b.cut = b.jobs[:i], true
			break
		}
		b.jobs[i].Payload, b.jobs[i].Headers = r.job.Payload, r.jobHeaders()
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("outbox: claim: read large payloads: %w", err)
	}
	return nil
}
