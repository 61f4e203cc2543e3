package certs_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"testing"

	"github.com/ackbox/ackbox/internal/testenv/certs"
)

func authority(t *testing.T) *certs.Authority {
	t.Helper()
	a, err := certs.NewAuthority("test")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// shake lets a client and a server meet and returns what each thinks of it.
func shake(t *testing.T, client, server *tls.Config) (errClient, errServer error) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			accepted <- err
			return
		}
		_, err = conn.Write([]byte("x")) // shakes hands first
		accepted <- errors.Join(err, conn.Close())
	}()
	conn, errClient := tls.Dial("tcp", l.Addr().String(), client)
	if errClient == nil {
		_, errClient = conn.Read(make([]byte, 1))
		errClient = errors.Join(errClient, conn.Close())
	}
	return errClient, <-accepted
}

func TestBothSidesVerify(t *testing.T) {
	t.Parallel()
	ours, stranger := authority(t), authority(t)
	server, err := ours.Server("127.0.0.1", "localhost")
	if err != nil {
		t.Fatal(err)
	}
	mine, err := ours.Client("worker")
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := stranger.Client("worker")
	if err != nil {
		t.Fatal(err)
	}
	serverSide := &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{server.TLS()},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ours.Pool(),
	}
	clientSide := func(roots *certs.Authority, name string, own ...tls.Certificate) *tls.Config {
		return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots.Pool(), ServerName: name, Certificates: own}
	}
	for _, name := range []string{"127.0.0.1", "localhost"} {
		if c, s := shake(t, clientSide(ours, name, mine.TLS()), serverSide); c != nil || s != nil {
			t.Errorf("%s: client %v, server %v", name, c, s)
		}
	}
	var unknown x509.UnknownAuthorityError
	if err, _ := shake(t, clientSide(stranger, "127.0.0.1", mine.TLS()), serverSide); !errors.As(err, &unknown) {
		t.Errorf("a stranger's server: %v", err)
	}
	var other x509.HostnameError
	if err, _ := shake(t, clientSide(ours, "example.org", mine.TLS()), serverSide); !errors.As(err, &other) {
		t.Errorf("another host: %v", err)
	}
	if _, err := shake(t, clientSide(ours, "127.0.0.1", foreign.TLS()), serverSide); err == nil {
		t.Error("a stranger's client was let in")
	}
	if _, err := shake(t, clientSide(ours, "127.0.0.1"), serverSide); err == nil {
		t.Error("a client without certificate was let in")
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	a := authority(t)
	c, err := a.Server("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	f, err := c.Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(f.Certificate, f.Key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(f.CA)
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		t.Fatalf("the authority's file: %v", err)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "127.0.0.1"}); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(f.Key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's mode: %v, %v", info.Mode(), err)
	}
	alone, err := a.Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if again, err := os.ReadFile(alone); err != nil || string(again) != string(pem) {
		t.Errorf("the authority alone differs: %v", err)
	}
	if _, err := a.Server(); err == nil {
		t.Error("a certificate for no host was made")
	}
	if _, err := c.Write(t.TempDir() + "/missing"); err == nil {
		t.Error("a folder that is not there was written to")
	}
}
