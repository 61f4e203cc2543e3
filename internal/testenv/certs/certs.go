// Package certs makes certificate authorities and certificates that live for a
// test: as values for a crypto/tls.Config, and as PEM files for servers and
// connection strings.
package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"
)

// lifetime is how long a certificate is valid, from an hour ago on. It outlives
// a debugging session and nothing else.
const lifetime = 24 * time.Hour

// Authority signs certificates. It is safe for concurrent use.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority makes an authority that nobody trusts yet. name is its common
// name: two authorities of one name are still strangers to each other.
func NewAuthority(name string) (*Authority, error) {
	template, err := newTemplate(name)
	if err != nil {
		return nil, err
	}
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	key, cert, err := sign(template, nil)
	if err != nil {
		return nil, fmt.Errorf("certs: make an authority: %w", err)
	}
	return &Authority{cert: cert, key: key}, nil
}

// Server makes a certificate for a server at hosts, which are IP addresses or
// names.
func (a *Authority) Server(hosts ...string) (*Certificate, error) {
	if len(hosts) == 0 {
		return nil, errors.New("certs: a server's certificate names no host: want at least one address or name")
	}
	template, err := newTemplate(hosts[0])
	if err != nil {
		return nil, err
	}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	return a.issue(template)
}

// Client makes a certificate for a client; name is its common name.
func (a *Authority) Client(name string) (*Certificate, error) {
	template, err := newTemplate(name)
	if err != nil {
		return nil, err
	}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return a.issue(template)
}

// Pool trusts a and nobody else.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

func (a *Authority) issue(template *x509.Certificate) (*Certificate, error) {
	template.KeyUsage = x509.KeyUsageDigitalSignature
	key, cert, err := sign(template, a)
	if err != nil {
		return nil, fmt.Errorf("certs: make a certificate for %s: %w", template.Subject.CommonName, err)
	}
	return &Certificate{cert: cert, key: key, authority: a}, nil
}

// Certificate is a certificate with its key.
type Certificate struct {
	cert      *x509.Certificate
	key       *ecdsa.PrivateKey
	authority *Authority
}

// TLS is c as crypto/tls wants it.
func (c *Certificate) TLS() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{c.cert.Raw}, PrivateKey: c.key, Leaf: c.cert}
}

func newTemplate(name string) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("certs: make a serial number: %w", err)
	}
	begin := time.Now().Add(-time.Hour) // clocks differ
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name, Organization: []string{"Ackbox tests"}},
		NotBefore:    begin, NotAfter: begin.Add(lifetime),
	}, nil
}

// sign makes a key and has by sign its certificate; without by it signs itself.
func sign(template *x509.Certificate, by *Authority) (*ecdsa.PrivateKey, *x509.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return key, cert, err
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
