//go:build unix

package torture

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/ackbox/ackbox/internal/integration/shop"
	"github.com/ackbox/ackbox/internal/integration/site"
)

// common is a queue that all businesses have, by mistake: each is handed the others'
// jobs.
const common = "common"

// business is one application, with a database and queues of its own, in the vhost
// that all share.
type business struct {
	name string // its database's, too
	// queues are of different speed: see producer.plan.
	queues    []string
	producers int
	each      int // dispatchers, workers
	app       *shop.App
}

// businesses are the cast.
func businesses() []*business {
	return []*business{
		{name: site.Role, queues: []string{shop.Queue, "shop.fast", "shop.slow", "shop.rare", common}, producers: 4, each: 2},
		{name: "kiosk", queues: []string{"kiosk", "kiosk.slow", common}, producers: 1, each: 1},
	}
}

// found gives each business its database, its tables, and an instance in this
// process, for its producers.
func (r *run) found(ctx context.Context) error {
	for _, b := range businesses() {
		if b.name != site.Role {
			if err := r.site.CreateDatabase(ctx, b.name); err != nil {
				return err
			}
		}
		cfg := r.config(b, "producer")
		cfg.Logger = slog.New(slog.DiscardHandler)
		app, err := shop.Open(cfg)
		if err != nil {
			return err
		}
		b.app = app
		r.all = append(r.all, b)
		if err := app.Setup(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) closeAll() error {
	var errs []error
	for _, b := range r.all {
		errs = append(errs, b.app.Close())
	}
	return errors.Join(errs...)
}

func (r *run) config(b *business, name string) shop.Config {
	return shop.Config{
		Name: b.name + "-" + name, DatabaseURL: r.site.DatabaseURL(b.name), AMQPURLs: r.site.AMQPURLs(), Queues: b.queues,
	}
}

// start starts the processes of all.
func (r *run) start() error {
	for _, b := range r.all {
		for _, part := range []string{"dispatcher", "worker"} {
			for n := range b.each {
				cfg := r.config(b, fmt.Sprintf("%s-%d", part, n+1))
				cfg.Dispatcher, cfg.Worker = part == "dispatcher", part == "worker"
				if n == 1 { // one of each is behind PgBouncer
					cfg.DatabaseURL, cfg.PgBouncer = r.site.PooledURL(b.name), true
				}
				i := &instance{shopd: r.cfg.Shopd, cfg: cfg}
				if err := i.start(); err != nil {
					return err
				}
				r.instances[part] = append(r.instances[part], i)
			}
		}
	}
	return nil
}

func (r *run) producers() (all []*producer) {
	for _, b := range r.all {
		for range b.producers {
			n := len(all)
			all = append(all, &producer{
				business: b, name: fmt.Sprintf("p%d", n), tally: &r.tally,
				rnd: rand.New(rand.NewPCG(r.cfg.Seed, uint64(n))), //nolint:gosec // it shall repeat
			})
		}
	}
	return all
}

// queue draws one of all businesses' queues.
func (r *run) queue(rnd *rand.Rand) string {
	var all []string
	for _, b := range r.all {
		all = append(all, b.queues...)
	}
	return all[rnd.IntN(len(all))]
}

// audit adds up the books of all.
func (r *run) audit(ctx context.Context) (sum shop.Audit, err error) {
	for _, b := range r.all {
		err := r.admin(ctx, b.name, func(db *gorm.DB) error {
			audit, err := shop.Take(ctx, db)
			sum = sum.Plus(audit)
			return err
		})
		if err != nil {
			return shop.Audit{}, err
		}
	}
	return sum, nil
}

// admin uses a database directly, in a connection of its own.
func (r *run) admin(ctx context.Context, database string, use func(*gorm.DB) error) (err error) {
	db, err := gorm.Open(postgres.Open(r.site.AdminURL(database)), &gorm.Config{Logger: logger.Discard, DisableAutomaticPing: true})
	if err != nil {
		return fmt.Errorf("torture: open database %s: %w", database, err)
	}
	pool, err := db.DB()
	if err != nil {
		return err
	}
	pool.SetMaxOpenConns(1)
	defer func() { err = errors.Join(err, pool.Close()) }()
	return use(db.WithContext(ctx))
}

// isSlow reports whether a queue is one whose jobs take their time.
func isSlow(queue string) bool { return strings.HasSuffix(queue, ".slow") }
