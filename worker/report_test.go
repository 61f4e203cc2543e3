package worker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/retry"
	"github.com/ackbox/ackbox/worker"
)

// Every failed try is told, with what one needs to find it; of many only a few, and
// how many there were.
func TestFailedTriesAreTold(t *testing.T) {
	h := plain{consume: func(context.Context, ackbox.Job) error { return errFailed }}
	run(t, worker.Config{}, h, func(b *bench) {
		b.deliver(job("j"))
		b.pass(time.Second)
		if b.logged("level=WARN", "a try failed", "kind=k", "id=j", "queue=default", "attempt=1", "error=failed", "next=2000-01-01T01:00:00") != 1 {
			t.Errorf("want one line in %s", b.log)
		}
		for i := range 30 {
			b.deliver(job(fmt.Sprint("m", i)))
		}
		b.pass(time.Second)
		if n := b.logged("a try failed"); n != 10 {
			t.Errorf("%d lines, want 10", n)
		}
		b.pass(time.Minute)
		if b.logged("level=WARN", "kind=k", "left_out=21") != 1 {
			t.Errorf("it is not told how many there were: %s", b.log)
		}
		b.deliver(job("next minute"))
		b.pass(time.Second)
		if n := b.logged("a try failed"); n != 11 {
			t.Errorf("%d lines, want 11", n)
		}
	})
}

// What the ledger did not record has not happened, for people and for Stats.
func TestToldWhenItIsRecorded(t *testing.T) {
	failing := map[string]error{"dead": retry.Permanent(errFailed), "retried": errFailed, "snoozed": retry.Snooze(time.Hour), "done": nil}
	h := plain{consume: func(_ context.Context, job ackbox.Job) error { return failing[job.ID] }}
	run(t, worker.Config{}, h, func(b *bench) {
		b.ledger.set(func(l *ledger) {
			l.finish = func([]core.Transition) ([]core.Verdict, error) { return nil, errors.New("away") }
		})
		b.ledger.set(func(l *ledger) { l.beat = func() (core.Census, error) { return core.Census{}, errors.New("away") } })
		for id := range failing {
			b.deliver(job(id))
		}
		b.pass(time.Minute)
		if s := b.worker.Stats(); s.Done+s.Retried+s.Dead+s.Snoozed != 0 || b.logged("a job is dead")+b.logged("a try failed") > 0 {
			t.Errorf("%+v, and %s", s, b.log)
		}
		b.ledger.recover()
		b.pass(time.Minute)
		if s := b.worker.Stats(); s.Done != 1 || s.Retried != 1 || s.Dead != 1 || s.Snoozed != 1 || b.logged("level=ERROR", "a job is dead", "id=dead") != 1 || b.logged("a try failed", "id=retried") != 1 {
			t.Errorf("%+v, and %s", s, b.log)
		}
	})
}

// An error that a handler returns when its job is finished already changes nothing,
// but is told: of whichever kind it is.
func TestFailedAfterItWasFinished(t *testing.T) {
	h := plain{consume: func(_ context.Context, job ackbox.Job) error { return errFailed }}
	run(t, worker.Config{}, h, func(b *bench) {
		b.ledger.set(func(l *ledger) {
			l.finish = func(ts []core.Transition) ([]core.Verdict, error) { return []core.Verdict{core.Stale}, nil }
		})
		b.deliver(job("j"))
		b.pass(time.Second)
		b.expect("ack j")
		if s := b.worker.Stats(); s.Retried != 0 || b.logged("level=WARN", "after its job was finished", "id=j", "error=failed") != 1 {
			t.Errorf("%+v, and %s", s, b.log)
		}
	})
}

// An outage that begins in the middle of a group of outcomes has them all wait
// together, and is told in a line.
func TestOutageInTheMiddleOfAGroup(t *testing.T) {
	run(t, worker.Config{Concurrency: 200, FlushInterval: time.Second}, plain{}, func(b *bench) {
		calls := 0
		b.ledger.set(func(l *ledger) {
			l.finish = func(ts []core.Transition) ([]core.Verdict, error) {
				if calls++; calls == 2 { // the first half of a group whose other half is bad
					b.ledger.set(func(l *ledger) { l.beat = func() (core.Census, error) { return core.Census{}, errors.New("away") } })
					return make([]core.Verdict, len(ts)), nil
				}
				return nil, errors.New("away")
			}
		})
		for i := range 200 {
			b.send(job(fmt.Sprint("j", i)))
		}
		b.pass(time.Minute)
		if errors := b.logged("level=ERROR"); errors > 2 || calls > 40 {
			t.Errorf("%d lines and %d calls in a minute:\n%s", errors, calls, b.log)
		}
		b.ledger.recover()
		b.pass(6 * time.Second)
		if n := strings.Count(b.diary.String(), " done "); n != 200 {
			t.Errorf("%d of 200 are recorded", n)
		}
	})
}

// Outcomes that cannot be recorded, one by one, keep back nobody and flood no log.
func TestManyOutcomesCannotBeRecorded(t *testing.T) {
	run(t, worker.Config{Concurrency: 50, FlushInterval: time.Second}, plain{}, func(b *bench) {
		b.ledger.set(func(l *ledger) {
			l.finish = func(ts []core.Transition) ([]core.Verdict, error) {
				verdicts := make([]core.Verdict, len(ts))
				for i, tr := range ts {
					if strings.HasPrefix(tr.ID, "bad") {
						return nil, errors.New("constraint violated")
					}
					verdicts[i] = core.Recorded
				}
				return verdicts, nil
			}
		})
		for i := range 20 {
			b.send(job(fmt.Sprint("bad", i)))
			b.send(job(fmt.Sprint("good", i)))
		}
		b.pass(2 * time.Second)
		if n := strings.Count(b.diary.String(), "ack good"); n != 20 {
			t.Errorf("%d of 20 are acknowledged", n)
		}
		b.pass(58 * time.Second)
		if n := b.logged("constraint violated"); n < 1 || n > 30 {
			t.Errorf("%d lines in a minute", n)
		}
		b.ledger.recover()
		b.pass(time.Minute)
	})
}

// A kind that nobody knows costs less and less.
func TestUnknownKindsWaitLonger(t *testing.T) {
	unknown := func(resend int, age time.Duration, ledger string) core.Delivery {
		d := job("j")
		d.Kind, d.Resend, d.Ledger = "new", resend, ledger
		if age > 0 {
			d.FirstSeen = time.Now().Add(-age)
		}
		return d
	}
	const reason = ` "no handler for kind \"new\" in the worker that got it: waiting for one that knows it"`
	run(t, worker.Config{}, plain{}, func(b *bench) {
		for _, d := range []core.Delivery{
			unknown(2, 0, identity), unknown(1000, 0, identity),
			unknown(0, 0, ""), unknown(0, time.Second, ""), unknown(0, 2*time.Minute, ""), unknown(0, 23*time.Hour, ""), unknown(0, 24*time.Hour, ""),
		} {
			b.deliver(d)
			b.pass(10 * time.Millisecond)
		}
		b.expect(
			"j/1 pending charge=false after=1m0s"+reason, "ack j", "j/1 pending charge=false after=15m0s"+reason, "ack j",
			"park j/1 15s", "ack j", "park j/1 15s", "ack j", "park j/1 2m0.04s", "ack j", "park j/1 15m0s", "ack j",
			`bury j/1 "no worker had a handler for kind \"new\" in 24h0m0s"`, "ack j")
		if b.logged("level=WARN", "kind=new", "known_kinds=[k]") != 1 {
			t.Errorf("want the known kinds in %s", b.log)
		}
	})
}
