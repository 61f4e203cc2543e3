package dashboard

import (
	"cmp"
	"context"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"time"

	"github.com/ackbox/ackbox/outbox"
)

// queueLine is how one queue stands.
type queueLine struct {
	// Queue is empty for events, which have none.
	Queue      string     `json:"queue"`
	Due        counted    `json:"due"`
	Later      counted    `json:"later"`
	Refused    counted    `json:"refused"`
	Sent       counted    `json:"sent"`
	Running    counted    `json:"running"`
	Dead       counted    `json:"dead"`
	OldestDue  *time.Time `json:"oldest_due,omitempty"`
	OldestSent *time.Time `json:"oldest_sent,omitempty"`
	Consumers  int        `json:"consumers"`
	Paused     *pauseLine `json:"paused,omitempty"`
	// The last hour's. Events are done when they are sent.
	DoneHour   int64 `json:"done_last_hour"`
	FailedHour int64 `json:"failed_last_hour"`
	SentHour   int64 `json:"sent_last_hour"`
	Spark      spark `json:"-"`
	// Depth is how many messages wait at the broker, nil if it was not asked.
	Depth *int `json:"depth,omitempty"`
	// DepthError is why it could not be told.
	DepthError string `json:"depth_error,omitempty"`
}

// counted is a count: "10,000+" is N with More.
type counted struct {
	N    int  `json:"n"`
	More bool `json:"more,omitempty"`
}

// String writes it for people.
func (c counted) String() string { return count(outbox.Count(c)) }

type pauseLine struct {
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Reason string    `json:"reason,omitempty"`
}

// Name is the queue's, or what has none.
func (l queueLine) Name() string { return cmp.Or(l.Queue, "events") }

// Rate is the share of tries that failed in the last hour.
func (l queueLine) Rate() string { return percent(l.FailedHour, l.DoneHour+l.FailedHour) }

// Query is the query of the list of its jobs in a state.
func (l queueLine) Query(state string) template.URL {
	if l.Queue == "" {
		return query("state", state)
	}
	return query("state", state, "q", "queue:"+quoted(l.Queue))
}

func queueLines(queues []outbox.QueueStatus, now time.Time) []queueLine {
	lines := make([]queueLine, 0, len(queues))
	for _, q := range queues {
		l := queueLine{
			Queue: visible(q.Queue), Due: counted(q.Due), Later: counted(q.Later), Refused: counted(q.Refused),
			Sent: counted(q.Sent), Running: counted(q.Running), Dead: counted(q.Dead), Consumers: q.Consumers,
			OldestDue: someTime(q.OldestDue), OldestSent: someTime(q.OldestSent),
		}
		if q.Paused != nil {
			l.Paused = &pauseLine{q.Paused.At, visible(q.Paused.By), visible(q.Paused.Reason)}
		}
		lines = append(lines, l)
	}
	// The one that has waited longest first: who looks here looks for it.
	slices.SortStableFunc(lines, func(a, b queueLine) int {
		return cmp.Or(-cmp.Compare(waited(a, now), waited(b, now)), cmp.Compare(a.Queue, b.Queue))
	})
	return lines
}

// waited is how long the oldest due job has waited, in minutes: seconds would have the
// lines dance.
func waited(l queueLine, now time.Time) time.Duration {
	if l.OldestDue == nil {
		return 0
	}
	return now.Sub(*l.OldestDue).Truncate(time.Minute)
}

func someTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// queuesPage lists the queues.
type queuesPage struct {
	Queues  []queueLine `json:"queues"`
	Trouble []string    `json:"trouble,omitempty"`
	// Asked says that there is a broker to ask how deep its queues are.
	Asked bool `json:"-"`
}

