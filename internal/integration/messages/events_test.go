package messages_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/dispatcher"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/retry"
	"github.com/ackbox/ackbox/worker"
)

// OrderPlaced is an event: it is published once, and each queue that is bound gets it.
type OrderPlaced struct{ Order int }

func (OrderPlaced) Kind() string { return "order.placed" }

// listener is what one of the monolith's queues does upon an event: an effect that
// nothing but the inbox keeps from happening twice.
type listener struct{ db *gorm.DB }

var errNotYet, errNever = errors.New("not yet"), errors.New("never before it is repaired")

func (l listener) Consume(ctx context.Context, job handler.Job[OrderPlaced]) error {
	return l.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		var repaired int64
		if err := tx.Table("repaired").Count(&repaired).Error; err != nil {
			return err
		}
		err := tx.Exec("INSERT INTO effects VALUES (?, ?, ?, ?, ?)", job.Queue, job.Args.Order, job.Attempt, job.Exchange, job.RoutingKey).Error
		switch {
		case err != nil:
			return err
		case job.Args.Order%10 == 1 && job.Attempt < 3: // rolled back, and tried again
			return errNotYet
		case job.Args.Order%50 == 7 && job.Queue == "stats" && repaired == 0:
			return errNever
		}
		return outbox.Complete(ctx, tx)
	})
}

// One's own events, which commit with an order or not at all, come back from a topic
// exchange to two queues of the same process. Each queue has its own retries and its own
// effect, exactly once, though all connections are cut twice meanwhile; what one gave up
// is requeued without the other's noticing.
func TestOwnEvents(t *testing.T) {
	t.Parallel()
	const orders = 300
	ctx := t.Context()
	db, rabbit := testenv.Postgres(t), testenv.Rabbit(t)
	for _, statement := range []string{
		"CREATE TABLE orders (id int)", "CREATE TABLE repaired (id int)",
		"CREATE TABLE effects (queue text, order_id int, attempt int, exchange text, routing_key text)",
	} {
		if err := db.Exec(statement).Error; err != nil {
			t.Fatal(err)
		}
	}
	topology := ackbox.Topology{
		Exchanges: []ackbox.Exchange{{Name: "shop", Kind: ackbox.Topic}},
		Queues: []ackbox.Queue{
			{Name: "mailing", Bindings: []ackbox.Binding{{Exchange: "shop", RoutingKey: "order.*.placed"}}},
			{Name: "stats", Bindings: []ackbox.Binding{{Exchange: "shop", RoutingKey: "#"}}},
		},
	}
	broker := open(t, rabbit.URL(), topology)
	if err := broker.Ready(ctx); err != nil { // an event that no queue waits for is nobody's
		t.Fatal(err)
	}
	store, err := outbox.NewStore(db, outbox.Config{Queues: topology.QueueNames()})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	stop := loops(t, db, store, broker)

	for id := 1; id <= orders; id++ {
		err := db.Transaction(func(tx *gorm.DB) error {
			if err := tx.Exec("INSERT INTO orders VALUES (?)", id).Error; err != nil {
				return err
			}
			if err := outbox.Enqueue(ctx, tx, OrderPlaced{id}, outbox.Event("shop", "order.eu.placed")); err != nil {
				return err
			}
			if id%10 == 0 {
				return errNever
			}
			return nil
		})
		if err != nil && !errors.Is(err, errNever) {
			t.Fatal(err)
		}
		if id == orders/3 || id == orders*2/3 {
			rabbit.CloseConnections(1)
		}
	}
	const committed, never = orders - orders/10, orders / 50
	effects := "SELECT count(*) FROM effects WHERE queue = "
	settled := func(dead int) {
		t.Helper()
		eventually(t, "every event has had its effects", func(ctx context.Context) error {
			report, err := broker.Dead(ctx, "stats", ackbox.DeadFilter{Kind: "order.placed"}, 100)
			if err != nil {
				return err
			}
			mailing, stats := count(t, db, effects+"'mailing'"), count(t, db, effects+"'stats'")
			if mailing != committed || int(stats) != committed-dead || dead > 0 && report.Matched < dead || dead == 0 && report.Matched > 0 {
				return fmt.Errorf("%d and %d of %d effects, %d dead", mailing, stats, committed, report.Matched)
			}
			return nil
		})
	}
	settled(never)
	if err := db.Exec("INSERT INTO repaired VALUES (1)").Error; err != nil {
		t.Fatal(err)
	}
	if n, err := broker.RequeueDead(ctx, "stats", ackbox.DeadFilter{Exchange: "shop", RoutingKey: "order.eu.placed"}, 100); n < never || err != nil {
		t.Fatalf("%d requeued: %v", n, err)
	}
	settled(0)
	stop()
	for query, want := range map[string]int64{
		"SELECT count(*) FROM (SELECT DISTINCT queue, order_id FROM effects) e":                                               2 * committed,
		"SELECT count(*) FROM effects WHERE exchange <> 'shop' OR routing_key <> 'order.eu.placed'":                           0,
		"SELECT count(*) FROM effects WHERE order_id % 10 = 1 AND attempt < 3":                                                0,
		"SELECT count(*) FROM effects WHERE order_id NOT IN (SELECT id FROM orders)":                                          0,
		"SELECT count(*) FROM effects WHERE order_id % 50 = 7 AND queue = 'stats' AND attempt <= 3":                           0,
		"SELECT count(*) FROM ackbox_jobs WHERE state = 'sent' AND finished_at IS NOT NULL":                                   committed,
		"SELECT count(*) FROM (SELECT DISTINCT id FROM ackbox_jobs_inbox i WHERE id IN (SELECT id::text FROM ackbox_jobs)) i": committed,
	} {
		if n := count(t, db, query); n != want {
			t.Errorf("%s: %d, want %d", query, n, want)
		}
	}
}

// loops runs dispatcher, worker and sweeper until stop, or the end of the test.
func loops(t *testing.T, db *gorm.DB, store *outbox.Store, broker interface {
	dispatcher.Broker
	worker.Broker
	retry.Broker
},
) (stop func()) {
	t.Helper()
	silent := slog.New(slog.DiscardHandler)
	backoff, err := retry.Exponential(100*time.Millisecond, 100*time.Millisecond, 0)
	if err != nil {
		t.Fatal(err)
	}
	handlers := handler.NewRegistry()
	handler.Register(handlers, listener{db}) // for both queues: job.Queue says which
	d, err1 := dispatcher.New(store, broker, dispatcher.Config{Logger: silent})
	w, err2 := worker.New(store, broker, handlers, worker.Config{
		Queues: []worker.Queue{{Name: "mailing"}, {Name: "stats"}}, MaxAttempts: 3, Backoff: backoff, Logger: silent,
	})
	s, err3 := retry.NewSweeper(store, broker, retry.Config{Logger: silent})
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var g errgroup.Group
	g.Go(func() error { return d.Run(ctx) })
	g.Go(func() error { return w.Run(ctx) })
	g.Go(func() error { return s.Run(ctx) })
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := g.Wait(); err != nil {
			t.Errorf("the loops ended with %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}
