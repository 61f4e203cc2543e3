package main

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
)

const (
	statusPlaced    = "placed"
	statusPaid      = "paid"
	statusCancelled = "cancelled"
)

// Order is a row of orders.
type Order struct {
	ID          string    `json:"id"`
	Customer    string    `json:"customer"`
	AmountCents int64     `json:"amount_cents"`
	Status      string    `json:"status"`
	CreatedAt   time.Time `json:"created_at"`
}

// Mail is a row of mails: a confirmation that was sent.
type Mail struct {
	ID      int64
	OrderID string
	SentAt  time.Time `gorm:"default:now()"`
}

// Alert is a row of alerts: an order that a person must look at.
type Alert struct {
	OrderID string `gorm:"primaryKey"`
	Reason  string
	At      time.Time `gorm:"default:now()"`
}

// migrate creates the tables. Several instances may start at once: they take
// turns. mails has no unique order_id on purpose: that there is one mail for an
// order is the doing of outbox.Complete.
func migrate(ctx context.Context, db *gorm.DB) error {
	statements := []string{
		`SELECT pg_advisory_xact_lock(hashtextextended('orders example', 0))`,
		`CREATE TABLE IF NOT EXISTS orders (
			id text PRIMARY KEY, customer text NOT NULL, amount_cents bigint NOT NULL,
			status text NOT NULL, created_at timestamptz NOT NULL DEFAULT now())`,
		`CREATE TABLE IF NOT EXISTS mails (
			id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, order_id text NOT NULL REFERENCES orders,
			sent_at timestamptz NOT NULL DEFAULT now())`,
		`CREATE TABLE IF NOT EXISTS alerts (
			order_id text PRIMARY KEY REFERENCES orders, reason text NOT NULL, at timestamptz NOT NULL DEFAULT now())`,
	}
	err := db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		for _, statement := range statements {
			if err := tx.Exec(statement).Error; err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("create tables: %w", err)
	}
	return nil
}
