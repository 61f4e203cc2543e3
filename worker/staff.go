package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// ErrHandlersStuck is returned by Run when handlers did not return although
// their contexts had ended and the time to wait for them was over. Their
// goroutines are still running.
var ErrHandlersStuck = errors.New("worker: handlers did not return")

// errStopping is the cause of a handler's context that was cancelled because
// the grace period is over.
var errStopping = errors.New("worker: stopping, the grace period is over")

// afterGrace is how long Run waits for handlers, and for outcomes to be
// recorded, once the grace period is over and contexts are cancelled.
const afterGrace = 5 * time.Second

// staff are the goroutines of one Run.
type staff struct {
	*shift
	heartbeat *heartbeat
	starts    *starts
	recorder  *recorder
	copier    *copier
	keeper    *keeper
	refusals  *refusals
	intakes   []*intake
}

// newStaff builds the line, from its last step to its first.
func newStaff(s *shift, stop context.CancelCauseFunc) *staff {
	kick := make(chan struct{}, 1)
	f := &staff{shift: s, heartbeat: &heartbeat{shift: s}, starts: newStarts(s), recorder: newRecorder(s), copier: &copier{shift: s}}
	outcomes := &outcomes{shift: s, recorder: f.recorder, copier: f.copier}
	attempts := &attempts{shift: s, calls: &calls{s}, outcomes: outcomes}
	admission := &admission{shift: s, starts: f.starts, attempts: attempts, outcomes: outcomes}
	f.keeper = &keeper{shift: s, outcomes: outcomes, kick: kick}
	f.refusals = &refusals{shift: s, lines: make(map[string]*slots), ended: make(chan struct{})}
	for _, q := range s.cfg.Queues {
		slots := &slots{line: newLine(q.Concurrency), next: admission}
		f.refusals.lines[q.Name] = slots
		f.intakes = append(f.intakes, &intake{shift: s, queue: q, next: slots, gate: s.gates[q.Name], kick: kick, stop: stop})
	}
	return f
}

// run works until ctx ends, then stops as [Worker.Run] says.
func (f *staff) run(ctx context.Context) error {
	if !f.heartbeat.introduce(ctx) {
		return nil
	}
	f.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, "worker: started", f.attrs()...)
	// work ends when the grace is over, service when nothing is left to record.
	work, stopWork := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stopWork(nil)
	service, stopService := context.WithCancel(context.WithoutCancel(ctx))
	defer stopService()

	var services errgroup.Group
	for _, run := range []func(context.Context){f.heartbeat.run, f.starts.run, f.recorder.run, f.keeper.run, f.watch} {
		services.Go(func() error { run(service); return nil })
	}
	var queues errgroup.Group
	queues.Go(func() error { f.refusals.run(ctx, work); return nil })
	for _, i := range f.intakes {
		i.next.all.Go(func() error { <-f.refusals.ended; return nil }) // it may add goroutines until then
		queues.Go(func() error { return i.run(ctx, work) })
	}
	finished := make(chan error, 1)
	go func() { // awaited below, unless handlers are stuck
		err := queues.Wait()
		f.hands.waitEmpty() // outcomes are recorded even if their subscription is lost
		finished <- err
	}()

	leaves, err := f.stop(ctx, finished, stopWork, stopService)
	stopService()
	err = errors.Join(err, services.Wait())
	f.copier.held.Wait()
	f.heartbeat.writeLast(ctx)
	if leaves {
		f.heartbeat.leave(ctx)
	}
	f.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, "worker: stopped", f.attrs()...)
	return err
}

// stop returns when everything is settled, or cannot be. leaves says that the ledger
// may be told that this instance has ended: nothing is on record for it that it did
// not see to.
func (f *staff) stop(ctx context.Context, finished <-chan error, stopWork context.CancelCauseFunc, stopService func()) (leaves bool, err error) {
	select {
	case err := <-finished:
		return true, err
	case <-ctx.Done():
	}
	if ok, err := within(f.cfg.Grace, finished); ok {
		return true, err
	}
	stopWork(errStopping)
	if ok, err := within(afterGrace, finished); ok {
		return true, err
	}
	left := f.giveBackByForce(ctx)
	stopService() // frees those whose outcomes nobody could record
	if ok, err := within(afterGrace, finished); ok {
		return false, err
	}
	var stuck []string
	for _, h := range left {
		if h.called() {
			stuck = append(stuck, h.Kind+" "+h.ID)
		}
	}
	if len(stuck) == 0 {
		return false, errors.New("worker: a subscription did not end although all its messages were given back")
	}
	return false, fmt.Errorf("%w: %q", ErrHandlersStuck, stuck)
}

// giveBackByForce gives back what is left, so that other workers have it at once.
// What has started is on record for this instance: the ledger sends it when it has
// found this instance silent.
func (f *staff) giveBackByForce(ctx context.Context) []*hand {
	left := f.hands.snapshot()
	var ids []string
	for _, h := range left {
		h.requeue()
		ids = append(ids, h.Kind+" "+h.ID)
	}
	if len(ids) > 0 {
		f.cfg.Logger.WarnContext(ctx, "worker: the grace period is over; jobs go back whose handlers did not return, or whose outcomes could not be recorded",
			"jobs", len(ids), "ids", strings.Join(ids[:min(len(ids), maxListed)], ", "))
	}
	return left
}

// maxListed bounds the jobs that one line names.
const maxListed = 50

// attrs says what this part of the application is.
func (f *staff) attrs() []slog.Attr {
	var queues []string
	for _, q := range f.cfg.Queues {
		queues = append(queues, fmt.Sprintf("%s (%d at once)", q.Name, q.Concurrency))
	}
	return []slog.Attr{slog.Any("queues", queues), slog.Any("kinds", f.kinds), slog.String("instance", f.heart.ID())}
}

// within waits for what finished sends, and reports whether it came in time.
func within(d time.Duration, finished <-chan error) (ended bool, err error) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case err := <-finished:
		return true, err
	case <-timer.C:
		return false, nil
	}
}
