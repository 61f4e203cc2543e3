package outbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/ackbox/ackbox/internal/core"
)

// Instance is one running loop of a process, as it says of itself every few seconds.
type Instance struct {
	ID, Role, Host string
	PID            int
	// Queues are those that a worker consumes.
	Queues []string
	// StartedAt and SeenAt are when it was first and last heard of, by the database's clock.
	StartedAt, SeenAt time.Time
	// Alive is false of one that was silent while others were not.
	Alive bool
	// Version is the build's, as Go has stamped it.
	Version string
	// Slots, InHand and Overdue are a worker's: how many handlers may run at once, how many
	// jobs it has, and how many handlers have not returned long after their timeout.
	Slots, InHand, Overdue int
	// Trouble says what is not well there; empty if nothing is.
	Trouble string
	// Running are the jobs that its handlers had when it was last heard of, the longest
	// first, 50 at most.
	Running []Running
}

// Running is a job that a handler has.
type Running struct {
	ID, Kind, Queue, Key string
	Since                time.Time
	Overdue              bool
}

// maxInstances bounds what [Store.Instances] returns.
const maxInstances = 1000

// Instances returns who runs on this ledger, by role, host and process, 1,000 at most:
// workers, sweepers and dispatchers. One that is dead is among them for an hour, one that
// has ended in order is not. Safe for concurrent use.
func (s *Store) Instances(ctx context.Context) ([]Instance, error) {
	var list []Instance
	err := s.look(ctx, "list the instances", func(ctx context.Context, c conn) error {
		rows, err := c.QueryContext(ctx, s.sql.instances, maxInstances)
		return scanEach(rows, err, func(rows *sql.Rows) error {
			i, err := readInstance(rows)
			list = append(list, i)
			return err
		})
	})
	return list, err
}

func readInstance(rows *sql.Rows) (Instance, error) {
	var i Instance
	var queues, said []byte
	var started, seen dbTime
	if err := rows.Scan(&i.ID, &i.Role, &i.Host, &i.PID, &queues, &said, &started, &seen, &i.Alive); err != nil {
		return i, err
	}
	i.StartedAt, i.SeenAt = started.Time, seen.Time
	// Both columns are written by Beat only: of what people have put there nothing is
	// shown, and nobody else is hidden for it.
	_ = json.Unmarshal(queues, &i.Queues)
	var d detail
	_ = json.Unmarshal(said, &d)
	i.add(d)
	return i, nil
}

// add adds what i has said when it was last heard of.
func (i *Instance) add(d detail) {
	i.Version, i.Slots, i.InHand, i.Overdue, i.Trouble = d.Version, d.Slots, d.InHand, d.Overdue, d.Trouble
	for _, r := range d.Running {
		since := i.SeenAt.Add(-time.Duration(r.ForMS) * time.Millisecond)
		i.Running = append(i.Running, Running{r.ID, r.Kind, r.Queue, r.Key, since, r.Overdue})
	}
}

// detail is a core.Detail as its column has it.
type detail struct {
	Version string    `json:"version,omitempty"`
	Slots   int       `json:"slots,omitempty"`
	InHand  int       `json:"in_hand,omitempty"`
	Overdue int       `json:"overdue,omitempty"`
	Trouble string    `json:"trouble,omitempty"`
	Running []running `json:"running,omitempty"`
}

type running struct {
	ID      string `json:"id"`
	Kind    string `json:"kind"`
	Queue   string `json:"queue"`
	Key     string `json:"key,omitempty"`
	ForMS   int64  `json:"for_ms"`
	Overdue bool   `json:"overdue,omitempty"`
}

// detailOf encodes d. Ids and kinds may be a stranger's words: they are cut and made text.
func detailOf(d core.Detail) (string, error) {
	said := detail{errorText(d.Version), d.Slots, d.InHand, d.Overdue, errorText(d.Trouble), nil}
	for _, r := range d.Running[:min(len(d.Running), core.MaxRunning)] {
		said.Running = append(said.Running, running{nameText(r.ID), nameText(r.Kind), nameText(r.Queue), nameText(r.Key), millis(r.For), r.Overdue})
	}
	text, err := json.Marshal(said)
	return string(text), err
}
