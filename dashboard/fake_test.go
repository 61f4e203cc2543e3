package dashboard_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/outbox"
)

// fake is a ledger in memory with a bad day: what it is asked is on record.
type fake struct {
	mu         sync.Mutex
	jobs       []outbox.Entry
	instances  []outbox.Instance
	operations []outbox.Operation
	queues     []outbox.QueueStatus
	stats      func(outbox.StatsQuery) []outbox.Stat
	rehearsed  outbox.Count
	// calls are what changed something, and on whose behalf.
	calls []string
	// fails answers every read, if set.
	fails error
}

func (f *fake) called(ctx context.Context, format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, fmt.Sprintf(format, args...))
	_ = ctx
}

func (f *fake) Get(_ context.Context, id string) (outbox.Entry, error) {
	for _, e := range f.jobs {
		if e.ID == id {
			return e, f.fails
		}
	}
	return outbox.Entry{}, errors.Join(outbox.ErrNotFound, f.fails)
}

func matches(f outbox.Filter, e outbox.Entry) bool {
	return (f.State == "" || f.State == e.State) && (f.Queue == "" || f.Queue == e.Queue) && (f.Kind == "" || f.Kind == e.Kind) &&
		(f.Key == "" || f.Key == e.Key) && (!f.Running || e.StartedAt != nil && e.FinishedAt == nil) &&
		strings.Contains(strings.ToLower(e.LastError), strings.ToLower(f.Error)) &&
		(f.Before.IsZero() || ordered(e).Before(f.Before)) && (f.After.IsZero() || !ordered(e).Before(f.After))
}

// ordered is the time by which a list is ordered: that of the finish, of what is.
func ordered(e outbox.Entry) time.Time {
	if e.FinishedAt != nil {
		return *e.FinishedAt
	}
	return e.CreatedAt
}

func (f *fake) List(_ context.Context, filter outbox.Filter, after string, limit int) (outbox.Page, error) {
	var page outbox.Page
	for _, e := range f.jobs {
		page.Searched++
		if !matches(filter, e) || after != "" && e.ID >= after {
			continue
		}
		if len(page.Entries) == limit {
			page.Next = page.Entries[limit-1].ID
			break
		}
		page.Entries = append(page.Entries, e)
	}
	return page, f.fails
}

func (f *fake) Count(_ context.Context, filter outbox.Filter) (outbox.Count, error) {
	n := 0
	for _, e := range f.jobs {
		if matches(filter, e) {
			n++
		}
	}
	if filter.State == ackbox.Done && filter == (outbox.Filter{State: ackbox.Done}) {
		return outbox.Count{N: 10000, More: true}, f.fails
	}
	return outbox.Count{N: n}, f.fails
}

func (f *fake) GivenUp(_ context.Context, filter outbox.Filter) ([]outbox.Group, int, error) {
	groups := map[string]*outbox.Group{}
	n := 0
	for _, e := range f.jobs {
		if e.State != ackbox.Dead {
			continue
		}
		filter.State = ackbox.Dead
		if !matches(filter, e) {
			continue
		}
		n++
		first, _, _ := strings.Cut(e.LastError, "\n")
		g := groups[e.Kind+first]
		if g == nil {
			g = &outbox.Group{Kind: e.Kind, Error: first, First: *e.FinishedAt, Last: *e.FinishedAt, Sample: e.ID}
			groups[e.Kind+first] = g
		}
		g.N++
		if e.FinishedAt.Before(g.First) {
			g.First = *e.FinishedAt
		}
		if e.FinishedAt.After(g.Last) {
			g.Last, g.Sample = *e.FinishedAt, e.ID
		}
	}
	var all []outbox.Group
	for _, g := range groups {
		all = append(all, *g)
	}
	slices.SortFunc(all, func(a, b outbox.Group) int { return b.N - a.N })
	return all, n, f.fails
}

func (f *fake) QueueStatus(context.Context) ([]outbox.QueueStatus, error) { return f.queues, f.fails }

func (f *fake) Instances(context.Context) ([]outbox.Instance, error) { return f.instances, f.fails }

func (f *fake) Stats(_ context.Context, q outbox.StatsQuery) ([]outbox.Stat, error) {
	if f.stats == nil {
		return nil, f.fails
	}
	return f.stats(q), f.fails
}

