//go:build unix

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/internal/integration/shop"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/worker"
)

// special is a job whose handler is the test's.
type special struct {
	How string `json:"how"`
}

// Kind implements ackbox.Args.
func (special) Kind() string { return "test.special" }

// handling is special's handler. Its FailAction leaves the effect that the
// audit looks for.
type handling struct {
	app     *shop.App
	consume func(context.Context, handler.Job[special]) error
}

// Consume implements handler.Typed.
func (h handling) Consume(ctx context.Context, job handler.Job[special]) error {
	err := h.app.DB.WithContext(ctx).Exec(`INSERT INTO shop_runs (job, attempt, instance) VALUES (?, ?, 'special')`, job.ID, job.Attempt).Error
	if err != nil {
		return err
	}
	return h.consume(ctx, job)
}

// FailAction implements handler.Typed.
func (h handling) FailAction(ctx context.Context, job handler.Job[special], _ error) error {
	return had(ctx, h.app, job.Job, "fail")
}

// had writes down that a job has had its effect.
func had(ctx context.Context, app *shop.App, job ackbox.Job, action string) error {
	return app.DB.WithContext(ctx).Exec(`INSERT INTO shop_effects (job, kind, action) VALUES (?, ?, ?)`, job.ID, job.Kind, action).Error
}

// handlers adds a handler for special to the shop's.
func handlers(consume func(context.Context, *shop.App, handler.Job[special]) error) func(*shop.Config) {
	return func(cfg *shop.Config) {
		cfg.Handlers = func(app *shop.App, reg *handler.Registry) {
			app.Register(reg)
			handler.Register(reg, handling{app, func(ctx context.Context, job handler.Job[special]) error {
				return consume(ctx, app, job)
			}})
		}
	}
}

// Poison: each way in which a job can go wrong for ever costs its own tries and
// nobody else's. It ends dead, and can be requeued when the fault is mended.
func TestPoison(t *testing.T) {
	t.Parallel()
	const tries = 3
	var mended atomic.Bool
	s := newStage(t, handlers(func(ctx context.Context, app *shop.App, job handler.Job[special]) error {
		switch {
		case mended.Load():
			return had(ctx, app, job.Job, "consume")
		case job.Args.How == "fails":
			return errors.New("as always")
		case job.Args.How == "panics":
			panic("as always")
		default:
			runtime.Goexit()
			return nil
		}
	}))
	// They are done in the end; where they are dead in between is looked at here.
	poison := map[string]string{}
	for _, how := range []string{"fails", "panics", "exits", "does not decode"} {
		poison[how] = s.commit(special{how}, ackbox.Done, outbox.MaxAttempts(tries))
	}
	s.exec(`UPDATE ackbox_jobs SET payload = '{"how":' WHERE id = ?`, poison["does not decode"])
	s.place(200, shop.Plan{})
	i := s.run()
	s.reaches(len(poison), `SELECT count(*) FROM ackbox_jobs WHERE state = 'dead'`)
	s.reaches(200, `SELECT count(*) FROM ackbox_jobs WHERE state = 'done'`)
	for how, id := range poison {
		e, err := s.app.Store.Get(s.ctx, id)
		s.must("read the row", err)
		want := map[string]struct {
			runs, failActions int
			lastError         string
		}{
			"fails":           {tries, 1, "as always"},
			"panics":          {tries, 1, "panic: as always"},
			"exits":           {tries, 1, "runtime.Goexit"},
			"does not decode": {0, 0, "FailAction was not called"}, // nothing is called without arguments
		}[how]
		s.equal(how+": runs", s.count(`SELECT count(*) FROM shop_runs WHERE job = ?`, id), want.runs)
		s.equal(how+": calls of FailAction", s.count(`SELECT count(*) FROM shop_effects WHERE job = ?`, id), want.failActions)
		s.equal(how+": errors kept", len(e.History), tries)
		if !strings.Contains(e.LastError, want.lastError) {
			t.Errorf("%s: the row's last error is %.200q", how, e.LastError)
		}
	}
	s.equal("neighbours charged a try", s.count(`SELECT count(*) FROM ackbox_jobs WHERE attempt > 1 AND kind = 'shop.charge'`), 0)

	mended.Store(true)
	s.exec(`UPDATE ackbox_jobs SET payload = '{"how":"mended"}' WHERE id = ?`, poison["does not decode"])
	for _, id := range poison {
		n, err := s.app.Store.Requeue(s.ctx, id)
		s.must("requeue", err)
		s.equal("jobs requeued", n, 1)
	}
	audit := s.settled()
	t.Logf("%+v, worker: %+v", audit, i.Worker.Stats())
}

