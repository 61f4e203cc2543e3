package brokertest

import (
	"slices"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

func retry(f *fixture) {
	job := foreign(work)
	f.publish([]ackbox.Job{job}, core.Acked)
	s := f.subscribe(work, 1)
	for attempt := 2; attempt <= 3; attempt++ {
		d := s.next()
		again := d
		again.Attempt = attempt
		start := time.Now()
		f.must("Retry", f.Retry(f.ctx, again, Ladder()[0]/2)) // to be rounded up
		f.must("Ack", d.Receipt.Ack())
		job.Attempt = attempt
		d = s.next()
		// A broker's clock counts in milliseconds.
		if waited := time.Since(start); waited < Ladder()[0]-5*time.Millisecond {
			f.t.Errorf("came back after %v, the rung is %v", waited, Ladder()[0])
		}
		f.sameContent(d.Job, job)
		if d.First() {
			f.t.Error("a retry claims to be a first delivery")
		}
		f.must("Requeue", d.Receipt.Requeue()) // for the next round
	}
	s.nextAcked()
	s.stop()
	f.must("Consume", s.returned())
	f.waits(work, 0)
}

// While one message is parked its queue flows, and so do shorter pauses.
func retryBlocksNothing(f *fixture) {
	long, short, fresh := foreign(work), foreign(work), foreign(work)
	f.publish([]ackbox.Job{long, short}, core.Acked)
	s := f.subscribe(work, 2)
	for range 2 {
		d := s.next()
		delay := Ladder()[0]
		if d.ID == long.ID {
			delay = Ladder()[1]
		}
		f.must("Retry", f.Retry(f.ctx, d, delay))
		f.must("Ack", d.Receipt.Ack())
	}
	f.publish([]ackbox.Job{fresh}, core.Acked)
	var last core.Delivery
	seen := make(map[string]bool)
	for range 3 {
		last = s.nextAcked()
		seen[last.ID] = true
	}
	if last.ID != long.ID || len(seen) != 3 {
		f.t.Errorf("%d different messages came, the last was %s; want 3, the last %s", len(seen), last.ID, long.ID)
	}
}

// A message without a row that has come back often is replaced by a copy, which has
// come back never and says how often that was done.
func renewals(f *fixture) {
	f.publish([]ackbox.Job{foreign(work)}, core.Acked)
	s := f.subscribe(work, 1)
	for n := range 3 {
		d := s.next()
		f.must("Requeue", d.Receipt.Requeue())
		d = s.next()
		if !d.Redelivered || d.Renewals != n {
			f.t.Errorf("after %d renewals: redelivered %v, renewals %d", n, d.Redelivered, d.Renewals)
		}
		d.Renewals++
		f.must("Retry", f.Retry(f.ctx, d, 0))
		f.must("Ack", d.Receipt.Ack())
	}
	if d := s.nextAcked(); d.Redelivered || d.Returns != 0 || d.Renewals != 3 || d.Attempt != 1 {
		f.t.Errorf("the copy is redelivered %v, returned %d times, renewed %d times, at try %d", d.Redelivered, d.Returns, d.Renewals, d.Attempt)
	}
	s.stop()
	f.must("Consume", s.returned())
}

func queues(f *fixture) {
	want := unknownQueueTopology().QueueNames()
	if got := f.Queues(); !slices.Equal(got, want) {
		f.t.Errorf("Queues are %q, want %q", got, want)
	}
}

func buryAndRequeue(f *fixture) {
	job := foreign(work)
	f.publish([]ackbox.Job{job}, core.Acked)
	s := f.subscribe(work, 1)
	d := s.next()
	exhausted := d
	exhausted.Attempt = 5
	f.must("Bury", f.Bury(f.ctx, exhausted, "handler: no such order"))
	f.must("Ack", d.Receipt.Ack())
	f.waits(work, 0)

	if n, err := f.RequeueDead(f.ctx, work, ackbox.DeadFilter{}, 10); n != 1 || err != nil {
		f.t.Fatalf("RequeueDead: %d, %v; want 1", n, err)
	}
	d = s.nextAcked()
	job.Attempt, job.AttemptsBefore = 6, 5 // it has all its tries again, and the error is gone
	f.sameContent(d.Job, job)
	if n, err := f.RequeueDead(f.ctx, work, ackbox.DeadFilter{}, 10); n != 0 || err != nil {
		f.t.Errorf("RequeueDead of nothing: %d, %v; want 0", n, err)
	}
}

// A job that went astray keeps what its own ledger knows it by, wherever it is put.
func strays(f *fixture) {
	job := jobFor(work)
	job.Attempt, job.Resend = 3, 2
	f.publish([]ackbox.Job{job}, core.Acked)
	s := f.subscribe(work, 1)
	came := func(strays int) core.Delivery {
		d := s.next()
		f.sameContent(d.Job, job)
		if d.Strays != strays || d.Returns != 0 || d.Redelivered {
			f.t.Errorf("came as %+v, want %d strays", d, strays)
		}
		return d
	}
	for strays := range 3 {
		d := came(strays)
		aside := d
		aside.Strays++
		f.must("Retry", f.Retry(f.ctx, aside, Ladder()[0]))
		f.must("Ack", d.Receipt.Ack())
	}
	d := came(3)
	f.must("Bury", f.Bury(f.ctx, d, "another ledger's"))
	f.must("Ack", d.Receipt.Ack())
	if n, err := f.RequeueDead(f.ctx, work, ackbox.DeadFilter{}, 10); n != 1 || err != nil {
		f.t.Fatalf("RequeueDead: %d, %v; want 1", n, err)
	}
	d = came(1)
	if d.First() {
		f.t.Error("what was buried claims to be a first delivery")
	}
	f.must("Ack", d.Receipt.Ack())
}

func requeueDeadLimit(f *fixture) {
	for range 3 {
		f.must("Bury", f.Bury(f.ctx, core.Delivery{Job: foreign(work)}, "cause"))
	}
	for waits, want := 0, []int{2, 1, 0}; len(want) > 0; want = want[1:] {
		if n, err := f.RequeueDead(f.ctx, work, ackbox.DeadFilter{}, 2); n != want[0] || err != nil {
			f.t.Fatalf("RequeueDead: %d, %v; want %d", n, err, want[0])
		}
		waits += want[0]
		f.waits(work, waits)
	}
}
