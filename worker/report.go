package worker

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// report is what is counted, and told to people, of an outcome once it is durable:
// before that it may not have happened.
type report struct {
	what happening
	why  failure
	next time.Time // of a failed try, or one that was put off: when the next one is due
}

type happening int

const (
	passed happening = iota // nothing to tell
	handled
	failed
	snoozed // at its own wish
	waits   // its handler could not have the row
	stopped // by us
	gaveUp
)

// tell counts and logs r, by what the ledger said to it, and tells the hooks; of a message
// without a row the verdict is Recorded.
func (s *shift) tell(ctx context.Context, h *hand, r report, verdict core.Verdict) {
	switch {
	case verdict == core.Missing:
		s.missing(ctx, h)
		s.superseded(ctx, h)
		return
	case verdict == core.Recorded, r.what == handled, r.what == gaveUp:
		// The last two may be recorded by the handler's own transaction.
	default:
		if r.what == failed {
			s.failedTooLate(ctx, h, r.why)
		}
		s.superseded(ctx, h)
		return
	}
	switch r.what {
	case passed:
	case handled:
		s.count.done.Add(1)
		s.ran(h, ackbox.Done)
		s.finished(ctx, h, "done", r)
	case snoozed:
		s.count.snoozed.Add(1)
		s.finished(ctx, h, "put off", r)
	case waits:
		s.finished(ctx, h, "put off", r)
	case stopped:
		if at, _, _ := h.run(); !at.IsZero() { // it may not have got that far
			s.finished(ctx, h, "given back", r)
		}
	case failed:
		s.count.retried.Add(1)
		s.ran(h, ackbox.Pending)
		s.tries.failed(ctx, s.cfg.Logger, h, r)
		s.finished(ctx, h, "failed", r)
	case gaveUp:
		s.count.dead.Add(1)
		s.ran(h, ackbox.Dead)
		s.cfg.Logger.LogAttrs(ctx, slog.LevelError, "worker: a job is dead", append(append(h.attrs(), slog.String("kept_in", s.keptIn(h))), r.why.attrs()...)...)
		s.finished(ctx, h, "dead", r)
	}
}

// ran counts what became of h in the ledger's statistics.
func (s *shift) ran(h *hand, to ackbox.State) {
	_, ran, _ := h.run()
	s.ledger.Ran(core.Ran{Queue: h.Queue, Kind: h.Kind, To: to, For: ran})
}

// keptIn says where a dead job is to be found.
func (s *shift) keptIn(h *hand) string {
	if h.Ledger != "" {
		return "ledger " + h.Ledger
	}
	return "queue " + h.Queue + core.DeadSuffix
}

// failedTooLate tells of an error that came when the ledger had the job finished
// already, or had sent it anew: it is recorded nowhere.
func (s *shift) failedTooLate(ctx context.Context, h *hand, why failure) {
	s.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "worker: a handler failed after its job was finished, or had been sent anew; the error changes nothing",
		append(h.attrs(), why.attrs()...)...)
}

// missing notes that the ledger has no row of h.
func (s *shift) missing(ctx context.Context, h *hand) {
	s.count.missing.Add(1)
	if s.said.fresh("missing " + h.Queue) {
		s.cfg.Logger.WarnContext(ctx, "worker: the ledger has no row of a job that came from this queue: it was purged or deleted, or the database was restored to a time before it",
			"kind", h.Kind, "id", h.ID, "queue", h.Queue)
	}
}

// attrs says which try of which job h is.
func (h *hand) attrs() []slog.Attr {
	return []slog.Attr{slog.String("kind", h.Kind), slog.String("id", h.ID), slog.String("queue", h.Queue), slog.Int("attempt", h.Attempt)}
}

// attrs is f for a log.
func (f failure) attrs() []slog.Attr {
	attrs := []slog.Attr{slog.String("error", f.oneLine())}
	if f.stack != "" {
		attrs = append(attrs, slog.String("stack", f.stack))
	}
	return attrs
}

// failedTries bounds what is logged of failed tries: of each kind the first few of
// a minute, then how many more there were. Safe for concurrent use.
type failedTries struct {
	mu    sync.Mutex
	kinds map[string]*minute
}

// minute is what was logged of one kind since it began.
type minute struct {
	began        time.Time
	told, untold int
}

// triesPerMinute is how many failed tries of a kind are logged in a minute.
const triesPerMinute = 10

func (f *failedTries) failed(ctx context.Context, log *slog.Logger, h *hand, r report) {
	if f.tell(h.Kind) {
		log.LogAttrs(ctx, slog.LevelWarn, "worker: a try failed; the job runs again",
			append(append(h.attrs(), slog.Time("next", r.next)), r.why.attrs()...)...)
	}
}

// tell notes a failed try and reports whether it is to be logged.
func (f *failedTries) tell(kind string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.kinds == nil {
		f.kinds = make(map[string]*minute)
	}
	m := f.kinds[kind]
	if m == nil {
		m = &minute{began: time.Now()}
		f.kinds[kind] = m
	}
	if m.told == triesPerMinute {
		m.untold++
		return false
	}
	m.told++
	return true
}

// leftOut logs what was not told of the minutes that are over, or of all.
func (f *failedTries) leftOut(ctx context.Context, log *slog.Logger, all bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for kind, m := range f.kinds {
		if !all && time.Since(m.began) < time.Minute {
			continue
		}
		if m.untold > 0 {
			log.WarnContext(ctx, "worker: more tries failed than are told one by one", "kind", kind, "left_out", m.untold)
		}
		delete(f.kinds, kind)
	}
}
