package main

import (
	"encoding/json"
	"fmt"
)

// Order is the payload of every message and job in the bench, about 150 bytes
// of JSON. It is ours and River's job arguments alike.
type Order struct {
	Number   int64  `json:"number"`
	Customer string `json:"customer"`
	Email    string `json:"email"`
	Cents    int64  `json:"cents"`
	Currency string `json:"currency"`
	Note     string `json:"note"`
}

// Kind implements ackbox.Args and river.JobArgs.
func (Order) Kind() string { return "bench.order" }

func newOrder(number int64) Order {
	return Order{
		Number: number, Customer: "018f3a5e-7c1b-7d2a-9e54-0d7b3f1f7a11",
		Email: "someone@shop.example", Cents: 12_990, Currency: "EUR", Note: "at the back door",
	}
}

func encoded(o Order) ([]byte, error) {
	raw, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("encode an order: %w", err)
	}
	return raw, nil
}
