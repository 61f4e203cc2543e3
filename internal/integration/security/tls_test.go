package security_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/dispatcher"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/testenv/certs"
	"github.com/ackbox/ackbox/internal/testenv/servers"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/rabbitmq"
	"github.com/ackbox/ackbox/worker"
)

// secure is both servers, speaking TLS under one authority, and another
// authority that nobody here trusts.
type secure struct {
	ours, stranger *certs.Authority
	database       *servers.Postgres
	broker         *servers.RabbitMQ
}

// newSecure starts both servers for one test. PostgreSQL takes nothing but
// TLS; RabbitMQ's TLS port wants a certificate of its clients.
func newSecure(t *testing.T) *secure {
	t.Helper()
	s := &secure{ours: authority(t, "ours"), stranger: authority(t, "stranger")}
	cert, err := s.ours.Server(servers.Host)
	must(t, "make the servers' certificate", err)
	files, err := cert.Write(t.TempDir())
	must(t, "write the servers' certificate", err)
	s.database, err = servers.NewPostgres(servers.PostgresOptions{TLS: &servers.PostgresTLS{Files: files, Only: true}})
	start(t, s.database, err)
	s.broker, err = servers.NewRabbitMQ(servers.RabbitMQOptions{TLS: &servers.RabbitMQTLS{Files: files, ClientCertificates: true}})
	start(t, s.broker, err)
	return s
}

type node interface {
	Start(context.Context) error
	Stop(context.Context) error
	Kill(context.Context) error
	Remove() error
}

// start starts a node that is gone when the test ends.
func start(t *testing.T, n node, err error) {
	t.Helper()
	must(t, "find the server's programs", err)
	t.Cleanup(func() {
		ctx := context.Background()
		if err := errors.Join(n.Kill(ctx), n.Stop(ctx), n.Remove()); err != nil {
			t.Error(err)
		}
	})
	must(t, "start the server", n.Start(patient(t)))
}

func authority(t *testing.T, name string) *certs.Authority {
	t.Helper()
	a, err := certs.NewAuthority(name)
	must(t, "make an authority", err)
	return a
}

// client is the TLS side of a client that trusts and that shows a certificate
// of by, if by is not nil.
func client(t *testing.T, trusts, by *certs.Authority, version uint16) *tls.Config {
	t.Helper()
	cfg := &tls.Config{MinVersion: version, MaxVersion: version, RootCAs: trusts.Pool()}
	if by != nil {
		cert, err := by.Client("ackbox")
		must(t, "make a client's certificate", err)
		cfg.Certificates = []tls.Certificate{cert.TLS()}
	}
	return cfg
}

// dsn is the database's URL with some parameters changed.
func (s *secure) dsn(t *testing.T, host string, query map[string]string) string {
	t.Helper()
	u, err := url.Parse(s.database.URL())
	must(t, "parse the database's URL", err)
	q := u.Query()
	for name, value := range query {
		q.Set(name, value)
	}
	u.RawQuery = q.Encode()
	if host != "" {
		u.Host = host + ":" + u.Port()
	}
	return u.String()
}

var versions = map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13}

func TestTLS(t *testing.T) {
	t.Parallel()
	s := newSecure(t)
	t.Run("WholePath", s.wholePath)
	t.Run("Broker", s.brokerRefusals)
	t.Run("Database", s.databaseRefusals)
	t.Run("BrokerPrivileges", s.brokerPrivileges)
	t.Run("BrokerFaults", s.brokerFaults)
	t.Run("DatabaseFaults", s.databaseFaults)
}

type greet struct{ Name string }

// Kind implements ackbox.Args.
func (greet) Kind() string { return "greet" }

// A job goes all the way, by encrypted roads only.
func (s *secure) wholePath(t *testing.T) {
	for name, version := range versions {
		t.Run(name, func(t *testing.T) {
			ctx := patient(t)
			var out log
			db := open(t, s.database.URL())
			queue := "path-" + fmt.Sprint(version)
			store, err := outbox.NewStore(db, outbox.Config{Table: "jobs_" + fmt.Sprint(version), Queues: []string{queue}})
			must(t, "NewStore", err)
			must(t, "Migrate", store.Migrate(ctx))
			mq, err := rabbitmq.New(rabbitmq.Config{
				URL: s.broker.TLSURL(), TLS: client(t, s.ours, s.ours, version), Logger: out.logger(),
				Topology: ackbox.Topology{Queues: []ackbox.Queue{{Name: queue}}},
			})
			must(t, "rabbitmq.New", err)
			defer mq.Close()

			ran := make(chan string, 1)
			reg := handler.NewRegistry()
			reg.Handle("greet", consumer(func(_ context.Context, job ackbox.Job) error {
				ran <- job.ID
				return nil
			}))
			d, err := dispatcher.New(store, mq, dispatcher.Config{Logger: out.logger()})
			must(t, "dispatcher.New", err)
			w, err := worker.New(store, mq, reg, worker.Config{Queues: []worker.Queue{{Name: queue}}, Logger: out.logger()})
			must(t, "worker.New", err)

			id := outbox.NewID()
			must(t, "Enqueue", db.Transaction(func(tx *gorm.DB) error {
				return outbox.Enqueue(ctx, tx, greet{"Ada"}, outbox.ID(id))
			}))
			t.Run("Loops", func(t *testing.T) {
				background(t, d.Run, w.Run)
				eventually(t, "the job is done", func() bool {
					entry, err := store.Get(ctx, id)
					must(t, "Get", err)
					return entry.State == ackbox.Done
				})
			})
			if got := <-ran; got != id {
				t.Errorf("the handler got %s, want %s", got, id)
			}
			// The road was the encrypted one.
			var encrypted bool
			must(t, "pg_stat_ssl", db.Raw("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").Scan(&encrypted).Error)
			if !encrypted {
				t.Error("PostgreSQL says that the connection is not encrypted")
			}
			if !strings.Contains(mq.String(), "amqps://") {
				t.Errorf("%v is not by amqps", mq)
			}
			lacks(t, "the log", out.String(), s.broker.Options.Password, s.database.Options.Password, "Ada")
		})
	}
}