// deadly is the role of a worker that its jobs kill.
func deadly(ctx context.Context, cfg shop.Config) error {
	handlers(func(context.Context, *shop.App, handler.Job[special]) error {
		return syscall.Kill(os.Getpid(), syscall.SIGKILL)
	})(&cfg)
	app, err := shop.Open(cfg)
	if err != nil {
		return err
	}
	return app.Run(ctx)
}

// A job kills each worker that takes it. The ledger counts how often it was started
// without an outcome (but for the first time, of which nobody has told the ledger);
// after MaxStarts that is a failed try, so it ends dead and FailAction is called.
func TestJobKillsItsWorker(t *testing.T) {
	t.Parallel()
	const starts = 3
	s := newStage(t, func(cfg *shop.Config) { cfg.MaxStarts = starts })
	id := s.commit(special{"kills"}, ackbox.Dead, outbox.MaxAttempts(1))
	s.run(dispatcherOnly)
	deaths := 0
	s.eventually("the job is dead", func() error {
		p := s.role("deadly", workerOnlyAs("deadly"))
		defer p.Kill()
		var e outbox.Entry
		s.eventually("the worker or the job dies", func() (err error) {
			if e, err = s.app.Store.Get(s.ctx, id); err != nil || e.State == ackbox.Dead || !p.Running() {
				return err
			}
			return errors.New("both live")
		})
		if e.State == ackbox.Dead {
			return nil
		}
		if !p.Killed() {
			t.Fatalf("the worker ended otherwise: %s", p.Log())
		}
		deaths++
		// So that nobody has to wait for 15 s until it counts as dead.
		s.exec(`DELETE FROM ackbox_jobs_instances WHERE pid = ?`, p.PID())
		return fmt.Errorf("%d workers have died of it", deaths)
	})
	// The first start counts only if it was put on record, a second after it was taken in:
	// on a slow machine it lives that long.
	if deaths != 1+starts && deaths != starts {
		t.Errorf("workers that died of the job: %d, want %d, or %d if the first was on record", deaths, 1+starts, starts)
	}
	e, err := s.app.Store.Get(s.ctx, id)
	s.must("read the row", err)
	if want := fmt.Sprintf("started %d times without an outcome", starts); !strings.Contains(e.LastError, want) {
		t.Errorf("the row's last error is %q, want %q in it", e.LastError, want)
	}
	s.run(workerOnly)
	s.place(50, shop.Plan{}) // the queue flows
	audit := s.settled()
	s.equal("effects of FailAction", s.count(`SELECT count(*) FROM shop_effects WHERE job = ?`, id), 1)
	t.Logf("%+v, workers killed: %d", audit, deaths)
}

// workerOnlyAs is workerOnly under another name.
func workerOnlyAs(name string) func(*shop.Config) {
	return func(cfg *shop.Config) { workerOnly(cfg); cfg.Name = name }
}

