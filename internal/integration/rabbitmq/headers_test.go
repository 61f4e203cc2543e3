package rabbitmq_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"gorm.io/gorm"

	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/outbox"
)

type headed struct{}

// Kind implements ackbox.Args.
func (headed) Kind() string { return "headed" }

// A header on whose name the broker acts is refused when a job is enqueued. What
// the broker does with each is seen by publishing it, as text, and reading it again
// after a way through a queue that dead-letters.
func TestHeadersTheBrokerActsOn(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	s, err := outbox.NewStore(db, outbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	refused := func(name string) bool {
		undo := errors.New("undo")
		err := db.Transaction(func(tx *gorm.DB) error {
			if err := outbox.Enqueue(t.Context(), tx, headed{}, outbox.Header(name, "1")); err != nil {
				return err
			}
			return undo
		})
		if !errors.Is(err, undo) && (err == nil || !strings.Contains(err.Error(), name)) {
			t.Errorf("Enqueue with a header %s: %v", name, err)
		}
		return !errors.Is(err, undo)
	}
	acts := func(kind, name string) (how string) {
		ch := foreigner(t)
		in, out := kind+".in."+name, kind+".out."+name
		for queue, args := range map[string]amqp.Table{
			out: {"x-queue-type": kind},
			in:  {"x-queue-type": kind, "x-message-ttl": int64(1), "x-dead-letter-exchange": "", "x-dead-letter-routing-key": out},
		} {
			if _, err := ch.QueueDeclare(queue, true, false, false, false, args); err != nil {
				t.Fatal(err)
			}
		}
		if err := ch.Confirm(false); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		confirm, err := ch.PublishWithDeferredConfirmWithContext(ctx, "", in, true, false, amqp.Publishing{Headers: amqp.Table{name: "1"}})
		if err != nil {
			return err.Error()
		}
		if ok, err := confirm.WaitContext(ctx); err != nil || !ok {
			return "not confirmed"
		}
		if ch.IsClosed() {
			return "the channel is closed"
		}
		if got := get(t, ch, out).Headers[name]; got != "1" {
			return "is changed"
		}
		return ""
	}
	harmless := 0
	for _, name := range []string{
		"CC", "BCC", "cc", "Bcc", "x-death", "x-delivery-count", "x-acquired-count", "x-first-death-queue", "x-first-death-reason", "x-last-death-exchange",
		"x-match", "x-delay", "x-stream-offset", "x-stream-filter-value", "x-received-from", "x-shovelled", "x-opt-rabbitmq-received-time", "x-routing-key",
		"x-exchange", "x-user-id", "x-cc", "x-basic-type", "content-type", "priority", "expiration", "traceparent",
	} {
		var how []string
		for _, kind := range []string{"classic", "quorum"} {
			if h := acts(kind, name); h != "" {
				how = append(how, kind+": "+h)
			}
		}
		switch {
		case len(how) > 0 && !refused(name):
			t.Errorf("header %s is accepted, and the broker acts on it: %q", name, how)
		case len(how) == 0 && !refused(name):
			harmless++
		}
		t.Logf("%s: %q, refused %t", name, how, refused(name))
	}
	if harmless < 10 {
		t.Errorf("only %d harmless names are accepted", harmless)
	}
	if !slices.ContainsFunc([]string{"CC", "BCC"}, func(name string) bool { return acts("classic", name) != "" }) {
		t.Error("the broker acts on nothing: this test sees nothing")
	}
}
