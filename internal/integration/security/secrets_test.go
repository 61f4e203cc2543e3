package security_test

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/dispatcher"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/memory"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/rabbitmq"
	"github.com/ackbox/ackbox/retry"
	"github.com/ackbox/ackbox/worker"
)

// password has characters that a URL has to escape; part is one that looks the
// same in every spelling of it.
const (
	password = "s3cr3t-pa55/w@rd:%?#"
	part     = "s3cr3t-pa55"
)

// closed is an address at which nobody listens.
func closed(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, "listen", err)
	defer l.Close()
	return l.Addr().String()
}

// The broker's password shows in nothing that a Broker says, prints or logs,
// whatever goes wrong: here what only a real server can refuse. What goes wrong
// before is tested beside package rabbitmq, TLS in TestTLS.
func TestBrokerPassword(t *testing.T) {
	t.Parallel()
	own, err := url.Parse(testenv.AMQPURL(t))
	must(t, "parse the URL", err)
	right, _ := own.User.Password()
	for name, test := range map[string]struct {
		change func(*url.URL)
		secret string
		want   string // in the log
	}{
		"WrongPassword": {func(u *url.URL) { u.User = url.UserPassword(own.User.Username(), password) }, part, "username or password not allowed"},
		"WrongUser":     {func(u *url.URL) { u.User = url.UserPassword("nobody", password) }, part, "username or password not allowed"},
		"WrongVhost":    {func(u *url.URL) { u.Path = "/no such vhost" }, right, "vhost no such vhost not found"},
		"ClosedPort":    {func(u *url.URL) { u.Host = closed(t); u.User = url.UserPassword("u", password) }, part, "connection refused"},
		"Heartbeat":     {func(u *url.URL) { u.RawQuery = "heartbeat=1&auth_mechanism=external" }, right, "rabbitmq: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := *own
			test.change(&u)
			var out log
			cfg := rabbitmq.Config{URL: u.String(), Logger: out.logger(), MinBackoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond}
			mq, err := rabbitmq.New(cfg)
			must(t, "New", err)
			ctx, cancel := context.WithCancel(t.Context())
			ready, consumed := make(chan error, 1), make(chan error, 1)
			go func() { ready <- mq.Ready(ctx) }()
			go func() { consumed <- mq.Consume(ctx, ackbox.DefaultQueue, 1, func(core.Delivery) {}) }()
			eventually(t, "the refusal is logged for both connections", func() bool { return strings.Count(out.String(), test.want) >= 2 })
			cancel()
			short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			_, errWaiting := mq.Waiting(short, ackbox.DefaultQueue)
			outcomes := mq.Publish(short, []ackbox.Job{{ID: outbox.NewID(), RoutingKey: "q"}})
			shown := fmt.Sprintln(<-ready, <-consumed, errWaiting, outcomes, cfg, mq)
			shown += fmt.Sprintf("%v %+v %#v %v %+v %#v", cfg, cfg, cfg, mq, mq, mq)
			must(t, "Close", mq.Close())
			lacks(t, "what it says", shown, test.secret, url.QueryEscape(test.secret), url.PathEscape(test.secret))
			lacks(t, "the log", out.String(), test.secret, url.QueryEscape(test.secret), url.PathEscape(test.secret))
		})
	}
}

// The database's password shows in no error of a Store, and in no log line of
// the loops that use it.
func TestDatabasePassword(t *testing.T) {
	t.Parallel()
	own, err := url.Parse(testenv.DatabaseURL(t))
	must(t, "parse the URL", err)
	right, _ := own.User.Password()
	address := closed(t)
	host, port, err := net.SplitHostPort(address)
	must(t, "split the address", err)
	with := func(change func(*url.URL)) string {
		u := *own
		change(&u)
		return u.String()
	}
	for name, test := range map[string]struct{ dsn, secret, want string }{
		"ClosedPort":     {with(func(u *url.URL) { u.Host = address; u.User = url.UserPassword("u", password) }), part, "connection refused"},
		"ClosedKeywords": {fmt.Sprintf("host=%s port=%s user=u password='%s' dbname=db sslmode=disable", host, port, password), part, "connection refused"},
		"WrongPassword":  {with(func(u *url.URL) { u.User = url.UserPassword("postgres", password) }), part, "password authentication failed"},
		"WrongDatabase":  {with(func(u *url.URL) { u.Path = "/no such database" }), right, "does not exist"},
		"NoTLS":          {with(func(u *url.URL) { u.RawQuery = "sslmode=require" }), right, "TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out log
			db := open(t, test.dsn)
			store, err := outbox.NewStore(db, outbox.Config{})
			must(t, "NewStore", err)
			ctx := patient(t)
			var shown []string
			say := func(what string, err error) {
				t.Helper()
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("%s: error %v does not say %q", what, err, test.want)
					return
				}
				shown = append(shown, err.Error())
			}
			say("Migrate", store.Migrate(ctx))
			_, err = store.Get(ctx, outbox.NewID())
			say("Get", err)
			_, err = store.Counts(ctx)
			say("Counts", err)
			_, err = store.Requeue(ctx, outbox.NewID())
			say("Requeue", err)
			_, err = store.Relay(ctx, core.Claim{Limit: 1}, nil)
			say("Relay", err)
			_, err = store.Finish(ctx, []core.Transition{{ID: outbox.NewID(), To: ackbox.Dead}})
			say("Finish", err)
			say("Enqueue", store.Enqueue(ctx, db, text{}, outbox.OwnTransaction()))

			t.Run("Loops", func(t *testing.T) { loops(t, store, &out) })
			if n := strings.Count(out.String(), test.want); n < 2 {
				t.Errorf("%d lines of the loops say why:\n%s", n, out.String())
			}
			for _, secret := range []string{test.secret, url.QueryEscape(test.secret), url.PathEscape(test.secret)} {
				lacks(t, "an error", strings.Join(shown, "\n"), secret)
				lacks(t, "the log", out.String(), secret)
			}
		})
	}
}

// loops runs all three until the dispatcher and the sweeper have complained.
func loops(t *testing.T, store *outbox.Store, out *log) {
	t.Helper()
	broker, err := memory.New(memory.Config{})
	must(t, "memory.New", err)
	t.Cleanup(func() { _ = broker.Close() })
	reg := handler.NewRegistry()
	reg.Handle("text", idle)
	d, err := dispatcher.New(store, broker, dispatcher.Config{Logger: out.logger()})
	must(t, "dispatcher.New", err)
	w, err := worker.New(store, broker, reg, worker.Config{Logger: out.logger(), Grace: time.Millisecond})
	must(t, "worker.New", err)
	s, err := retry.NewSweeper(store, broker, retry.Config{Rearm: "@every 1s", Logger: out.logger()})
	must(t, "NewSweeper", err)
	// The worker asks the ledger about a job that is not a first copy.
	broker.Publish(patient(t), []ackbox.Job{{
		ID: outbox.NewID(), Kind: "text", Queue: ackbox.DefaultQueue, RoutingKey: ackbox.DefaultQueue, Attempt: 2, MaxAttempts: 3, Ledger: "ledger",
	}})
	background(t, d.Run, w.Run, s.Run)
	for _, who := range []string{"dispatcher: ", "worker: ", "retry: "} {
		eventually(t, who+"complains", func() bool { return strings.Contains(out.String(), who) })
	}
}
