// Package orders_test runs examples/orders as its users would: as separate
// processes on real servers, with one of them failing.
package orders_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"golang.org/x/sync/errgroup"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/internal/testenv/program"
	"github.com/ackbox/ackbox/internal/testenv/servers"
)

// 2,000 orders from 8 clients, while the broker is restarted and the worker
// killed in the middle of its work: each order has exactly one mail, and every
// job is accounted for.
func TestBrokerRestartedAndWorkerKilled(t *testing.T) {
	const orders, clients = 2000, 8
	node := startRabbitMQ(t)
	dsn := testenv.DatabaseURL(t)
	env := []string{"DATABASE_URL=" + dsn, "AMQP_URL=" + node.URL(), "ADDR=127.0.0.1:0"}
	web := start(t, "web", env...)
	dispatcher := start(t, "dispatcher", env...)
	worker := start(t, "worker", env...)
	base := address(web)
	db := open(t, dsn)
	listen(t, node.URL())

	var posted atomic.Int64
	var g errgroup.Group
	for c := range clients {
		g.Go(func() error {
			for i := range orders / clients {
				body := fmt.Sprintf(`{"id":"c%d-%d","customer":"customer %d","amount_cents":%d}`, c, i, c, 100+i)
				status, text, err := request(t.Context(), http.MethodPost, base+"/orders", body)
				if err != nil || status != http.StatusCreated {
					return fmt.Errorf("post order: %d %s: %w", status, text, err)
				}
				posted.Add(1)
			}
			return nil
		})
	}
	eventually(t, time.Minute, "a fourth of the orders is placed", atLeast(posted.Load, orders/4))
	restart(t, node)
	mails := func() int64 { return count(t, db, "SELECT count(*) FROM mails") }
	killAt := mails() + 100
	eventually(t, time.Minute, "the worker works again", atLeast(mails, killAt))
	worker.Kill()
	worker = start(t, "worker", env...)
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}

	eventually(t, 2*time.Minute, "every confirmation is done", func() error {
		if n := count(t, db, "SELECT count(*) FROM ackbox_jobs WHERE kind = 'order.confirm' AND state = 'done'"); n != orders {
			return fmt.Errorf("%d of %d", n, orders)
		}
		if n := count(t, db, "SELECT count(*) FROM ackbox_jobs WHERE kind = 'order.placed' AND state = 'sent'"); n != orders {
			return fmt.Errorf("%d of %d events sent", n, orders)
		}
		return nil
	})
	for query, want := range map[string]int64{
		"SELECT count(*) FROM mails":                 orders,
		"SELECT count(DISTINCT order_id) FROM mails": orders,
		"SELECT count(*) FROM ackbox_jobs WHERE kind = 'order.cancel_unpaid' AND state = 'pending'":         orders,
		"SELECT count(*) FROM ackbox_jobs WHERE kind <> 'order.cancel_unpaid' AND state IN ('done','sent')": 2 * orders,
		"SELECT count(*) FROM ackbox_jobs": 3 * orders,
	} {
		if n := count(t, db, query); n != want {
			t.Errorf("%s: %d, want %d", query, n, want)
		}
	}
	events(t, node.URL(), orders)
	for _, p := range []*program.Process{web, dispatcher, worker} {
		p.Terminate()
	}
}

// The application starts and takes orders while the broker is down; when it
// comes up, everything happens.
func TestStartsWithoutBroker(t *testing.T) {
	node, err := servers.NewRabbitMQ(servers.RabbitMQOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = node.Remove() })
	dsn := testenv.DatabaseURL(t)
	all := start(t, "all", "DATABASE_URL="+dsn, "AMQP_URL="+node.URL(), "ADDR=127.0.0.1:0", "CANCEL_AFTER=1s")
	base := address(all)
	ask := func(method, path, body string, want int) string {
		t.Helper()
		status, text, err := request(t.Context(), method, base+path, body)
		if err != nil || status != want {
			t.Fatalf("%s %s %s: %d %s %v, want %d", method, path, body, status, text, err, want)
		}
		return text
	}
	ask(http.MethodPost, "/orders", `{"id":"1","customer":"ann","amount_cents":100}`, http.StatusCreated)
	ask(http.MethodPost, "/orders", `{"id":2,"customer":"bob","amount_cents":100}`, http.StatusCreated)
	ask(http.MethodPost, "/orders", `{"id":"3","customer":"bounce","amount_cents":100}`, http.StatusCreated)
	ask(http.MethodPost, "/orders", `{"id":"1","customer":"ann","amount_cents":100}`, http.StatusConflict)
	for body, want := range map[string]string{
		`{"id":"","customer":"ann","amount_cents":1}`:           "id:",
		`{"id":"x","customer":" ","amount_cents":1}`:            "customer:",
		`{"id":"x","customer":"ann"}`:                           "amount_cents:",
		`{"id":"x","customer":"ann","amount_cents":0}`:          "amount_cents:",
		`{"id":"x","customer":"ann","amount_cents":1.5}`:        "amount_cents:",
		`{"id":"x","customer":"ann","amount_cents":1,"p":true}`: "unknown field",
		`{"id":"x"`: "body:",
		`[]`:        "body:",
		`{"id":"x","customer":"ann","amount_cents":1} {}`:                              "follows",
		`{"id":"x","customer":"` + strings.Repeat("a", 70<<10) + `","amount_cents":1}`: "at most",
	} {
		if text := ask(http.MethodPost, "/orders", body, http.StatusBadRequest); !strings.Contains(text, want) {
			t.Errorf("%.60s: answer %s does not name %q", body, text, want)
		}
	}
	ask(http.MethodPost, "/orders/1/pay", "", http.StatusOK)
	ask(http.MethodPost, "/orders/9/pay", "", http.StatusNotFound)
	ask(http.MethodGet, "/orders/9", "", http.StatusNotFound)
	ask(http.MethodGet, "/healthz", "", http.StatusOK)

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := node.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopRabbitMQ(t, node) })
	db := open(t, dsn)
	eventually(t, time.Minute, "all jobs are finished", func() error {
		var counts map[string]int
		if err := json.Unmarshal([]byte(ask(http.MethodGet, "/stats", "", http.StatusOK)), &counts); err != nil {
			return err
		}
		if counts["done"] != 5 || counts["dead"] != 1 || counts["sent"] != 3 {
			return fmt.Errorf("%v", counts)
		}
		return nil
	})
	if n := count(t, db, "SELECT count(*) FROM alerts WHERE order_id = '3'"); n != 1 {
		t.Errorf("%d alerts for the bounced order, want 1", n)
	}
	if n := count(t, db, "SELECT count(*) FROM mails"); n != 2 {
		t.Errorf("%d mails, want 2", n)
	}
	for id, want := range map[string]string{"1": "paid", "2": "cancelled"} {
		if text := ask(http.MethodGet, "/orders/"+id, "", http.StatusOK); !strings.Contains(text, want) {
			t.Errorf("order %s: %s, want %s", id, text, want)
		}
	}
	ask(http.MethodPost, "/orders/2/pay", "", http.StatusConflict)
	all.Terminate()
}

