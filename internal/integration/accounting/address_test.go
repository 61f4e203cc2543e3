//go:build unix

package accounting_test

import (
	"net/url"
	"testing"

	"github.com/ackbox/ackbox/internal/integration/netfault"
)

func parse(t *testing.T, server string) *url.URL {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal("the URL of a server does not parse") // it may hold a password
	}
	return u
}

func hostOf(t *testing.T, server string) string { return parse(t, server).Host }

// through is a server's URL with a proxy's address in it.
func through(t *testing.T, server string, proxy *netfault.Proxy) string {
	u := parse(t, server)
	u.Host = proxy.Address()
	return u.String()
}
