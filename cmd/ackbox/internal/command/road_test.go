package command_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/rabbitmq"
)

type report struct {
	N int `json:"n"`
}

func (report) Kind() string { return "report.make" }

// brokerOf is the test's own vhost, with the default queue declared.
func brokerOf(t *testing.T) *rabbitmq.Broker {
	t.Helper()
	b, err := rabbitmq.New(rabbitmq.Config{URL: testenv.AMQPURL(t), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() }) // always nil
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := b.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return b
}

// relay publishes what is due, as a dispatcher does, until n jobs are sent.
func relay(t *testing.T, store *outbox.Store, b *rabbitmq.Broker, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for sent := 0; sent < n; {
		_, err := store.Relay(ctx, core.Claim{Limit: 100}, func(ctx context.Context, jobs []ackbox.Job) []core.Transition {
			transitions := make([]core.Transition, len(jobs))
			for i, o := range b.Publish(ctx, jobs) {
				if o.Status != core.Acked {
					t.Errorf("publish: %+v", o)
				}
				transitions[i] = core.Transition{ID: jobs[i].ID, Attempt: jobs[i].Attempt, To: ackbox.Sent}
				sent++
			}
			return transitions
		})
		if err != nil {
			t.Fatal(err)
		}
		if t.Failed() || ctx.Err() != nil {
			t.Fatalf("%d of %d jobs were sent", sent, n)
		}
	}
}

// fingerprint tells whether the jobs have changed.
func fingerprint(t *testing.T, db *gorm.DB) string {
	t.Helper()
	var text string
	if err := db.Raw("SELECT coalesce(md5(string_agg(j::text, '' ORDER BY id)), '') FROM ackbox_jobs AS j").Scan(&text).Error; err != nil {
		t.Fatal(err)
	}
	return text
}
