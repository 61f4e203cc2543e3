package brokertest

import (
	"errors"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

func closeWhileConsuming(f *fixture) {
	f.publish(jobsFor(work, 2), core.Acked)
	s := f.subscribe(work, 2)
	held, other := s.next(), s.next()
	f.must("Close", f.Close())
	f.must("Close again", f.Close())
	if s.returned() == nil {
		f.t.Error("Consume returned nil although its deliveries were not settled")
	}
	// The error is whatever the delivery's channel says: it is not promised
	// which end of it was closed first.
	if held.Receipt.Ack() == nil {
		f.t.Error("Ack after Close gave no error")
	}
	if other.Receipt.Requeue() == nil {
		f.t.Error("Requeue after Close gave no error")
	}
}

func afterClose(f *fixture) {
	f.must("Close", f.Close())
	f.publish(jobsFor(work, 2), core.Unknown)
	d := core.Delivery{Job: foreign(work)}
	_, errWaiting := f.Waiting(f.ctx, work)
	_, errRequeue := f.RequeueDead(f.ctx, work, ackbox.DeadFilter{}, 1)
	errs := map[string]error{
		"Ready":       f.Ready(f.ctx),
		"Consume":     f.Consume(f.ctx, work, 1, func(core.Delivery) {}),
		"Retry":       f.Retry(f.ctx, d, 0),
		"Bury":        f.Bury(f.ctx, d, "cause"),
		"Waiting":     errWaiting,
		"RequeueDead": errRequeue,
	}
	for method, err := range errs {
		if !errors.Is(err, ackbox.ErrClosed) {
			f.t.Errorf("%s: %v, want ErrClosed", method, err)
		}
	}
}