// A worker has no database for a minute, with jobs in its hands. Outcomes of
// handlers that have finished wait; nothing is acknowledged, lost or charged, and
// nothing is sent again of which the ledger does not know that it was running.
func TestWorkerWithoutDatabaseForAMinute(t *testing.T) {
	t.Parallel()
	const handled = 8 // one for each slot
	away := make(chan struct{})
	var finished atomic.Int64
	s := newStage(t, func(cfg *shop.Config) { cfg.StuckAfter, cfg.JobTimeout = 10*time.Minute, 5*time.Minute },
		handlers(func(ctx context.Context, app *shop.App, job handler.Job[special]) error {
			if err := had(ctx, app, job.Job, "consume"); err != nil {
				return err
			}
			<-away
			finished.Add(1)
			return nil
		}))
	for range handled {
		s.commit(special{}, ackbox.Done)
	}
	s.run(dispatcherOnly, func(cfg *shop.Config) { cfg.DatabaseURL = testenv.DatabaseURL(t) })
	w := s.run(workerOnly)
	s.reaches(handled, `SELECT count(*) FROM shop_effects`)
	s.place(100, shop.Plan{}) // some wait in the worker's hands, most in the queue
	s.eventually("the worker's hands are full", func() error {
		if n := w.Worker.Stats().InHand; n < 32 {
			return fmt.Errorf("%d jobs in hand", n)
		}
		return nil
	})
	s.must("refuse the database", s.toPostgres.Refuse())
	began := time.Now()
	close(away)
	s.logged(s.log.String, "worker: outcomes cannot be recorded")
	// By then the worker may have said what it runs. To those who live it is dead.
	known := s.count(`SELECT count(*) FROM ackbox_jobs WHERE holder IS NOT NULL AND started_at IS NOT NULL`)
	s.wait(time.Minute - time.Since(began))
	s.equal("handlers that finished without a database", int(finished.Load()), handled)
	s.equal("jobs done in the meantime", s.count(`SELECT count(*) FROM ackbox_jobs WHERE finished_at IS NOT NULL`), 0)
	s.atLeast("jobs in hand after a minute", w.Worker.Stats().InHand, handled)
	s.must("accept again", s.toPostgres.Accept())
	audit := s.settled()
	s.equal("jobs charged although their handler had finished", s.count(`SELECT count(*) FROM ackbox_jobs WHERE attempt > 1 AND kind = 'test.special'`), 0)
	s.equal("effects of these", s.count(`SELECT count(*) FROM shop_effects WHERE kind = 'test.special'`), handled)
	charged := s.count(`SELECT count(*) FROM ackbox_jobs WHERE attempt > 1`)
	s.atMost("jobs whose handler failed for lack of a database", charged, 2*32) // its hands full twice, should the broker have been lost
	s.chargedByHandlers()
	s.equal("runs of copies", audit.DuplicateRuns, 0)
	s.atMost("copies sent again", audit.Resent, known)
	t.Logf("%+v, handlers that failed: %d, worker: %+v", audit, charged, w.Worker.Stats())
}

// A handler ignores its context. It keeps its slot, the other slots go on, and
// it is reported; at shutdown its job is given back, and another instance
// finishes it.
func TestHandlerIgnoresItsContext(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := newStage(t, func(cfg *shop.Config) { cfg.Concurrency, cfg.JobTimeout = 2, 2*time.Second },
		handlers(func(_ context.Context, app *shop.App, job handler.Job[special]) error {
			<-release
			return had(context.Background(), app, job.Job, "consume")
		}))
	id := s.commit(special{}, ackbox.Done)
	d := s.run(dispatcherOnly)
	cfg := s.cfg
	workerOnly(&cfg)
	stuck := s.open(cfg)
	ctx, stop := context.WithCancel(s.ctx)
	ended := make(chan error, 1)
	go func() { ended <- stuck.Run(ctx) }()
	s.reaches(1, `SELECT count(*) FROM shop_runs`)
	s.place(60, shop.Plan{})
	s.reaches(60, `SELECT count(*) FROM ackbox_jobs WHERE state = 'done'`) // by the other slot
	s.eventually("the handler is reported", func() error {
		if stats := stuck.Worker.Stats(); stats.Overdue != 1 {
			return fmt.Errorf("%+v", stats)
		}
		return nil
	})
	s.logged(s.log.String, "a handler ignores its timeout and keeps its slot", "test.special", id)

	stop()
	other := s.run(workerOnly, handlers(func(ctx context.Context, app *shop.App, job handler.Job[special]) error {
		return had(ctx, app, job.Job, "consume")
	}))
	audit := s.settled()
	s.equal("jobs that the other instance finished", int(other.Worker.Stats().Done), 1)
	books := s.books()
	err := <-ended
	if !errors.Is(err, worker.ErrHandlersStuck) || !strings.Contains(fmt.Sprint(err), id) {
		t.Errorf("Run returned %v", err)
	}
	s.uncharged()
	close(release) // the handler returns after all, and nobody listens
	s.reaches(2, `SELECT count(*) FROM shop_effects WHERE job = ?`, id)
	if s.books() != books {
		t.Error("a handler that was given up on has changed the row")
	}
	t.Logf("%+v, dispatcher: %+v", audit, d.Dispatcher.Stats())
}
