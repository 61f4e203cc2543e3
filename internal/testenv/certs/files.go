package certs

import (
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Files are the names of PEM files: a certificate, its key, and the authority
// to trust.
type Files struct {
	Certificate string `json:"certificate"`
	Key         string `json:"key"`
	CA          string `json:"ca"`
}

// Write writes c, its key and its authority to new files in dir, which only
// their owner can read.
func (c *Certificate) Write(dir string) (Files, error) {
	key, err := x509.MarshalPKCS8PrivateKey(c.key)
	if err != nil {
		return Files{}, fmt.Errorf("certs: encode a key: %w", err)
	}
	stem := filepath.Join(dir, rand.Text())
	f := Files{Certificate: stem + ".crt", Key: stem + ".key", CA: stem + "-ca.crt"}
	err = errors.Join(
		write(f.Certificate, encode("CERTIFICATE", c.cert.Raw)),
		write(f.Key, encode("PRIVATE KEY", key)),
		write(f.CA, encode("CERTIFICATE", c.authority.cert.Raw)),
	)
	if err != nil {
		return Files{}, fmt.Errorf("certs: write a certificate: %w", err)
	}
	return f, nil
}

// Write writes the authority's own certificate to a new file in dir, for
// clients that shall trust it, and returns the file's name.
func (a *Authority) Write(dir string) (string, error) {
	name := filepath.Join(dir, rand.Text()+"-ca.crt")
	if err := write(name, encode("CERTIFICATE", a.cert.Raw)); err != nil {
		return "", fmt.Errorf("certs: write an authority: %w", err)
	}
	return name, nil
}

func write(name string, data []byte) error { return os.WriteFile(name, data, 0o600) }
