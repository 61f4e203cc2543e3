//go:build unix

package servers

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ackbox/ackbox/internal/testenv/certs"
)

// again is a node as another process would read it.
func again[T any](t *testing.T, n *T) *T {
	t.Helper()
	raw, err := json.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	same := new(T)
	if err := json.Unmarshal(raw, same); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(n, same) {
		t.Errorf("saved %+v, read %+v", n, same)
	}
	return same
}

func TestTLSIsSavedWithTheNode(t *testing.T) {
	t.Parallel()
	files := certs.Files{Certificate: "a.crt", Key: "a.key", CA: "ca.crt"}
	pg := &Postgres{Options: PostgresOptions{Dir: "/dir", Port: 1, Password: "p", TLS: &PostgresTLS{Files: files, Only: true}}}
	if u, err := url.Parse(again(t, pg).URL()); err != nil || u.Query().Get("sslmode") != "verify-full" || u.Query().Get("sslrootcert") != "/dir/tls-ca.crt" {
		t.Errorf("URL %v, %v", u, err)
	}
	mq := &RabbitMQ{Options: RabbitMQOptions{Dir: "/dir", Port: 1, Password: "p", TLS: &RabbitMQTLS{Files: files, Port: 2, ClientCertificates: true}}}
	if got := again(t, mq).TLSURL(); got != "amqps://ackbox:p@127.0.0.1:2/" {
		t.Errorf("TLSURL %s", got)
	}
	if got := again(t, &RabbitMQ{}).TLSURL(); got != "" {
		t.Errorf("a node without TLS has the URL %s", got)
	}
}

func TestTLSFilesAreTheNodesOwn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	want := certs.Files{Certificate: filepath.Join(dir, "a"), Key: filepath.Join(dir, "b"), CA: filepath.Join(dir, "c")}
	for i, name := range []string{want.Certificate, want.Key, want.CA} {
		if err := os.WriteFile(name, []byte{byte(i)}, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	home := t.TempDir()
	got, err := adopt(want, home, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{got.Certificate, got.Key, got.CA} {
		content, err := os.ReadFile(name)
		if err != nil || filepath.Dir(name) != home || len(content) != 1 || int(content[0]) != i {
			t.Errorf("%s holds %v, %v", name, content, err)
		}
	}
	if info, err := os.Stat(got.Key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's mode: %v, %v", info.Mode(), err)
	}
	want.Key = ""
	if _, err := adopt(want, home, nil); err == nil || !strings.Contains(err.Error(), "TLS.Key") {
		t.Errorf("error %v does not name the field", err)
	}
}

func TestTLSPortIsNotTheCallers(t *testing.T) {
	t.Parallel()
	mine := &RabbitMQTLS{}
	n, err := NewRabbitMQ(RabbitMQOptions{TLS: mine})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Remove() })
	if mine.Port != 0 || n.Options.TLS.Port == 0 {
		t.Errorf("the caller's port is %d, the node's %d", mine.Port, n.Options.TLS.Port)
	}
}
