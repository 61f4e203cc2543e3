package dashboard

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

// givenUpPage is what was given up, by reason.
type givenUpPage struct {
	Search string      `json:"search"`
	Wrong  string      `json:"wrong,omitempty"`
	Fixed  string      `json:"-"`
	What   string      `json:"what"`
	Groups []groupLine `json:"groups"`
	// N jobs are in all groups, of which the 200 largest are shown; the newest 10,000 dead
	// jobs are looked at.
	N int `json:"n"`
	// Dead are the dead queues of the broker.
	Dead    []deadQueue `json:"dead_queues"`
	Trouble string      `json:"trouble,omitempty"`
}

// Query is the query of the list of what a group holds.
func (g groupLine) Query() template.URL { return query("state", "dead", "q", g.Search) }

// BulkQuery is the query of the dry run of an action over the group.
func (g groupLine) BulkQuery(action string) template.URL {
	return query("action", action, "state", "dead", "q", g.Search)
}

// BulkQuery is the query of the dry run of an action over all groups.
func (p givenUpPage) BulkQuery(action string) template.URL {
	return query("action", action, "state", "dead", "q", p.Fixed)
}

// deadQueue is how many messages wait in a dead queue.
type deadQueue struct {
	Queue string `json:"queue"`
	N     int    `json:"n"`
	Error string `json:"error,omitempty"`
}

// Query is the query of the look into it.
func (q deadQueue) Query() template.URL { return query("queue", q.Queue) }

func (d *Dashboard) givenUp(w http.ResponseWriter, r *request) error {
	s, err := parseSearch("dead", r.URL.Query().Get("q"), r.now)
	if s.ID != "" {
		return redirect(w, r, "jobs/"+s.ID)
	}
	page := givenUpPage{Search: s.Text, Fixed: asText(s.Filter), What: visible(inWords(s.Filter)), Groups: []groupLine{}}
	var bad badRequestError
	if errors.As(err, &bad) {
		page.Wrong = visible(string(bad))
		d.page(w, r, http.StatusBadRequest, "givenup", page)
		return nil
	}
	groups, n, err := d.ledger.GivenUp(r.Context(), s.Filter)
	if err != nil {
		return fmt.Errorf("given up: %w", err)
	}
	page.Groups, page.N = d.groups(groups), n
	page.Dead, page.Trouble = d.deadQueues(r.Context())
	d.page(w, r, http.StatusOK, "givenup", page)
	return nil
}

// glance bounds a look at the broker that a page can do without.
const glance = 2 * time.Second

// deadQueues counts the messages in each dead queue of the broker.
func (d *Dashboard) deadQueues(ctx context.Context) (queues []deadQueue, trouble string) {
	if d.cfg.Broker == nil {
		return nil, ""
	}
	ctx, cancel := context.WithTimeout(ctx, glance)
	defer cancel()
	if h := d.cfg.Broker.Health(ctx); !h.Ready {
		return nil, "The broker cannot be asked for its dead queues: " + h.Why
	}
	for _, name := range d.cfg.Broker.Queues() {
		n, err := d.cfg.Broker.Waiting(ctx, name+core.DeadSuffix)
		q := deadQueue{Queue: name, N: n}
		// A dead queue is made with its first message.
		if err != nil && !errors.Is(err, core.ErrNoQueue) {
			q.Error = err.Error()
		}
		queues = append(queues, q)
	}
	return queues, ""
}

// deadPage is what lies in a dead queue.
type deadPage struct {
	Queue    string     `json:"queue"`
	Messages []deadLine `json:"messages"`
	Matched  int        `json:"matched"`
	Looked   int        `json:"looked"`
	Complete bool       `json:"complete"`
}

// deadLine is a message without a row that was given up.
type deadLine struct {
	ID         string    `json:"id"`
	Kind       string    `json:"kind"`
	Error      string    `json:"error"`
	Exchange   string    `json:"exchange"`
	RoutingKey string    `json:"routing_key"`
	Try        int       `json:"try"`
	DiedAt     time.Time `json:"died_at,omitzero"`
	Headers    []header  `json:"headers"`
	Payload    payload   `json:"payload"`
	Deaths     []string  `json:"deaths,omitempty"`
}

