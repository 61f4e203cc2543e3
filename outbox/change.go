package outbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// change is a transition as the statement apply reads it.
type change struct {
	ID      string `json:"id"`
	Attempt int    `json:"attempt"`
	// Resend, if set, guards the change too: only that copy is meant.
	Resend *int `json:"resend,omitempty"`
	// Holder is the worker whose transition it is.
	Holder    *string      `json:"holder,omitempty"`
	Target    ackbox.State `json:"target,omitempty"`
	AfterMS   int64        `json:"after_ms"`
	Charge    bool         `json:"charge"`
	NoOutcome bool         `json:"no_outcome"`
	Error     string       `json:"error"`
	// What is the entry that the history gets; none if it is empty.
	What Happening     `json:"what"`
	Ran  time.Duration `json:"ran"`
}

func changeOf(t core.Transition) change {
	c := change{
		ID: t.ID, Attempt: t.Attempt, Target: t.To, AfterMS: millis(t.After),
		Charge: t.Charge && t.To == ackbox.Pending, NoOutcome: t.NoOutcome, Error: errorText(t.Error),
		What: happening(t), Ran: max(0, t.Ran),
	}
	if t.Holder != "" {
		c.Holder = &t.Holder
	}
	return c
}

// happening is what a transition is in the history of its job. A copy that was sent again
// because nothing is known of the one before, or because its worker stops, is none.
func happening(t core.Transition) Happening {
	switch t.To {
	case ackbox.Pending:
		switch {
		case t.Charge:
			return Failed
		case t.Holder != "" && !t.NoOutcome:
			return PutOff
		}
	case ackbox.Nacked, ackbox.Refused:
		return Refused
	case ackbox.Dead:
		return GivenUp
	case ackbox.Cancelled:
		return Cancelled
	default:
	}
	return ""
}

// apply records changes of any kind, one for each id, in one statement. It
// returns the ids of the rows that changed.
func (s *Store) apply(ctx context.Context, c conn, changes []change) (map[string]bool, error) {
	list, err := json.Marshal(changes)
	if err != nil {
		return nil, fmt.Errorf("outbox: encode transitions: %w", err)
	}
	return readIDs(c.QueryContext(ctx, s.sql.apply, string(list)))
}

func readIDs(rows *sql.Rows, err error) (map[string]bool, error) {
	if err != nil {
		return nil, fmt.Errorf("outbox: record transitions: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is rows.Err's
	ids := make(map[string]bool)
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("outbox: record transitions: %w", err)
		}
		ids[id] = true
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("outbox: record transitions: %w", err)
	}
	return ids, nil
}
