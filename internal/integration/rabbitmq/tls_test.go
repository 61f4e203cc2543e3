package rabbitmq_test

import (
	"crypto/tls"
	"testing"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/testenv/certs"
	"github.com/ackbox/ackbox/rabbitmq"
)

// certified makes an authority, a server's certificate and a client's.
func certified(t *testing.T) (ca *certs.Authority, server, client tls.Certificate) {
	t.Helper()
	ca, err := certs.NewAuthority("ackbox test")
	if err != nil {
		t.Fatal(err)
	}
	s, err := ca.Server("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	c, err := ca.Client("ackbox")
	if err != nil {
		t.Fatal(err)
	}
	return ca, s.TLS(), c.TLS()
}

// The proxy ends TLS in the server's place, and is cut and frozen under it. TLS
// of the real server is tested in package security.
func TestTLSIsCutAndFrozen(t *testing.T) {
	t.Parallel()
	ca, server, client := certified(t)
	p := newProxy(t, &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{server},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool(),
	})
	cfg := rabbitmq.Config{
		URL: at(t, "amqps", p.address()),
		TLS: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: ca.Pool(), Certificates: []tls.Certificate{client}},
	}
	f := ready(t, cfg)
	f.publish(jobs(work, 10), ackbox.Acked)
	s := f.subscribe(work, 1)
	f.must("Ack", s.next().Receipt.Ack())
	p.cut()
	if err := s.returned(); err == nil {
		t.Error("Consume returned nil although its connection was cut")
	}
	f.must("Ready", f.Ready(f.ctx))
	f.publish(jobs(work, 1), ackbox.Acked)
	p.freeze() // Close must not hang in TLS either
	if cfg.TLS.ServerName != "" {
		t.Error("the caller's tls.Config was changed")
	}
}
