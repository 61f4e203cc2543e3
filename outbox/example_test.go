package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/outbox"
)

// Order is business data; its table is called orders.
type Order struct {
	ID   uint
	Paid bool
}

// CancelUnpaid are the typed arguments of a job.
type CancelUnpaid struct {
	OrderID uint `json:"order_id"`
}

// Kind names the job for the worker.
func (CancelUnpaid) Kind() string { return "order.cancel_unpaid" }

// A job is written in the transaction of the business data: with a rollback
// there is no job, and with a commit it is sure to be run.
func ExampleEnqueue() {
	ctx := context.Background()
	db, store, done := openExample()
	defer done()

	order := Order{}
	err := db.Transaction(func(tx *gorm.DB) error {
		if err := tx.Create(&order).Error; err != nil {
			return err
		}
		return outbox.Enqueue(ctx, tx, CancelUnpaid{OrderID: order.ID})
	})
	fmt.Println("committed:", err)

	err = db.Transaction(func(tx *gorm.DB) error {
		if err := outbox.Enqueue(ctx, tx, CancelUnpaid{OrderID: order.ID}); err != nil {
			return err
		}
		return errors.New("the customer left")
	})
	fmt.Println("rolled back:", err)

	jobs, err := store.List(ctx, outbox.Filter{}, "", 100)
	if err != nil {
		fmt.Println(err)
	}
	for _, job := range jobs.Entries {
		fmt.Println(job.State, job.Kind, string(job.Payload))
	}

	// A handle that is in no transaction is refused.
	err = outbox.Enqueue(ctx, db, CancelUnpaid{OrderID: order.ID})
	fmt.Println(errors.Is(err, outbox.ErrNotInTransaction))
	// Output:
	// committed: <nil>
	// rolled back: the customer left
	// pending order.cancel_unpaid {"order_id":1}
	// true
}

// Options say when, where and how often a job is run.
func ExampleEnqueue_options() {
	ctx := context.Background()
	db, store, done := openExample()
	defer done()

	err := db.Transaction(func(tx *gorm.DB) error {
		return outbox.Enqueue(ctx, tx, CancelUnpaid{OrderID: 7},
			outbox.Delay(30*time.Minute),
			outbox.Queue("slow"),
			outbox.MaxAttempts(3),
			outbox.Header("tenant", "acme"))
	})
	if err != nil {
		fmt.Println(err)
	}
	jobs, err := store.List(ctx, outbox.Filter{Queue: "slow"}, "", 100)
	if err != nil {
		fmt.Println(err)
	}
	for _, job := range jobs.Entries {
		fmt.Println("queue", job.Queue)
		fmt.Println("tries", job.MaxAttempts)
		fmt.Println("headers", job.Headers)
		fmt.Println("due in", job.DueAt.Sub(job.CreatedAt).Round(time.Second))
	}
	// Output:
	// queue slow
	// tries 3
	// headers map[tenant:acme]
	// due in 30m0s
}

// An event is published to an exchange for whoever listens; nobody reports it
// done, so its row ends at sent.
func ExampleEvent() {
	ctx := context.Background()
	db, store, done := openExample()
	defer done()

	err := db.Transaction(func(tx *gorm.DB) error {
		return outbox.Enqueue(ctx, tx, OrderPaid{OrderID: 7}, outbox.Event("shop", "order.paid"))
	})
	if err != nil {
		fmt.Println(err)
	}
	relay(ctx, store) // in an application the dispatcher does this

	events, err := store.List(ctx, outbox.Filter{Kind: OrderPaid{}.Kind()}, "", 100)
	if err != nil {
		fmt.Println(err)
	}
	for _, e := range events.Entries {
		fmt.Printf("%s to exchange %q with key %q, finished: %v\n", e.State, e.Exchange, e.RoutingKey, e.FinishedAt != nil)
	}
	// Output:
	// sent to exchange "shop" with key "order.paid", finished: true
}

// OrderPaid is an event.
type OrderPaid struct {
	OrderID uint `json:"order_id"`
}

// Kind names the event for its readers.
func (OrderPaid) Kind() string { return "order.paid" }

// Complete makes the effect of a handler happen once, however often the job is
// delivered: it finishes the row in the handler's own transaction.
func ExampleComplete() {
	ctx := context.Background()
	db, store, done := openExample()
	defer done()

	// The Consume of a handler.
	consume := func(ctx context.Context, args CancelUnpaid) error {
		return db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
			if err := tx.Delete(&Order{}, "id = ? AND NOT paid", args.OrderID).Error; err != nil {
				return err
			}
			return outbox.Complete(ctx, tx)
		})
	}

	err := db.Transaction(func(tx *gorm.DB) error {
		return outbox.Enqueue(ctx, tx, CancelUnpaid{OrderID: 7})
	})
	if err != nil {
		fmt.Println(err)
	}
	job := relay(ctx, store)[0]

	// A worker calls the handler in a context that carries the job.
	deliver := func() error {
		return consume(ackbox.WithRun(ctx, ackbox.Run{Job: job}), CancelUnpaid{OrderID: 7})
	}
	fmt.Println("first delivery:", deliver())
	err = deliver()
	fmt.Println("second delivery superseded:", errors.Is(err, ackbox.ErrSuperseded))

	entry, err := store.Get(ctx, job.ID)
	fmt.Println(entry.State, err)
	// Output:
	// first delivery: <nil>
	// second delivery superseded: true
	// done <nil>
}

