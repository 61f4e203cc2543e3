package outbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// Start asks, for deliveries that are not first ones, whether they are to be run, and
// writes down that holder starts them now. It returns a Standing for each job, in order.
//
// Started means that the job, as it was delivered, is the ledger's current copy
// (unfinished, at the same try, not sent again since) and that no other instance that is
// alive runs it. Its row says so from now on and counts the start, but where it is
// locked by a dispatcher whose batch is still on the wire: then Starts is 0. Held means
// that another instance runs it; Busy that the row is locked by somebody else for a
// moment; Stale and Missing that there is nothing to run. Of one copy that is given twice
// the second is Held.
//
// Asked again by the same holder, as after an error, it counts no start twice. It fails
// if holder has not said lately that it is alive, see [Store.Beat]. It is bounded by
// Config.StatementTimeout for each of a few statements per thousand jobs, and safe for
// concurrent use.
func (s *Store) Start(ctx context.Context, holder string, jobs []ackbox.Job) ([]core.Standing, error) {
	if err := checkHolder(holder); err != nil {
		return nil, err
	}
	all := make([]core.Standing, 0, len(jobs))
	for some := range slices.Chunk(jobs, rowsPerStatement) {
		standings, err := s.startSome(ctx, holder, some)
		if err != nil {
			return nil, err
		}
		all = append(all, standings...)
	}
	return all, nil
}

// handful is a copy of a job as the statements start and hold read it.
type handful struct {
	ID        string `json:"id"`
	Attempt   int    `json:"attempt"`
	Resend    int    `json:"resend"`
	RunningMS int64  `json:"running_ms"`
}

// possible is like that of a transition.
func (c handful) possible() bool {
	return validID(c.ID) && validCount(c.Attempt) && validCount(c.Resend)
}

func (s *Store) startSome(ctx context.Context, holder string, jobs []ackbox.Job) ([]core.Standing, error) {
	copies := make([]handful, len(jobs))
	for i := range jobs {
		copies[i] = handful{ID: jobs[i].ID, Attempt: jobs[i].Attempt, Resend: jobs[i].Resend}
	}
	starts, err := s.markStarted(ctx, holder, copies)
	if err != nil {
		return nil, err
	}
	first := make(map[handful]int, len(copies))
	var left []string
	for i, c := range copies {
		if _, again := first[c]; !again {
			first[c] = i
		}
		if _, ok := starts[c]; !ok && validID(c.ID) {
			left = append(left, c.ID)
		}
	}
	rows, err := s.others(ctx, holder, left)
	if err != nil {
		return nil, err
	}
	standings := make([]core.Standing, len(copies))
	var unsure []string
	for i, c := range copies {
		n, started := starts[c]
		row, there := rows[c.ID]
		switch {
		case started && first[c] != i:
			standings[i].Verdict = core.Held
		case started:
			standings[i] = core.Standing{Verdict: core.Started, Starts: n}
		case !there:
			standings[i].Verdict = core.Missing
		case !row.open || row.attempt != c.Attempt || row.resend != c.Resend:
			standings[i].Verdict = core.Stale
		case row.elsewhere(holder):
			standings[i].Verdict = core.Held
		case first[c] == i && (row.state == ackbox.Pending || row.state == ackbox.Nacked):
			unsure = append(unsure, c.ID)
		}
	}
	wire, err := s.onTheWire(ctx, unsure)
	for i, c := range copies {
		if standings[i].Verdict == core.Busy && first[c] == i && wire[c.ID] {
			standings[i].Verdict = core.Started
		}
	}
	return standings, err
}

// onTheWire returns which of these jobs, whose rows are locked, a dispatcher has, and
// not somebody who takes it into his hands at this moment.
func (s *Store) onTheWire(ctx context.Context, ids []string) (map[string]bool, error) {
	if len(ids) == 0 || s.sql.onWire == "" {
		return nil, nil
	}
	wire := make(map[string]bool, len(ids))
	err := s.each(ctx, "ask who has jobs locked", s.sql.onWire, func(rows *sql.Rows) error {
		var id string
		if err := rows.Scan(&id); err != nil {
			return err
		}
		wire[id] = true
		return nil
	}, s.d.idList(ids))
	return wire, err
}

// markStarted writes down the starts of those copies that are free to be started, and
// returns how many each has had.
func (s *Store) markStarted(ctx context.Context, holder string, copies []handful) (map[handful]int, error) {
	starts := make(map[handful]int, len(copies))
	list, err := encodePossible(copies)
	if err != nil || list == "" {
		return starts, err
	}
	err = s.each(ctx, "start jobs", s.sql.start, func(rows *sql.Rows) error {
		var c handful
		var n int
		if err := rows.Scan(&c.ID, &c.Attempt, &c.Resend, &n); err != nil {
			return err
		}
		starts[c] = n
		return nil
	}, list, holder, holder, holder, holder)
	return starts, err
}

// encodePossible encodes those copies that can be, or returns nothing.
func encodePossible(copies []handful) (string, error) {
	possible := slices.DeleteFunc(slices.Clone(copies), func(c handful) bool { return !c.possible() })
	if len(possible) == 0 {
		return "", nil
	}
	list, err := json.Marshal(possible)
	if err != nil {
		return "", fmt.Errorf("outbox: encode jobs in hand: %w", err)
	}
	return string(list), nil
}

// others returns where rows are that holder could not have, if it is to have any.
func (s *Store) others(ctx context.Context, holder string, ids []string) (map[string]standing, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	if err := s.checkBreathing(ctx, holder); err != nil {
		return nil, err
	}
	return s.standings(ctx, ids)
}
