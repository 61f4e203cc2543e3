package dashboard

import (
	"cmp"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/outbox"
)

// jobLine is a job in a list.
type jobLine struct {
	ID    string `json:"id"`
	State string `json:"state"`
	Kind  string `json:"kind"`
	Key   string `json:"key,omitempty"`
	Queue string `json:"queue"`
	// Try is the current one of Tries; Before were made before it was last requeued.
	Try    int `json:"try"`
	Tries  int `json:"tries"`
	Before int `json:"tries_before,omitempty"`

	CreatedAt  time.Time  `json:"created_at"`
	DueAt      time.Time  `json:"due_at"`
	SentAt     *time.Time `json:"sent_at,omitempty"`
	StartedAt  *time.Time `json:"started_at,omitempty"`
	FinishedAt *time.Time `json:"finished_at,omitempty"`
	Error      string     `json:"error,omitempty"`
}

// stateOf is the state of e as it is shown: a sent job that is on record as running is.
func stateOf(e outbox.Entry) string {
	if e.State == ackbox.Sent && e.FinishedAt == nil && e.StartedAt != nil {
		return "running"
	}
	return string(e.State)
}

func (d *Dashboard) line(e outbox.Entry) jobLine {
	e = d.masked(e)
	return jobLine{
		ID: e.ID, State: stateOf(e), Kind: visible(e.Kind), Key: visible(e.Key), Queue: visible(e.Queue),
		Try: e.Attempt - e.AttemptsBefore, Tries: e.MaxAttempts, Before: e.AttemptsBefore,
		CreatedAt: e.CreatedAt, DueAt: e.DueAt, SentAt: e.SentAt, StartedAt: e.StartedAt, FinishedAt: e.FinishedAt,
		Error: visible(cut(e.LastError, 2000)),
	}
}

func (d *Dashboard) lines(entries []outbox.Entry) []jobLine {
	lines := make([]jobLine, 0, len(entries))
	for _, e := range entries {
		lines = append(lines, d.line(e))
	}
	return lines
}

// masked is e as the application wants it to be shown.
func (d *Dashboard) masked(e outbox.Entry) outbox.Entry {
	if d.cfg.Mask == nil {
		return e
	}
	shown := d.cfg.Mask(e)
	// It is still the same job, or a click would change another one.
	shown.ID, shown.State = e.ID, e.State
	return shown
}

// event is a line of a job's timeline.
type event struct {
	At   time.Time `json:"at"`
	What string    `json:"what"`
	// Tone is the class of its dot.
	Tone    string        `json:"-"`
	Attempt int           `json:"try,omitempty"`
	By      string        `json:"by,omitempty"`
	Note    string        `json:"note,omitempty"`
	Ran     time.Duration `json:"ran,omitempty"`
	Error   string        `json:"error,omitempty"`
	// Coming is set of what has not happened yet.
	Coming bool `json:"coming,omitempty"`
}

// Person reports whether it was somebody's act; its Error is his reason.
func (e event) Person() bool { return e.Tone == "person" }

// Instance reports whether By is one, rather than somebody.
func (e event) Instance() bool { return uuid.Validate(e.By) == nil }

// Head is the first line of the error, Rest what follows it: a stack, as a rule.
func (e event) Head() string { return firstLine(e.Error) }

// Rest is empty where Head is all of it.
func (e event) Rest() string {
	if e.Head() == e.Error {
		return ""
	}
	return e.Error
}

var tones = map[outbox.Happening]string{
	outbox.Failed: "failed", outbox.GivenUp: "dead", outbox.Refused: "refused", outbox.PutOff: "pending",
	outbox.Resent: "nacked", outbox.TakenBack: "nacked", outbox.Requeued: "person", outbox.Cancelled: "person",
	outbox.Hastened: "person", outbox.Rescheduled: "person",
}

// timeline tells what happened to e, oldest first, and what comes next.
func timeline(e outbox.Entry, now time.Time) []event {
	events := []event{{At: e.CreatedAt, What: "written", Tone: "pending", Note: "committed with the data it belongs to"}}
	for _, h := range e.History {
		what := string(h.What)
		if what == "" {
			what = "unreadable"
		}
		events = append(events, event{
			At: h.At, What: what, Tone: cmp.Or(tones[h.What], "pending"), Attempt: h.Attempt,
			By: visible(h.By), Ran: h.Ran, Error: visible(h.Error),
		})
	}
	if e.SentAt != nil {
		events = append(events, event{At: *e.SentAt, What: "sent", Tone: "sent", Note: "the broker has confirmed it"})
	}
	if e.StartedAt != nil {
		events = append(events, event{At: *e.StartedAt, What: "started", Tone: "running", Note: byInstance(e.Holder)})
	}
	if e.FinishedAt != nil && e.State == ackbox.Done {
		events = append(events, event{At: *e.FinishedAt, What: "done", Tone: "done"})
	}
	if e.FinishedAt != nil && e.State != ackbox.Done && !slices.ContainsFunc(e.History, ends) {
		events = append(events, event{At: *e.FinishedAt, What: stateOf(e), Tone: stateOf(e)})
	}
	slices.SortStableFunc(events, func(a, b event) int { return a.At.Compare(b.At) })
	if (e.State == ackbox.Pending || e.State == ackbox.Nacked) && e.DueAt.After(now) {
		events = append(events, event{At: e.DueAt, What: "due", Tone: "pending", Coming: true})
	}
	return events
}

