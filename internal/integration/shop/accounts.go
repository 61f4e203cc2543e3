package shop

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
)

// Outcomes of a run, as the run itself has written them down.
const (
	OutcomeDone = "done"
	// OutcomeFailed is what a try is charged for.
	OutcomeFailed = "failed"
	// OutcomeInterrupted is the end of a run whose process was told to stop, and
	// OutcomeUncharged one that says itself that it is no failure.
	OutcomeInterrupted = "interrupted"
	OutcomeUncharged   = "uncharged"
)

// accounts write down when runs begin and end, on connections of their own: what
// is under test has to share none of them, and a run that was told to stop can
// still say so.
type accounts struct{ db *gorm.DB }

// noteTimeout bounds a note. One that is not taken down ends the run.
const noteTimeout = 10 * time.Second

func openAccounts(cfg Config) (*accounts, error) {
	db, err := openDatabase(cfg, 4)
	if err != nil {
		return nil, err
	}
	return &accounts{db}, nil
}

// begin writes down that a run begins. end, to be deferred, writes down how it
// ended. Times are the database's, and of that very moment.
func (a *accounts) begin(ctx context.Context, job ackbox.Job, instance string) (end func(*error), err error) {
	id := uuid.NewString()
	err = a.exec(ctx, `INSERT INTO shop_runs (job, attempt, instance, at, id) VALUES (?, ?, ?, clock_timestamp(), ?)`,
		job.ID, job.Attempt, instance, id)
	if err != nil {
		return nil, fmt.Errorf("note the run: %w", err)
	}
	return func(err *error) {
		outcome, text := OutcomeFailed, "panic"
		if reason := recover(); reason != nil {
			defer panic(reason)
		} else {
			outcome, text = outcomeOf(ctx, job, *err)
		}
		note := a.exec(ctx, `UPDATE shop_runs SET ended = clock_timestamp(), outcome = ?, error = ? WHERE id = ?`, outcome, text, id)
		if note != nil { // the books will not balance, which is right
			*err = errors.Join(*err, fmt.Errorf("note the run's end: %w", note))
		}
	}, nil
}

func outcomeOf(ctx context.Context, job ackbox.Job, err error) (outcome, text string) {
	switch {
	case err == nil:
		return OutcomeDone, ""
	case errors.Is(ctx.Err(), context.Canceled) && errors.Is(err, context.Canceled):
		outcome = OutcomeInterrupted
	case job.Attempt == 0, errors.Is(err, ackbox.ErrBusy), errors.Is(err, ackbox.ErrSuperseded):
		outcome = OutcomeUncharged
	default:
		outcome = OutcomeFailed
	}
	return outcome, err.Error()
}

func (a *accounts) exec(ctx context.Context, query string, args ...any) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
	defer cancel()
	return a.db.WithContext(ctx).Exec(query, args...).Error
}
