package security_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/integration/netfault"
	"github.com/ackbox/ackbox/internal/testenv/servers"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/rabbitmq"
)

// at is a server's URL with the proxy's address in it.
func at(t *testing.T, server string, p *netfault.Proxy) string {
	t.Helper()
	u, err := url.Parse(server)
	must(t, "parse the server's URL", err)
	u.Host = p.Address()
	return u.String()
}

func proxy(t *testing.T, port int) *netfault.Proxy {
	t.Helper()
	return netfault.Start(t, net.JoinHostPort(servers.Host, strconv.Itoa(port)))
}

// within fails the test if f takes longer than most.
func within(t *testing.T, what string, most time.Duration, f func()) {
	t.Helper()
	began := time.Now()
	f()
	if took := time.Since(began); took > most {
		t.Errorf("%s took %v, want at most %v", what, took, most)
	}
}

// Encrypted connections are cut and frozen under a broker that heals from the
// one and is not held by the other.
func (s *secure) brokerFaults(t *testing.T) {
	ctx := patient(t)
	p := proxy(t, s.broker.Options.TLS.Port)
	var out log
	const queue = "faults"
	cfg := rabbitmq.Config{
		URL: at(t, s.broker.TLSURL(), p), TLS: client(t, s.ours, s.ours, tls.VersionTLS13), Logger: out.logger(),
		Topology: ackbox.Topology{Queues: []ackbox.Queue{{Name: queue}}}, MaxBackoff: 200 * time.Millisecond, ConfirmTimeout: 2 * time.Second,
	}
	mq, err := rabbitmq.New(cfg)
	must(t, "rabbitmq.New", err)
	defer func() {
		within(t, "Close", 10*time.Second, func() { must(t, "Close", mq.Close()) })
		lacks(t, "the log", out.String(), s.broker.Options.Password)
	}()
	publish := func() core.Status {
		job := ackbox.Job{ID: outbox.NewID(), Kind: "kind", Queue: queue, RoutingKey: queue, Mandatory: true, Payload: []byte("{}")}
		return mq.Publish(ctx, []ackbox.Job{job})[0].Status
	}
	must(t, "Ready", mq.Ready(ctx))
	if got := publish(); got != core.Acked {
		t.Fatalf("published: %v", got)
	}
	first, ended := make(chan core.Delivery, 10), make(chan error, 1)
	go func() {
		ended <- mq.Consume(ctx, queue, 1, func(d core.Delivery) { first <- d })
	}()
	must(t, "Ack", (<-first).Receipt.Ack())
	p.Cut()
	if err := <-ended; err == nil {
		t.Error("Consume returned nil although its connection was cut")
	}
	eventually(t, "it publishes again after a cut", func() bool { return publish() == core.Acked })
	p.Freeze()
	within(t, "Publish to a frozen broker", 10*time.Second, func() {
		if got := publish(); got != core.Unknown {
			t.Errorf("published to a frozen broker: %v", got)
		}
	})
	if cfg.TLS.ServerName != "" {
		t.Error("the caller's tls.Config was changed")
	}
}

// A frozen database holds a statement no longer than its timeout, also where
// TLS would like to say goodbye, and is used again when it thaws.
func (s *secure) databaseFaults(t *testing.T) {
	p := proxy(t, s.database.Options.Port)
	store, err := outbox.NewStore(open(t, at(t, s.database.URL(), p)), outbox.Config{Table: "faults", StatementTimeout: time.Second})
	must(t, "NewStore", err)
	must(t, "Migrate", store.Migrate(patient(t)))
	count := func() error {
		_, err := store.Counts(context.Background())
		return err
	}
	must(t, "Counts", count())
	p.Freeze()
	within(t, "a statement", 10*time.Second, func() {
		if count() == nil {
			t.Error("a frozen database answers")
		}
	})
	must(t, "Heal", p.Heal())
	eventually(t, "the database is used again", func() bool { return count() == nil })
	p.Cut()
	eventually(t, "the database is used again", func() bool { return count() == nil })
}
