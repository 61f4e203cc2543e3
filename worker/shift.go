package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/ackbox/ackbox/internal/core"
)

// shift is what the steps of one Run share. It decides nothing.
type shift struct {
	*Worker
	self     core.Instance
	hands    *hands
	tries    failedTries
	suspect  sync.Mutex      // held while a job runs that may be the death of its process
	stopping <-chan struct{} // closed when nothing more is taken in
}

func newShift(w *Worker, stopping <-chan struct{}) *shift {
	host, _ := os.Hostname() // for people: nothing depends on it
	self := core.Instance{ID: uuid.NewString(), Role: core.RoleWorker, Host: host, PID: os.Getpid()}
	for _, q := range w.cfg.Queues {
		self.Queues = append(self.Queues, q.Name)
	}
	return &shift{Worker: w, self: self, hands: newHands(), stopping: stopping}
}

// isStopping reports whether nothing more is taken in.
func (s *shift) isStopping() bool {
	select {
	case <-s.stopping:
		return true
	default:
		return false
	}
}

// staff are the goroutines of one Run.
type staff struct {
	*shift
	heartbeat *heartbeat
	starts    *starts
	recorder  *recorder
	keeper    *keeper
	refusals  *refusals
	intakes   []*intake
}

// newStaff builds the line, from its last step to its first.
func newStaff(s *shift, stop context.CancelCauseFunc) *staff {
	kick := make(chan struct{}, 1)
	f := &staff{shift: s, heartbeat: &heartbeat{shift: s}, starts: newStarts(s), recorder: newRecorder(s)}
	outcomes := &outcomes{shift: s, recorder: f.recorder, copier: &copier{s}}
	attempts := &attempts{shift: s, calls: &calls{s}, outcomes: outcomes}
	admission := &admission{shift: s, starts: f.starts, attempts: attempts, outcomes: outcomes}
	f.keeper = &keeper{shift: s, outcomes: outcomes, kick: kick}
	f.refusals = &refusals{shift: s, lines: make(map[string]*slots), ended: make(chan struct{})}
	for _, q := range s.cfg.Queues {
		slots := &slots{line: newLine(q.Concurrency), next: admission}
		f.refusals.lines[q.Name] = slots
		f.intakes = append(f.intakes, &intake{shift: s, queue: q, next: slots, kick: kick, stop: stop})
	}
	return f
}

// run works until ctx ends, then stops as [Worker.Run] says.
func (f *staff) run(ctx context.Context) error {
	if !f.heartbeat.introduce(ctx) {
		return nil
	}
	f.say(ctx, "worker: started")
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
	if leaves {
		f.heartbeat.leave(ctx)
	}
	f.say(ctx, "worker: stopped")
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

// say tells that this part of the application has started or stopped, and what it is.
func (f *staff) say(ctx context.Context, what string) {
	var queues []string
	for _, q := range f.cfg.Queues {
		queues = append(queues, fmt.Sprintf("%s (%d at once)", q.Name, q.Concurrency))
	}
	f.cfg.Logger.InfoContext(ctx, what, "queues", queues, "kinds", f.kinds, "instance", f.self.ID)
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