// Teams that run their own migrations print the SQL and check it in; Migrate
// then finds the table up to date, and needs no right to create one.
func ExampleStore_MigrationSQL() {
	_, store, done := openExample()
	defer done()

	for line := range strings.Lines(store.MigrationSQL()) {
		if strings.HasPrefix(line, "CREATE") || strings.HasPrefix(line, "BEGIN") || strings.HasPrefix(line, "COMMIT") {
			fmt.Print(line)
		}
	}
	// Output:
	// BEGIN;
	// CREATE TABLE IF NOT EXISTS "public"."ackbox_jobs_migrations" (version int PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP, ledger text);
	// CREATE TABLE "public"."ackbox_jobs" (
	// CREATE INDEX ackbox_jobs_pending ON "public"."ackbox_jobs" (queue, due_at, id) WHERE state = 'pending';
	// CREATE INDEX ackbox_jobs_nacked ON "public"."ackbox_jobs" (queue, due_at, id) WHERE state = 'nacked';
	// CREATE INDEX ackbox_jobs_sent ON "public"."ackbox_jobs" (queue, seen_at) WHERE state = 'sent' AND finished_at IS NULL;
	// CREATE INDEX ackbox_jobs_finished ON "public"."ackbox_jobs" (queue, finished_at) WHERE finished_at IS NOT NULL AND state <> 'dead';
	// CREATE INDEX ackbox_jobs_dead ON "public"."ackbox_jobs" (finished_at, id) WHERE state = 'dead';
	// CREATE INDEX ackbox_jobs_cancelled ON "public"."ackbox_jobs" (finished_at, id) WHERE state = 'cancelled';
	// CREATE INDEX ackbox_jobs_refused ON "public"."ackbox_jobs" (queue, due_at, id) WHERE state = 'refused';
	// CREATE INDEX ackbox_jobs_key ON "public"."ackbox_jobs" (key, id) WHERE key IS NOT NULL;
	// CREATE INDEX ackbox_jobs_held ON "public"."ackbox_jobs" (holder) WHERE holder IS NOT NULL AND finished_at IS NULL;
	// CREATE TABLE "public"."ackbox_jobs_instances" (
	// CREATE TABLE "public"."ackbox_jobs_inbox" (
	// CREATE INDEX ackbox_jobs_inbox_finished ON "public"."ackbox_jobs_inbox" (finished_at);
	// CREATE TABLE "public"."ackbox_jobs_queues" (
	// CREATE TABLE "public"."ackbox_jobs_stats" (
	// CREATE TABLE "public"."ackbox_jobs_operations" (
	// CREATE INDEX ackbox_jobs_operations_running ON "public"."ackbox_jobs_operations" (created_at, id) WHERE state = 'running';
	// COMMIT;
}

// relay plays the dispatcher and a broker that takes everything.
func relay(ctx context.Context, store *outbox.Store) []ackbox.Job {
	var sent []ackbox.Job
	_, err := store.Relay(ctx, core.Claim{Limit: 10}, func(_ context.Context, jobs []ackbox.Job) []core.Transition {
		sent = jobs
		out := make([]core.Transition, len(jobs))
		for i, job := range jobs {
			out[i] = core.Transition{ID: job.ID, Attempt: job.Attempt, To: ackbox.Sent}
		}
		return out
	})
	if err != nil {
		fmt.Println(err)
	}
	return sent
}

// openExample opens a database of the example's own with a migrated Store.
func openExample() (*gorm.DB, *outbox.Store, func()) {
	tb := &exampleTB{}
	db := testenv.Postgres(tb)
	store, err := outbox.NewStore(db, outbox.Config{Queues: []string{"default", "slow"}})
	if err == nil {
		err = errors.Join(store.Migrate(context.Background()), db.AutoMigrate(&Order{}))
	}
	if err != nil {
		panic(err)
	}
	return db, store, tb.end
}

// exampleTB is what testenv needs of a test: an Example has none.
type exampleTB struct {
	testing.TB
	cleanups []func()
}

func (*exampleTB) Helper()                           {}
func (tb *exampleTB) Cleanup(f func())               { tb.cleanups = append(tb.cleanups, f) }
func (*exampleTB) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (*exampleTB) Errorf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func (tb *exampleTB) end() {
	for i := range tb.cleanups {
		tb.cleanups[len(tb.cleanups)-1-i]()
	}
}
