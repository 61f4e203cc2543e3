package main

import "time"

// businessTables are what transactions of the bench write beside jobs: an order,
// and, for comparison, a plain second row of a job's size.
const businessTables = `
CREATE TABLE IF NOT EXISTS orders (
	id bigserial PRIMARY KEY,
	customer uuid NOT NULL,
	email text NOT NULL,
	cents bigint NOT NULL,
	currency text NOT NULL,
	note text NOT NULL,
	created_at timestamptz NOT NULL
);
CREATE TABLE IF NOT EXISTS notes (
	id bigserial PRIMARY KEY,
	kind text NOT NULL,
	payload bytea NOT NULL,
	created_at timestamptz NOT NULL
)`

// orderRow is an order as GORM writes it.
type orderRow struct {
	ID        int64
	Customer  string
	Email     string
	Cents     int64
	Currency  string
	Note      string
	CreatedAt time.Time
}

// TableName implements GORM's Tabler.
func (orderRow) TableName() string { return "orders" }

func rowOf(o Order) *orderRow {
	return &orderRow{Customer: o.Customer, Email: o.Email, Cents: o.Cents, Currency: o.Currency, Note: o.Note}
}

// insertOrder writes the same without GORM.
const insertOrder = `INSERT INTO orders (customer, email, cents, currency, note, created_at)
VALUES ($1, $2, $3, $4, $5, $6) RETURNING id`

func (o Order) params() []any {
	return []any{o.Customer, o.Email, o.Cents, o.Currency, o.Note, time.Now()}
}

// noteRow is the plain second row.
type noteRow struct {
	ID        int64
	Kind      string
	Payload   []byte
	CreatedAt time.Time
}

// TableName implements GORM's Tabler.
func (noteRow) TableName() string { return "notes" }
