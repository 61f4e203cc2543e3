package storetest

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

// cell is one transition on a row in one state, and what must come of it.
type cell struct {
	name    string
	before  outbox.Entry
	t       core.Transition
	allowed bool
}

// matrix makes a row for every state, every transition, and the right and two
// wrong attempts. Every row is at attempt 2 and has been through some trouble.
func (e *env) matrix() []cell {
	const attempt = 2
	var cells []cell
	var items []outbox.Item
	var updates []string
	for _, event := range []bool{false, true} {
		for _, from := range ackbox.States() {
			for _, t := range transitions() {
				for _, at := range []int{attempt, attempt - 1, attempt + 1} {
					t.ID, t.Attempt, t.Resend = outbox.NewID(), at, 3
					opts := []outbox.Option{outbox.ID(t.ID)}
					row := "due_at = " + e.at(-time.Hour)
					if from == ackbox.Nacked {
						row = "due_at = " + e.at(time.Hour)
					}
					state := e.inState(from)
					state, _, _ = strings.Cut(state, ", due_at")
					if event {
						opts = append(opts, outbox.Event("shop", "paid"))
						if from == ackbox.Sent {
							state += ", finished_at = " + e.at(0)
						}
					}
					items = append(items, outbox.Item{Args: note{"hello"}, Options: opts})
					updates = append(updates, "UPDATE "+e.table()+" SET attempt = 2, resend = 3, publish_attempt = 4, last_error = 'old', history = '[]', "+
						row+", "+state+" WHERE id = '"+t.ID+"'")
					final := from.Final() || event && from == ackbox.Sent
					cells = append(cells, cell{
						name:    fmt.Sprintf("event %v: %s → %s charge %v after %v attempt %d error %q", event, from, t.To, t.Charge, t.After, at, t.Error),
						t:       t,
						allowed: at == attempt && !final && allowed(from, t.To),
					})
				}
			}
		}
	}
	e.store()
	e.must(e.db.Transaction(func(tx *gorm.DB) error {
		if err := outbox.EnqueueAll(e.ctx, tx, items...); err != nil {
			return err
		}
		for _, update := range updates {
			if err := tx.Exec(update).Error; err != nil {
				return err
			}
		}
		return nil
	}))
	before := e.all()
	for i, c := range cells {
		cells[i].before = before[c.t.ID]
	}
	return cells
}

// all reads every row at once.
func (e *env) all() map[string]outbox.Entry {
	e.Helper()
	page, err := e.store().List(e.ctx, outbox.Filter{}, "", 10_000)
	e.must(err)
	rows := make(map[string]outbox.Entry, len(page.Entries))
	for _, entry := range page.Entries {
		rows[entry.ID] = entry
	}
	return rows
}

func transitions() []core.Transition {
	var all []core.Transition
	for _, to := range ackbox.States() {
		all = append(all, core.Transition{To: to, Error: "boom", After: time.Hour})
	}
	return append(all,
		core.Transition{To: ackbox.Pending, Charge: true, Error: "boom", After: time.Hour},
		core.Transition{To: ackbox.Pending, Charge: true, After: -time.Hour},
		core.Transition{To: ackbox.Pending},
		core.Transition{To: ackbox.Dead, Charge: true, Error: "boom"}, // Charge is for Pending only
		core.Transition{To: ackbox.Done},
	)
}

// allowed is the drawing in the root package's documentation, as a table.
func allowed(from, to ackbox.State) bool {
	return map[ackbox.State]map[ackbox.State]bool{
		ackbox.Pending: {ackbox.Pending: true, ackbox.Nacked: true, ackbox.Refused: true, ackbox.Sent: true, ackbox.Done: true, ackbox.Dead: true, ackbox.Cancelled: true},
		ackbox.Refused: {ackbox.Pending: true, ackbox.Done: true, ackbox.Dead: true},
		ackbox.Nacked:  {ackbox.Pending: true, ackbox.Done: true, ackbox.Dead: true, ackbox.Cancelled: true},
		ackbox.Sent:    {ackbox.Pending: true, ackbox.Done: true, ackbox.Dead: true},
	}[from][to]
}