// What is wrong with the configuration is said at once.
func TestBadConfiguration(t *testing.T) {
	p := start(t, "cook", "DATABASE_URL=", "AMQP_URL=", "CANCEL_AFTER=soon", "MAIL_TAKES=-1s")
	if err := p.Wait(); err == nil {
		t.Error("it ended with status 0")
	}
	for _, want := range []string{"-role", "DATABASE_URL", "AMQP_URL", "CANCEL_AFTER", "MAIL_TAKES"} {
		if !strings.Contains(p.Log(), want) {
			t.Errorf("%s is not named in: %s", want, p.Log())
		}
	}
}

func startRabbitMQ(t *testing.T) *servers.RabbitMQ {
	t.Helper()
	node, err := servers.NewRabbitMQ(servers.RabbitMQOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = node.Remove() })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := node.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopRabbitMQ(t, node) })
	return node
}

func stopRabbitMQ(t *testing.T, node *servers.RabbitMQ) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := node.Stop(ctx); err != nil {
		t.Errorf("stop the broker: %v", err)
	}
}

func restart(t *testing.T, node *servers.RabbitMQ) {
	t.Helper()
	stopRabbitMQ(t, node)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := node.Start(ctx); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, dsn string) *gorm.DB {
	t.Helper()
	db, err := gorm.Open(postgres.Open(dsn), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		t.Fatal(err)
	}
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	return db
}

func count(t *testing.T, db *gorm.DB, query string) int64 {
	t.Helper()
	var n int64
	if err := db.Raw(query).Scan(&n).Error; err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func atLeast(number func() int64, want int64) func() error {
	return func() error {
		if n := number(); n < want {
			return fmt.Errorf("%d of %d", n, want)
		}
		return nil
	}
}

const listener = "listener"

// listen binds a queue of another service to the events.
func listen(t *testing.T, url string) {
	t.Helper()
	withChannel(t, url, func(ch *amqp.Channel) error {
		if err := ch.ExchangeDeclare("orders.events", "topic", true, false, false, false, nil); err != nil {
			return err
		}
		if _, err := ch.QueueDeclare(listener, true, false, false, false, nil); err != nil {
			return err
		}
		return ch.QueueBind(listener, "order.#", "orders.events", false, nil)
	})
}

// events reads what the other service got: every event, at least once, with
// all that a stranger needs to understand it.
func events(t *testing.T, url string, want int) {
	t.Helper()
	seen := make(map[string]bool)
	withChannel(t, url, func(ch *amqp.Channel) error {
		for {
			m, ok, err := ch.Get(listener, true)
			if err != nil || !ok {
				return err
			}
			if m.MessageId == "" || m.Type != "order.placed" || m.ContentType != "application/json" || m.Timestamp.IsZero() || m.Headers["source"] != "orders" || m.DeliveryMode != amqp.Persistent {
				return fmt.Errorf("event lacks properties: id %q, type %q, content type %q, timestamp %v, headers %v", m.MessageId, m.Type, m.ContentType, m.Timestamp, m.Headers)
			}
			seen[m.MessageId] = true
		}
	})
	if len(seen) != want {
		t.Errorf("the listener has %d different events, want %d", len(seen), want)
	}
}

func withChannel(t *testing.T, url string, use func(*amqp.Channel) error) {
	t.Helper()
	conn, err := amqp.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	if err := use(ch); err != nil {
		t.Fatal(err)
	}
}
