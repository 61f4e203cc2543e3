package brokertest

import (
	"strings"
	"sync/atomic"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

func prefetch(f *fixture) {
	const bound, messages = 3, 12
	f.publish(jobsFor(work, messages), core.Acked)
	var unsettled atomic.Int64
	s := f.subscribeFunc(work, bound, func(core.Delivery) {
		if n := unsettled.Add(1); n > bound {
			f.t.Errorf("%d deliveries are unsettled, prefetch is %d", n, bound)
		}
	})
	var held []core.Delivery
	for range bound {
		held = append(held, s.next())
	}
	f.waits(work, messages-bound)
	for came := bound; len(held) > 0; {
		unsettled.Add(-1) // before the ack: the next one may come at once
		f.must("Ack", held[0].Receipt.Ack())
		held = held[1:]
		if came < messages {
			held = append(held, s.next())
			came++
		}
	}
	f.waits(work, 0)
}

func requeue(f *fixture) {
	job := jobFor(work)
	f.publish([]ackbox.Job{job}, core.Acked)
	s := f.subscribe(work, 1)
	f.must("Requeue", s.next().Receipt.Requeue())
	for returns := 1; returns <= 2; returns++ {
		d := s.next()
		f.same(d.Job, job)
		if !d.Redelivered || d.Returns != returns || d.First() {
			f.t.Errorf("redelivered %v, returned %d times, first %v; want true, %d, false", d.Redelivered, d.Returns, d.First(), returns)
		}
		if returns == 1 {
			f.must("Requeue", d.Receipt.Requeue())
			continue
		}
		f.must("Ack", d.Receipt.Ack())
	}
	s.stop()
	f.must("Consume", s.returned())
	f.waits(work, 0)
}

func settleOnce(f *fixture) {
	f.publish(jobsFor(work, 1), core.Acked)
	s := f.subscribe(work, 1)
	d := s.nextAcked()
	if d.Receipt.Ack() == nil {
		f.t.Error("the second Ack gave no error")
	}
	if d.Receipt.Requeue() == nil {
		f.t.Error("Requeue after Ack gave no error")
	}
	// The mistake costs nobody else anything, and nothing came back.
	job := jobFor(work)
	f.publish([]ackbox.Job{job}, core.Acked)
	if d := s.nextAcked(); d.ID != job.ID || d.Redelivered {
		f.t.Errorf("then came message %s, redelivered %v; want %s, a first one", d.ID, d.Redelivered, job.ID)
	}
}

func gracefulStop(f *fixture) {
	missing := make(map[string]bool)
	jobs := jobsFor(work, 5)
	for _, job := range jobs {
		missing[job.ID] = true
	}
	f.publish(jobs, core.Acked)
	release := make(chan struct{})
	s := f.subscribeFunc(work, 3, func(core.Delivery) {
		select {
		case <-release:
		case <-f.ctx.Done():
		}
	})
	inHand := s.next()
	f.waits(work, 2) // the consumer has its three, one of them in handle
	s.stop()
	close(release)
	select {
	case err := <-s.done:
		f.t.Fatalf("Consume returned %v before the delivery in hand was settled", err)
	case <-time.After(100 * time.Millisecond): // for a Consume that is too quick to show it
	}
	f.must("Ack of the delivery in hand", inHand.Receipt.Ack())
	f.must("Consume", s.returned())
	if n := len(s.deliveries); n > 0 {
		f.t.Errorf("%d deliveries were handed out after ctx had ended", n)
	}

	delete(missing, inHand.ID)
	f.waits(work, len(missing))
	next := f.subscribe(work, 10)
	for len(missing) > 0 {
		d := next.nextAcked()
		if !missing[d.ID] {
			f.t.Fatalf("message %s came although it was acked", d.ID)
		}
		delete(missing, d.ID)
	}
}

func twoConsumersShare(f *fixture) {
	x, y := f.subscribe(work, 1), f.subscribe(work, 1)
	f.publish(jobsFor(work, 2), core.Acked)
	first, second := x.next(), y.next() // each can hold one only
	if first.ID == second.ID {
		f.t.Fatal("both consumers got the same message")
	}
	seen := map[string]bool{first.ID: true, second.ID: true}
	f.must("Ack", first.Receipt.Ack())
	f.must("Ack", second.Receipt.Ack())

	const more = 20
	f.publish(jobsFor(work, more), core.Acked)
	for range more {
		var d core.Delivery
		select {
		case d = <-x.deliveries:
		case d = <-y.deliveries:
		case <-f.ctx.Done():
			f.t.Fatalf("%d of %d messages came", len(seen), more+2)
		}
		if seen[d.ID] {
			f.t.Errorf("message %s came twice", d.ID)
		}
		seen[d.ID] = true
		f.must("Ack", d.Receipt.Ack())
	}
}

func unknownQueueTopology() ackbox.Topology {
	return ackbox.Topology{Queues: []ackbox.Queue{{Name: "alpha"}, {Name: "beta"}}}
}

func unknownQueue(f *fixture) {
	const unknown = "gamma"
	lost := core.Delivery{Job: foreign(unknown)}
	_, errWaiting := f.Waiting(f.ctx, unknown)
	_, errRequeue := f.RequeueDead(f.ctx, unknown, ackbox.DeadFilter{}, 1)
	errs := map[string]error{
		"Consume":     f.Consume(f.ctx, unknown, 1, func(core.Delivery) {}),
		"Waiting":     errWaiting,
		"Retry":       f.Retry(f.ctx, lost, 0),
		"Bury":        f.Bury(f.ctx, lost, "cause"),
		"RequeueDead": errRequeue,
	}
	for method, err := range errs {
		if err == nil {
			f.t.Errorf("%s: no error", method)
			continue
		}
		names := []string{unknown, "alpha", "beta"} // what was asked for, what there is
		if method == "Waiting" {
			names = names[:1] // which may count queues outside the topology
		}
		for _, name := range names {
			if !strings.Contains(err.Error(), name) {
				f.t.Errorf("%s: error %q does not name queue %s", method, err, name)
			}
		}
	}
}

func waiting(f *fixture) {
	f.waits(work, 0)
	f.publish(jobsFor(work, 3), core.Acked)
	f.waits(work, 3)
	s := f.subscribe(work, 2)
	held := s.next()
	f.waits(work, 1) // what a consumer has is not ready
	f.must("Ack", held.Receipt.Ack())
	f.waits(work, 0)
}
