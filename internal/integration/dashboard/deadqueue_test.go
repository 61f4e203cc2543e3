package dashboard_test

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/dashboard"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/rabbitmq"
)

// A message without a row that was given up is found beside the jobs, read, and put back.
func TestDeadQueueOfRabbitMQ(t *testing.T) {
	t.Parallel()
	store, err1 := outbox.NewStore(testenv.Postgres(t), outbox.Config{Queues: []string{"mail", "slow"}})
	mq, err2 := rabbitmq.New(rabbitmq.Config{URL: testenv.AMQPURL(t), Topology: topology()})
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := mq.Close(); err != nil {
			t.Error(err)
		}
	}()
	ctx := t.Context()
	if err := errors.Join(store.Migrate(ctx), mq.Ready(ctx)); err != nil {
		t.Fatal(err)
	}
	board, err := dashboard.New(store, dashboard.Config{
		Authorize: func(*http.Request) (dashboard.Viewer, error) {
			return dashboard.Viewer{Name: "ada", Can: dashboard.Everything}, nil
		},
		Broker: mq, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	o := &office{t: t, store: store, page: httptest.NewServer(http.StripPrefix("/ops/jobs", board))}
	defer o.page.Close()

	if page := o.html("given-up"); !strings.Contains(page, `<bdi>mail.dead</bdi></a> <span class="dim">empty`) {
		t.Errorf("a dead queue that was never used: %s", page)
	}
	d := core.Delivery{Job: ackbox.Job{ID: "theirs-1", Kind: "mail.legacy", Queue: "mail", Payload: []byte(`{"to":"<b>ada</b>"}`), Attempt: 3}}
	if err := mq.Bury(ctx, d, "no handler knows mail.legacy"); err != nil {
		t.Fatal(err)
	}
	o.until("the page counts it", func() bool {
		return strings.Contains(o.html("given-up"), `<b class="bad">1 message</b>`)
	})
	var dead struct {
		Messages []struct {
			ID, Kind, Error string
			Payload         struct{ Text string }
		}
	}
	o.read("dead?queue=mail", &dead)
	if len(dead.Messages) != 1 || dead.Messages[0].Kind != "mail.legacy" || dead.Messages[0].Error != "no handler knows mail.legacy" {
		t.Fatalf("messages: %+v", dead.Messages)
	}
	if page := o.html("dead?queue=mail"); !strings.Contains(page, "&lt;b&gt;ada") {
		t.Errorf("the payload is not shown as text: %s", page)
	}
	back := url.Values{"queue": {"mail"}, "id": {"theirs-1"}, "back": {"dead?queue=mail"}}
	if page := o.post("dead/requeue", back); !strings.Contains(page, "1 message moved back to the queue.") {
		t.Errorf("is not told: %s", page)
	}
	var queues struct {
		Queues []struct {
			Queue string
			Depth *int
		}
	}
	o.until("it waits in its queue", func() bool {
		o.read("queues", &queues)
		for _, q := range queues.Queues {
			if q.Queue == "mail" && q.Depth != nil && *q.Depth == 1 {
				return true
			}
		}
		return false
	})
}
