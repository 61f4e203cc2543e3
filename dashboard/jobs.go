package dashboard

import (
	"cmp"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/outbox"
)

// pageSize is how many rows a list shows at once.
const pageSize = 50

// reads are the addresses of the pages.
func (d *Dashboard) reads() map[string]action {
	return map[string]action{
		"/{$}":             d.overview,
		"/jobs":            d.jobs,
		"/jobs/{id}":       d.job,
		"/given-up":        d.givenUp,
		"/dead":            d.deadMessages,
		"/queues":          d.queues,
		"/instances":       d.instances,
		"/operations":      d.operations,
		"/operations/{id}": d.operation,
		"/bulk":            d.rehearse,
	}
}

// jobsPage is a list of jobs.
type jobsPage struct {
	State  string `json:"state"`
	Search string `json:"search"`
	// Wrong is why the search could not be read.
	Wrong string `json:"wrong,omitempty"`
	// What is searched, in words; Fixed is the same search with its times fixed.
	What  string    `json:"what"`
	Fixed string    `json:"-"`
	Tabs  []tab     `json:"tabs"`
	Jobs  []jobLine `json:"jobs"`
	// Next is the cursor of the next page, First says that this is the first one.
	Next  string `json:"next,omitempty"`
	First bool   `json:"-"`
	// Searched is how many rows were looked at.
	Searched int `json:"searched"`
	// Unread is what could not be read, though the rest was.
	Unread string `json:"unread,omitempty"`
}

// tab is a state to choose, and how many jobs are in it that match the search.
type tab struct {
	State string       `json:"state"`
	Name  string       `json:"-"`
	Query template.URL `json:"-"`
	N     int          `json:"n"`
	More  bool         `json:"more,omitempty"`
	// Unknown says that they could not be counted.
	Unknown bool `json:"unknown,omitempty"`
	Chosen  bool `json:"chosen,omitempty"`
}

// Actions are what can be done to all that the list shows.
func (p jobsPage) Actions() []string {
	switch ackbox.State(p.State) {
	case ackbox.Dead, ackbox.Cancelled:
		return []string{"requeue", "delete"}
	case ackbox.Pending, ackbox.Nacked, ackbox.Refused:
		return []string{"run now", "cancel"}
	case ackbox.Done:
		return []string{"delete"}
	case ackbox.Sent:
		return nil
	}
	if p.State == "running" {
		return nil
	}
	return []string{"requeue", "run now", "cancel", "delete"}
}

// Can reports whether action is one of them.
func (p jobsPage) Can(action string) bool { return slices.Contains(p.Actions(), action) }

// NextQuery is the query of the next page.
func (p jobsPage) NextQuery() template.URL {
	return query("state", p.State, "q", p.Fixed, "after", p.Next)
}

// FirstQuery is the query of the first page.
func (p jobsPage) FirstQuery() template.URL { return query("state", p.State, "q", p.Search) }

// BulkQuery is the query of the dry run of an action.
func (p jobsPage) BulkQuery(action string) template.URL {
	return query("action", action, "state", p.State, "q", p.Fixed)
}

// query makes one of names and values, without those that are empty.
func query(pairs ...string) template.URL {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return template.URL(q.Encode()) //nolint:gosec // encoded in this very line
}

func (d *Dashboard) jobs(w http.ResponseWriter, r *request) error {
	q := r.URL.Query()
	s, err := parseSearch(q.Get("state"), q.Get("q"), r.now)
	if s.ID != "" {
		return redirect(w, r, "jobs/"+s.ID)
	}
	page := jobsPage{
		State: s.State, Search: s.Text, What: visible(inWords(s.Filter)), Fixed: asText(s.Filter),
		First: q.Get("after") == "", Jobs: []jobLine{},
	}
	var bad badRequestError
	if errors.As(err, &bad) {
		// The form stays as it is, beside what is wrong with it.
		page.Wrong = visible(string(bad))
		page.Tabs = tabs(page, nil)
		d.page(w, r, http.StatusBadRequest, "jobs", page)
		return nil
	}
	list, err := d.ledger.List(r.Context(), s.Filter, q.Get("after"), pageSize)
	if err != nil && len(list.Entries) == 0 {
		return fmt.Errorf("list: %w", err)
	}
	if err != nil {
		page.Unread = err.Error()
	}
	page.Jobs, page.Next, page.Searched = d.lines(list.Entries), list.Next, list.Searched
	page.Tabs = tabs(page, d.countStates(r, s.State, s.Filter))
	d.page(w, r, http.StatusOK, "jobs", page)
	return nil
}

// countStates counts what matches f in each state. A kind or an error has no index, so
// that each count is a walk over 10,000 rows: then only the chosen state is counted.
func (d *Dashboard) countStates(r *request, chosen string, f outbox.Filter) map[string]outbox.Count {
	counts := make(map[string]outbox.Count)
	for _, state := range states[1:] {
		if f.Kind+f.Error != "" && f.Key == "" && state != chosen {
			continue
		}
		f.State, f.Running = ackbox.State(state), false
		if state == "running" {
			f.State, f.Running = "", true
		}
		if n, err := d.ledger.Count(r.Context(), f); err == nil {
			counts[state] = n // a tab without a number, otherwise
		}
	}
	return counts
}