func (d *Dashboard) deadMessages(w http.ResponseWriter, r *request) error {
	queue := r.URL.Query().Get("queue")
	if err := d.knownQueue(queue); err != nil {
		return err
	}
	report, err := d.cfg.Broker.Dead(r.Context(), queue, ackbox.DeadFilter{}, pageSize)
	if err != nil {
		return brokerError{err}
	}
	page := deadPage{Queue: queue, Matched: report.Matched, Looked: report.Looked, Complete: report.Complete, Messages: []deadLine{}}
	for _, m := range report.Messages {
		page.Messages = append(page.Messages, d.deadLine(m))
	}
	d.page(w, r, http.StatusOK, "dead", page)
	return nil
}

func (d *Dashboard) deadLine(m ackbox.DeadMessage) deadLine {
	id := m.ID
	shown := d.masked(outbox.Entry{Job: m.Job, State: ackbox.Dead, LastError: m.Error})
	line := deadLine{
		ID: id, Kind: visible(shown.Kind), Error: visible(shown.LastError), Exchange: visible(shown.Exchange),
		RoutingKey: visible(shown.RoutingKey), Try: shown.Attempt, DiedAt: m.DiedAt,
		Headers: headers(shown.Headers), Payload: showPayload(shown.Payload),
	}
	for _, death := range m.Deaths {
		line.Deaths = append(line.Deaths, visible(fmt.Sprintf("%s in %s, %d×, %s", death.Reason, death.Queue, death.Count, stamp(death.At))))
	}
	return line
}

// knownQueue refuses what is no work queue of the broker's.
func (d *Dashboard) knownQueue(queue string) error {
	if d.cfg.Broker == nil {
		return badRequestError("This page has no broker to ask: the application has not set dashboard.Config.Broker.")
	}
	for _, name := range d.cfg.Broker.Queues() {
		if name == queue {
			return nil
		}
	}
	return badRequestError(fmt.Sprintf("%q is no work queue here.", cut(queue, 60)))
}

// changeDead does something to the messages of a dead queue that the form names by id, or
// to all of them.
func (d *Dashboard) changeDead(deed string, do func(ctx context.Context, queue string, f ackbox.DeadFilter) (int, error)) action {
	return func(w http.ResponseWriter, r *request) error {
		queue, err := formText(r, "queue", true)
		if err != nil {
			return err
		}
		if err := d.knownQueue(queue); err != nil {
			return err
		}
		ids := r.PostForm["id"]
		all := r.PostFormValue("all") != ""
		switch {
		case all && len(ids) > 0 || !all && len(ids) == 0:
			return badRequestError("Which messages? Tick those that are meant, or all.")
		case len(ids) > pageSize:
			return badRequestError(fmt.Sprintf("At most %d messages can be named at once.", pageSize))
		case all:
			n, err := do(r.Context(), queue, ackbox.DeadFilter{All: true})
			return d.did(w, r, deed, changed{n, n}, wrapBroker(err))
		}
		done := 0
		for _, id := range ids {
			n, err := do(r.Context(), queue, ackbox.DeadFilter{ID: id})
			if err != nil {
				return d.did(w, r, deed, changed{len(ids), done}, wrapBroker(err))
			}
			done += min(n, 1)
		}
		return d.did(w, r, deed, changed{len(ids), done}, nil)
	}
}

// maxDead is how many messages one click moves or deletes.
const maxDead = 10000

func (d *Dashboard) requeueDead(ctx context.Context, queue string, f ackbox.DeadFilter) (int, error) {
	return d.cfg.Broker.RequeueDead(ctx, queue, f, maxDead)
}

func (d *Dashboard) deleteDead(ctx context.Context, queue string, f ackbox.DeadFilter) (int, error) {
	return d.cfg.Broker.DeleteDead(ctx, queue, f, maxDead)
}

// brokerError says whose error it is.
type brokerError struct{ error }

// Unwrap gives the broker's own.
func (b brokerError) Unwrap() error { return b.error }

func wrapBroker(err error) error {
	if err == nil {
		return nil
	}
	return brokerError{err}
}
