package worker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/retry"
	"github.com/ackbox/ackbox/worker"
)

// hooked notes what hooks are told.
type hooked struct {
	mu   sync.Mutex
	list []string
}

func (h *hooked) note(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.list = append(h.list, fmt.Sprintf(format, args...))
}

// expect compares what was told, in any order, and forgets it.
func (h *hooked) expect(t *testing.T, want ...string) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	slices.Sort(h.list)
	slices.Sort(want)
	if !slices.Equal(h.list, want) {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(h.list, "\n"), strings.Join(want, "\n"))
	}
	h.list = nil
}

// Started implements ackbox.StartHook.
func (h *hooked) Started(ctx context.Context, job ackbox.Job) {
	run, ok := ackbox.RunFrom(ctx)
	h.note("%s started %t", job.ID, ok && run.Job.ID == job.ID)
}

// Finished implements ackbox.FinishHook.
func (h *hooked) Finished(_ context.Context, f ackbox.Finished) {
	next := ""
	if !f.Next.IsZero() {
		next = fmt.Sprintf(" next in %v", f.Next.Sub(f.At))
	}
	at := ""
	if f.At.IsZero() {
		at = " never ran"
	}
	h.note("%s %s err=%v ran=%v%s%s", f.Job.ID, f.Outcome, f.Err, f.Ran, next, at)
}

// broken is a hook that panics.
type broken struct{}

// Started implements ackbox.StartHook.
func (broken) Started(context.Context, ackbox.Job) { panic("no metrics today") }

// Finished implements ackbox.FinishHook.
func (broken) Finished(context.Context, ackbox.Finished) { panic("no metrics today") }

// errs are what the handler of these tests returns, by the job's id.
var errs = map[string]error{
	"done": nil, "failed": errFailed, "dead": retry.Permanent(errFailed), "snoozed": retry.Snooze(time.Minute), "busy": ackbox.ErrBusy,
}

// slow runs for a second.
var slow = plain{consume: func(_ context.Context, job ackbox.Job) error {
	time.Sleep(time.Second)
	return errs[job.ID]
}}

// Hooks are told of each run when its outcome is recorded, whatever another hook does.
func TestHooksAreToldWhatRan(t *testing.T) {
	for name, own := range map[string]string{"with a row": identity, "without a row": ""} {
		t.Run(name, func(t *testing.T) {
			h := &hooked{}
			run(t, worker.Config{Hooks: []ackbox.Hook{broken{}, h}}, slow, func(b *bench) {
				for id := range errs {
					d := job(id)
					d.Ledger = own
					b.deliver(d)
				}
				h.expect(b.T, "busy started true", "dead started true", "done started true", "failed started true", "snoozed started true")
				b.pass(time.Minute)
				h.expect(b.T,
					"done done err=<nil> ran=1s",
					"failed failed err=failed ran=1s next in 1h0m1s",
					fmt.Sprintf("dead dead err=%v ran=1s", errs["dead"]),
					fmt.Sprintf("snoozed put off err=%v ran=1s next in 1m1s", errs["snoozed"]),
					fmt.Sprintf("busy put off err=%v ran=1s next in 2s", ackbox.ErrBusy))
				if s := b.worker.Stats(); s.Done != 1 || s.Retried != 1 || s.Dead != 1 || s.Snoozed != 1 {
					t.Errorf("%+v", s)
				}
				if n := b.logged("no metrics today"); n != 1 {
					t.Errorf("panics of hooks are logged %d times in a minute: %s", n, b.log)
				}
			})
		})
	}
}

// Nothing is told of before it is in the ledger.
func TestHooksWaitForTheLedger(t *testing.T) {
	h := &hooked{}
	run(t, worker.Config{Hooks: []ackbox.Hook{h}}, plain{}, func(b *bench) {
		b.ledger.cut(errors.New("away"))
		b.deliver(job("j"))
		b.pass(time.Minute)
		h.expect(b.T, "j started true")
		b.ledger.recover()
		b.pass(time.Minute)
		h.expect(b.T, "j done err=<nil> ran=0s")
	})
}

// What the ledger has finished meanwhile, or never heard of, was run for nothing.
func TestHooksAreToldOfSupersededRuns(t *testing.T) {
	superseded := plain{consume: func(_ context.Context, job ackbox.Job) error {
		if job.ID == "own" {
			return ackbox.ErrSuperseded
		}
		return errs[job.ID]
	}}
	for verdict, outcome := range map[core.Verdict]string{core.Stale: "done", core.Missing: "superseded"} {
		h := &hooked{}
		run(t, worker.Config{Hooks: []ackbox.Hook{h}}, superseded, func(b *bench) {
			b.ledger.set(func(l *ledger) {
				l.finish = func(ts []core.Transition) ([]core.Verdict, error) {
					return slices.Repeat([]core.Verdict{verdict}, len(ts)), nil
				}
				l.hold = func(core.Holding) (core.Verdict, error) { return core.Stale, nil }
			})
			for _, id := range []string{"done", "failed", "snoozed", "own"} {
				b.deliver(job(id))
			}
			b.pass(time.Minute)
			h.expect(b.T, "done started true", "failed started true", "snoozed started true", "own started true",
				"done "+outcome+" err=<nil> ran=0s", "failed superseded err=failed ran=0s",
				fmt.Sprintf("snoozed superseded err=%v ran=0s", errs["snoozed"]),
				fmt.Sprintf("own superseded err=%v ran=0s", ackbox.ErrSuperseded))
		})
	}
}

// A job that is given up without having run was never started.
func TestHooksAreToldOfRefusedJobs(t *testing.T) {
	h := &hooked{}
	run(t, worker.Config{Hooks: []ackbox.Hook{h}}, plain{}, func(b *bench) {
		b.ledger.set(func(l *ledger) {
			once := true
			l.refuse = func(int) ([]ackbox.Job, error) {
				if !once {
					return nil, nil
				}
				once = false
				r := job("refused").Job
				r.RefusedFor = 24 * time.Hour
				return []ackbox.Job{r}, nil
			}
		})
		b.pass(time.Minute)
		h.expect(b.T, "refused dead err=the broker refused it for 24h0m0s ran=0s never ran")
	})
}

// What the worker's own stop has cut short is given back, and told so.
func TestHooksAreToldWhatIsGivenBack(t *testing.T) {
	for name, own := range map[string]string{"with a row": identity, "without a row": ""} {
		t.Run(name, func(t *testing.T) {
			h := &hooked{}
			waits := plain{consume: func(ctx context.Context, _ ackbox.Job) error { <-ctx.Done(); return ctx.Err() }}
			run(t, worker.Config{Grace: time.Second, Hooks: []ackbox.Hook{h}}, waits, func(b *bench) {
				d := job("j")
				d.Ledger = own
				b.deliver(d)
				b.end()
				h.expect(b.T, "j started true", "j given back err=context canceled ran=1s")
			})
		})
	}
}

func TestHooksAreChecked(t *testing.T) {
	t.Parallel()
	reg := handler.NewRegistry()
	reg.Handle("k", plain{})
	for name, hook := range map[string]ackbox.Hook{"nil": nil, "typed nil": (*hooked)(nil), "no hook": struct{}{}} {
		_, err := worker.New(&ledger{}, &broker{}, reg, worker.Config{Hooks: []ackbox.Hook{&hooked{}, hook}})
		if err == nil || !strings.Contains(err.Error(), "worker: Config.Hooks[1]") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
