package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/ackbox/ackbox"
)

// stretch is a part of the table that an operation walks along, in the order of an index
// that has little more than it: jobs of one state, or of one key.
type stretch struct {
	// states are those of the jobs that are changed. There is one, unless the order is
	// that of ids.
	states []ackbox.State
	// order are the columns of the index, the last one the id.
	order []string
}

// The orders: of the indexes of dead and of cancelled jobs, of finished ones, of those that wait for
// their time, and of the jobs of a key.
var (
	byDeath  = []string{"finished_at", "id"}
	byEnd    = []string{"queue", "finished_at", "id"}
	byTime   = []string{"queue", "due_at", "id"}
	byIDOnly = []string{"id"}
)

// fit are the states that an action can change, in the order in which they are walked.
// What the broker refused is walked twice: it may come back there meanwhile.
func fit(action Action) []ackbox.State {
	switch action {
	case ActionRequeue:
		return []ackbox.State{ackbox.Dead, ackbox.Cancelled}
	case ActionCancel:
		return []ackbox.State{ackbox.Nacked, ackbox.Pending, ackbox.Nacked, ackbox.Refused}
	case ActionRunNow:
		return []ackbox.State{ackbox.Nacked, ackbox.Pending, ackbox.Nacked}
	case ActionDelete:
		return []ackbox.State{ackbox.Dead, ackbox.Done, ackbox.Cancelled, ackbox.Sent}
	default:
		return nil
	}
}

// stretches are what an operation of action walks for f.
func stretches(action Action, f Filter) []stretch {
	states := fit(action)
	switch {
	case f.State != "":
		states = []ackbox.State{f.State}
	case action == ActionRequeue:
		states = states[:1] // what somebody has cancelled is requeued if it is asked for
	}
	if f.Key != "" {
		return []stretch{{states: states, order: byIDOnly}}
	}
	var list []stretch
	ended := []ackbox.State{}
	for _, state := range states {
		switch state {
		case ackbox.Dead, ackbox.Cancelled:
			list = append(list, stretch{[]ackbox.State{state}, byDeath})
		case ackbox.Done, ackbox.Sent:
			ended = append(ended, state)
		default:
			list = append(list, stretch{[]ackbox.State{state}, byTime})
		}
	}
	if len(ended) > 0 {
		list = append(list, stretch{ended, byEnd})
	}
	return list
}

// spot is how far an operation has come.
type spot struct {
	// Stretch is the one that it walks; the rest is the last row that it has looked at
	// there, nothing at the beginning.
	Stretch int       `json:"stretch"`
	Queue   string    `json:"queue,omitempty"`
	At      time.Time `json:"at,omitzero"`
	ID      string    `json:"id,omitempty"`
}

// sight is a row that was looked at.
type sight struct {
	spot
	match bool
}

// surveyOf is the statement that reads the next rows of a stretch, and whether each matches
// f and was there when the operation began.
func (s *Store) surveyOf(way stretch, action Action, f Filter, from spot, began time.Time, limit int) (string, []any) {
	var args []any
	match := []string{"t.created_at <= {time ?}", "t.state || '' IN (" + quoted(way.states) + ")"}
	args = append(args, s.d.timeParam(began))
	if action == ActionRunNow {
		match = append(match, "(t.due_at > {start} OR t.state || '' = 'nacked')")
	}
	if action == ActionDelete || action == ActionRequeue {
		match = append(match, "t.finished_at <= {time ?}")
		args = append(args, s.d.timeParam(began))
	}
	test := (&query{}).matches(f, s.ways.all).between(s.d, f, way.at())
	match, args = append(match, test.text.String()), append(args, test.args...)

	where := []string{way.part()}
	if way.order[0] == "id" {
		where, args = append(where, "t.key = ?"), append(args, f.Key)
	}
	if way.order[0] == "queue" && f.Queue != "" {
		where, args = append(where, "t.queue = ?"), append(args, f.Queue)
	}
	if from.ID != "" {
		var behind []string
		for _, column := range way.order {
			switch column {
			case "queue":
				behind, args = append(behind, "?"), append(args, from.Queue)
			case "id":
				behind, args = append(behind, "{id ?}"), append(args, from.ID)
			default:
				behind, args = append(behind, "{time ?}"), append(args, s.d.timeParam(from.At))
			}
		}
		where = append(where, "(t."+strings.Join(way.order, ", t.")+") > ("+strings.Join(behind, ", ")+")")
	}
	query := `SELECT {t.id}, t.queue, ` + s.d.microsOf("t."+way.at()) + `, CASE WHEN ` + strings.Join(match, "\n\tAND ") + ` THEN 1 ELSE 0 END
FROM {table} AS t WHERE ` + strings.Join(where, " AND ") + `
ORDER BY t.` + strings.Join(way.order, ", t.") + ` LIMIT ?`
	return s.sql.text(query), append(args, limit)
}

// at is the column with the time by which a stretch is ordered.
func (way stretch) at() string {
	if len(way.order) == 1 {
		return "created_at"
	}
	return way.order[len(way.order)-2]
}

// part is the condition of the index that has a stretch's order, in its words: elsewhere
// planners would not see that it can serve.
func (way stretch) part() string {
	switch {
	case len(way.order) == 1:
		return "t.key IS NOT NULL"
	case way.order[0] == "finished_at":
		return "t.state = '" + string(way.states[0]) + "'"
	case way.order[1] == "finished_at":
		return "t.finished_at IS NOT NULL AND t.state <> 'dead'"
	default:
		return "t.state = '" + string(way.states[0]) + "'"
	}
}

func quoted(states []ackbox.State) string {
	list := make([]string, len(states))
	for i, state := range states {
		list[i] = "'" + string(state) + "'"
	}
	return strings.Join(list, ", ")
}

// survey reads the next rows of a stretch.
func (s *Store) survey(ctx context.Context, c conn, way stretch, action Action, f Filter, from spot, began time.Time, limit int) ([]sight, error) {
	query, args := s.surveyOf(way, action, f, from, began, limit)
	var seen []sight
	rows, err := c.QueryContext(ctx, query, args...)
	err = scanEach(rows, err, func(rows *sql.Rows) error {
		one := sight{spot: spot{Stretch: from.Stretch}}
		var at dbTime
		if err := rows.Scan(&one.ID, &one.Queue, &at, &one.match); err != nil {
			return err
		}
		one.At = at.Time
		seen = append(seen, one)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for jobs: %w", err)
	}
	return seen, nil
}
