package worker

import (
	"context"

	"github.com/ackbox/ackbox"
)

// finished tells the hooks what became of h.
func (s *shift) finished(ctx context.Context, h *hand, outcome string, r report) {
	at, ran, err := h.run()
	if r.why.err != nil { // it may have been given up without having run
		err = r.why.err
	}
	s.hooks.Finished(ctx, ackbox.Finished{Job: h.Job, Outcome: outcome, Err: err, Next: r.next, At: at, Ran: ran})
}

// superseded tells the hooks that a run of h counts for nothing, if there was one.
func (s *shift) superseded(ctx context.Context, h *hand) {
	if at, _, _ := h.run(); !at.IsZero() {
		s.finished(ctx, h, "superseded", report{})
	}
}
