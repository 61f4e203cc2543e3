package storetest

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

// backlogs commits jobs into queues and returns a Store that claims from it.
func backlogs(e *env, cfg outbox.Config, jobs map[string]int, args ackbox.Args) *outbox.Store {
	e.Helper()
	cfg.Schema, cfg.Table, cfg.Partitioned = e.base.Schema, e.base.Table, e.base.Partitioned
	for queue := range jobs {
		cfg.Queues = append(cfg.Queues, queue)
	}
	slices.Sort(cfg.Queues)
	s, err := outbox.NewStore(e.db, cfg)
	e.must(err)
	e.must(s.Migrate(e.ctx))
	e.made = s
	var items []outbox.Item
	for queue, n := range jobs {
		for range n {
			items = append(items, outbox.Item{Args: args, Options: []outbox.Option{outbox.OwnTransaction(), outbox.Queue(queue)}})
		}
	}
	e.must(s.EnqueueAll(e.ctx, e.db, items...))
	return s
}

// batch claims once, sends what it finds, and counts it by queue.
func batch(e *env, claim core.Claim) map[string]int {
	e.Helper()
	got := make(map[string]int)
	_, err := e.store().Relay(e.ctx, claim, func(_ context.Context, jobs []ackbox.Job) []core.Transition {
		out := make([]core.Transition, len(jobs))
		for i, job := range jobs {
			got[job.Queue]++
			out[i] = acked(job)
		}
		return out
	})
	e.must(err)
	return got
}

// Queues share a batch; what one leaves goes to the others.
func relayFair(e *env) {
	backlogs(e, outbox.Config{}, map[string]int{"bulk": 200, "some": 30, "quiet": 1}, note{"x"})
	if got := batch(e, core.Claim{Limit: 90}); got["quiet"] != 1 || got["some"] != 30 || got["bulk"] != 59 {
		e.Errorf("the first batch of 90 is %v", got)
	}
	if got := batch(e, core.Claim{Limit: 90}); got["bulk"] != 90 || len(got) != 1 {
		e.Errorf("the second batch of 90 is %v", got)
	}
}

func relayExcept(e *env) {
	backlogs(e, outbox.Config{}, map[string]int{"a": 5, "b": 5, "c": 5}, note{"x"})
	if got := batch(e, core.Claim{Limit: 90, Except: []string{"a", "c", "none\\'\"{}"}}); got["b"] != 5 || len(got) != 1 {
		e.Errorf("but for a and c %v was claimed", got)
	}
	if got := batch(e, core.Claim{Limit: 90, Except: []string{"a", "b", "c"}}); len(got) != 0 {
		e.Errorf("but for all %v was claimed", got)
	}
	if got := batch(e, core.Claim{Limit: 90}); got["a"] != 5 || got["c"] != 5 {
		e.Errorf("then %v was claimed", got)
	}
}

// The zero Transition writes nothing.
func relayLeft(e *env) {
	left, sent := e.enqueue(), e.enqueue()
	before := e.get(left)
	n, err := e.store().Relay(e.ctx, core.Claim{Limit: 10}, func(_ context.Context, jobs []ackbox.Job) []core.Transition {
		out := make([]core.Transition, len(jobs))
		for i, job := range jobs {
			if job.ID == sent {
				out[i] = acked(job)
			}
		}
		return out
	})
	if n != 2 || err != nil {
		e.Errorf("%d, %v", n, err)
	}
	e.wantState(ackbox.Sent, sent)
	if got := e.get(left); got.State != ackbox.Pending || got.Resend != before.Resend || got.Attempt != 1 || !got.DueAt.Equal(before.DueAt) {
		e.Errorf("what was left is %+v, was %+v", got, before)
	}
	if got := e.relay(10, acked); !slices.Equal(got, []string{left}) {
		e.Errorf("claimed next: %v", got)
	}
}

// A batch ends with the payload that reaches its limit: one goes always.
func relayBytes(e *env) {
	large := note{strings.Repeat("x", 1000)}
	s := backlogs(e, outbox.Config{MaxBatchBytes: 2500}, map[string]int{"a": 5}, large)
	first := []outbox.Option{outbox.OwnTransaction(), outbox.Queue("a"), outbox.At(time.Now().Add(-time.Hour)), outbox.Header("h", "v")}
	e.must(s.EnqueueAll(e.ctx, e.db, outbox.Item{Args: note{strings.Repeat("y", 3000)}, Options: first}))
	var sizes []int
	for range 4 {
		n, err := s.Relay(e.ctx, core.Claim{Limit: 50}, func(_ context.Context, jobs []ackbox.Job) []core.Transition {
			out := make([]core.Transition, len(jobs))
			for i, job := range jobs {
				if len(job.Payload) < 1000 || len(job.Payload) > 2000 && job.Headers["h"] != "v" {
					e.Errorf("a claimed job has %d bytes and headers %v", len(job.Payload), job.Headers)
				}
				out[i] = acked(job)
			}
			return out
		})
		e.must(err)
		sizes = append(sizes, n)
	}
	if !slices.Equal(sizes, []int{1, 3, 2, 0}) {
		e.Errorf("batches of %v jobs, want one of 3000 bytes and five of 1000 in 2500 bytes and one job", sizes)
	}
}