func tabs(p jobsPage, counts map[string]outbox.Count) []tab {
	all := make([]tab, 0, len(states))
	for _, state := range states {
		n, known := counts[state]
		all = append(all, tab{
			State: state, Name: cmp.Or(state, "all"), Query: query("state", state, "q", p.Search),
			N: n.N, More: n.More, Unknown: !known, Chosen: state == p.State,
		})
	}
	return all
}

// jobPage is one job, whole.
type jobPage struct {
	jobLine
	Exchange   string   `json:"exchange"`
	RoutingKey string   `json:"routing_key"`
	Mandatory  bool     `json:"mandatory"`
	Attempt    int      `json:"attempt"`
	Resend     int      `json:"resends"`
	Refusals   int      `json:"refusals"`
	Starts     int      `json:"starts"`
	Holder     string   `json:"holder,omitempty"`
	Headers    []header `json:"headers"`
	Payload    payload  `json:"payload"`
	Timeline   []event  `json:"timeline"`
	// Todo says what the state means, and what can be done.
	Todo string `json:"todo"`
	// Others are other jobs with the same key, the newest ones.
	Others []jobLine `json:"others,omitempty"`
	// Search finds all with that key.
	Search  string `json:"-"`
	Trouble string `json:"trouble,omitempty"`
}

type header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Waits reports whether it can be cancelled, or given another time.
func (p jobPage) Waits() bool {
	return p.State == "pending" || p.State == "nacked" || p.State == "refused"
}

// Requeues reports whether it can be requeued.
func (p jobPage) Requeues() bool { return p.State == "dead" || p.State == "cancelled" }

// Finished reports whether it can be deleted.
func (p jobPage) Finished() bool { return p.Requeues() || p.State == "done" }

func (d *Dashboard) job(w http.ResponseWriter, r *request) error {
	e, err := d.ledger.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return fmt.Errorf("job: %w", err)
	}
	key := e.Key // as it is in the ledger, not as it is shown
	shown := d.masked(e)
	page := jobPage{
		jobLine: d.line(e), Exchange: visible(shown.Exchange), RoutingKey: visible(shown.RoutingKey), Mandatory: shown.Mandatory,
		Attempt: shown.Attempt, Resend: shown.Resend, Refusals: shown.PublishAttempt, Starts: shown.Starts, Holder: shown.Holder,
		Headers: headers(shown.Headers), Payload: showPayload(shown.Payload), Timeline: timeline(shown, r.now), Todo: todo(e, r.now),
	}
	if key != "" {
		page.Search = asText(outbox.Filter{Key: key})
		others, err := d.ledger.List(r.Context(), outbox.Filter{Key: key}, "", 11)
		if err != nil {
			page.Trouble = "The other jobs of this key could not be read: " + err.Error()
		}
		others.Entries = slices.DeleteFunc(others.Entries, func(o outbox.Entry) bool { return o.ID == e.ID })
		page.Others = d.lines(others.Entries)
	}
	d.page(w, r, http.StatusOK, "job", page)
	return nil
}

func headers(h map[string]string) []header {
	all := make([]header, 0, len(h))
	for name, value := range h {
		all = append(all, header{visible(name), visible(value)})
	}
	slices.SortFunc(all, func(a, b header) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// todo says what a job's state means, and what somebody can do.
func todo(e outbox.Entry, now time.Time) string {
	switch e.State {
	case ackbox.Pending:
		switch {
		case e.DueAt.After(now) && e.Attempt-e.AttemptsBefore > 1:
			return "Its last try failed; the next is when it is due. Run it now if the cause is gone."
		case e.DueAt.After(now):
			return "It waits for its time. Run it now, give it another time, or cancel it."
		}
		return "It is due, and waits to be sent. If that lasts: is a dispatcher alive, is the broker there, is the queue paused?"
	case ackbox.Nacked:
		return "The broker refused it for now: a full queue, or none bound to that key. It is sent again when it is due."
	case ackbox.Refused:
		return "The broker refused it for too long. A worker of its queue calls its FailAction next; then it is dead. Run it now if the cause is gone."
	case ackbox.Sent:
		switch {
		case e.Queue == "":
			return "It is an event: the broker has it, and that is where its story ends here."
		case e.StartedAt != nil:
			return "Its handler runs. It cannot be cancelled from here; if its worker dies it is sent again."
		}
		return "The broker has it, or a worker that has no free slot. If it is lost there it is sent again by itself."
	case ackbox.Dead:
		return "It was given up. Read the error; when the cause is gone, requeue it: it has all its tries again."
	case ackbox.Cancelled:
		return "Somebody withdrew it before it was sent. Requeue it if that was a mistake."
	case ackbox.Done:
		return "It was handled. Its row goes after the retention."
	}
	return ""
}
