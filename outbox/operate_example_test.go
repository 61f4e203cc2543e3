package outbox_test

import (
	"context"
	"fmt"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

// An operator looks at what an operation would do, then begins it. Sweepers (package retry)
// carry it on, here by hand; each job says in its history what was done to it.
func ExampleStore_StartOperation() {
	db, store, done := openExample()
	defer done()
	ctx := outbox.By(context.Background(), "ann")
	for range 3 { // orders whose bank was away
		if err := outbox.Enqueue(ctx, db, CancelUnpaid{}, outbox.OwnTransaction()); err != nil {
			fmt.Println(err)
		}
	}
	for _, job := range relay(ctx, store) {
		_, err := store.Finish(ctx, []core.Transition{{ID: job.ID, Attempt: 1, To: ackbox.Dead, Error: "the bank is away"}})
		if err != nil {
			fmt.Println(err)
		}
	}

	filter := outbox.Filter{Error: "bank"}
	rehearsal, err := store.Rehearse(ctx, outbox.ActionRequeue, filter)
	fmt.Println("would requeue:", rehearsal.Count.N, err)

	op, err := store.StartOperation(ctx, outbox.ActionRequeue, filter, "the bank is back")
	fmt.Println("begun:", op.State, err)
	for more := true; more && err == nil; {
		_, more, err = store.CarryOn(ctx, 2)
	}
	op, err = store.Operation(ctx, op.ID)
	fmt.Println("now:", op.State, op.Changed, err)

	page, err := store.List(ctx, outbox.Filter{State: ackbox.Pending}, "", 1)
	if err != nil {
		fmt.Println(err)
	}
	last := page.Entries[0].History[len(page.Entries[0].History)-1]
	fmt.Printf("%s by %s: %s\n", last.What, last.By, last.Error)

	_, err = store.StartOperation(ctx, outbox.ActionDelete, outbox.Filter{}, "")
	fmt.Println(err)
	// Output:
	// would requeue: 3 <nil>
	// begun: running <nil>
	// now: done 3 <nil>
	// requeued by ann: the bank is back
	// outbox: the filter is empty, which means every job: say so with Filter.All
}

// A paused queue stands still in all instances, until it is resumed.
func ExampleStore_Pause() {
	db, store, done := openExample()
	defer done()
	ctx := outbox.By(context.Background(), "ann")
	if err := store.Pause(ctx, "default", "the bank is away"); err != nil {
		fmt.Println(err)
	}
	if err := outbox.Enqueue(ctx, db, CancelUnpaid{}, outbox.OwnTransaction()); err != nil {
		fmt.Println(err)
	}
	fmt.Println("sent while it is paused:", len(relay(ctx, store)))
	paused, err := store.Pauses(ctx)
	fmt.Printf("%s, by %s: %s %v\n", paused[0].Queue, paused[0].By, paused[0].Reason, err)

	if err := store.Resume(ctx, "default"); err != nil {
		fmt.Println(err)
	}
	fmt.Println("sent then:", len(relay(ctx, store)))
	// Output:
	// sent while it is paused: 0
	// default, by ann: the bank is away <nil>
	// sent then: 1
}
