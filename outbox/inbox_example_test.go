package outbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/outbox"
)

// A message that somebody else has published has no row; Complete enters its queue and id
// in the inbox, in the transaction that has the effect. It happens once, however often
// the message comes.
func ExampleComplete_message() {
	ctx := context.Background()
	db, _, done := openExample()
	defer done()

	// The Consume of a handler; nothing in it says that there is no row.
	consume := func(ctx context.Context) error {
		return db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
			if err := tx.Create(&Order{Paid: true}).Error; err != nil {
				return err
			}
			return outbox.Complete(ctx, tx)
		})
	}

	// What a worker makes of a message with a message-id, and without one.
	message := ackbox.Job{ID: "payment-4711", Kind: "payment", Queue: "payments", Attempt: 1}
	nameless := ackbox.Job{ID: "5f0c…", IDFromContent: true, Kind: "payment", Queue: "payments", Attempt: 1}
	deliver := func(job ackbox.Job) error {
		return consume(ackbox.WithRun(ctx, ackbox.Run{Job: job}))
	}
	fmt.Println("first delivery:", deliver(message))
	fmt.Println("a copy is superseded:", errors.Is(deliver(message), ackbox.ErrSuperseded))
	fmt.Println("without an id it is refused:", errors.Is(deliver(nameless), outbox.ErrNoIdentity))

	var orders int64
	err := db.Model(&Order{}).Count(&orders).Error
	fmt.Println("orders:", orders, err)
	// Output:
	// first delivery: <nil>
	// a copy is superseded: true
	// without an id it is refused: true
	// orders: 1 <nil>
}

// The ledger takes a message over: its handler makes one job of it, however often it
// comes, and that has a row, with all that follows from it.
func ExampleComplete_takeOver() {
	ctx := context.Background()
	db, store, done := openExample()
	defer done()

	consume := func(ctx context.Context, job ackbox.Job) error {
		var args CancelUnpaid
		if err := json.Unmarshal(job.Payload, &args); err != nil {
			return err
		}
		return db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
			return errors.Join(outbox.Enqueue(ctx, tx, args), outbox.Complete(ctx, tx))
		})
	}

	message := ackbox.Job{ID: "m-1", Kind: "order.late", Queue: "default", Attempt: 1, Payload: []byte(`{"order_id": 7}`)}
	for range 3 {
		err := consume(ackbox.WithRun(ctx, ackbox.Run{Job: message}), message)
		fmt.Println("delivered, superseded:", errors.Is(err, ackbox.ErrSuperseded))
	}
	jobs, err := store.List(ctx, outbox.Filter{}, "", 100)
	if err != nil {
		fmt.Println(err)
	}
	for _, job := range jobs.Entries {
		fmt.Println(job.State, job.Kind, string(job.Payload))
	}
	// Output:
	// delivered, superseded: false
	// delivered, superseded: true
	// delivered, superseded: true
	// pending order.cancel_unpaid {"order_id":7}
}