func (f *fake) Operation(_ context.Context, id string) (outbox.Operation, error) {
	for _, o := range f.operations {
		if o.ID == id {
			return o, nil
		}
	}
	return outbox.Operation{}, outbox.ErrNotFound
}

func (f *fake) Operations(context.Context, string, int) ([]outbox.Operation, string, error) {
	return f.operations, "", f.fails
}

func (f *fake) Rehearse(ctx context.Context, _ outbox.Action, filter outbox.Filter) (outbox.Rehearsal, error) {
	page, err := f.List(ctx, filter, "", 5)
	n, _ := f.Count(ctx, filter)
	if f.rehearsed.N > 0 {
		n = f.rehearsed
	}
	return outbox.Rehearsal{Count: n, Samples: page.Entries}, err
}

func (f *fake) change(ctx context.Context, what string, ids []string) (int, error) {
	f.called(ctx, "%s %s", what, strings.Join(ids, " "))
	return len(ids), f.fails
}

func (f *fake) Requeue(ctx context.Context, ids ...string) (int, error) {
	return f.change(ctx, "requeue", ids)
}

func (f *fake) Cancel(ctx context.Context, ids ...string) (int, error) {
	return f.change(ctx, "cancel", ids)
}

func (f *fake) RunNow(ctx context.Context, ids ...string) (int, error) {
	return f.change(ctx, "run now", ids)
}

func (f *fake) Delete(ctx context.Context, ids ...string) (int, error) {
	return f.change(ctx, "delete", ids)
}

func (f *fake) Reschedule(ctx context.Context, at time.Time, ids ...string) (int, error) {
	return f.change(ctx, "reschedule "+at.Format(time.RFC3339), ids)
}

func (f *fake) Pause(ctx context.Context, queue, reason string) error {
	f.called(ctx, "pause %s: %s", queue, reason)
	return f.fails
}

func (f *fake) Resume(ctx context.Context, queue string) error {
	f.called(ctx, "resume %s", queue)
	return f.fails
}

func (f *fake) StartOperation(ctx context.Context, action outbox.Action, filter outbox.Filter, reason string) (outbox.Operation, error) {
	f.called(ctx, "start %s %+v: %s", action, filter, reason)
	return outbox.Operation{ID: operationID, Action: action, Filter: &filter, State: outbox.OperationRunning, Reason: reason}, f.fails
}

func (f *fake) StopOperation(ctx context.Context, id string) error {
	f.called(ctx, "stop %s", id)
	return f.fails
}

func (f *fake) ContinueOperation(ctx context.Context, id string) error {
	f.called(ctx, "continue %s", id)
	return f.fails
}

const operationID = "019a0000-0000-7000-8000-0000000000f0"

// fakeBroker has one message in its dead queue.
type fakeBroker struct {
	health ackbox.Health
	dead   []ackbox.DeadMessage
	mu     sync.Mutex
	calls  []string
}

func (b *fakeBroker) Health(context.Context) ackbox.Health { return b.health }
func (b *fakeBroker) Queues() []string                     { return []string{"default", "mail", "search"} }

func (b *fakeBroker) Waiting(_ context.Context, queue string) (int, error) {
	switch queue {
	case "mail.dead":
		return len(b.dead), nil
	case "search":
		return 0, errors.New("the queue's leader does not answer")
	case "mail":
		return 312, nil
	}
	return 0, nil
}

func (b *fakeBroker) Dead(_ context.Context, _ string, f ackbox.DeadFilter, _ int) (ackbox.DeadReport, error) {
	r := ackbox.DeadReport{Looked: len(b.dead), Complete: true}
	for _, m := range b.dead {
		if f.Match(m) {
			r.Messages = append(r.Messages, m)
			r.Matched++
		}
	}
	return r, nil
}

func (b *fakeBroker) RequeueDead(_ context.Context, queue string, f ackbox.DeadFilter, _ int) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls = append(b.calls, fmt.Sprintf("requeue %s %s %v", queue, f.ID, f.All))
	return 1, nil
}

func (b *fakeBroker) DeleteDead(_ context.Context, queue string, f ackbox.DeadFilter, _ int) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls = append(b.calls, fmt.Sprintf("delete %s %s %v", queue, f.ID, f.All))
	return 1, nil
}
