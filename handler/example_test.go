package handler_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/handler"
)

// ConfirmOrder are the arguments of a job.
type ConfirmOrder struct {
	OrderID int `json:"order_id"`
}

// Kind is how a worker finds the handler. It outlives deploys.
func (ConfirmOrder) Kind() string { return "order.confirm" }

// Confirmer handles ConfirmOrder jobs. Its fields are what it needs: a
// database handle, clients of other services.
type Confirmer struct{}

// Consume does the job.
func (Confirmer) Consume(_ context.Context, job handler.Job[ConfirmOrder]) error {
	if job.Args.OrderID == 0 {
		return errors.New("which order?")
	}
	fmt.Println("confirmed order", job.Args.OrderID)
	return nil
}

// FailAction is called once the job is given up.
func (Confirmer) FailAction(_ context.Context, job handler.Job[ConfirmOrder], cause error) error {
	fmt.Printf("gave up order %d: %v\n", job.Args.OrderID, cause)
	return nil
}

func Example() {
	reg := handler.NewRegistry()
	// The type of the arguments, and so the kind, follows from the handler.
	handler.Register(reg, Confirmer{}, handler.WithTimeout(10*time.Second))
	if err := reg.Err(); err != nil { // worker.New asks, too
		fmt.Println(err)
		return
	}

	// What a worker does with a delivered job:
	entry, _ := reg.Lookup("order.confirm")
	ctx := context.Background()
	fmt.Println(entry.Handler.Consume(ctx, ackbox.Job{Kind: "order.confirm", Payload: []byte(`{"order_id":7}`)}))

	broken := ackbox.Job{Kind: "order.confirm", Payload: []byte(`{"order_id":"seven"}`)}
	err := entry.Handler.Consume(ctx, broken)
	fmt.Println(err)
	fmt.Println(entry.Handler.FailAction(ctx, broken, err))
	// Output:
	// confirmed order 7
	// <nil>
	// decode the payload of a order.confirm job: a string cannot be field "order_id" of type int (byte 19)
	// gave up order 0: decode the payload of a order.confirm job: a string cannot be field "order_id" of type int (byte 19)
	// <nil>
}

// Middleware wraps every Consume: here one that counts, outside of one that
// turns a slow job away.
func ExampleRegistry_Use() {
	reg := handler.NewRegistry()
	handler.Register(reg, Confirmer{})
	calls := 0
	reg.Use(
		func(next handler.ConsumeFunc) handler.ConsumeFunc {
			return func(ctx context.Context, job ackbox.Job) error {
				calls++
				return next(ctx, job)
			}
		},
		handler.Timeout(time.Second),
	)
	entry, _ := reg.Lookup("order.confirm")
	_ = entry.Handler.Consume(context.Background(), ackbox.Job{Payload: []byte(`{"order_id":7}`)})
	fmt.Println("calls:", calls)
	// Output:
	// confirmed order 7
	// calls: 1
}

// A mistake in registering is kept and reported once, with all others.
func ExampleRegistry_Err() {
	reg := handler.NewRegistry()
	handler.Register(reg, Confirmer{})
	handler.Register(reg, Confirmer{})
	handler.Register[ConfirmOrder](reg, nil)
	fmt.Println(reg.Err())
	// Output:
	// handler: register order.confirm: the kind has a handler already
	// handler: register "order.confirm": the handler is nil
}