func finishSingly(e *env) {
	s := e.store()
	refused := make(map[core.Verdict][]cell)
	for _, c := range e.matrix() {
		verdicts, err := s.Finish(e.ctx, []core.Transition{c.t})
		switch {
		case err != nil || len(verdicts) != 1:
			e.Errorf("%s: %v, %v", c.name, verdicts, err)
		case c.allowed:
			e.check(c, verdicts[0], e.get(c.t.ID))
			e.repeat(c)
		default:
			refused[verdicts[0]] = append(refused[verdicts[0]], c)
		}
	}
	// After all the others: none of them changed such a row either.
	after := e.all()
	for verdict, cells := range refused {
		for _, c := range cells {
			e.check(c, verdict, after[c.t.ID])
		}
	}
}

func finishTogether(e *env) {
	cells := e.matrix()
	batch := make([]core.Transition, len(cells))
	for i, c := range cells {
		batch[i] = c.t
	}
	verdicts, err := e.store().Finish(e.ctx, batch)
	if err != nil || len(verdicts) != len(cells) {
		e.Fatalf("%d verdicts for %d transitions, %v", len(verdicts), len(cells), err)
	}
	after := e.all()
	for i, c := range cells {
		e.check(c, verdicts[i], after[c.t.ID])
	}
}

// check compares a row with what its transition must have done.
func (e *env) check(c cell, verdict core.Verdict, after outbox.Entry) {
	e.Helper()
	if !c.allowed {
		if verdict != core.Stale {
			e.Errorf("%s: %v, want stale", c.name, verdict)
		}
		if !reflect.DeepEqual(after, c.before) {
			e.Errorf("%s changed the row:\n%+v\n%+v", c.name, c.before, after)
		}
		return
	}
	if verdict != core.Recorded {
		e.Errorf("%s: %v, want recorded", c.name, verdict)
	}
	charge := c.t.Charge && c.t.To == ackbox.Pending
	want := c.before
	want.State = c.t.To
	switch {
	case charge:
		want.Attempt, want.Resend, want.PublishAttempt = 3, 0, 0
	case c.t.To == ackbox.Pending:
		want.Resend = 4
	case c.t.To == ackbox.Nacked, c.t.To == ackbox.Refused:
		want.PublishAttempt = 5
	}
	if c.t.Error != "" {
		want.LastError = c.t.Error
	}
	what := map[ackbox.State]outbox.Happening{
		ackbox.Nacked: outbox.Refused, ackbox.Refused: outbox.Refused, ackbox.Dead: outbox.GivenUp, ackbox.Cancelled: outbox.Cancelled,
	}[c.t.To]
	if charge {
		what = outbox.Failed
	}
	if n := len(after.History); what == "" && n != 0 ||
		what != "" && (n != 1 || after.History[0].What != what || after.History[0].Error != c.t.Error || after.History[0].Attempt != 2) {
		e.Errorf("%s: history %+v, want %q", c.name, after.History, what)
	}
	want.History = after.History
	if c.t.To == ackbox.Pending || c.t.To == ackbox.Nacked || c.t.To == ackbox.Refused {
		e.near(c.name+": due", after.DueAt, max(0, c.t.After))
		want.DueAt = after.DueAt
	}
	switch {
	case c.t.To == ackbox.Sent, c.t.To == ackbox.Done && c.before.SentAt == nil:
		if after.SentAt == nil {
			e.Errorf("%s: no time of sending", c.name)
		}
		want.SentAt = after.SentAt
	}
	if c.t.To.Final() || c.t.To == ackbox.Sent && c.before.Queue == "" {
		if after.FinishedAt == nil {
			e.Errorf("%s: no time of finishing", c.name)
		}
		want.FinishedAt = after.FinishedAt
	}
	if !reflect.DeepEqual(after, want) {
		e.Errorf("%s: got\n%+v, want\n%+v", c.name, after, want)
	}
}

// near checks that t is d from now, by the clock of a database that is on this
// machine or one kept in time with it.
func (e *env) near(what string, t time.Time, d time.Duration) {
	e.Helper()
	if off := time.Until(t) - d; off.Abs() > time.Minute {
		e.Errorf("%s at %v, %v off", what, t, off)
	}
}

// repeat asks again for what was recorded, as a worker does after an error.
func (e *env) repeat(c cell) {
	e.Helper()
	before := e.get(c.before.ID)
	verdicts, err := e.store().Finish(e.ctx, []core.Transition{c.t})
	e.must(err)
	// Nacked is reached from pending only, and what is nacked stays so.
	if after := e.get(c.before.ID); verdicts[0] != core.Stale || !reflect.DeepEqual(before, after) {
		e.Errorf("%s again: %v\n%+v\n%+v", c.name, verdicts, before, after)
	}
}