// A client that either side distrusts is refused, and the log says why, once
// per connection and not once per try.
func (s *secure) brokerRefusals(t *testing.T) {
	for vname, version := range versions {
		const distrust = "failed to verify certificate: x509: certificate signed by unknown authority"
		refused := "remote error: tls: "
		if version == tls.VersionTLS13 {
			// Here the client has shaken hands before the server has seen its
			// certificate, and the reset that follows can overtake the reason.
			refused = "it may want a client certificate that it trusts"
		}
		for name, test := range map[string]struct {
			tls  *tls.Config
			want string
		}{
			"StrangeServer":     {client(t, s.stranger, s.ours, version), distrust},
			"SystemAuthorities": {nil, distrust},
			"NoCertificate":     {client(t, s.ours, nil, version), refused},
			"StrangeClient":     {client(t, s.ours, s.stranger, version), refused},
		} {
			t.Run(vname+"/"+name, func(t *testing.T) {
				t.Parallel()
				var out log
				p := proxy(t, s.broker.Options.TLS.Port) // it counts the tries
				mq, err := rabbitmq.New(rabbitmq.Config{
					URL: at(t, s.broker.TLSURL(), p), TLS: test.tls, Logger: out.logger(),
					MinBackoff: 10 * time.Millisecond, MaxBackoff: 50 * time.Millisecond,
				})
				must(t, "rabbitmq.New", err)
				defer mq.Close()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				ready := make(chan error, 1)
				go func() { ready <- mq.Ready(ctx) }()
				eventually(t, "the refusal is logged, and the broker asked again", func() bool { return out.String() != "" && p.Accepted() > 3 })
				if !strings.Contains(out.String(), test.want) {
					t.Errorf("the log does not say %q:\n%s", test.want, out.String())
				}
				cancel()
				if err = <-ready; err == nil {
					t.Fatal("it was let in")
				}
				lacks(t, "the error", err.Error(), s.broker.Options.Password)
				short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				defer cancel()
				outcome := mq.Publish(short, []ackbox.Job{{ID: outbox.NewID(), Queue: "default", RoutingKey: "default"}})[0]
				if outcome.Status != core.Unknown || outcome.Reason == "" {
					t.Errorf("outcome %+v: want unknown, with a reason", outcome)
				}
				lacks(t, "the outcome", outcome.Reason, s.broker.Options.Password)
				lacks(t, "the log", out.String(), s.broker.Options.Password)
				if n := strings.Count(out.String(), "level="); n != 1 {
					t.Errorf("the refusal is logged %d times, want once for all tries:\n%s", n, out.String())
				}
			})
		}
	}
}

func (s *secure) databaseRefusals(t *testing.T) {
	ca, err := s.stranger.Write(t.TempDir())
	must(t, "write the stranger's authority", err)
	for name, test := range map[string]struct{ dsn, want string }{
		"StrangeServer": {s.dsn(t, "", map[string]string{"sslrootcert": ca}), "certificate signed by unknown authority"},
		"Plaintext":     {s.dsn(t, "", map[string]string{"sslmode": "disable"}), "no pg_hba.conf entry"},
		"AnotherName":   {s.dsn(t, "localhost", nil), "localhost"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, err := outbox.NewStore(open(t, test.dsn), outbox.Config{})
			must(t, "NewStore", err)
			for what, err := range map[string]error{
				"Migrate": store.Migrate(t.Context()),
				"Get":     func() error { _, err := store.Get(t.Context(), outbox.NewID()); return err }(),
			} {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("%s: error %v does not say %q", what, err, test.want)
				} else {
					lacks(t, what, err.Error(), s.database.Options.Password)
				}
			}
		})
	}
}
