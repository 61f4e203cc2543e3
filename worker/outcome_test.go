package worker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/registry"
	"github.com/ackbox/ackbox/retry"
	"github.com/ackbox/ackbox/worker"
)

var errFailed = errors.New("failed")

// Every outcome of a handler, for a job with a row: what is recorded, and that
// the acknowledgement comes after it.
func TestOutcomes(t *testing.T) {
	last := job("j")
	last.Attempt = 3
	for name, test := range map[string]struct {
		delivery core.Delivery
		consume  func(context.Context, ackbox.Job) error
		fail     func(context.Context, ackbox.Job, error) error
		want     []string
	}{
		"done":      {job("j"), func(context.Context, ackbox.Job) error { return nil }, nil, []string{`j/1 done charge=false after=0s ""`, "ack j"}},
		"failed":    {job("j"), func(context.Context, ackbox.Job) error { return errFailed }, nil, []string{`j/1 pending charge=true after=1h0m0s "failed"`, "ack j"}},
		"after":     {job("j"), func(context.Context, ackbox.Job) error { return retry.After(errFailed, time.Minute) }, nil, []string{`j/1 pending charge=true after=1m0s "failed"`, "ack j"}},
		"snoozed":   {job("j"), func(context.Context, ackbox.Job) error { return retry.Snooze(time.Minute) }, nil, []string{`j/1 pending charge=false after=1m0s ""`, "ack j"}},
		"permanent": {job("j"), func(context.Context, ackbox.Job) error { return retry.Permanent(errFailed) }, nil, []string{`j/1 dead charge=false after=0s "failed"`, "ack j"}},
		"last try":  {last, func(context.Context, ackbox.Job) error { return errFailed }, nil, []string{`j/3 dead charge=false after=0s "failed"`, "ack j"}},
		"undecoded": {job("j"), func(context.Context, ackbox.Job) error { return &handler.DecodeError{Kind: "k", Err: errFailed} }, nil, []string{`j/1 pending charge=true after=1h0m0s "decode the payload of a k job: the arguments refuse it (*errors.errorString)"`, "ack j"}},
		"mistaken":  {job("j"), func(context.Context, ackbox.Job) error { return ackbox.ErrSuperseded }, nil, []string{`j/1 pending charge=true after=1h0m0s "ackbox: the job is finished or another copy took over"`, "ack j"}},
		"fail action superseded": {
			job("j"),
			func(context.Context, ackbox.Job) error { return retry.Permanent(errFailed) },
			func(context.Context, ackbox.Job, error) error { return ackbox.ErrSuperseded },
			[]string{`j/1 dead charge=false after=0s "failed"`, "ack j"},
		},
		"fail action not called": {
			job("j"),
			func(context.Context, ackbox.Job) error { return retry.Permanent(errFailed) },
			func(context.Context, ackbox.Job, error) error { return registry.ErrNotCalled },
			[]string{`j/1 dead charge=false after=0s "failed\nFailAction was not called"`, "ack j"},
		},
		"timeout": {
			job("j"),
			func(ctx context.Context, _ ackbox.Job) error { <-ctx.Done(); return ctx.Err() }, nil,
			[]string{`j/1 pending charge=true after=1h0m0s "not done within 1m0s: context deadline exceeded"`, "ack j"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, worker.Config{}, plain{test.consume, test.fail}, func(b *bench) {
				b.deliver(test.delivery)
				b.pass(70 * time.Second)
				b.expect(test.want...)
			})
		})
	}
}

