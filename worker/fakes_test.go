package worker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// diary records what happens, in order, over broker, ledger and handlers.
type diary struct {
	mu    sync.Mutex
	lines []string
	aside []string // what happens besides
}

// besides are the first words of what happens beside the story of a test.
var besides = []string{"consume", "received?", "hold", "reconcile", "beat", "leave", "announce"}

func (d *diary) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	line := fmt.Sprintf(format, args...)
	if word, _, _ := strings.Cut(line, " "); slices.Contains(besides, word) {
		d.aside = append(d.aside, line)
	} else {
		d.lines = append(d.lines, line)
	}
}

// besides returns how often line was noted of what happens besides.
func (d *diary) besides(line string) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, noted := range d.aside {
		if strings.HasPrefix(noted, line) {
			n++
		}
	}
	return n
}

func (d *diary) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.lines, "; ")
}

// ledger is a worker.Ledger of functions; a nil one says yes to everything.
type ledger struct {
	diary *diary

	mu       sync.Mutex
	finish   func([]core.Transition) ([]core.Verdict, error)
	start    func(ackbox.Job) (core.Standing, error)
	hold     func(core.Holding) (core.Verdict, error)
	refuse   func(limit int) ([]ackbox.Job, error)
	received func(ackbox.Job) (core.Verdict, error)
	beat     func() (core.Census, error)
	who      func() (string, error)
	told     core.Detail // by the last beat
	ran      []core.Ran
	written  []bool // for each call of WriteStats whether it was for all
	// unwritten is what WriteStats returns.
	unwritten error
	released  chan struct{}
	starts    [][]string // the ids of each call of Start
}

// set changes what the ledger says.
func (l *ledger) set(change func(l *ledger)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(l)
}

// recover makes the ledger say yes to everything again.
func (l *ledger) recover() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.finish, l.start, l.hold, l.beat, l.who = nil, nil, nil, nil, nil
}

// cut makes the ledger fail with err, whatever it is asked.
func (l *ledger) cut(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.finish = func([]core.Transition) ([]core.Verdict, error) { return nil, err }
	l.start = func(ackbox.Job) (core.Standing, error) { return core.Standing{}, err }
	l.hold = func(core.Holding) (core.Verdict, error) { return 0, err }
	l.beat = func() (core.Census, error) { return core.Census{}, err }
}

// Finish implements worker.Ledger.
func (l *ledger) Finish(_ context.Context, ts []core.Transition) ([]core.Verdict, error) {
	l.mu.Lock()
	finish := l.finish
	l.mu.Unlock()
	var verdicts []core.Verdict
	if finish != nil {
		var err error
		if verdicts, err = finish(ts); err != nil {
			return nil, err
		}
	} else {
		verdicts = slices.Repeat([]core.Verdict{core.Recorded}, len(ts))
	}
	for i, t := range ts {
		if verdicts[i] == core.Recorded {
			l.diary.note("%s/%d %s charge=%t after=%v %q", t.ID, t.Attempt, t.To, t.Charge, t.After, t.Error)
		}
	}
	return verdicts, nil
}

// Start implements worker.Ledger.
func (l *ledger) Start(_ context.Context, _ string, jobs []ackbox.Job) (list []core.Standing, _ error) {
	l.mu.Lock()
	start := l.start
	var ids []string
	for _, job := range jobs {
		ids = append(ids, job.ID)
	}
	l.starts = append(l.starts, ids)
	l.mu.Unlock()
	for _, job := range jobs {
		standing := core.Standing{Verdict: core.Started, Starts: 1}
		if start != nil {
			var err error
			if standing, err = start(job); err != nil {
				return nil, err
			}
		}
		list = append(list, standing)
	}
	return list, nil
}

// standing is a ledger.start that always gives the same answer.
func standing(v core.Verdict, starts int) func(ackbox.Job) (core.Standing, error) {
	return func(ackbox.Job) (core.Standing, error) { return core.Standing{Verdict: v, Starts: starts}, nil }
}

// verdict is a ledger.hold that always gives the same answer.
func verdict(v core.Verdict) func(core.Holding) (core.Verdict, error) {
	return func(core.Holding) (core.Verdict, error) { return v, nil }
}

// Hold implements worker.Ledger.
func (l *ledger) Hold(_ context.Context, _ string, holdings []core.Holding) (list []core.Verdict, _ error) {
	l.mu.Lock()
	hold := l.hold
	l.mu.Unlock()
	for _, h := range holdings {
		verdict := core.Recorded
		if hold != nil {
			var err error
			if verdict, err = hold(h); err != nil {
				return nil, err
			}
		}
		list = append(list, verdict)
		if verdict == core.Recorded {
			l.diary.note("hold %s running=%t", h.ID, h.Running > 0)
		}
	}
	return list, nil
}

// Reconcile implements worker.Ledger.
func (l *ledger) Reconcile(_ context.Context, _ string, inHand []string) error {
	slices.Sort(inHand)
	l.diary.note("reconcile %v", inHand)
	return nil
}

// Received implements worker.Ledger.
func (l *ledger) Received(_ context.Context, job ackbox.Job) (core.Verdict, error) {
	l.mu.Lock()
	received := l.received
	l.mu.Unlock()
	l.diary.note("received? %s", job.ID)
	if received != nil {
		return received(job)
	}
	return core.Started, nil
}

