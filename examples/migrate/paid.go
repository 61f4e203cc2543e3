package main

import (
	"context"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/outbox"
)

// OrderPaid is what a message says: the first kind that has moved from the receiver to a
// handler of its own.
type OrderPaid struct {
	Order int `json:"order"`
}

func (OrderPaid) Kind() string { return "order.paid" }

// Invoice is a paid order's.
type Invoice struct {
	Order int
	// Attempt is the try that wrote it, counted from the first receiver's.
	Attempt int
}

// invoices writes one invoice for each message, however often that comes: the invoice and
// the message's entry in the inbox commit together.
type invoices struct{ db *gorm.DB }

func (h invoices) Consume(ctx context.Context, job handler.Job[OrderPaid]) error {
	return h.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := tx.Create(&Invoice{Order: job.Args.Order, Attempt: job.Attempt}).Error; err != nil {
			return err
		}
		return outbox.Complete(ctx, tx)
	})
}
