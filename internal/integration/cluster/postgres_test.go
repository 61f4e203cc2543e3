//go:build unix

package cluster_test

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strconv"
	"testing"

	"github.com/ackbox/ackbox/internal/testenv/servers"
)

// pair is a primary and its synchronous standby.
type pair struct{ primary, standby *servers.Postgres }

func newPair(t *testing.T) pair {
	t.Helper()
	var p pair
	for _, node := range []**servers.Postgres{&p.primary, &p.standby} {
		n, err := servers.NewPostgres(servers.PostgresOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := errors.Join(n.Kill(context.Background()), n.Remove()); err != nil {
				t.Error(err)
			}
		})
		*node = n
	}
	if err := p.primary.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.standby.Follow(t.Context(), p.primary); err != nil {
		t.Fatal(err)
	}
	if err := p.primary.Synchronous(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// url names both, and asks for the one that takes writes.
func (p pair) url() string {
	address := func(n *servers.Postgres) string {
		return net.JoinHostPort(servers.Host, strconv.Itoa(n.Options.Port))
	}
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword("postgres", p.primary.Options.Password),
		Host: address(p.primary) + "," + address(p.standby), Path: "/postgres",
		RawQuery: "sslmode=disable&connect_timeout=2&target_session_attrs=read-write",
	}
	return u.String()
}

// The primary is killed at work, its standby promoted, and the old primary comes
// back as the new one's standby, which takes no writes: every commit that was
// confirmed is there, and its jobs are done.
func TestStandbyPromoted(t *testing.T) {
	p := newPair(t)
	s := newStage(t, p.url())
	stop := s.traffic()
	s.flows()
	s.must("kill the primary", p.primary.Kill(s.ctx))
	s.must("promote the standby", p.standby.Promote(s.ctx))
	t.Logf("with the standby promoted jobs are done after %v", s.flows())
	s.must("wipe the old primary", p.primary.Wipe())
	s.must("have it follow the new one", p.primary.Follow(s.ctx, p.standby))
	s.must("wait for it", p.standby.Synchronous(s.ctx))
	t.Logf("with the old primary as its standby after %v", s.flows())

	// And back again, so that it is the first address of all that takes writes.
	s.must("kill the new primary", p.standby.Kill(s.ctx))
	s.must("promote the old one", p.primary.Promote(s.ctx))
	t.Logf("and with the roles as in the beginning after %v", s.flows())
	stop()
	s.balanced()
}
