package interop_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"reflect"
	"syscall"
	"time"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/rabbitmq"
	"github.com/ackbox/ackbox/retry"
	"github.com/ackbox/ackbox/worker"
)

// tables are the worker's own. None has a key: what happens twice is there twice.
const tables = `
CREATE TABLE effects (order_no text, job_id text, kind text, exchange text, routing_key text, attempt int);
CREATE TABLE deaths (order_no text);
CREATE TABLE complaints (order_no text, what text);
CREATE TABLE repaired (at timestamptz)`

// maxAttempts is how many tries a message has.
const maxAttempts = 3

var queues = []string{"js.orders", "py.orders"}

// topology has the queues that the clients declare: here they are only checked.
func topology() ackbox.Topology {
	var t ackbox.Topology
	for _, name := range queues {
		t.Queues = append(t.Queues, ackbox.Queue{Name: name, Passive: true})
	}
	return t
}

func newBroker(url string) (*rabbitmq.Broker, error) {
	return rabbitmq.New(rabbitmq.Config{
		URL: url, Topology: topology(), MaxBackoff: 500 * time.Millisecond,
		RetryLadder: []time.Duration{200 * time.Millisecond, time.Second},
	})
}

func newStore(db *gorm.DB) (*outbox.Store, error) {
	return outbox.NewStore(db, outbox.Config{Queues: queues})
}

func openDatabase(dsn string) (*gorm.DB, error) {
	return gorm.Open(postgres.Open(dsn), &gorm.Config{Logger: logger.Discard})
}

// work is a worker's process, until SIGTERM.
func work() (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	db, err := openDatabase(os.Getenv("DATABASE_URL"))
	if err != nil {
		return err
	}
	store, err := newStore(db)
	if err != nil {
		return err
	}
	broker, err := newBroker(os.Getenv("AMQP_URL"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, broker.Close()) }()
	backoff, err := retry.Exponential(200*time.Millisecond, 200*time.Millisecond, 0)
	if err != nil {
		return err
	}
	reg := handler.NewRegistry()
	handler.Register(reg, orders[paid]{db})
	handler.Register(reg, orders[unnamed]{db})
	cfg := worker.Config{MaxAttempts: maxAttempts, Backoff: backoff}
	for _, name := range queues {
		cfg.Queues = append(cfg.Queues, worker.Queue{Name: name, Messages: worker.Messages{
			Kind: []worker.Find{worker.FromType(), worker.FromHeader("event"), worker.Always("order.unnamed")},
			// An order's number is in each body: what is equal in everything is one.
			ID: []worker.Find{worker.FromMessageID(), worker.FromContent()},
		}})
	}
	w, err := worker.New(store, broker, reg, cfg)
	if err != nil {
		return err
	}
	return w.Run(ctx)
}

// order is what a client says in a body. A message fails Fails times, or always (-1).
type order struct {
	Order string `json:"order"`
	Fails int    `json:"fails"`
	Note  string `json:"note"`
}

type (
	paid    struct{ order }
	unnamed struct{ order }
)

// Kind implements ackbox.Args.
func (paid) Kind() string { return "order.paid" }

// Kind implements ackbox.Args.
func (unnamed) Kind() string { return "order.unnamed" }

func (o order) said() order { return o }

// orders handles the orders of a kind: one row for each.
type orders[A interface {
	ackbox.Args
	said() order
}] struct{ db *gorm.DB }

var errNoStock = errors.New("no stock")

func (h orders[A]) Consume(ctx context.Context, job handler.Job[A]) error {
	o := job.Args.said()
	if o.Fails > 0 && job.Attempt <= o.Fails {
		return fmt.Errorf("order %s: not yet", o.Order)
	}
	return h.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if o.Fails < 0 {
			var repaired int64
			if err := tx.Table("repaired").Count(&repaired).Error; err != nil {
				return err
			}
			if repaired == 0 {
				return fmt.Errorf("order %s: %w", o.Order, errNoStock)
			}
		}
		if what := complaint(o, job.Message); what != "" {
			if err := tx.Exec("INSERT INTO complaints VALUES (?, ?)", o.Order, what).Error; err != nil {
				return err
			}
		}
		if err := tx.Exec("INSERT INTO effects VALUES (?, ?, ?, ?, ?, ?)", o.Order, job.ID, job.Kind,
			job.Exchange, job.RoutingKey, job.Attempt).Error; err != nil {
			return err
		}
		return outbox.Complete(ctx, tx)
	})
}

// FailAction writes the death down, once.
func (h orders[A]) FailAction(ctx context.Context, job handler.Job[A], _ error) error {
	return h.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := tx.Exec("INSERT INTO deaths VALUES (?)", job.Args.said().Order).Error; err != nil {
			return err
		}
		return outbox.Complete(ctx, tx)
	})
}

// complaint says what is not as the client sent it, on whichever try.
func complaint(o order, m *ackbox.Message) string {
	n := number(o.Order)
	want := map[string]any{}
	if n%5 == 0 {
		want = map[string]any{"nothing": nil, "yes": true, "nested": map[string]any{
			"deeper": map[string]any{"empty": nil},
		}}
	}
	if n%3 == 0 && n%2 == 0 {
		want["event"] = "order.paid"
	}
	got := map[string]any{}
	for name, value := range m.Headers {
		got[name] = value
	}
	// Clients differ in the widths of integers, and pika sends a decimal for the float.
	if n%5 == 0 {
		b, _ := got["binary"].([]byte)
		if !bytes.Equal(b, []byte{0xff, 0, 0xfe}) {
			return fmt.Sprintf("header binary is %T %v", got["binary"], got["binary"])
		}
		for name, text := range map[string]string{"count": "42", "ratio": "0.5"} {
			if fmt.Sprint(got[name]) != text {
				return fmt.Sprintf("header %s is %T %v", name, got[name], got[name])
			}
		}
		nested, _ := got["nested"].(map[string]any)
		if fmt.Sprint(nested["tags"]) != "[a 1]" {
			return fmt.Sprintf("header nested is %T %v", got["nested"], got["nested"])
		}
		got["nested"] = map[string]any{"deeper": nested["deeper"]}
	}
	for _, name := range []string{
		"binary", "count", "ratio", "x-death", "x-first-death-exchange", "x-first-death-queue", "x-first-death-reason",
		"x-last-death-exchange", "x-last-death-queue", "x-last-death-reason",
	} {
		delete(got, name)
	}
	if !reflect.DeepEqual(got, want) {
		return fmt.Sprintf("headers are %#v, want %#v", got, want)
	}
	if o.Note != "grün" {
		return "the note is " + o.Note
	}
	return ""
}
