//go:build unix

package torture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/ackbox/ackbox/internal/integration/shop"
	"github.com/ackbox/ackbox/internal/integration/site"
)

// Config says how a run goes.
type Config struct {
	// Seed decides the schedule.
	Seed uint64
	// Duration is how long strikes come. Rest comes on top.
	Duration time.Duration
	// Only limits the faults to those whose names contain it.
	Only string
	// Shopd is the program of the instances, as site.Build builds it.
	Shopd string
	// Out is told how it goes, a line for each step.
	Out io.Writer
}

// The cast, and how long the shop may take to come to rest.
const (
	producers = 4
	each      = 2 // dispatchers, workers
	rest      = 3 * time.Minute
)

// run is one run.
type run struct {
	cfg       Config
	site      *site.Site
	instances map[string][]*instance
	tally     tally
	faults    int
	began     time.Time
}

// Run tortures the shop and balances its books. The error says that something
// did not work as it must, in the run or in the shop; what the books say is in
// Result.Err.
func Run(ctx context.Context, cfg Config) (res Result, err error) {
	plan, err := newSchedule(cfg.Seed, cfg.Only)
	if err != nil {
		return Result{}, err
	}
	r := &run{cfg: cfg, instances: make(map[string][]*instance), began: time.Now()}
	r.say("seed %d, %v, starting the servers", cfg.Seed, cfg.Duration)
	if r.site, err = site.Open(ctx); err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, r.site.Close()) }()
	app, err := r.open("producer")
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, app.Close()) }()
	if err := app.Setup(ctx); err != nil {
		return Result{}, err
	}
	defer r.stop()
	if err := r.start(); err != nil {
		return Result{}, err
	}
	if err := r.torture(ctx, app, plan); err != nil {
		return Result{}, errors.Join(err, r.logs())
	}
	audit, err := r.settle(ctx)
	if err != nil {
		return Result{}, errors.Join(err, r.logs())
	}
	if err := r.terminate(); err != nil {
		return Result{}, err
	}
	return Result{
		Seed: cfg.Seed, Audit: audit, Faults: r.faults, Growth: r.growth(),
		RolledBack: int(r.tally.rolledBack.Load()),
	}, nil
}

// open opens an instance of the shop in this process.
func (r *run) open(name string) (*shop.App, error) {
	cfg := r.config(name)
	cfg.Logger = slog.New(slog.DiscardHandler)
	return shop.Open(cfg)
}

func (r *run) config(name string) shop.Config {
	return shop.Config{Name: name, DatabaseURL: r.site.DatabaseURL(), AMQPURL: r.site.AMQPURL()}
}

func (r *run) start() error {
	for _, part := range []string{"dispatcher", "worker"} {
		for n := range each {
			cfg := r.config(fmt.Sprintf("%s-%d", part, n+1))
			cfg.Dispatcher, cfg.Worker = part == "dispatcher", part == "worker"
			if n == 1 { // one of each is behind PgBouncer
				cfg.DatabaseURL, cfg.PgBouncer = r.site.PooledURL(), true
			}
			i := &instance{shopd: r.cfg.Shopd, cfg: cfg}
			if err := i.start(); err != nil {
				return err
			}
			r.instances[part] = append(r.instances[part], i)
		}
	}
	return nil
}

