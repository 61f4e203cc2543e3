package worker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/worker"
)

// Many outcomes are recorded by one call; rows that are busy are asked about
// again, and do not hold up their neighbours.
func TestOutcomesAreBatched(t *testing.T) {
	run(t, worker.Config{Concurrency: 100, FlushInterval: time.Second}, plain{}, func(b *bench) {
		var calls []int
		b.ledger.set(func(l *ledger) {
			l.finish = func(ts []core.Transition) ([]core.Verdict, error) {
				calls = append(calls, len(ts))
				verdicts := make([]core.Verdict, len(ts))
				for i, tr := range ts {
					verdicts[i] = core.Recorded
					if tr.ID == "j7" && len(calls) < 3 {
						verdicts[i] = core.Busy
					}
				}
				return verdicts, nil
			}
		})
		for i := range 50 {
			b.deliver(job(fmt.Sprint("j", i)))
		}
		b.pass(time.Minute)
		if story := b.diary.String(); strings.Count(story, "ack ") != 50 || !strings.HasSuffix(story, "ack j7") {
			t.Error(story)
		}
		if len(calls) != 3 || calls[0] != 50 || calls[1] != 1 {
			t.Errorf("the ledger was called with %v outcomes", calls)
		}
	})
}

// A ledger that is away for a minute costs time: nothing is acknowledged before
// it has answered, and nothing is lost.
func TestLedgerAwayForAMinute(t *testing.T) {
	run(t, worker.Config{}, plain{}, func(b *bench) {
		b.ledger.cut(errors.New("database is down"))
		for i := range 5 {
			b.deliver(job(fmt.Sprint("j", i)))
		}
		b.pass(time.Minute)
		if story := b.diary.String(); strings.Contains(story, "ack ") {
			t.Errorf("acknowledged without a record: %s", story)
		}
		b.ledger.recover()
		b.pass(time.Minute)
		if story := b.diary.String(); strings.Count(story, "done") != 5 || strings.Count(story, "ack ") != 5 {
			t.Error(story)
		}
	})
}

// One outcome that the ledger refuses does not stop its neighbours.
func TestOneOutcomeCannotBeRecorded(t *testing.T) {
	run(t, worker.Config{Concurrency: 10, FlushInterval: time.Second}, plain{}, func(b *bench) {
		b.ledger.set(func(l *ledger) {
			l.finish = func(ts []core.Transition) ([]core.Verdict, error) {
				verdicts := make([]core.Verdict, len(ts))
				for i, tr := range ts {
					if tr.ID == "j2" {
						return nil, errors.New("constraint violated")
					}
					verdicts[i] = core.Recorded
				}
				return verdicts, nil
			}
		})
		for i := range 5 {
			b.deliver(job(fmt.Sprint("j", i)))
		}
		b.pass(time.Minute)
		if story := b.diary.String(); strings.Count(story, "ack ") != 4 {
			t.Error(story)
		}
		if log := b.log.String(); !strings.Contains(log, "constraint violated") || strings.Contains(log, "<nil>") {
			t.Errorf("the log does not say why: %s", log)
		}
		b.ledger.recover()
		b.pass(time.Minute)
	})
}

