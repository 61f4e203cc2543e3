package browser_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/rabbitmq"
)

// limit bounds what tests ask of the servers beside the browser.
const limit = 30 * time.Second

// later is a job of the orders example, which it does only much later.
type later struct {
	OrderID string `json:"order_id"`
}

// Kind implements ackbox.Args.
func (later) Kind() string { return "order.cancel_unpaid" }

// ledger is the site's, as the application itself has it.
func (s *site) ledger() *outbox.Store {
	s.tb.Helper()
	store, err := outbox.NewStore(testenv.Postgres(s.tb), outbox.Config{Queues: []string{"orders"}})
	if err != nil {
		s.tb.Fatal(err)
	}
	return store
}

// enqueueLater writes n jobs that are due in a day.
func (s *site) enqueueLater(n int) {
	s.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	err := s.ledger().Transaction(ctx, func(tx *gorm.DB) error {
		items := make([]outbox.Item, n)
		for i := range items {
			items[i] = outbox.Item{Args: later{OrderID: fmt.Sprintf("later-%d", i)}, Options: []outbox.Option{
				outbox.Queue("orders"), outbox.Delay(24 * time.Hour),
			}}
		}
		return outbox.EnqueueAll(ctx, tx, items...)
	})
	if err != nil {
		s.tb.Fatalf("enqueue %d jobs: %v", n, err)
	}
}

// count counts rows of the site's database.
func (s *site) count(query string, args ...any) (n int64) {
	s.tb.Helper()
	if err := testenv.Postgres(s.tb).Raw(query, args...).Scan(&n).Error; err != nil {
		s.tb.Fatalf("%s: %v", query, err)
	}
	return n
}

// eventually waits until a query counts n.
func (s *site) eventually(what string, n int64, query string, args ...any) {
	s.tb.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(limit)
	for {
		got := s.count(query, args...)
		if got == n {
			return
		}
		select {
		case <-deadline:
			s.tb.Fatalf("after %v not yet: %s: %d, want %d", limit, what, got, n)
		case <-tick.C:
		}
	}
}

// stranger sends a message without a row and without a kind: it ends in the dead queue.
func (s *site) stranger(id, text string) {
	s.tb.Helper()
	mq, err := rabbitmq.New(rabbitmq.Config{URL: testenv.AMQPURL(s.tb), Topology: ackbox.Topology{Queues: []ackbox.Queue{{Name: "orders"}}}})
	if err != nil {
		s.tb.Fatal(err)
	}
	defer func() {
		if err := mq.Close(); err != nil {
			s.tb.Error(err)
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	job := ackbox.Job{
		ID: id, Queue: "orders", RoutingKey: "orders", Mandatory: true,
		Payload: []byte(text), Headers: map[string]string{"from": text}, Attempt: 1, CreatedAt: time.Now(),
	}
	if outcome := mq.Publish(ctx, []ackbox.Job{job})[0]; outcome.Status.String() != "acked" {
		s.tb.Fatalf("send a message without a row: %v", outcome)
	}
}

// The helpers are true of the site, before the pages are asked: jobs fail, are
// given up, and are done once the mail server works.
func TestSite(t *testing.T) {
	t.Parallel()
	s := open(t, "the mail server does not answer")
	s.order("failing", 2)
	s.enqueueLater(3)
	const given = "SELECT count(*) FROM ackbox_jobs WHERE kind = 'order.confirm' AND state = 'dead'"
	s.eventually("the mails are given up", 2, given)
	s.mend()
	s.order("fine", 1)
	s.eventually("a mail is sent", 1, "SELECT count(*) FROM mails")
	if n := s.count("SELECT count(*) FROM ackbox_jobs WHERE kind = 'order.cancel_unpaid' AND state = 'pending'"); n != 6 {
		t.Errorf("%d jobs wait for their time, want 6", n)
	}
}
