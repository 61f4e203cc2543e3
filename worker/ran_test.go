package worker_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/retry"
	"github.com/ackbox/ackbox/worker"
)

// What became of a run is counted once, with how long it ran, when it is durable.
func TestRunsAreCounted(t *testing.T) {
	h := plain{consume: func(_ context.Context, job ackbox.Job) error {
		time.Sleep(3 * time.Second) // the bubble's
		switch job.ID {
		case "failed":
			return errFailed
		case "dead":
			return retry.Permanent(errFailed)
		case "later":
			return retry.Snooze(time.Minute)
		}
		return nil
	}, failAction: func(context.Context, ackbox.Job, error) error { time.Sleep(time.Second); return nil }}
	run(t, worker.Config{}, h, func(b *bench) {
		b.ledger.cut(errors.New("away"))
		for _, id := range []string{"done", "failed", "dead", "later"} {
			b.send(job(id))
		}
		b.pass(10 * time.Second)
		ran := func() (list []core.Ran) {
			b.ledger.set(func(l *ledger) { list = slices.Clone(l.ran) })
			return list
		}
		if got := ran(); len(got) != 0 {
			t.Errorf("counted %+v, of which nothing is durable", got)
		}
		b.ledger.recover()
		b.pass(20 * time.Second)
		want := map[ackbox.State]bool{ackbox.Done: true, ackbox.Pending: true, ackbox.Dead: true}
		for _, r := range ran() {
			if !want[r.To] || r.Queue != "default" || r.Kind != "k" || r.For != 3*time.Second {
				t.Errorf("counted %+v", r)
			}
			delete(want, r.To)
		}
		if len(want) != 0 {
			t.Errorf("%v are not counted", want)
		}
		// A superseded failure counts for nothing.
		b.ledger.set(func(l *ledger) {
			l.ran = nil
			l.finish = func(ts []core.Transition) ([]core.Verdict, error) { return []core.Verdict{core.Stale}, nil }
		})
		b.deliver(job("failed"))
		b.pass(5 * time.Second)
		if got := ran(); len(got) != 0 {
			t.Errorf("counted %+v", got)
		}
		b.ledger.recover()
	})
}

// Statistics are written with the beats and at the end; that they cannot be changes nothing.
func TestStatisticsAreWritten(t *testing.T) {
	run(t, worker.Config{}, plain{}, func(b *bench) {
		b.pass(time.Minute)
		written := func() (list []bool) {
			b.ledger.set(func(l *ledger) { list, l.written = l.written, nil })
			return list
		}
		if list := written(); len(list) < 19 || slices.Contains(list, true) {
			t.Errorf("a chance to write in a minute: %v", list)
		}
		b.ledger.set(func(l *ledger) { l.unwritten = errors.New("no permission") })
		b.pass(3 * time.Minute)
		if n := b.logged("level=WARN", "statistics cannot be written", "no permission"); n < 3 || n > 4 {
			t.Errorf("told %d times: %s", n, b.log)
		}
		if n := b.diary.besides("beat"); n < 70 {
			t.Errorf("%d beats in 4 minutes", n)
		}
		written()
		b.end()
		if list := written(); !slices.Equal(list, []bool{true}) {
			t.Errorf("at the end: %v", list)
		}
		if b.logged("level=WARN", "the last statistics") != 1 {
			t.Errorf("lost statistics are not told: %s", b.log)
		}
	})
}