func (d *Dashboard) queues(w http.ResponseWriter, r *request) error {
	queues, err := d.ledger.QueueStatus(r.Context())
	if err != nil {
		return fmt.Errorf("queues: %w", err)
	}
	page := queuesPage{Queues: queueLines(queues, r.now), Asked: d.cfg.Broker != nil}
	hour := timeSpan{time.Hour, time.Minute, 2 * time.Minute}
	stats, err := d.stats(r, hour, true)
	if err != nil {
		page.Trouble = append(page.Trouble, fmt.Sprintf("What happened in each queue could not be read: %v", err))
	}
	addRates(page.Queues, stats, hour, r.now)
	if page.Asked {
		if trouble := d.depths(r.Context(), page.Queues); trouble != "" {
			page.Trouble = append(page.Trouble, trouble)
		}
	}
	d.page(w, r, http.StatusOK, "queues", page)
	return nil
}

// depths asks the broker how many messages wait in each queue of its.
func (d *Dashboard) depths(ctx context.Context, lines []queueLine) (trouble string) {
	ctx, cancel := context.WithTimeout(ctx, glance)
	defer cancel()
	if h := d.cfg.Broker.Health(ctx); !h.Ready {
		return "The broker cannot be asked how deep its queues are: " + h.Why
	}
	known := d.cfg.Broker.Queues()
	for i := range lines {
		if !slices.Contains(known, lines[i].Queue) {
			continue
		}
		n, err := d.cfg.Broker.Waiting(ctx, lines[i].Queue)
		if err != nil {
			lines[i].DepthError = err.Error()
			continue
		}
		lines[i].Depth = &n
	}
	return ""
}

// instancesPage lists the loops that say that they are alive.
type instancesPage struct {
	Instances []instanceLine `json:"instances"`
}

// instanceLine is one running loop of a process.
type instanceLine struct {
	ID        string        `json:"id"`
	Role      string        `json:"role"`
	Host      string        `json:"host"`
	PID       int           `json:"pid"`
	Queues    []string      `json:"queues"`
	StartedAt time.Time     `json:"started_at"`
	SeenAt    time.Time     `json:"seen_at"`
	Alive     bool          `json:"alive"`
	Version   string        `json:"version,omitempty"`
	Slots     int           `json:"slots,omitempty"`
	InHand    int           `json:"in_hand,omitempty"`
	Overdue   int           `json:"overdue,omitempty"`
	Trouble   string        `json:"trouble,omitempty"`
	Running   []runningLine `json:"running"`
}

type runningLine struct {
	ID      string    `json:"id"`
	Kind    string    `json:"kind"`
	Queue   string    `json:"queue"`
	Key     string    `json:"key,omitempty"`
	Since   time.Time `json:"since"`
	Overdue bool      `json:"overdue,omitempty"`
}

func (d *Dashboard) instances(w http.ResponseWriter, r *request) error {
	list, err := d.ledger.Instances(r.Context())
	if err != nil {
		return fmt.Errorf("instances: %w", err)
	}
	page := instancesPage{Instances: make([]instanceLine, 0, len(list))}
	for _, i := range list {
		line := instanceLine{
			ID: i.ID, Role: i.Role, Host: visible(i.Host), PID: i.PID, Queues: i.Queues, StartedAt: i.StartedAt, SeenAt: i.SeenAt,
			Alive: i.Alive, Version: visible(i.Version), Slots: i.Slots, InHand: i.InHand, Overdue: i.Overdue,
			Trouble: visible(i.Trouble), Running: []runningLine{},
		}
		for _, j := range i.Running {
			shown := d.masked(entryOf(j))
			line.Running = append(line.Running, runningLine{j.ID, visible(shown.Kind), visible(shown.Queue), visible(shown.Key), j.Since, j.Overdue})
		}
		page.Instances = append(page.Instances, line)
	}
	slices.SortStableFunc(page.Instances, func(a, b instanceLine) int {
		return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.Host, b.Host), a.StartedAt.Compare(b.StartedAt))
	})
	d.page(w, r, http.StatusOK, "instances", page)
	return nil
}

// entryOf is what is known of a running job, for Mask.
func entryOf(j outbox.Running) outbox.Entry {
	e := outbox.Entry{State: "sent", StartedAt: &j.Since}
	e.ID, e.Kind, e.Queue, e.Key = j.ID, j.Kind, j.Queue, j.Key
	return e
}