// ends reports whether an event of the history is one that finishes a job.
func ends(h outbox.HistoryEntry) bool { return h.What == outbox.GivenUp || h.What == outbox.Cancelled }

func byInstance(id string) string {
	if id == "" {
		return ""
	}
	return "by instance " + short(id)
}

// groupLine are jobs that were given up for the same reason.
type groupLine struct {
	Kind   string    `json:"kind"`
	Error  string    `json:"error"`
	N      int       `json:"n"`
	First  time.Time `json:"first"`
	Last   time.Time `json:"last"`
	Sample string    `json:"sample"`
	// Search finds them in the list of dead jobs. It is not Whole where their error is masked:
	// then it finds all of the kind.
	Search string `json:"search"`
	Whole  bool   `json:"search_is_whole"`
}

func (d *Dashboard) groups(groups []outbox.Group) []groupLine {
	lines := make([]groupLine, 0, len(groups))
	for _, g := range groups {
		f := outbox.Filter{Kind: g.Kind, Error: prefix(g.Error, 200)}
		shown := d.masked(outbox.Entry{Job: ackbox.Job{ID: g.Sample, Kind: g.Kind}, State: ackbox.Dead, LastError: g.Error})
		whole := true
		if firstLine(shown.LastError) != firstLine(g.Error) {
			// What is not to be shown stands in no address either.
			f.Error, whole = "", false
		}
		lines = append(lines, groupLine{
			Kind: visible(shown.Kind), Error: visible(cut(shown.LastError, 1000)), N: g.N,
			First: g.First, Last: g.Last, Sample: g.Sample, Search: asText(f), Whole: whole,
		})
	}
	return lines
}

// prefix is as much of s as a search takes, and no half character.
func prefix(s string, n int) string {
	if len(s) <= n {
		return s
	}
	whole := cut(s, n)
	return whole[:len(whole)-len("…")]
}

// operationLine is something that a person did.
type operationLine struct {
	ID     string `json:"id"`
	Action string `json:"action"`
	// What says to whom it was done, in words.
	What       string     `json:"what"`
	IDs        []string   `json:"ids,omitempty"`
	Queue      string     `json:"queue,omitempty"`
	State      string     `json:"state"`
	By         string     `json:"by"`
	Reason     string     `json:"reason,omitempty"`
	CreatedAt  time.Time  `json:"created_at"`
	UpdatedAt  time.Time  `json:"updated_at"`
	FinishedAt *time.Time `json:"finished_at,omitempty"`
	Expected   int        `json:"expected"`
	// AtLeast says that more than Expected matched.
	AtLeast  bool   `json:"expected_at_least,omitempty"`
	Changed  int64  `json:"changed"`
	LookedAt int64  `json:"looked_at"`
	Error    string `json:"error,omitempty"`
	// Search finds what a filter selects, in its State.
	Search      string `json:"search,omitempty"`
	SearchState string `json:"search_state,omitempty"`
}

// Bulk reports whether it was about all that match a filter.
func (o operationLine) Bulk() bool { return o.IDs == nil && o.Queue == "" }

// Steers reports whether it was about another operation, whose id is in IDs.
func (o operationLine) Steers() bool {
	return o.Action == string(outbox.ActionStop) || o.Action == string(outbox.ActionContinue)
}

// Running reports whether it goes on.
func (o operationLine) Running() bool { return o.State == string(outbox.OperationRunning) }

// Permission is what it takes to stop it, or to have it go on.
func (o operationLine) Permission() string { return needs(outbox.Action(o.Action)).String() }

// Percent is how much of it is done, of 100, for a bar.
func (o operationLine) Percent() int64 {
	if o.State == string(outbox.OperationDone) || o.Expected == 0 {
		return 100
	}
	return min(100*o.Changed/int64(o.Expected), 100)
}

func operationOf(o outbox.Operation) operationLine {
	line := operationLine{
		ID: o.ID, Action: string(o.Action), IDs: o.IDs, Queue: visible(o.Queue), State: string(o.State),
		By: visible(o.By), Reason: visible(o.Reason), CreatedAt: o.CreatedAt, UpdatedAt: o.UpdatedAt, FinishedAt: o.FinishedAt,
		Expected: o.Expected.N, AtLeast: o.Expected.More, Changed: o.Changed, LookedAt: o.LookedAt, Error: visible(o.Error),
	}
	switch {
	case o.Filter != nil:
		line.What, line.Search = visible(inWords(*o.Filter)), asText(*o.Filter)
		line.SearchState = string(o.Filter.State)
		if o.Filter.Running {
			line.SearchState = "running"
		}
	case line.Steers() && len(o.IDs) == 1:
		line.What = "operation " + short(o.IDs[0])
	case o.Queue != "":
		line.What = "queue " + line.Queue
	case len(o.IDs) == 1:
		line.What = "job " + o.IDs[0]
	default:
		line.What = plural(int64(len(o.IDs)), "job", "jobs")
	}
	return line
}