// Refused implements worker.Ledger.
func (l *ledger) Refused(_ context.Context, _ string, _ []string, limit int) ([]ackbox.Job, error) {
	l.mu.Lock()
	refuse := l.refuse
	l.mu.Unlock()
	if refuse == nil {
		return nil, nil
	}
	return refuse(limit)
}

// identity is the fake ledger's.
const identity = "00000000-0000-4000-8000-000000000001"

// Identity implements worker.Ledger.
func (l *ledger) Identity(context.Context) (string, error) {
	l.mu.Lock()
	who := l.who
	l.mu.Unlock()
	if who != nil {
		return who()
	}
	return identity, nil
}

// Beat implements worker.Ledger.
func (l *ledger) Beat(_ context.Context, self core.Instance) (core.Census, error) {
	l.mu.Lock()
	beat := l.beat
	l.mu.Unlock()
	l.diary.note("beat %s", self.ID)
	l.set(func(l *ledger) { l.told = self.Detail })
	if beat != nil {
		return beat()
	}
	return core.Census{Sweepers: 1}, nil
}

// Ran implements worker.Ledger.
func (l *ledger) Ran(r core.Ran) { l.set(func(l *ledger) { l.ran = append(l.ran, r) }) }

// WriteStats implements worker.Ledger.
func (l *ledger) WriteStats(_ context.Context, all bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.written = append(l.written, all)
	return l.unwritten
}

// Leave implements worker.Ledger.
func (l *ledger) Leave(_ context.Context, id string) error {
	l.diary.note("leave %s", id)
	return nil
}

// Announce implements worker.Ledger.
func (l *ledger) Announce(t core.Transition) {
	l.diary.note("announce %s/%d %s", t.ID, t.Attempt, t.To)
}

// Released implements worker.Ledger.
func (l *ledger) Released() <-chan struct{} { return l.released }

// broker is a worker.Broker that delivers what a test gives it.
type broker struct {
	diary *diary
	in    chan core.Delivery
	lost  chan error // ends the subscription
	open  sync.WaitGroup
	hold  atomic.Pointer[chan struct{}] // what was delivered is handed out when it is closed
	early atomic.Int64                  // messages that went back while their subscription was on
	retry atomic.Pointer[error]         // what Retry and Bury fail with
	slow  atomic.Int64                  // how long they take, in nanoseconds
}

// refuse has copies fail with err, or succeed again.
func (b *broker) refuse(err error) { b.retry.Store(&err) }

// stall has copies take d each.
func (b *broker) stall(d time.Duration) { b.slow.Store(int64(d)) }

func (b *broker) refused() error {
	time.Sleep(time.Duration(b.slow.Load()))
	if err := b.retry.Load(); err != nil {
		return *err
	}
	return nil
}

// Queues implements worker.Broker.
func (b *broker) Queues() []string { return []string{"default", "other", "a"} }

// Consume implements worker.Broker.
func (b *broker) Consume(ctx context.Context, queue string, _ int, handle func(core.Delivery)) error {
	b.diary.note("consume %s", queue)
	for {
		select {
		case <-ctx.Done():
			b.open.Wait()
			return nil
		case err := <-b.lost:
			return err
		case d := <-b.in:
			if hold := b.hold.Load(); hold != nil {
				<-*hold
			}
			if r, ok := d.Receipt.(*receipt); ok {
				r.ends = ctx.Done()
			}
			handle(d)
		}
	}
}

// Retry implements worker.Broker.
func (b *broker) Retry(_ context.Context, d core.Delivery, delay time.Duration) error {
	if err := b.refused(); err != nil {
		return err
	}
	if d.Renewals > 0 {
		b.diary.note("renew %s/%d %v for the %dth time", d.ID, d.Attempt, delay, d.Renewals)
	} else {
		b.diary.note("park %s/%d %v", d.ID, d.Attempt, delay)
	}
	return nil
}

// Bury implements worker.Broker.
func (b *broker) Bury(_ context.Context, d core.Delivery, cause string) error {
	if err := b.refused(); err != nil {
		return err
	}
	b.diary.note("bury %s/%d %q", d.ID, d.Attempt, cause)
	return nil
}

// receipt notes how a delivery was settled.
type receipt struct {
	b    *broker
	id   string
	once sync.Once
	ends <-chan struct{} // closed when its subscription is to end
}

// Ack implements core.Receipt.
func (r *receipt) Ack() error { return r.settle("ack") }

// Requeue implements core.Receipt.
func (r *receipt) Requeue() error {
	select {
	case <-r.ends:
	default:
		r.b.early.Add(1) // it may be handed out again at once
	}
	return r.settle("requeue")
}

func (r *receipt) settle(how string) error {
	err := errors.New("settled twice")
	r.once.Do(func() {
		r.b.diary.note("%s %s", how, r.id)
		r.b.open.Done()
		err = nil
	})
	return err
}

// plain is a handler of functions.
type plain struct {
	consume    func(context.Context, ackbox.Job) error
	failAction func(context.Context, ackbox.Job, error) error
}

// Consume implements handler.Handler.
func (p plain) Consume(ctx context.Context, job ackbox.Job) error {
	if p.consume == nil {
		return nil
	}
	return p.consume(ctx, job)
}

// FailAction implements handler.Handler.
func (p plain) FailAction(ctx context.Context, job ackbox.Job, cause error) error {
	if p.failAction == nil {
		return nil
	}
	return p.failAction(ctx, job, cause)
}
