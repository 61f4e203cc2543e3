package main

import (
	"context"
	"errors"
	"strings"
	"time"
)

// mailer stands for a mail server, which can be slow and can be out of order, so
// that there is something to see on the dashboard.
type mailer struct {
	// takes is how long a mail takes.
	takes time.Duration
	// fault is what the server answers instead of taking a mail. One that begins
	// with "panic:" is a bug of ours instead.
	fault string
}

// send waits for the server's answer.
func (m mailer) send(ctx context.Context, order Order) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(m.takes):
	}
	switch {
	case strings.HasPrefix(m.fault, "panic:"):
		panic(strings.TrimSpace(strings.TrimPrefix(m.fault, "panic:")))
	case m.fault != "":
		return errors.New(m.fault)
	case order.Customer == "bounce":
		return errors.New("the mail server refuses the customer's address")
	}
	return nil
}
