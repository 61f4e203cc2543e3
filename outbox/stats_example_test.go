package outbox_test

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

// What happened in the last hour, by kind.
func ExampleStore_Stats() {
	_, store, end := openExample()
	defer end()
	ctx := context.Background()
	err := store.Transaction(ctx, func(tx *gorm.DB) error {
		return store.Enqueue(ctx, tx, CancelUnpaid{OrderID: 7})
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	relayExample(store) // dispatcher and worker do the rest, and write what they have counted

	now := time.Now()
	stats, err := store.Stats(ctx, outbox.StatsQuery{From: now.Add(-time.Hour), To: now.Add(time.Hour), Step: time.Hour, ByKind: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range stats {
		fmt.Printf("%s: %d enqueued, %d sent, %d done; half of them ran for less than about %v\n",
			s.Kind, s.Enqueued, s.Sent, s.Done, s.Run.Quantile(0.5).Round(10*time.Millisecond))
	}
	// Output:
	// order.cancel_unpaid: 1 enqueued, 1 sent, 1 done; half of them ran for less than about 50ms
}

// relayExample stands for dispatcher and worker.
func relayExample(store *outbox.Store) {
	ctx := context.Background()
	_, err := store.Relay(ctx, core.Claim{Limit: 10}, func(_ context.Context, jobs []ackbox.Job) []core.Transition {
		out := make([]core.Transition, len(jobs))
		for i, job := range jobs {
			out[i] = core.Transition{ID: job.ID, Attempt: job.Attempt, To: ackbox.Sent}
			store.Ran(core.Ran{Queue: job.Queue, Kind: job.Kind, To: ackbox.Done, For: 50 * time.Millisecond})
		}
		return out
	})
	if err == nil {
		err = store.WriteStats(ctx, true)
	}
	if err != nil {
		fmt.Println(err)
	}
}
