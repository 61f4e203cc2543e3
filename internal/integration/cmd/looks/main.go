//go:build unix

// Command looks measures what people on call wait for: it fills a ledger with millions of
// jobs and times every read of a page, alone and while jobs are worked off beside it.
//
//	looks [-rows 5000000] [-runs 100] [-seconds 10] [-database NAME] [-keep]
//
// It needs the PostgreSQL of `make services-up`. A database that an earlier run has kept
// is not filled again. Its status is 1 if the 99th percentile of any read is above
// -limit.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/outbox"
)

type options struct {
	rows, runs int
	seconds    float64
	database   string
	keep       bool
	limit      time.Duration
}

func main() {
	var o options
	flag.IntVar(&o.rows, "rows", 5_000_000, "how many jobs there are")
	flag.IntVar(&o.runs, "runs", 100, "how often each read is timed")
	flag.Float64Var(&o.seconds, "seconds", 10, "how long jobs are worked off, alone and beside the reads")
	flag.StringVar(&o.database, "database", "ackbox_looks", "the database to fill")
	flag.BoolVar(&o.keep, "keep", false, "keep the database")
	flag.DurationVar(&o.limit, "limit", 50*time.Millisecond, "what the 99th percentile of a read may be")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "looks:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	server := os.Getenv(testenv.DatabaseVar)
	u, err := url.Parse(server)
	if err != nil || server == "" {
		return errors.New("set " + testenv.DatabaseVar + ": see make services-up") // it holds a password: it is not shown
	}
	db, end, err := open(server)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	var there int64
	if err := db.WithContext(ctx).Raw("SELECT count(*) FROM pg_database WHERE datname = ?", o.database).Scan(&there).Error; err != nil {
		return err
	}
	if there == 0 {
		if err := db.WithContext(ctx).Exec(`CREATE DATABASE "` + o.database + `"`).Error; err != nil {
			return err
		}
	}
	if !o.keep {
		defer func() {
			err = errors.Join(err, db.Exec(`DROP DATABASE "`+o.database+`" WITH (FORCE)`).Error)
		}()
	}
	u.Path = "/" + o.database
	own, endOwn, err := open(u.String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, endOwn()) }()
	store, err := outbox.NewStore(own, outbox.Config{Queues: []string{"q0", "q1", "q2"}})
	if err != nil {
		return err
	}
	if err := store.Migrate(ctx); err != nil {
		return err
	}
	if there == 0 {
		if err := fill(ctx, own, o.rows); err != nil {
			return err
		}
	}
	return measure(ctx, store, own, o)
}

func open(dsn string) (*gorm.DB, func() error, error) {
	db, err := gorm.Open(postgres.Open(dsn), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		return nil, nil, err
	}
	pool, err := db.DB()
	if err != nil {
		return nil, nil, err
	}
	pool.SetMaxIdleConns(10)
	return db, pool.Close, nil
}
