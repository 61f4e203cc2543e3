package shop

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/outbox"
)

// Queue and Exchange are where the shop's jobs and events go, unless it has other
// queues.
const (
	Queue    = "shop"
	Exchange = "shop.events"
)

// topology is what the shop uses on the broker.
func (c Config) topology() ackbox.Topology {
	t := ackbox.Topology{Exchanges: []ackbox.Exchange{{Name: Exchange, Kind: ackbox.Topic}}}
	for _, name := range c.Queues {
		t.Queues = append(t.Queues, ackbox.Queue{Name: name})
	}
	return t
}

// Plan says how a job's runs shall go.
type Plan struct {
	Order string `json:"order"`
	// Queue is where the job goes; "" is the shop's first.
	Queue string `json:"queue,omitempty"`
	// FailFirst tries fail before one succeeds; Panic makes them panic.
	FailFirst int  `json:"fail_first,omitempty"`
	Panic     bool `json:"panic,omitempty"`
	// Snooze puts the first copy of the first try off.
	Snooze bool `json:"snooze,omitempty"`
	// Doomed jobs fail for good: FailAction has the effect.
	Doomed bool `json:"doomed,omitempty"`
	// Work is how long a run takes.
	Work time.Duration `json:"work,omitempty"`
}

// Charge is handled exactly once in effect: its handler calls outbox.Complete.
type Charge struct{ Plan }

// Kind implements ackbox.Args.
func (Charge) Kind() string { return "shop.charge" }

// Mail is handled at least once: its handler just returns nil.
type Mail struct{ Plan }

// Kind implements ackbox.Args.
func (Mail) Kind() string { return "shop.mail" }

// Placed is an event for other services.
type Placed struct {
	Order string `json:"order"`
}

// Kind implements ackbox.Args.
func (Placed) Kind() string { return "shop.placed" }

// Order is what a customer wants.
type Order struct {
	ID string
	// Charges and Mails are the jobs that go with it; Order is filled in.
	Charges, Mails []Plan
	// Event publishes a Placed.
	Event bool
	// Delay puts the jobs off.
	Delay time.Duration
}

// Place writes the order, the jobs, and what is expected of them, through tx.
func (a *App) Place(ctx context.Context, tx *gorm.DB, o Order) error {
	if err := tx.WithContext(ctx).Exec(`INSERT INTO shop_orders (id) VALUES (?)`, o.ID).Error; err != nil {
		return fmt.Errorf("place order %s: %w", o.ID, err)
	}
	var items []outbox.Item
	expect := func(args ackbox.Args, final ackbox.State, opts ...outbox.Option) error {
		id := outbox.NewID()
		items = append(items, outbox.Item{Args: args, Options: append(opts, outbox.ID(id))})
		return tx.WithContext(ctx).Exec(`INSERT INTO shop_expected (job, order_id, kind, final) VALUES (?, ?, ?, ?)`,
			id, o.ID, args.Kind(), final).Error
	}
	options := func(p Plan) (opts []outbox.Option) {
		if o.Delay > 0 {
			opts = append(opts, outbox.Delay(o.Delay))
		}
		if p.Queue != "" {
			opts = append(opts, outbox.Queue(p.Queue))
		}
		return opts
	}
	for _, p := range o.Charges {
		p.Order = o.ID
		if err := expect(Charge{p}, p.final(), options(p)...); err != nil {
			return err
		}
	}
	for _, p := range o.Mails {
		p.Order = o.ID
		if err := expect(Mail{p}, p.final(), options(p)...); err != nil {
			return err
		}
	}
	if o.Event {
		if err := expect(Placed{o.ID}, ackbox.Sent, outbox.Event(Exchange, "shop.placed")); err != nil {
			return err
		}
	}
	return a.Store.EnqueueAll(ctx, tx, items...)
}

// PlaceAll places n orders with one Charge each, in transactions of up to 500.
func (a *App) PlaceAll(ctx context.Context, prefix string, n int, p Plan) error {
	for from := 0; from < n; from += 500 {
		err := a.DB.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
			o := Order{ID: fmt.Sprintf("%s-%d", prefix, from)}
			for range min(500, n-from) {
				o.Charges = append(o.Charges, p)
			}
			return a.Place(ctx, tx, o)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// final is the state in which a job with this plan has to end.
func (p Plan) final() ackbox.State {
	if p.Doomed {
		return ackbox.Dead
	}
	return ackbox.Done
}
