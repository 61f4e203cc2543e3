//go:build unix

package deploys

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/ackbox/ackbox/internal/integration/shop"
	"github.com/ackbox/ackbox/internal/integration/site"
)

// Config says how a run goes.
type Config struct {
	// Seed decides who is killed, who has time, and what is ordered.
	Seed uint64
	// Duration is how long deploys come. Rest comes on top.
	Duration time.Duration
	// Pace is how many times faster than usual deploys come and long jobs run
	// (default 1). Heartbeats are what they are, and the load is.
	Pace float64
	// Shopd is the program of the instances, as site.Build builds it.
	Shopd string
	// Out is told how it goes, a line for each step.
	Out io.Writer
}

// What a run is made of, at pace 1.
const (
	workers     = 4
	every       = 20 * time.Second // between two deploys
	long        = 90 * time.Second // how long a long job runs
	concurrency = 64               // of each worker: enough for the long jobs, not always for all
	perSecond   = 100              // jobs
)

// rest is how long everything may take to come to rest, beside the long jobs.
const rest = 3 * time.Minute

// run is one run.
type run struct {
	cfg   Config
	site  *site.Site
	app   *shop.App // places orders and reads the books; none of its loops run
	loops *site.Process
	fleet *fleet
	began time.Time
}

// Run deploys the shop's workers until the time is up and balances the books. The
// error says that something did not work as it must; what the books say is in
// Result.Err.
func Run(ctx context.Context, cfg Config) (res Result, err error) {
	if cfg.Pace == 0 {
		cfg.Pace = 1
	}
	r := &run{cfg: cfg, began: time.Now()}
	r.say("seed %d, %v at pace %g, starting the servers", cfg.Seed, cfg.Duration, cfg.Pace)
	if r.site, err = site.Open(ctx); err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, r.site.Close()) }()
	if err := r.found(ctx); err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, r.app.Close()) }()
	if r.loops, err = site.Start(cfg.Shopd, r.config("loops", func(c *shop.Config) { c.Dispatcher = true })); err != nil {
		return Result{}, err
	}
	defer r.loops.Kill()
	r.fleet = newFleet(r)
	defer r.fleet.killAll()
	if err := r.fleet.start(ctx); err != nil {
		return Result{}, err
	}
	if err := r.roll(ctx); err != nil {
		return Result{}, errors.Join(err, r.logs())
	}
	if err := r.settle(ctx); err != nil {
		return Result{}, errors.Join(err, r.logs())
	}
	if err := r.terminate(); err != nil {
		return Result{}, errors.Join(err, r.logs())
	}
	return r.result(ctx)
}

// found makes the tables, and an instance in this process for the producer.
func (r *run) found(ctx context.Context) (err error) {
	r.app, err = shop.Open(r.config("producer", func(c *shop.Config) {
		c.Logger, c.Accounts = slog.New(slog.DiscardHandler), false
	}))
	if err != nil {
		return err
	}
	if err := r.app.Setup(ctx); err != nil {
		return errors.Join(err, r.app.Close())
	}
	if err := r.app.DB.WithContext(ctx).Exec(schema).Error; err != nil {
		return errors.Join(fmt.Errorf("deploys: make the tables: %w", err), r.app.Close())
	}
	return nil
}

func (r *run) config(name string, change func(*shop.Config)) shop.Config {
	cfg := shop.Config{
		Name: name, DatabaseURL: r.site.DatabaseURL(site.Role), AMQPURLs: r.site.AMQPURLs(),
		Concurrency: max(2, r.scaled(concurrency)), Connections: 8, Accounts: true,
		JobTimeout: r.faster(10 * long), StuckAfter: 30 * time.Second,
		// A connection that is lost because this machine has no time for a heartbeat
		// would be a fault of its own.
		Heartbeat: 20 * time.Second,
	}
	change(&cfg)
	return cfg
}

// faster is how long something takes at this run's pace.
func (r *run) faster(d time.Duration) time.Duration { return time.Duration(float64(d) / r.cfg.Pace) }

// scaled is how many long jobs are on their way at a time, of n at pace 1.
func (r *run) scaled(n int) int { return int(float64(n) / r.cfg.Pace) }

// roll lets the producer run and deploys come until the time is up.
func (r *run) roll(ctx context.Context) error {
	producing, stop := context.WithCancel(ctx)
	produced := make(chan error, 1)
	go func() { produced <- r.produce(producing) }()
	defer stop()
	err := r.fleet.roll(ctx)
	stop()
	return errors.Join(err, <-produced)
}

// settle waits until everything is finished, or has had the time to be.
func (r *run) settle(ctx context.Context) error {
	r.say("the last deploy is over; waiting for rest")
	end := time.Now().Add(rest + r.faster(4*long))
	for {
		var left int
		err := r.app.DB.WithContext(ctx).Raw(`SELECT count(*) FROM ackbox_jobs WHERE finished_at IS NULL`).Scan(&left).Error
		if err != nil || left == 0 || time.Now().After(end) {
			return err
		}
		if err := r.alive(); err != nil {
			return err
		}
		r.say("%d jobs are unfinished", left)
		hold(ctx, 3*time.Second)
	}
}

// alive says that something has ended although nobody has ended it.
func (r *run) alive() error {
	if !r.loops.Running() {
		return errors.New("deploys: dispatcher and sweeper have ended by themselves")
	}
	return errors.Join(r.fleet.alive(), r.site.Alive())
}

// terminate ends what runs as a deploy does.
func (r *run) terminate() error {
	return errors.Join(r.fleet.terminate(), r.loops.Terminate(30*time.Second))
}

// logs is an error that holds the ends of the logs.
func (r *run) logs() error {
	return fmt.Errorf("log of dispatcher and sweeper:\n%s\n%w", r.loops.Log(), r.fleet.logs())
}

func (r *run) say(format string, args ...any) {
	// A message that cannot be shown is no reason to stop.
	_, _ = fmt.Fprintf(r.cfg.Out, "%6.1fs  "+format+"\n", append([]any{time.Since(r.began).Seconds()}, args...)...)
}

func hold(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