// torture lets producers run and strikes come until the time is up.
func (r *run) torture(ctx context.Context, app *shop.App, plan *schedule) (err error) {
	producing, stop := context.WithCancel(ctx)
	var business sync.WaitGroup
	defer business.Wait()
	defer stop()
	for n := range producers {
		p := &producer{
			app: app, name: fmt.Sprintf("p%d", n), tally: &r.tally,
			rnd: rand.New(rand.NewPCG(r.cfg.Seed, uint64(n))), //nolint:gosec // it shall repeat
		}
		business.Go(func() { p.run(producing) })
	}
	end := time.Now().Add(r.cfg.Duration)
	for time.Now().Before(end) && ctx.Err() == nil {
		step := plan.next()
		hold(ctx, min(step.pause, time.Until(end)))
		if err := r.strike(ctx, step); err != nil {
			return err
		}
		if err := r.alive(); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// strike plays one step and waits until all of it is mended.
func (r *run) strike(ctx context.Context, s step) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	var g errgroup.Group
	for n, f := range s.faults {
		g.Go(func() error {
			began := time.Now()
			detail, err := f.strike(ctx, r, rand.New(rand.NewPCG(s.seeds[n], 0))) //nolint:gosec // it shall repeat
			if err != nil {
				return fmt.Errorf("torture: %v: %w", f, err)
			}
			r.say("%v (%s), mended after %.1f s", f, detail, time.Since(began).Seconds())
			return nil
		})
	}
	r.faults += len(s.faults)
	return g.Wait()
}

// alive says that an instance has ended although nobody has ended it.
func (r *run) alive() error {
	for _, list := range r.instances {
		for _, i := range list {
			if !i.process.Running() {
				return fmt.Errorf("torture: %s has ended by itself:\n%s", i.cfg.Name, i.process.Log())
			}
		}
	}
	return nil
}

// settle waits until everything is finished, or has had the time to be.
func (r *run) settle(ctx context.Context) (shop.Audit, error) {
	r.say("striking is over, %d committed so far; waiting for rest", r.tally.committed.Load())
	if err := errors.Join(r.site.ToPostgres.Heal(), r.site.ToRabbitMQ.Heal()); err != nil {
		return shop.Audit{}, err
	}
	var audit shop.Audit
	end := time.Now().Add(rest)
	for {
		err := r.admin(ctx, func(db *gorm.DB) (err error) {
			audit, err = shop.Take(ctx, db)
			return err
		})
		if err != nil || audit.Unfinished == 0 || time.Now().After(end) {
			return audit, err
		}
		r.say("%d of %d jobs are unfinished", audit.Unfinished, audit.Jobs)
		hold(ctx, 2*time.Second)
	}
}

// terminate ends the instances as a deploy does, which they must survive.
func (r *run) terminate() error {
	var g errgroup.Group
	for _, list := range r.instances {
		for _, i := range list {
			g.Go(func() error {
				if err := i.process.Terminate(30 * time.Second); err != nil {
					return fmt.Errorf("torture: %s: %w\n%s", i.cfg.Name, err, i.process.Log())
				}
				i.remember()
				return nil
			})
		}
	}
	return g.Wait()
}

func (r *run) stop() {
	for _, list := range r.instances {
		for _, i := range list {
			i.stop()
		}
	}
}

func (r *run) growth() (most int64) {
	for _, list := range r.instances {
		for _, i := range list {
			most = max(most, growth(i.longest))
		}
	}
	return most
}

// logs is an error that holds the ends of all logs.
func (r *run) logs() error {
	var errs []error
	for _, list := range r.instances {
		for _, i := range list {
			if i.process != nil {
				errs = append(errs, fmt.Errorf("log of %s:\n%s", i.cfg.Name, i.process.Log()))
			}
		}
	}
	return errors.Join(errs...)
}

// admin uses the database directly, in a connection of its own.
func (r *run) admin(ctx context.Context, use func(*gorm.DB) error) (err error) {
	db, err := gorm.Open(postgres.Open(r.site.AdminURL()), &gorm.Config{Logger: logger.Discard, DisableAutomaticPing: true})
	if err != nil {
		return fmt.Errorf("torture: open the database: %w", err)
	}
	pool, err := db.DB()
	if err != nil {
		return err
	}
	pool.SetMaxOpenConns(1)
	defer func() { err = errors.Join(err, pool.Close()) }()
	return use(db.WithContext(ctx))
}

func (r *run) say(format string, args ...any) {
	// A message that cannot be shown is no reason to stop.
	_, _ = fmt.Fprintf(r.cfg.Out, "%6.1fs  "+format+"\n", append([]any{time.Since(r.began).Seconds()}, args...)...)
}
