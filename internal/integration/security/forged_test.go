package security_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/memory"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/retry"
	"github.com/ackbox/ackbox/worker"
)

// forger publishes messages that claim to have a row behind them, as anybody
// can who may publish to a work queue.
type forger struct {
	*testing.T
	ctx    context.Context
	db     *gorm.DB
	store  *outbox.Store
	broker *memory.Broker
	worker *worker.Worker
	ran    chan ackbox.Job
}

func newForger(t *testing.T) *forger {
	t.Helper()
	f := &forger{T: t, ctx: patient(t), db: testenv.Postgres(t), ran: make(chan ackbox.Job, 100)}
	var err error
	f.store, err = outbox.NewStore(f.db, outbox.Config{})
	must(t, "NewStore", err)
	must(t, "Migrate", f.store.Migrate(f.ctx))
	f.broker, err = memory.New(memory.Config{})
	must(t, "memory.New", err)
	t.Cleanup(func() { _ = f.broker.Close() })
	reg := handler.NewRegistry()
	reg.Handle("obeys", consumer(func(_ context.Context, job ackbox.Job) error { f.ran <- job; return nil }))
	reg.Handle("refuses", consumer(func(context.Context, ackbox.Job) error { return retry.Permanent(errors.New("refused")) }))
	var out log
	f.worker, err = worker.New(f.store, f.broker, reg, worker.Config{Logger: out.logger(), UnknownKindDelay: time.Hour})
	must(t, "worker.New", err)
	background(t, f.worker.Run)
	return f
}

// row makes a row that is pending: no dispatcher runs here.
func (f *forger) row(opts ...outbox.Option) string {
	f.Helper()
	id := outbox.NewID()
	must(f.T, "Enqueue", f.store.Enqueue(f.ctx, f.db, text{"genuine"}, append(opts, outbox.ID(id), outbox.OwnTransaction())...))
	return id
}

func (f *forger) send(job ackbox.Job) {
	f.Helper()
	ledger, err := f.store.Identity(f.ctx)
	must(f.T, "Identity", err)
	job.Queue, job.RoutingKey, job.Ledger, job.Payload = ackbox.DefaultQueue, ackbox.DefaultQueue, ledger, []byte(`"forged"`)
	if o := f.broker.Publish(f.ctx, []ackbox.Job{job})[0]; o.Status != core.Acked {
		f.Fatalf("published: %v %s", o.Status, o.Reason)
	}
}

func (f *forger) becomes(id string, want ackbox.State) outbox.Entry {
	f.Helper()
	var entry outbox.Entry
	eventually(f.T, id+" becomes "+string(want), func() bool {
		var err error
		entry, err = f.store.Get(f.ctx, id)
		must(f.T, "Get", err)
		return entry.State == want
	})
	return entry
}

// What a forged message can do, as SECURITY.md has it: run a handler on its own
// payload, and finish or delay a row whose id and try it names.
func TestForgedMessageCan(t *testing.T) {
	t.Parallel()
	f := newForger(t)
	// Its id need not exist.
	f.send(ackbox.Job{ID: outbox.NewID(), Kind: "obeys", Attempt: 1, MaxAttempts: 1})
	if job := <-f.ran; string(job.Payload) != `"forged"` {
		t.Errorf("the handler got %s", job.Payload)
	}
	done, dead, late := f.row(), f.row(), f.row()
	f.send(ackbox.Job{ID: done, Kind: "obeys", Attempt: 1, MaxAttempts: 1})
	f.send(ackbox.Job{ID: dead, Kind: "refuses", Attempt: 1, MaxAttempts: 1})
	f.send(ackbox.Job{ID: late, Kind: "unknown", Attempt: 1, MaxAttempts: 1})
	f.becomes(done, ackbox.Done)
	entry := f.becomes(dead, ackbox.Dead)
	if entry.Kind != "text" || string(entry.Payload) != `{"Text":"genuine"}` {
		t.Errorf("the row's own contents have changed: %+v", entry)
	}
	eventually(t, "the row is put off", func() bool {
		entry, err := f.store.Get(f.ctx, late)
		must(t, "Get", err)
		return entry.Resend == 1 && entry.DueAt.After(time.Now())
	})
	// An operator, who is told of the dead one, has it back as it was.
	if n, err := f.store.Requeue(f.ctx, dead); n != 1 || err != nil {
		t.Errorf("Requeue: %d, %v", n, err)
	}
}

// What it cannot do: change another try than the one it names, or a row that is
// finished, make a row, or stop its neighbours.
func TestForgedMessageCannot(t *testing.T) {
	t.Parallel()
	f := newForger(t)
	open, finished := f.row(), f.row()
	if n, err := f.store.Cancel(f.ctx, finished); n != 1 || err != nil {
		t.Fatalf("Cancel: %d, %v", n, err)
	}
	before, err := f.store.Get(f.ctx, finished)
	must(t, "Get", err)
	for _, job := range []ackbox.Job{
		{ID: open, Kind: "obeys", Attempt: 2, MaxAttempts: 9},            // a later try
		{ID: open, Kind: "obeys", Attempt: 1, Resend: 1, MaxAttempts: 9}, // a later copy
		{ID: finished, Kind: "obeys", Attempt: 1, Resend: 1},
		{ID: finished, Kind: "refuses", Attempt: 1},
		{ID: finished, Kind: "unknown", Attempt: 1},
		{ID: outbox.NewID(), Kind: "refuses", Attempt: 1},
		{ID: outbox.NewID(), Kind: "unknown", Attempt: 1},
		{ID: outbox.NewID(), Attempt: 1}, // no kind at all
		{ID: "'; DROP TABLE ackbox_jobs; --", Kind: "refuses", Attempt: 1 << 40, Resend: 1 << 40},
		{ID: "", Kind: "refuses", Attempt: -1, MaxAttempts: -1},
	} {
		f.send(job)
	}
	neighbour := f.row()
	f.send(ackbox.Job{ID: neighbour, Kind: "obeys", Attempt: 1, MaxAttempts: 1})
	f.becomes(neighbour, ackbox.Done)
	eventually(t, "all are settled", func() bool {
		waiting, err := f.broker.Waiting(f.ctx, ackbox.DefaultQueue)
		must(t, "Waiting", err)
		s := f.worker.Stats()
		return waiting == 0 && s.InHand == 0
	})
	if len(f.ran) != 1 {
		t.Errorf("the handler ran %d times, want once, for the neighbour", len(f.ran))
	}
	if entry, err := f.store.Get(f.ctx, open); err != nil || entry.State != ackbox.Pending || entry.Attempt != 1 || entry.LastError != "" {
		t.Errorf("the open row has become %+v, %v", entry, err)
	}
	if after, err := f.store.Get(f.ctx, finished); err != nil || after.State != ackbox.Cancelled || after.LastError != before.LastError || !after.FinishedAt.Equal(*before.FinishedAt) {
		t.Errorf("the finished row has become %+v, %v", after, err)
	}
	counts, err := f.store.Counts(f.ctx)
	must(t, "Counts", err)
	total := 0
	for _, n := range counts {
		total += n
	}
	if total != 3 {
		t.Errorf("there are %d rows, want the 3 that were enqueued", total)
	}
}
