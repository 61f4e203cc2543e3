package dispatcher

import (
	"cmp"
	"context"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// telling gathers what hooks are to be told of a batch once it is in the ledger. A nil
// one gathers nothing: there are no hooks.
type telling struct {
	at   time.Time
	took time.Duration
	all  []ackbox.Published
}

// stamp says in jobs that they are put on the wire now, for whoever measures their way.
func (d *Dispatcher) stamp(jobs []ackbox.Job) *telling {
	if !d.hooks.Publishes() {
		return nil
	}
	t := &telling{at: time.Now(), all: make([]ackbox.Published, 0, len(jobs))}
	for i := range jobs {
		jobs[i].SentAt = t.at
	}
	return t
}

// answered notes that the broker has answered for all of them.
func (t *telling) answered() {
	if t != nil {
		t.took = time.Since(t.at)
	}
}

// add notes what becomes of job, unless that is nothing.
func (t *telling) add(job ackbox.Job, to core.Transition, outcome core.Outcome) {
	if t == nil {
		return
	}
	p := ackbox.Published{Job: job, Error: cmp.Or(to.Error, outcome.Reason), Waited: job.Waited, At: t.at, Took: t.took}
	switch to.To {
	case "": // its row is as it was
		return
	case ackbox.Sent:
		p.Status, p.Error = "sent", ""
	case ackbox.Pending:
		p.Status = "unknown"
	default:
		p.Status = "refused"
	}
	t.all = append(t.all, p)
}

func (t *telling) list() []ackbox.Published {
	if t == nil {
		return nil
	}
	return t.all
}

// tell tells the hooks of a batch that is in the ledger.
func (d *Dispatcher) tell(ctx context.Context, list []ackbox.Published) {
	for _, p := range list {
		d.hooks.Published(ctx, p)
	}
}
