package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/outbox"
)

// With Config.Partitioned each day has a partition, which is dropped when its
// retention has passed. A retry.Sweeper does both; this is how to do it from a
// cron of your own.
func ExampleStore_DropPartitions() {
	ctx := context.Background()
	tb := &exampleTB{}
	defer tb.end()
	store, err := outbox.NewStore(testenv.Postgres(tb), outbox.Config{Partitioned: true})
	if err = errors.Join(err, store.Migrate(ctx)); err != nil {
		fmt.Println(err)
		return
	}

	made, err := store.MakePartitions(ctx, outbox.DefaultPartitionsAhead+2)
	fmt.Println("made", made, err)
	dropped, kept, err := store.DropPartitions(ctx, 3*24*time.Hour)
	fmt.Println("dropped", len(dropped), "kept", len(kept), err)
	// Output:
	// made 2 <nil>
	// dropped 0 kept 0 <nil>
}
