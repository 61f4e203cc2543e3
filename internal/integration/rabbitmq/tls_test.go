package rabbitmq_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/rabbitmq"
)

// authority signs certificates for one test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	a.key, a.cert = a.issue(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

func (a *authority) issue(template *x509.Certificate) (*ecdsa.PrivateKey, *x509.Certificate) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.Subject = pkix.Name{CommonName: "ackbox test"}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return key, cert
}

func (a *authority) certificate(usage x509.ExtKeyUsage) tls.Certificate {
	a.t.Helper()
	key, cert := a.issue(&x509.Certificate{
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	})
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// The proxy ends TLS in the server's place: from here it is amqps in earnest.
func TestTLSWithClientCertificates(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	p := newProxy(t, &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{ca.certificate(x509.ExtKeyUsageServerAuth)},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool(),
	})
	cfg := rabbitmq.Config{
		URL: at(t, "amqps", p.address()),
		TLS: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: ca.pool(), Certificates: []tls.Certificate{ca.certificate(x509.ExtKeyUsageClientAuth)}},
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

func TestTLSRefusesAStranger(t *testing.T) {
	t.Parallel()
	p := newProxy(t, &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{newAuthority(t).certificate(x509.ExtKeyUsageServerAuth)},
	})
	f := open(t, rabbitmq.Config{
		URL: at(t, "amqps", p.address()), TLS: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: newAuthority(t).pool()},
	})
	if o := f.publish(jobs(work, 1), ackbox.Unknown); o[0].Reason == "" {
		t.Error("unknown without a reason")
	}
	if f.logged("failed to verify certificate") != 1 {
		t.Errorf("the reason is not logged:\n%s", f.log)
	}
}
