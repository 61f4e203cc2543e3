//go:build unix

package site

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ackbox/ackbox/internal/integration/netfault"
	"github.com/ackbox/ackbox/internal/testenv/servers"
)

// Site is a PostgreSQL and a RabbitMQ, each behind a proxy.
type Site struct {
	Postgres *servers.Postgres
	// RabbitMQ is the broker, or the first of Cluster's nodes.
	RabbitMQ *servers.RabbitMQ
	// Cluster is nil where the broker is one node alone.
	Cluster *servers.Cluster
	// ToPostgres and ToRabbitMQ are the ways that the shop's instances go: to a
	// cluster there is one for each node.
	ToPostgres *netfault.Proxy
	ToRabbitMQ []*netfault.Proxy
	// PgBouncer is in front of ToPostgres, for instances that use it.
	PgBouncer *servers.PgBouncer

	password string // of the role that the shop uses
}

// Role is the shop's role and first database. It is no superuser: limits hold for it.
const Role = "shop"

// Open starts the servers. Close stops them and removes all they have written.
func Open(ctx context.Context) (*Site, error) { return open(ctx, 1) }

// OpenCluster is Open with a cluster of three nodes for a broker.
func OpenCluster(ctx context.Context) (*Site, error) { return open(ctx, 3) }

func open(ctx context.Context, nodes int) (*Site, error) {
	s := &Site{}
	err := s.open(ctx, nodes)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Site) open(ctx context.Context, nodes int) (err error) {
	if s.Postgres, err = servers.NewPostgres(servers.PostgresOptions{}); err != nil {
		return err
	}
	if err := s.prepareBroker(nodes); err != nil {
		return err
	}
	errs := make([]error, 2)
	var wg sync.WaitGroup
	wg.Go(func() { errs[0] = s.Postgres.Start(ctx) })
	wg.Go(func() { errs[1] = s.startBroker(ctx) })
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := s.createDatabase(ctx); err != nil {
		return err
	}
	if s.ToPostgres, err = netfault.Open(address(s.Postgres.Options.Port)); err != nil {
		return err
	}
	for _, node := range s.nodes() {
		proxy, err := netfault.Open(address(node.Options.Port))
		if err != nil {
			return err
		}
		s.ToRabbitMQ = append(s.ToRabbitMQ, proxy)
	}
	s.PgBouncer, err = servers.NewPgBouncer(servers.PgBouncerOptions{
		// A server that is back is to be used again within a second, not in 15.
		Target: s.DatabaseURL(Role), Config: []string{"server_login_retry = 1", "server_connect_timeout = 2"},
	})
	if err != nil {
		return err
	}
	return s.PgBouncer.Start(ctx)
}

// Alive says which server does not run.
func (s *Site) Alive() error {
	var errs []error
	say := func(name string, p servers.Process, log string) {
		if !p.Alive() {
			errs = append(errs, fmt.Errorf("site: %s does not run; its log is %s", name, log))
		}
	}
	say("PostgreSQL", s.Postgres.Process, s.Postgres.Log())
	say("PgBouncer", s.PgBouncer.Process, s.PgBouncer.Log())
	for _, node := range s.nodes() {
		say("RabbitMQ", node.Process, node.Log())
	}
	return errors.Join(errs...)
}

func address(port int) string { return net.JoinHostPort(servers.Host, strconv.Itoa(port)) }

// Close stops what runs and removes its folders.
func (s *Site) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var errs []error
	if s.PgBouncer != nil {
		errs = append(errs, s.PgBouncer.Stop(ctx), s.PgBouncer.Remove())
	}
	if s.ToPostgres != nil {
		errs = append(errs, s.ToPostgres.Close())
	}
	for _, p := range s.ToRabbitMQ {
		errs = append(errs, p.Close())
	}
	if s.Postgres != nil {
		errs = append(errs, s.Postgres.Stop(ctx), s.Postgres.Remove())
	}
	return errors.Join(append(errs, s.closeBroker(ctx))...)
}

func (s *Site) createDatabase(ctx context.Context) error {
	s.password = rand.Text()
	err := Exec(ctx, s.Postgres.URL(),
		`CREATE ROLE `+Role+` LOGIN PASSWORD '`+s.password+`'`, `CREATE DATABASE `+Role+` OWNER `+Role)
	if err != nil {
		return fmt.Errorf("site: make the shop's database: %w", err)
	}
	return nil
}

// Exec runs statements in one session of its own, each for itself.
func Exec(ctx context.Context, url string, statements ...string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // what counts is what was executed
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// CreateDatabase makes another database for the shop's role.
func (s *Site) CreateDatabase(ctx context.Context, name string) error {
	if err := Exec(ctx, s.Postgres.URL(), `CREATE DATABASE `+name+` OWNER `+Role); err != nil {
		return fmt.Errorf("site: make database %s: %w", name, err)
	}
	return nil
}

// DatabaseURL leads to a database, as the shop's role, through the proxy.
func (s *Site) DatabaseURL(name string) string {
	u := parse(Through(s.Postgres.URL(), s.ToPostgres.Address()))
	u.User, u.Path = url.UserPassword(Role, s.password), "/"+name
	return u.String()
}

// PooledURL leads to a database through PgBouncer and the proxy.
func (s *Site) PooledURL(name string) string { return s.PgBouncer.URL(name) }

// AdminURL leads to a database, as a superuser, directly.
func (s *Site) AdminURL(name string) string {
	u := parse(s.Postgres.URL())
	u.Path = "/" + name
	return u.String()
}

// AMQPURLs lead to the vhost "/", through the proxies, one for each node.
func (s *Site) AMQPURLs() (urls []string) {
	for i, node := range s.nodes() {
		urls = append(urls, Through(node.URL(), s.ToRabbitMQ[i].Address()))
	}
	return urls
}

// Through returns a server's URL with a proxy's address in it.
func Through(server, proxy string) string {
	u := parse(server)
	u.Host = proxy
	return u.String()
}

func parse(server string) *url.URL {
	u, err := url.Parse(server)
	if err != nil {
		panic(fmt.Sprintf("site: the URL of a server of ours does not parse: %T", err)) // it may hold a password
	}
	return u
}
