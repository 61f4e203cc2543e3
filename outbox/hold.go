package outbox

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/ackbox/ackbox/internal/core"
)

// Hold writes down that jobs are in holder's hands, which is done once for each: as long
// as holder beats, see [Store.Beat], they are known to be there. It returns a verdict for
// each, in order.
//
// Recorded means that the row says so; one that runs has a time of its start from now on,
// and this start is counted, if it was not by [Store.Start]. A copy that waits must be
// the newest of its try; one that runs may be an older one, since the job runs. Held
// means that another instance, which is alive, runs the job, and also that the job is
// given more than once and this is not the copy that is on record; Busy that the row is
// locked at this moment; Stale and Missing that there is nothing to hold.
//
// Errors, bounds and concurrency are those of Start.
func (s *Store) Hold(ctx context.Context, holder string, holdings []core.Holding) ([]core.Verdict, error) {
	if err := checkHolder(holder); err != nil {
		return nil, err
	}
	verdicts := make([]core.Verdict, 0, len(holdings))
	for some := range slices.Chunk(holdings, rowsPerStatement) {
		v, err := s.holdSome(ctx, holder, some)
		if err != nil {
			return nil, err
		}
		verdicts = append(verdicts, v...)
	}
	return verdicts, nil
}

func (s *Store) holdSome(ctx context.Context, holder string, holdings []core.Holding) ([]core.Verdict, error) {
	chosen := choose(holdings)
	recorded, err := s.markHeld(ctx, holder, holdings, chosen)
	if err != nil {
		return nil, err
	}
	var left []string
	for _, h := range holdings {
		if !recorded[h.ID] && validID(h.ID) {
			left = append(left, h.ID)
		}
	}
	rows, err := s.others(ctx, holder, left)
	if err != nil {
		return nil, err
	}
	verdicts := make([]core.Verdict, len(holdings))
	for i, h := range holdings {
		row, there := rows[h.ID]
		switch {
		case recorded[h.ID] && chosen[h.ID] == i:
			verdicts[i] = core.Recorded
		case recorded[h.ID]:
			verdicts[i] = core.Held
		case !there:
			verdicts[i] = core.Missing
		case !row.open || row.attempt != h.Attempt || row.resend != h.Resend && h.Running <= 0:
			verdicts[i] = core.Stale
		case row.elsewhere(holder):
			verdicts[i] = core.Held
		}
	}
	return verdicts, nil
}

// choose picks one holding of each job, by its index: that which runs the longest.
func choose(holdings []core.Holding) map[string]int {
	chosen := make(map[string]int, len(holdings))
	for i, h := range holdings {
		if other, ok := chosen[h.ID]; !ok || h.Running > holdings[other].Running {
			chosen[h.ID] = i
		}
	}
	return chosen
}

// markHeld writes down the chosen ones that are free to be held, and returns their ids.
func (s *Store) markHeld(ctx context.Context, holder string, holdings []core.Holding, chosen map[string]int) (map[string]bool, error) {
	copies := make([]handful, 0, len(chosen))
	for _, i := range chosen {
		h := holdings[i]
		copies = append(copies, handful{ID: h.ID, Attempt: h.Attempt, Resend: h.Resend, RunningMS: millis(h.Running)})
	}
	recorded := make(map[string]bool, len(copies))
	list, err := encodePossible(copies)
	if err != nil || list == "" {
		return recorded, err
	}
	err = s.each(ctx, "hold jobs", s.sql.hold, func(rows *sql.Rows) error {
		var id string
		if err := rows.Scan(&id); err != nil {
			return err
		}
		recorded[id] = true
		return nil
	}, list, holder, holder, holder, holder, holder)
	return recorded, err
}

// unheldAfter is how long a job may be on record for a holder that says that it has it
// not: what it has taken a moment ago it may not know yet.
const unheldAfter = time.Minute

// Reconcile lets go of what is on record for holder for over a minute and not among
// inHand, the ids of all that it has: a connection was lost before the job had a slot,
// or the answer to a call was. Refused jobs that [Store.Refused] gave are in hand, too.
// Safe for concurrent use.
func (s *Store) Reconcile(ctx context.Context, holder string, inHand []string) error {
	if err := checkHolder(holder); err != nil {
		return err
	}
	ids := make([]string, 0, len(inHand))
	for _, id := range inHand {
		if validID(id) {
			ids = append(ids, id)
		}
	}
	_, err := s.exec(ctx, "let go of jobs", s.sql.reconcile, holder, unheldAfter.Milliseconds(), s.d.idList(ids))
	return err
}
