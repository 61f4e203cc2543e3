package main

import (
	"context"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/outbox"
)

// ConfirmOrder asks for the confirmation mail of an order.
type ConfirmOrder struct {
	OrderID string `json:"order_id"`
}

// Kind names the job.
func (ConfirmOrder) Kind() string { return "order.confirm" }

// CancelUnpaid asks to cancel an order if it is still unpaid.
type CancelUnpaid struct {
	OrderID string `json:"order_id"`
}

// Kind names the job.
func (CancelUnpaid) Kind() string { return "order.cancel_unpaid" }

// OrderPlaced tells whoever listens that an order was placed.
type OrderPlaced struct {
	OrderID     string `json:"order_id"`
	Customer    string `json:"customer"`
	AmountCents int64  `json:"amount_cents"`
}

// Kind names the event.
func (OrderPlaced) Kind() string { return "order.placed" }

const (
	confirmAttempts = 4
	confirmBackoff  = 500 * time.Millisecond
)

// confirmOrder "mails" the customer: it writes one row into mails.
type confirmOrder struct {
	db     *gorm.DB
	mailer mailer
}

// Consume writes the mail and completes the job in one transaction, so that
// there is one mail however often the job is delivered.
func (h *confirmOrder) Consume(ctx context.Context, job handler.Job[ConfirmOrder]) error {
	return h.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		var order Order
		if err := tx.First(&order, "id = ?", job.Args.OrderID).Error; err != nil {
			return err
		}
		if err := h.mailer.send(ctx, order); err != nil {
			return err
		}
		if err := tx.Create(&Mail{OrderID: order.ID}).Error; err != nil {
			return err
		}
		return outbox.Complete(ctx, tx)
	})
}

// FailAction records that somebody must call the customer. The primary key of
// alerts makes a second call harmless.
func (h *confirmOrder) FailAction(ctx context.Context, job handler.Job[ConfirmOrder], cause error) error {
	return h.db.WithContext(ctx).Clauses(clause.OnConflict{DoNothing: true}).
		Create(&Alert{OrderID: job.Args.OrderID, Reason: cause.Error()}).Error
}

// cancelUnpaid cancels an order that nobody paid for in time.
type cancelUnpaid struct{ db *gorm.DB }

// Consume is idempotent by its WHERE, so it does not need Complete.
func (h *cancelUnpaid) Consume(ctx context.Context, job handler.Job[CancelUnpaid]) error {
	return h.db.WithContext(ctx).Model(&Order{}).
		Where("id = ? AND status = ?", job.Args.OrderID, statusPlaced).
		Update("status", statusCancelled).Error
}

// FailAction leaves an alert, too: the order is still open.
func (h *cancelUnpaid) FailAction(ctx context.Context, job handler.Job[CancelUnpaid], cause error) error {
	return h.db.WithContext(ctx).Clauses(clause.OnConflict{DoNothing: true}).
		Create(&Alert{OrderID: job.Args.OrderID, Reason: cause.Error()}).Error
}
