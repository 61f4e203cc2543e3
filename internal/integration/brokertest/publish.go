package brokertest

import (
	"bytes"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

func roundTrip(f *fixture) {
	everyByte := make([]byte, 256)
	for i := range everyByte {
		everyByte[i] = byte(i)
	}
	tests := []struct {
		name   string
		change func(*ackbox.Job)
		want   func(*ackbox.Job)
	}{
		{name: "first try"},
		{name: "later try", change: func(j *ackbox.Job) { j.Attempt, j.Resend = 7, 3 }},
		{name: "key", change: func(j *ackbox.Job) { j.Key = "order:42 é" }},
		{name: "try after an operator's requeue", change: func(j *ackbox.Job) { j.Attempt, j.AttemptsBefore = 12, 10 }},
		{
			name:   "with its times",
			change: func(j *ackbox.Job) { j.SentAt = j.CreatedAt.Add(1999 * time.Microsecond) },
			want:   func(j *ackbox.Job) { j.SentAt = j.CreatedAt.Add(time.Millisecond) },
		},
		{name: "no headers", change: func(j *ackbox.Job) { j.Headers = nil }},
		{name: "any bytes", change: func(j *ackbox.Job) { j.Payload = everyByte }},
		{name: "empty payload", change: func(j *ackbox.Job) { j.Payload = nil }},
		{name: "largest payload", change: func(j *ackbox.Job) { j.Payload = bytes.Repeat([]byte("x"), MaxMessageBytes) }},
		{name: "another service's message", change: func(j *ackbox.Job) { j.Ledger, j.MaxAttempts = "", 0 }},
		{
			name:   "publish-only message", // carries none of our headers
			change: func(j *ackbox.Job) { j.Queue, j.Ledger, j.Mandatory, j.Key = "", "", false, "order:42" },
			want:   func(j *ackbox.Job) { j.Queue, j.MaxAttempts, j.Key = work, 0, "" },
		},
	}
	s := f.subscribe(work, 1)
	f.publish([]ackbox.Job{jobFor(work)}, core.Acked)
	s.nextAcked() // the subscription stands
	for _, tt := range tests {
		// One after the other on one broker: they would only share its queue.
		f.t.Run(tt.name, func(t *testing.T) {
			f, s := f.in(t), s.in(t)
			job := jobFor(work)
			if tt.change != nil {
				tt.change(&job)
			}
			f.publish([]ackbox.Job{job}, core.Acked)
			d := s.nextAcked()
			want := job
			if tt.want != nil {
				tt.want(&want)
			}
			f.same(d.Job, want)
			if d.Redelivered || d.Returns != 0 {
				f.t.Errorf("a first delivery is redelivered %v, returned %d times", d.Redelivered, d.Returns)
			}
		})
	}
	s.stop()
	f.must("Consume", s.returned())
	f.waits(work, 0)
}

func emptyBatch(f *fixture) {
	f.publish(nil, core.Acked)
	f.publish([]ackbox.Job{}, core.Acked)
	f.waits(work, 0)
}

func unroutableTopology() ackbox.Topology {
	return ackbox.Topology{
		Exchanges: []ackbox.Exchange{{Name: "events"}},
		Queues:    []ackbox.Queue{{Name: work, Bindings: []ackbox.Binding{{Exchange: "events", RoutingKey: "bound"}}}},
	}
}

func unroutable(f *fixture) {
	jobs := jobsFor(work, 6)
	jobs[1].RoutingKey = "no-such-queue"
	jobs[2].RoutingKey, jobs[2].Mandatory = "no-such-queue", false
	jobs[3].Exchange, jobs[3].RoutingKey = "events", "unbound"
	jobs[4].Exchange, jobs[4].RoutingKey = "events", "bound"
	f.publish(jobs, core.Acked, core.Returned, core.Acked, core.Returned, core.Acked, core.Acked)
	f.waits(work, 3) // what is acked but went nowhere is not here
}

func fullQueueTopology() ackbox.Topology {
	return ackbox.Topology{Queues: []ackbox.Queue{
		{Name: "small", Type: ackbox.Classic, MaxLength: 2},
		{Name: work},
	}}
}

// The queue is a classic one, since a quorum queue overshoots its bound.
func fullQueue(f *fixture) {
	f.publish(jobsFor("small", 2), core.Acked)
	f.waits("small", 2)
	jobs := []ackbox.Job{jobFor(work), jobFor("small"), jobFor(work)}
	f.publish(jobs, core.Acked, core.NackedByBroker, core.Acked)
	f.waits(work, 2)
	f.waits("small", 2)

	s := f.subscribe("small", 2)
	s.nextAcked()
	s.nextAcked()
	f.waits("small", 0)
	f.publish(jobsFor("small", 1), core.Acked) // there is room again
	s.nextAcked()
}

func missingExchange(f *fixture) {
	jobs := jobsFor(work, 3)
	jobs[1].Exchange = "no-such-exchange"
	f.neighboursArrive(jobs)
}

func oversized(f *fixture) {
	jobs := jobsFor(work, 3)
	jobs[1].Payload = make([]byte, MaxMessageBytes+1)
	f.neighboursArrive(jobs)
}

// A name that does not fit an AMQP frame would end the whole connection.
func overlongName(f *fixture) {
	jobs := jobsFor(work, 3)
	jobs[1].RoutingKey = strings.Repeat("k", 256)
	f.neighboursArrive(jobs)
}

// neighboursArrive publishes three jobs of which the one in the middle is
// refused, twice: the broker works on after a refusal. The others arrive, maybe
// more than once, because a refusal may cost a channel and thus certainty.
func (f *fixture) neighboursArrive(jobs []ackbox.Job) {
	f.t.Helper()
	missing := make(map[string]bool)
	for range 2 {
		for i := range jobs {
			jobs[i].ID = jobFor(work).ID
		}
		f.publish(jobs, core.Acked, core.NackedByBroker, core.Acked)
		missing[jobs[0].ID], missing[jobs[2].ID] = true, true
	}
	s := f.subscribe(work, 4)
	for len(missing) > 0 {
		delete(missing, s.nextAcked().ID)
	}
}

func routingTopology() ackbox.Topology {
	return ackbox.Topology{
		Exchanges: []ackbox.Exchange{
			{Name: "direct"}, {Name: "topic", Kind: ackbox.Topic}, {Name: "fanout", Kind: ackbox.Fanout},
		},
		Queues: []ackbox.Queue{
			{Name: "a", Bindings: []ackbox.Binding{
				{Exchange: "direct", RoutingKey: "x"},
				{Exchange: "topic", RoutingKey: "order.*"},
				{Exchange: "topic", RoutingKey: "order.paid"}, // a second match is not a second copy
				{Exchange: "fanout", RoutingKey: "ignored"},
			}},
			{Name: "b", Bindings: []ackbox.Binding{
				{Exchange: "direct", RoutingKey: "x"},
				{Exchange: "direct", RoutingKey: "y"},
				{Exchange: "topic", RoutingKey: "#.paid"},
				{Exchange: "fanout"},
			}},
			{Name: "c", Bindings: []ackbox.Binding{
				{Exchange: "direct", RoutingKey: "*"}, {Exchange: "topic", RoutingKey: "#"},
			}},
		},
	}
}

func routing(f *fixture) {
	tests := []struct {
		exchange, key string
		queues        []string
	}{
		{"", "a", []string{"a"}},
		{"direct", "x", []string{"a", "b"}},
		{"direct", "y", []string{"b"}},
		{"direct", "*", []string{"c"}}, // only a topic exchange knows wildcards
		{"direct", "z", nil},
		{"topic", "order.paid", []string{"a", "b", "c"}},
		{"topic", "order.created", []string{"a", "c"}},
		{"topic", "order.item.paid", []string{"b", "c"}},
		{"topic", "order", []string{"c"}},
		{"topic", "paid", []string{"b", "c"}},
		{"topic", "", []string{"c"}},
		{"fanout", "anything", []string{"a", "b"}},
	}
	want := make(map[string]map[string]ackbox.Job) // queue and ID to message
	for _, queue := range []string{"a", "b", "c"} {
		want[queue] = make(map[string]ackbox.Job)
	}
	for _, tt := range tests {
		job := jobFor("")
		job.Ledger, job.MaxAttempts = "", 0
		job.Exchange, job.RoutingKey = tt.exchange, tt.key
		status := core.Acked
		if tt.queues == nil {
			status = core.Returned
		}
		f.publish([]ackbox.Job{job}, status)
		for _, queue := range tt.queues {
			job.Queue = queue // a delivery names the queue that it came from
			want[queue][job.ID] = job
		}
	}
	for queue, jobs := range want {
		f.waits(queue, len(jobs))
		s := f.subscribe(queue, 100)
		for range len(jobs) {
			d := s.nextAcked()
			job, ok := jobs[d.ID]
			if !ok {
				f.t.Fatalf("queue %q got exchange %q, key %q, which it should not, or not again", queue, d.Exchange, d.RoutingKey)
			}
			delete(jobs, d.ID)
			f.same(d.Job, job)
		}
	}
}

func concurrentPublish(f *fixture) {
	const publishers, batches, size = 4, 5, 20
	s := f.subscribe(work, 50)
	var sent []string
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range publishers {
		wg.Go(func() {
			for range batches {
				jobs := jobsFor(work, size)
				for i, o := range f.Publish(f.ctx, jobs) {
					if o.Status != core.Acked {
						f.t.Errorf("Publish: job %d is %v (%s)", i, o.Status, o.Reason)
					}
					mu.Lock()
					sent = append(sent, jobs[i].ID)
					mu.Unlock()
				}
			}
		})
	}
	got := make([]string, publishers*batches*size)
	for i := range got {
		d := s.next()
		got[i] = d.ID
		wg.Go(func() { // receipts are safe for concurrent use
			if err := d.Receipt.Ack(); err != nil {
				f.t.Errorf("Ack: %v", err)
			}
		})
	}
	wg.Wait()
	slices.Sort(got)
	slices.Sort(sent)
	if !slices.Equal(got, sent) {
		f.t.Errorf("%d messages were sent, %d arrived, but not each exactly once", len(sent), len(got))
	}
	s.stop()
	f.must("Consume", s.returned())
	f.waits(work, 0)
}
