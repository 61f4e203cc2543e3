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
	"github.com/ackbox/ackbox/worker"
)

const stranger = "00000000-0000-4000-8000-000000000002"

// strange is a job whose row stands in another ledger.
func strange(id string, strays int) core.Delivery {
	d := job(id)
	d.Ledger, d.Strays = stranger, strays
	return d
}

// aside expects tries to have been put aside: for the pause behind each, or for the
// shortest that the broker has.
func (b *bench) aside(tries ...string) {
	b.Helper()
	var want []string
	for i := 0; i < len(tries); i += 2 {
		pause := " " + tries[i+1]
		if !strings.Contains(b.diary.String(), "park "+tries[i]+pause) {
			pause = " 0s"
		}
		id, _, _ := strings.Cut(tries[i], "/")
		want = append(want, "park "+tries[i]+pause, "ack "+id)
	}
	b.expect(want...)
}

// Strays that came together do not go together: a broker serves its consumers in
// turn, and would bring them to the wrong ones again.
func TestStraysSpread(t *testing.T) {
	t.Parallel()
	run(t, worker.Config{}, plain{}, func(b *bench) {
		for i := range 100 {
			b.deliver(strange(fmt.Sprint(i), 0))
		}
		said := b.diary.String()
		if short, long := strings.Count(said, "/1 0s;"), strings.Count(said, "/1 5s;"); short < 20 || long < 20 || short+long != 100 {
			t.Errorf("%d short pauses and %d long ones", short, long)
		}
		b.diary.lines = nil
	})
}

// A job of another ledger is neither run nor recorded nor held, and its
// message is not lost: a copy comes back later, and is buried in the end.
func TestStrays(t *testing.T) {
	t.Parallel()
	ran := 0
	h := plain{consume: func(context.Context, ackbox.Job) error { ran++; return nil }}
	run(t, worker.Config{}, h, func(b *bench) {
		unknown := strange("unknown", 0)
		unknown.Kind = "of another application"
		for _, d := range []core.Delivery{strange("j", 0), unknown, strange("k", 4), strange("l", 5), strange("m", 19)} {
			b.deliver(d)
		}
		b.aside("j/1", "5s", "unknown/1", "5s", "k/1", "5s", "l/1", "30s", "m/1", "2m0s")
		if s := b.worker.Stats(); s.Strays != 5 || s.Skipped+s.Missing+s.UnknownKind > 0 || ran > 0 {
			t.Errorf("%d ran, %+v", ran, s)
		}
		line := b.log.String()
		if strings.Count(line, "level=ERROR") != 1 || !strings.Contains(line, "ledger="+identity) || !strings.Contains(line, "its_ledger="+stranger) ||
			!strings.Contains(line, "kind=k") || !strings.Contains(line, "id=j") || !strings.Contains(line, "queue=default") {
			t.Errorf("people are told %q; want both ledgers, kind, id and queue, once", line)
		}
		b.pass(time.Minute)
		b.deliver(strange("n", 20))
		b.expect(fmt.Sprintf("bury n/1 %q", "this job's row stands in ledger "+stranger+"; workers of other ledgers got it 21 times, the last one of ledger "+identity), "ack n")
		if n := strings.Count(b.log.String(), "level=ERROR"); n != 2 {
			t.Errorf("people are told %d times, a minute apart; want 2", n)
		}
		if b.diary.besides("hold") > 0 {
			t.Errorf("held: %s", b.diary.aside)
		}
	})
}

// The same id at the same try in two ledgers, of which one is a copy of the
// other, is two jobs.
func TestStrayIsNoCopy(t *testing.T) {
	t.Parallel()
	h := plain{consume: func(context.Context, ackbox.Job) error { time.Sleep(10 * time.Second); return nil }} // the bubble's
	run(t, worker.Config{}, h, func(b *bench) {
		b.deliver(job("j"))
		b.deliver(strange("j", 0))
		b.aside("j/1", "5s")
		b.pass(11 * time.Second)
		b.expect(`j/1 done charge=false after=0s ""`, "ack j")
	})
}

// A worker whose ledger cannot say who it is takes nothing in: it could tell
// nobody's jobs from its own, and would only keep them from others. Once it is
// known it stays known.
func TestLedgerUnknown(t *testing.T) {
	t.Parallel()
	away := func() (string, error) { return "", errors.New("away") }
	started := func(l *ledger) worker.Ledger {
		l.who = away
		return l
	}
	runOn(t, started, worker.Config{}, plain{}, func(b *bench) {
		b.pass(time.Minute)
		select {
		case b.broker.in <- job("j"):
			t.Error("a delivery was taken in")
		default:
		}
		if n := strings.Count(b.log.String(), "who it is"); n < 1 || n > 2 {
			t.Errorf("it was said %d times in a minute:\n%s", n, b.log)
		}
		b.ledger.recover()
		b.pass(time.Minute)
		b.deliver(job("j"))
		b.pass(time.Second)
		b.expect(`j/1 done charge=false after=0s ""`, "ack j")
		b.ledger.set(func(l *ledger) { l.who = away })
		b.deliver(job("k"))
		b.pass(time.Second)
		b.expect(`k/1 done charge=false after=0s ""`, "ack k")
	})
	runOn(t, started, worker.Config{}, plain{}, func(b *bench) { b.stop() })
}

// That the ledger has no row is told apart from a row that has moved on.
func TestMissing(t *testing.T) {
	t.Parallel()
	missing := func(transitions []core.Transition) ([]core.Verdict, error) {
		return []core.Verdict{core.Missing}, nil
	}
	h := plain{consume: func(_ context.Context, job ackbox.Job) error {
		if job.ID == "completes" {
			return fmt.Errorf("complete: %w", ackbox.ErrMissing)
		}
		return nil
	}}
	run(t, worker.Config{}, h, func(b *bench) {
		b.ledger.set(func(l *ledger) { l.finish = missing })
		b.ledger.set(func(l *ledger) { l.start = standing(core.Missing, 0) })
		b.ledger.set(func(l *ledger) { l.hold = verdict(core.Missing) })
		again := job("again")
		again.Redelivered = true
		for _, d := range []core.Delivery{job("j"), again, job("completes")} {
			b.deliver(d)
			b.pass(time.Second)
			b.expect("ack " + d.ID)
		}
		if s := b.worker.Stats(); s.Missing != 3 || s.Skipped != 0 {
			t.Errorf("%+v, want 3 missing", s)
		}
		if line := b.log.String(); strings.Count(line, "level=WARN") != 1 || !strings.Contains(line, "no row") || !strings.Contains(line, "id=j") {
			t.Errorf("people are told %q, want it once", line)
		}
	})
}
