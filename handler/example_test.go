package handler_test

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/internal/registry"
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

// FailAction is called once the job is given up. It may be left out.
func (Confirmer) FailAction(_ context.Context, job handler.Job[ConfirmOrder], cause error) error {
	fmt.Printf("gave up order %d: %v\n", job.Args.OrderID, cause)
	return nil
}

// work does what a worker does with a delivered job whose tries are used up when its
// first has failed.
func work(reg *handler.Registry, kind, payload string) {
	entry, _ := registry.Lookup(reg, kind)
	job := ackbox.Job{Kind: kind, Payload: []byte(payload)}
	err := entry.Handler.Consume(context.Background(), job)
	if err == nil {
		return
	}
	fmt.Println("failed:", err)
	if err := entry.Handler.FailAction(context.Background(), job, err); err != nil {
		fmt.Println("dead:", err)
	}
}

func Example() {
	reg := handler.NewRegistry()
	// The type of the arguments, and so the kind, follows from the handler.
	handler.Register(reg, Confirmer{}, handler.WithTimeout(10*time.Second))
	if err := reg.Err(); err != nil { // worker.New asks, too
		fmt.Println(err)
		return
	}

	work(reg, "order.confirm", `{"order_id":7}`)
	work(reg, "order.confirm", `{"order_id":0}`)
	work(reg, "order.confirm", `{"order_id":"seven"}`)
	// Output:
	// confirmed order 7
	// failed: which order?
	// gave up order 0: which order?
	// failed: decode the payload of a order.confirm job: a string cannot be field "order_id" of type int (byte 19)
	// dead: FailAction was not called: decode the payload of a order.confirm job: a string cannot be field "order_id" of type int (byte 19)
}

// A function will do where a handler needs nothing but what it closes over.
func ExampleRegisterFunc() {
	reg := handler.NewRegistry()
	handler.RegisterFunc(reg, func(_ context.Context, job handler.Job[ConfirmOrder]) error {
		fmt.Println("confirmed order", job.Args.OrderID)
		return nil
	})
	work(reg, "order.confirm", `{"order_id":7}`)
	// Output:
	// confirmed order 7
}

// What is called for jobs that are given up is a function, too.
func ExampleWithFailAction() {
	confirm := func(context.Context, handler.Job[ConfirmOrder]) error {
		return errors.New("the mail server is away")
	}
	alert := func(_ context.Context, job handler.Job[ConfirmOrder], cause error) error {
		fmt.Printf("call the customer of order %d: %v\n", job.Args.OrderID, cause)
		return nil
	}
	reg := handler.NewRegistry()
	handler.RegisterFunc(reg, confirm, handler.WithFailAction(alert))
	work(reg, "order.confirm", `{"order_id":7}`)
	// Output:
	// failed: the mail server is away
	// call the customer of order 7: the mail server is away
}

// Middleware wraps every call, of Consume and of FailAction, and can tell them apart.
func ExampleRegistry_Use() {
	reg := handler.NewRegistry()
	handler.Register(reg, Confirmer{})
	reg.Use(func(next handler.Func) handler.Func {
		return func(ctx context.Context, job ackbox.Job) error {
			name := "Consume"
			if run, _ := ackbox.RunFrom(ctx); run.Cause != nil {
				name = "FailAction"
			}
			fmt.Println("begin", name)
			err := next(ctx, job)
			fmt.Println("end", name)
			return err
		}
	})
	work(reg, "order.confirm", `{"order_id":0}`)
	// Output:
	// begin Consume
	// end Consume
	// failed: which order?
	// begin FailAction
	// gave up order 0: which order?
	// end FailAction
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

// mailer is a receiver of the older form: a method for a message's body, and one for
// what is given up.
type mailer struct{}

func (mailer) Consumer(body []byte) error {
	fmt.Printf("mail %s\n", body)
	return errors.New("mailbox full")
}

func (mailer) FailAction(cause error, body []byte) error {
	fmt.Printf("gave up %s: %v\n", body, cause)
	return nil
}

// A receiver that was written around a channel goes on unchanged.
func ExampleFromReceiver() {
	reg := handler.NewRegistry()
	reg.Handle("mail.send", handler.FromReceiver(mailer{}))
	work(reg, "mail.send", `{"to":"ada"}`)
	// Output:
	// mail {"to":"ada"}
	// failed: mailbox full
	// gave up {"to":"ada"}: mailbox full
}

// What other programs publish is often not quite what was agreed: Strict says so, where
// a renamed field would be zero. Decode knows other formats than JSON.
func ExampleStrict() {
	reg := handler.NewRegistry()
	reg.Decode("application/xml", xml.Unmarshal)
	handler.Register(reg, Confirmer{}, handler.Strict())
	work(reg, "order.confirm", `{"orderId":7}`)
	// Output:
	// failed: decode the payload of a order.confirm job: it has a field "orderId", which the arguments do not have (handler.Strict)
	// dead: FailAction was not called: decode the payload of a order.confirm job: it has a field "orderId", which the arguments do not have (handler.Strict)
}
