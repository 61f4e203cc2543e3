//go:build unix

package servers

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ackbox/ackbox/internal/testenv/certs"
)

// PostgresTLS has a PostgreSQL node speak TLS. Its certificate must name Host.
type PostgresTLS struct {
	certs.Files
	// Only refuses connections without TLS.
	Only bool `json:"only"`
}

// RabbitMQTLS has a RabbitMQ node speak TLS on a port of its own, beside the
// plain one. Its certificate must name Host.
type RabbitMQTLS struct {
	certs.Files
	// Port is where it listens for amqps; default: a free one.
	Port int `json:"port"`
	// ClientCertificates refuses clients without a certificate of CA.
	ClientCertificates bool `json:"client_certificates"`
}

// adopt copies the files to the node's folder, under fixed names, readable by
// nobody but the account that the node runs as: the originals may be where it
// cannot go, and PostgreSQL refuses a key that others can read.
func adopt(from certs.Files, dir string, owner *Account) (certs.Files, error) {
	to := adopted(dir)
	for _, f := range []struct{ what, from, to string }{
		{"Certificate", from.Certificate, to.Certificate}, {"Key", from.Key, to.Key}, {"CA", from.CA, to.CA},
	} {
		pem, err := os.ReadFile(f.from)
		if err != nil {
			return certs.Files{}, fmt.Errorf("TLS.%s: want a PEM file: %w", f.what, err)
		}
		if err := errors.Join(os.WriteFile(f.to, pem, 0o600), owner.own(f.to)); err != nil {
			return certs.Files{}, fmt.Errorf("TLS.%s: copy it for the node: %w", f.what, err)
		}
	}
	return to, nil
}

// adopted names the node's own copies.
func adopted(dir string) certs.Files {
	return certs.Files{
		Certificate: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key"), CA: filepath.Join(dir, "tls-ca.crt"),
	}
}

// tlsSettings are the lines of postgresql.conf for TLS. They write the files
// that they name.
func (n *Postgres) tlsSettings(account *Account) ([]string, error) {
	t := n.Options.TLS
	if t == nil {
		return nil, nil
	}
	files, err := adopt(t.Files, n.Options.Dir, account)
	if err != nil {
		return nil, err
	}
	settings := []string{
		"ssl=on", "ssl_cert_file=" + files.Certificate, "ssl_key_file=" + files.Key, "ssl_ca_file=" + files.CA,
		"ssl_min_protocol_version=TLSv1.2",
	}
	if !t.Only {
		return settings, nil
	}
	// Whatever no line matches is refused, so that this line is all there is.
	hba := filepath.Join(n.Options.Dir, "pg_hba.conf")
	if err := os.WriteFile(hba, []byte("hostssl all all "+Host+"/32 scram-sha-256\n"), 0o600); err != nil {
		return nil, err
	}
	return append(settings, "hba_file="+hba), account.own(hba)
}

// tlsConf are the lines of rabbitmq.conf for TLS. They write the files that
// they name.
func (n *RabbitMQ) tlsConf() ([]string, error) {
	t := n.Options.TLS
	if t == nil {
		return nil, nil
	}
	files, err := adopt(t.Files, n.Options.Dir, nil)
	if err != nil {
		return nil, err
	}
	verify := "verify_none"
	if t.ClientCertificates {
		verify = "verify_peer"
	}
	return []string{
		fmt.Sprintf("listeners.ssl.local = %s:%d", Host, t.Port),
		"ssl_options.certfile = " + files.Certificate,
		"ssl_options.keyfile = " + files.Key,
		"ssl_options.cacertfile = " + files.CA,
		"ssl_options.verify = " + verify,
		fmt.Sprintf("ssl_options.fail_if_no_peer_cert = %v", t.ClientCertificates),
		"ssl_options.versions.1 = tlsv1.3",
		"ssl_options.versions.2 = tlsv1.2",
	}, nil
}
