package outbox

import (
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ackbox/ackbox"
)

// row is a row of the jobs table as it is scanned.
type row struct {
	job                ackbox.Job
	headers            []byte
	created, due       dbTime
	sent, finished     dbTime
	started            dbTime
	holder             string
	starts             int
	refused            int64 // milliseconds ago
	state              string
	lastError, failure sql.NullString
}

func (r *row) jobFields() []any {
	j := &r.job
	return []any{
		&j.ID, &j.Kind, &j.Key, &j.Queue, &j.Exchange, &j.RoutingKey, &j.Mandatory, &j.Payload, &r.headers,
		&j.Attempt, &j.MaxAttempts, &j.Resend, &j.PublishAttempt, &j.AttemptsBefore, &r.created,
	}
}

// textFields are jobFields as textColumns have them.
func (r *row) textFields() []any {
	fields := r.jobFields()
	for i, field := range fields {
		if field == any(&r.job.Payload) {
			fields[i] = (*hexBytes)(&r.job.Payload)
		}
	}
	return fields
}

// entryFields are those of entryColumns.
func (r *row) entryFields() []any {
	return append(r.textFields(), &r.state, &r.due, &r.sent, &r.finished, &r.lastError, &r.failure, &r.holder, &r.started, &r.starts)
}

// hexBytes scans bytes that the database has written in hexadecimal.
type hexBytes []byte

// Scan implements sql.Scanner.
func (h *hexBytes) Scan(src any) error {
	text, ok := src.(string)
	if !ok {
		return fmt.Errorf("scan bytes: unexpected %T", src)
	}
	decoded, err := hex.DecodeString(text)
	if err != nil {
		return fmt.Errorf("scan bytes: %w", err)
	}
	*h = decoded
	return nil
}

func (r *row) asJob() ackbox.Job {
	r.job.CreatedAt = r.created.Time
	r.job.RefusedFor = time.Duration(r.refused) * time.Millisecond
	r.job.Headers = r.jobHeaders()
	return r.job
}

func (r *row) jobHeaders() (headers map[string]string) {
	if len(r.headers) > 0 {
		// The column is written by Enqueue only. Headers that a hand-made row
		// spelt otherwise are left out rather than stopping the whole batch.
		_ = json.Unmarshal(r.headers, &headers)
	}
	return headers
}

// millis is how durations go into statements: rounded up, so that nothing
// happens before its time, and never negative.
func millis(d time.Duration) int64 {
	ms := d.Milliseconds()
	if d%time.Millisecond > 0 {
		ms++
	}
	return max(0, ms)
}
