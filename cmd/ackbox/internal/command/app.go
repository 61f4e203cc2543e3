package command

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/rabbitmq"
)

// app is one run of the program: its flags, and what it has opened.
type app struct {
	env   Env
	began bool // flags and arguments were right

	database, amqp string
	schema, table  string
	as             string
	json, verbose  bool
	timeout        time.Duration
	partitioned    bool

	closers []func()
}

func (a *app) flags(f *pflag.FlagSet) {
	f.StringVar(&a.database, "database-url", "", "postgres:// URL; default $DATABASE_URL")
	f.StringVar(&a.amqp, "amqp-url", "", "amqp:// or amqps:// URL, several with commas; default $AMQP_URL")
	f.StringVar(&a.schema, "schema", outbox.DefaultSchema, "schema of the jobs table")
	f.StringVar(&a.table, "table", outbox.DefaultTable, "the jobs table")
	f.StringVar(&a.as, "as", "", "who does it, for the record; default user@host")
	f.DurationVar(&a.timeout, "timeout", defaultTimeout, "how long to wait for each answer of a server, 100ms to 10m")
	f.BoolVar(&a.json, "json", false, "print JSON")
	f.BoolVarP(&a.verbose, "verbose", "v", false, "log connections to standard error")
}

const (
	defaultTimeout = 5 * time.Second
	minTimeout     = 100 * time.Millisecond
	maxTimeout     = 10 * time.Minute
)

func (a *app) checkFlags() error {
	if a.timeout < minTimeout || a.timeout > maxTimeout {
		return usagef("--timeout is %v: want %v to %v", a.timeout, minTimeout, maxTimeout)
	}
	return nil
}

func (a *app) databaseURL() string {
	if a.database != "" {
		return a.database
	}
	return a.env.Getenv("DATABASE_URL")
}

func (a *app) amqpURLs() []string {
	all := a.amqp
	if all == "" {
		all = a.env.Getenv("AMQP_URL")
	}
	var urls []string
	for u := range strings.SplitSeq(all, ",") {
		if u = strings.TrimSpace(u); u != "" {
			urls = append(urls, u)
		}
	}
	return urls
}

// conceal takes passwords out of a text, whoever wrote it.
func (a *app) conceal(text string) string {
	for _, secret := range append(a.amqpURLs(), a.databaseURL()) {
		u, err := url.Parse(secret)
		if err != nil || u.User == nil {
			if secret != "" {
				text = strings.ReplaceAll(text, secret, "(URL)")
			}
			continue
		}
		password, _ := u.User.Password()
		text = strings.ReplaceAll(text, secret, u.Redacted())
		for _, form := range []string{password, url.QueryEscape(password), url.PathEscape(password)} {
			if len(form) >= 4 { // a shorter one would garble more than it hides
				text = strings.ReplaceAll(text, form, "xxxxx")
			}
		}
	}
	return text
}

// store opens the ledger. It asks the server nothing yet.
func (a *app) store() (*outbox.Store, error) {
	dsn := a.databaseURL()
	if dsn == "" {
		return nil, usagef("there is no database: set DATABASE_URL, or --database-url, to a postgres:// URL")
	}
	return a.storeAt(dsn)
}

func (a *app) storeAt(dsn string) (*outbox.Store, error) {
	if u, err := url.Parse(dsn); err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		// What is wrong would be said with the password.
		return nil, usagef("the database's URL is not one: want postgres://user:password@host:port/name, reserved characters percent-encoded")
	}
	db, err := gorm.Open(postgres.Open(dsn), &gorm.Config{Logger: logger.Discard, DisableAutomaticPing: true})
	if err != nil {
		return nil, usagef("the database's URL: %w", err)
	}
	pool, err := db.DB()
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(4)
	a.closers = append(a.closers, func() { _ = pool.Close() }) // the process ends
	s, err := outbox.NewStore(db, outbox.Config{
		Schema: a.schema, Table: a.table, Partitioned: a.partitioned, StatementTimeout: a.timeout,
	})
	if err != nil {
		return nil, usageError{err}
	}
	return s, nil
}

// broker opens the road. It does not connect yet, and never declares anything.
func (a *app) broker(topology ackbox.Topology) (*rabbitmq.Broker, error) {
	urls := a.amqpURLs()
	if len(urls) == 0 {
		return nil, usagef("there is no broker: set AMQP_URL, or --amqp-url, to an amqp:// URL")
	}
	b, err := rabbitmq.New(rabbitmq.Config{
		URLs: urls, Topology: topology, Passive: true, Logger: a.log(), DialTimeout: a.timeout,
	})
	if err != nil {
		return nil, usageError{err}
	}
	a.closers = append(a.closers, func() { _ = b.Close() }) // always nil
	return b, nil
}

func (a *app) log() *slog.Logger {
	if !a.verbose {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(a.env.Err, nil))
}

func (a *app) close() {
	for _, c := range a.closers {
		c()
	}
}

// by returns a context in which what is done is recorded as this person's act.
func (a *app) by(ctx context.Context) context.Context {
	who := a.as
	if who == "" {
		who = "ackbox"
		if u, err := user.Current(); err == nil {
			who = u.Username
		}
		if host, err := os.Hostname(); err == nil {
			who += "@" + host
		}
	}
	return outbox.By(ctx, who)
}

// printf writes to standard output. That it cannot be written to is found at the end.
func (a *app) printf(format string, args ...any) { _, _ = fmt.Fprintf(a.env.Out, format, args...) }

// note tells a person something that no program reads.
func (a *app) note(format string, args ...any) { _, _ = fmt.Fprintf(a.env.Err, format+"\n", args...) }