// A handler may say that its job is finished. Whether it is, the ledger knows.
func TestSupersededIsAsked(t *testing.T) {
	h := plain{consume: func(context.Context, ackbox.Job) error { return ackbox.ErrSuperseded }}
	run(t, worker.Config{}, h, func(b *bench) {
		b.ledger.set(func(l *ledger) { l.hold = verdict(core.Stale) })
		b.deliver(job("j"))
		b.expect("ack j")
		if s := b.worker.Stats(); s.Skipped != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// A row that could not be had in time charges nothing, neither a try of Consume
// nor a call of FailAction.
func TestBusyRow(t *testing.T) {
	busy := fmt.Errorf("outbox: complete job j: %w", ackbox.ErrBusy)
	calls := 0
	h := plain{
		func(_ context.Context, job ackbox.Job) error {
			if job.ID == "j" {
				return busy
			}
			return retry.Permanent(errFailed)
		},
		func(context.Context, ackbox.Job, error) error {
			if calls++; calls < 5 {
				return busy
			}
			return nil
		},
	}
	run(t, worker.Config{FailActionAttempts: 1}, h, func(b *bench) {
		last := job("j")
		last.MaxAttempts = 1
		b.deliver(last)
		b.pass(time.Second)
		b.expect(`j/1 pending charge=false after=1s "outbox: complete job j: ackbox: the job's row could not be had in time"`, "ack j")
		b.deliver(job("k"))
		b.pass(time.Minute)
		b.expect(`k/1 dead charge=false after=0s "failed"`, "ack k")
	})
}

// A panic is an error like any other; its stack is in the log, and not in the row.
// Neighbours go on.
func TestPanic(t *testing.T) {
	h := plain{consume: func(_ context.Context, job ackbox.Job) error {
		if job.ID == "bad" {
			panic("boom")
		}
		return nil
	}}
	run(t, worker.Config{Concurrency: 1}, h, func(b *bench) {
		b.deliver(job("bad"))
		b.deliver(job("good"))
		b.pass(time.Second)
		story := b.diary.String()
		if !strings.Contains(story, "bad/1 pending charge=true after=1h0m0s \"panic: boom\";") || !strings.Contains(story, "good/1 done") {
			t.Error(story)
		}
		if line := b.log.String(); !strings.Contains(line, "outcome_test.go") {
			t.Errorf("the log does not say where: %s", line)
		}
	})
}

// A delivery that is not a first one asks the ledger before it runs.
func TestAsksTheLedger(t *testing.T) {
	second, redelivered, resent := job("second"), job("redelivered"), job("resent")
	second.Attempt, redelivered.Redelivered, resent.Resend = 2, true, 1
	for _, d := range []core.Delivery{second, redelivered, resent} {
		run(t, worker.Config{}, plain{consume: func(context.Context, ackbox.Job) error {
			t.Errorf("%s ran although the ledger said no", d.ID)
			return nil
		}}, func(b *bench) {
			b.ledger.set(func(l *ledger) { l.start = standing(core.Stale, 0) })
			b.deliver(d)
			b.expect("ack " + d.ID)
			if s := b.worker.Stats(); s.Skipped != 1 {
				t.Errorf("stats %+v", s)
			}
		})
	}
	// It waits for a ledger that cannot be asked.
	run(t, worker.Config{}, plain{}, func(b *bench) {
		b.ledger.cut(errors.New("database is down"))
		b.deliver(redelivered)
		b.pass(time.Minute)
		if story := b.diary.String(); strings.Contains(story, "ack") || strings.Contains(story, "done") {
			t.Error("it went on without an answer: " + story)
		}
		b.ledger.recover()
		b.pass(time.Minute)
		if story := b.diary.String(); !strings.Contains(story, "redelivered/1 done") {
			t.Error(story)
		}
	})
}

// A kind that this version of the application does not know waits, uncharged.
func TestUnknownKind(t *testing.T) {
	run(t, worker.Config{}, plain{}, func(b *bench) {
		d, foreign, nameless := job("j"), job("f"), job("n")
		d.Kind, foreign.Kind, nameless.Kind = "new", "new", ""
		foreign.Ledger, nameless.Ledger = "", ""
		for _, d := range []core.Delivery{d, foreign, nameless} {
			b.deliver(d)
			b.pass(time.Second)
		}
		b.expect(
			`j/1 pending charge=false after=15s "no handler for kind \"new\" in the worker that got it: waiting for one that knows it"`, "ack j",
			"park f/1 15s", "ack f",
			`bury n/1 "no kind was found in the message, so there is no handler for it: worker.Queue.Messages.Kind says where it is looked for (by default in the AMQP property type)"`, "ack n")
		if n := strings.Count(b.log.String(), "kind=new"); n != 1 {
			t.Errorf("it was logged %d times, want once", n)
		}
	})
}

// A message without a row is retried and buried in the broker, and acknowledged
// after its copy is confirmed.
func TestWithoutRow(t *testing.T) {
	var result error
	h := plain{consume: func(context.Context, ackbox.Job) error { return result }}
	foreign := job("m")
	foreign.Ledger, foreign.MaxAttempts = "", 0
	last := foreign
	last.Attempt = 10
	run(t, worker.Config{}, h, func(b *bench) {
		b.deliver(foreign)
		b.expect("ack m")
		result = errFailed
		b.deliver(foreign)
		b.expect("park m/2 1h0m0s", "ack m")
		result = retry.Snooze(time.Minute)
		b.deliver(foreign)
		b.expect("park m/1 1m0s", "ack m")
		result = errFailed
		b.deliver(last)
		b.expect(`bury m/10 "failed"`, "ack m")
	})
}

// The ledger learns how long a handler ran, without what FailAction took after it.
func TestHistoryOfATry(t *testing.T) {
	h := plain{
		func(context.Context, ackbox.Job) error {
			time.Sleep(3 * time.Second)
			return retry.Permanent(errFailed)
		},
		func(context.Context, ackbox.Job, error) error { time.Sleep(time.Minute); return nil },
	}
	run(t, worker.Config{}, h, func(b *bench) {
		var ran []time.Duration
		b.ledger.set(func(l *ledger) {
			l.finish = func(ts []core.Transition) ([]core.Verdict, error) {
				for _, t := range ts {
					ran = append(ran, t.Ran)
				}
				return make([]core.Verdict, len(ts)), nil
			}
		})
		b.deliver(job("j"))
		b.pass(65 * time.Second)
		if len(ran) == 0 || ran[0] != 3*time.Second {
			t.Errorf("ran %v, want 3 s", ran)
		}
		b.ledger.recover()
	})
}
