package outbox

import (
	"context"
	"database/sql"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// try is what guards a transition.
type try struct {
	id      string
	attempt int
}

func note(recorded map[try]ackbox.State, transitions []core.Transition, ids map[string]bool) {
	for _, t := range transitions {
		if ids[t.ID] {
			recorded[try{t.ID, t.Attempt}] = t.To
		}
	}
}

// verdicts tells the rows that were locked from those that have moved on.
func (s *Store) verdicts(ctx context.Context, transitions []core.Transition, recorded map[try]ackbox.State) ([]core.Verdict, error) {
	verdicts := make([]core.Verdict, len(transitions))
	told := make(map[try]bool, len(recorded))
	var missing []string
	for i, t := range transitions {
		key := try{t.ID, t.Attempt}
		to, ok := recorded[key]
		switch {
		case ok && to == t.To && !told[key]:
			told[key] = true
			verdicts[i] = core.Recorded
		case ok:
			verdicts[i] = core.Stale
		case !validID(t.ID):
			verdicts[i] = core.Missing
		default:
			missing = append(missing, t.ID)
		}
	}
	rows, err := s.standings(ctx, missing)
	if err != nil {
		return nil, err
	}
	for i, t := range transitions {
		if verdicts[i] != core.Busy {
			continue
		}
		switch row, ok := rows[t.ID]; {
		case !ok:
			verdicts[i] = core.Missing
		case row.refuses(t):
			verdicts[i] = core.Stale
		}
	}
	return verdicts, nil
}

// standing is where a row is.
type standing struct {
	attempt, resend int
	state           ackbox.State
	open            bool // unfinished
	holder          string
	running         bool // in the hands of holder, which is alive
}

// elsewhere reports whether another instance than holder runs the job.
func (row *standing) elsewhere(holder string) bool { return row.running && row.holder != holder }

// refuses reports whether the row, as it is now, does not take t.
func (row *standing) refuses(t core.Transition) bool {
	switch {
	case !row.open || row.attempt != t.Attempt || !reachable(row.state, t.To):
		return true
	case ofCopy(t) && row.resend != t.Resend && (t.Holder == "" || row.holder != t.Holder):
		return true
	}
	return t.Holder != "" && t.To != ackbox.Done && row.elsewhere(t.Holder)
}

// standings returns where the rows with these ids are.
func (s *Store) standings(ctx context.Context, ids []string) (map[string]standing, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	all := make(map[string]standing, len(ids))
	err := s.each(ctx, "read where jobs are", s.sql.standings, func(rows *sql.Rows) error {
		var id string
		var row standing
		if err := rows.Scan(&id, &row.attempt, &row.resend, &row.state, &row.open, &row.holder, &row.running); err != nil {
			return err
		}
		all[id] = row
		return nil
	}, s.d.idList(ids))
	return all, err
}