// Concurrency bounds the handlers of each queue, and is used.
func TestConcurrency(t *testing.T) {
	var running, most atomic.Int64
	h := plain{consume: func(context.Context, ackbox.Job) error {
		n := running.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(time.Second)
		running.Add(-1)
		return nil
	}}
	for want, cfg := range map[int64]worker.Config{
		4: {Concurrency: 4},
		3: {Concurrency: 10, Queues: []worker.Queue{{Name: "default", Concurrency: 3}}},
		// A queue may have more than the default.
		8: {Concurrency: 4, Queues: []worker.Queue{{Name: "default", Concurrency: 8}}},
	} {
		most.Store(0)
		run(t, cfg, h, func(b *bench) {
			for i := range 20 {
				b.send(job(fmt.Sprint("j", i)))
			}
			b.pass(time.Minute)
			if most.Load() != want {
				t.Errorf("%d handlers ran at once, want %d", most.Load(), want)
			}
			if s := b.worker.Stats(); s.Done != 20 || s.InHand != 0 {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

// A handler that ignores its timeout keeps its slot and is reported; others run.
func TestOverdueHandler(t *testing.T) {
	h := plain{consume: func(_ context.Context, job ackbox.Job) error {
		if job.ID == "deaf" {
			time.Sleep(time.Hour)
		}
		return nil
	}}
	run(t, worker.Config{Concurrency: 2}, h, func(b *bench) {
		b.deliver(job("deaf"))
		b.pass(2 * time.Minute)
		if s := b.worker.Stats(); s.Overdue != 1 {
			t.Errorf("stats %+v", s)
		}
		if n := strings.Count(b.log.String(), "id=deaf"); n != 1 || !strings.Contains(b.log.String(), "kind=k") {
			t.Errorf("reported %d times, want once: %s", n, b.log)
		}
		b.deliver(job("other"))
		b.pass(time.Second)
		if !strings.Contains(b.diary.String(), "other/1 done") {
			t.Error("its neighbour does not run")
		}
		if n := b.diary.besides("hold deaf running=true"); n != 1 {
			t.Errorf("put on record %d times in two minutes, want once", n)
		}
		b.pass(time.Hour)
		if s := b.worker.Stats(); s.Overdue != 0 || s.Done != 2 {
			t.Errorf("stats %+v", s)
		}
	})
}

// Told to stop, the worker takes in nothing, gives back what has not started,
// lets what runs finish, and acknowledges it.
func TestGracefulStop(t *testing.T) {
	h := plain{consume: func(context.Context, ackbox.Job) error { time.Sleep(10 * time.Second); return nil }}
	run(t, worker.Config{Concurrency: 1}, h, func(b *bench) {
		b.deliver(job("runs"))
		b.deliver(job("waits"))
		b.stop()
		b.pass(time.Second)
		b.expect("requeue waits")
		b.pass(time.Minute)
		b.expect(`runs/1 done charge=false after=0s ""`, "ack runs")
	})
}

// After the grace period contexts are cancelled, and what fails of it goes back
// uncharged: to the ledger, which may have it on record as started here.
func TestStopAfterGrace(t *testing.T) {
	h := plain{consume: func(ctx context.Context, _ ackbox.Job) error { <-ctx.Done(); return ctx.Err() }}
	run(t, worker.Config{JobTimeout: time.Hour}, h, func(b *bench) {
		b.deliver(job("long"))
		b.stop()
		b.pass(14 * time.Second)
		b.expect()
		b.pass(2 * time.Second)
		b.expect(`long/1 pending charge=false after=0s ""`, "ack long")
	})
}

// A handler that never returns does not keep Run from ending: its delivery is
// given back, and Run names it.
func TestStuckHandler(t *testing.T) {
	var release chan struct{} // of the bubble
	h := plain{consume: func(context.Context, ackbox.Job) error { <-release; return nil }}
	run(t, worker.Config{}, h, func(b *bench) {
		release = make(chan struct{})
		b.deliver(job("stuck"))
		b.stop()
		err := <-b.done
		if !errors.Is(err, worker.ErrHandlersStuck) || !strings.Contains(err.Error(), "stuck") {
			t.Errorf("Run: %v", err)
		}
		b.done <- nil
		b.expect("requeue stuck")
		close(release)
		synctest.Wait()
	})
}

// A lost subscription is made anew, with growing pauses; a closed broker ends Run.
func TestSubscriptionLost(t *testing.T) {
	run(t, worker.Config{}, plain{}, func(b *bench) {
		for range 20 {
			b.broker.lost <- errors.New("connection lost")
		}
		if n := b.diary.besides("consume default"); n != 20 {
			t.Errorf("subscribed %d times", n)
		}
		b.pass(10 * time.Second)
		b.deliver(job("j"))
		b.pass(time.Second)
		b.expect(`j/1 done charge=false after=0s ""`, "ack j")
		b.broker.lost <- fmt.Errorf("broker: %w", ackbox.ErrClosed)
		if err := <-b.done; !errors.Is(err, ackbox.ErrClosed) {
			t.Errorf("Run: %v", err)
		}
		b.done <- nil
	})
}

func TestNewRefuses(t *testing.T) {
	d := &diary{}
	good := func() *handler.Registry {
		reg := handler.NewRegistry()
		reg.Handle("k", plain{})
		return reg
	}
	twice := good()
	twice.Handle("k", plain{})
	for want, try := range map[string]func() (*worker.Worker, error){
		"ledger": func() (*worker.Worker, error) { return worker.New(nil, &broker{diary: d}, good(), worker.Config{}) },
		"broker": func() (*worker.Worker, error) { return worker.New(&ledger{diary: d}, nil, good(), worker.Config{}) },
		"registry is": func() (*worker.Worker, error) {
			return worker.New(&ledger{diary: d}, &broker{diary: d}, nil, worker.Config{})
		},
		"no handlers": func() (*worker.Worker, error) {
			return worker.New(&ledger{diary: d}, &broker{diary: d}, handler.NewRegistry(), worker.Config{})
		},
		"already": func() (*worker.Worker, error) {
			return worker.New(&ledger{diary: d}, &broker{diary: d}, twice, worker.Config{})
		},
	} {
		if _, err := try(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	for want, cfg := range map[string]worker.Config{
		"Concurrency":           {Concurrency: -1},
		"Queues[0].Name":        {Queues: []worker.Queue{{}}},
		"listed twice":          {Queues: []worker.Queue{{Name: "a"}, {Name: "a"}}},
		"Queues[0].Concurrency": {Queues: []worker.Queue{{Name: "a", Concurrency: -1}}},
		"Queues[0].Prefetch":    {Queues: []worker.Queue{{Name: "a", Prefetch: 70000}}},
		"JobTimeout":            {JobTimeout: -1},
		"Grace":                 {Grace: -1},
		"MaxAttempts":           {MaxAttempts: -1},
		"FailActionAttempts":    {FailActionAttempts: 101},
		"MaxStarts":             {MaxStarts: 1},
		"AckWithin":             {AckWithin: time.Millisecond},
		"Queues[0].Name \"gone\" is not in the broker's topology": {Queues: []worker.Queue{{Name: "gone"}}},
		"UnknownKindDelay": {UnknownKindDelay: -1},
		"FlushInterval":    {FlushInterval: time.Second + 1},
		"FlushSize":        {FlushSize: -1},
	} {
		if _, err := worker.New(&ledger{diary: d}, &broker{diary: d}, good(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
