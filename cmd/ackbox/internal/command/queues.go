package command

import (
	"context"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/outbox"
)

func (a *app) queues() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "Say how each queue stands", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.store()
			if err != nil {
				return err
			}
			status, err := queueStatus(cmd.Context(), s)
			if err != nil {
				return err
			}
			return a.showQueues(status)
		},
	}
	var reason string
	pause := &cobra.Command{
		Use: "pause QUEUE...", Short: "Let queues stand still over all instances", Args: cobra.MinimumNArgs(1),
		Long: "Let queues stand still over all instances: what is not on the road stays in the table, workers stop\n" +
			"consuming within seconds and finish what runs. Enqueueing goes on.",
		RunE: func(cmd *cobra.Command, names []string) error {
			return a.eachQueue(cmd, names, "paused", func(s *outbox.Store, name string) error {
				return s.Pause(a.by(cmd.Context()), name, reason)
			})
		},
	}
	pause.Flags().StringVar(&reason, "reason", "", "why, for the record and for who sees it")
	resume := &cobra.Command{
		Use: "resume QUEUE...", Short: "End the pause of queues", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			return a.eachQueue(cmd, names, "resumed", func(s *outbox.Store, name string) error {
				return s.Resume(a.by(cmd.Context()), name)
			})
		},
	}
	return group("queues", "Queues: how they stand, pause and resume them", list, pause, resume)
}

// queueStatus is the Store's, without the default queue that no application may have: it is
// in our own Config.
func queueStatus(ctx context.Context, s *outbox.Store) ([]outbox.QueueStatus, error) {
	status, err := s.QueueStatus(ctx)
	return slices.DeleteFunc(status, func(q outbox.QueueStatus) bool {
		return reflect.DeepEqual(q, outbox.QueueStatus{Queue: ackbox.DefaultQueue})
	}), err
}

func (a *app) eachQueue(_ *cobra.Command, names []string, done string, act func(*outbox.Store, string) error) error {
	s, err := a.store()
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := act(s, name); err != nil {
			return err
		}
		if !a.json {
			a.printf("%s: %s\n", clean(name), done)
		}
	}
	if a.json {
		return a.printJSON(map[string][]string{done: names})
	}
	return nil
}

// queueJSON is a queue's status as programs are given it.
type queueJSON struct {
	Queue     string     `json:"queue"`
	Due       countJSON  `json:"due"`
	Later     countJSON  `json:"later"`
	Refused   countJSON  `json:"refused"`
	Sent      countJSON  `json:"sent"`
	Running   countJSON  `json:"running"`
	Dead      countJSON  `json:"dead"`
	OldestDue *time.Time `json:"oldest_due,omitempty"`
	Consumers int        `json:"consumers"`
	Paused    *pauseJSON `json:"paused,omitempty"`
}

type countJSON struct {
	N    int  `json:"n"`
	More bool `json:"more,omitempty"`
}

type pauseJSON struct {
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Reason string    `json:"reason,omitempty"`
}

func (a *app) showQueues(status []outbox.QueueStatus) error {
	if a.json {
		list := make([]queueJSON, 0, len(status))
		for i := range status {
			list = append(list, queueAsJSON(&status[i]))
		}
		return a.printJSON(list)
	}
	return a.printTable("no queue has unfinished jobs, and nobody consumes one", queueHead, queueRows(time.Now(), status))
}

func queueAsJSON(q *outbox.QueueStatus) queueJSON {
	c := func(c outbox.Count) countJSON { return countJSON{c.N, c.More} }
	j := queueJSON{
		Queue: q.Queue, Due: c(q.Due), Later: c(q.Later), Refused: c(q.Refused), Sent: c(q.Sent), Running: c(q.Running),
		Dead: c(q.Dead), Consumers: q.Consumers,
	}
	if !q.OldestDue.IsZero() {
		j.OldestDue = &q.OldestDue
	}
	if q.Paused != nil {
		j.Paused = &pauseJSON{q.Paused.At, q.Paused.By, q.Paused.Reason}
	}
	return j
}

var queueHead = []string{"QUEUE", "DUE", "OLDEST", "LATER", "SENT", "RUNNING", "REFUSED", "DEAD", "WORKERS", ""}

func queueRows(now time.Time, status []outbox.QueueStatus) [][]string {
	rows := make([][]string, 0, len(status))
	for i := range status {
		q := &status[i]
		paused := ""
		if q.Paused != nil {
			paused = "paused by " + q.Paused.By + " " + ago(now, q.Paused.At) + " ago"
			if q.Paused.Reason != "" {
				paused += ": " + short(q.Paused.Reason, 60)
			}
		}
		name := q.Queue
		if name == "" {
			name = "(events)"
		}
		rows = append(rows, []string{
			name, count(q.Due), ago(now, q.OldestDue), count(q.Later), count(q.Sent), count(q.Running), count(q.Refused),
			count(q.Dead), strconv.Itoa(q.Consumers), paused,
		})
	}
	return rows
}
