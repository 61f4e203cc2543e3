//go:build unix

package torture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

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
	// Cluster has three nodes of RabbitMQ instead of one, and faults of theirs.
	Cluster bool
	// Shopd is the program of the instances, as site.Build builds it.
	Shopd string
	// Out is told how it goes, a line for each step.
	Out io.Writer
}

// rest is how long everything may take to come to rest.
const rest = 3 * time.Minute

// run is one run.
type run struct {
	cfg       Config
	site      *site.Site
	all       []*business
	instances map[string][]*instance // by their part
	tally     tally
	faults    int
	began     time.Time
}

// Run tortures the shop and balances its books. The error says that something
// did not work as it must, in the run or in the shop; what the books say is in
// Result.Err.
func Run(ctx context.Context, cfg Config) (res Result, err error) {
	plan, err := newSchedule(cfg)
	if err != nil {
		return Result{}, err
	}
	r := &run{cfg: cfg, instances: make(map[string][]*instance), began: time.Now()}
	r.say("seed %d, %v, starting the servers", cfg.Seed, cfg.Duration)
	open := site.Open
	if cfg.Cluster {
		open = site.OpenCluster
	}
	if r.site, err = open(ctx); err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, r.site.Close()) }()
	defer func() { err = errors.Join(err, r.closeAll()) }()
	if err := r.found(ctx); err != nil {
		return Result{}, err
	}
	defer r.stop()
	if err := r.start(); err != nil {
		return Result{}, err
	}
	if err := r.torture(ctx, plan); err != nil {
		return Result{}, errors.Join(err, r.logs())
	}
	audit, err := r.settle(ctx)
	if err != nil {
		return Result{}, errors.Join(err, r.logs())
	}
	if audit.Unfinished > 0 { // the reason is in the logs, if anywhere
		r.say("%v", errors.Join(r.alive(), r.logs()))
	}
	if err := r.terminate(); err != nil {
		return Result{}, err
	}
	return Result{
		Seed: cfg.Seed, Audit: audit, Faults: r.faults, Growth: r.growth(),
		RolledBack: int(r.tally.rolledBack.Load()),
	}, nil
}

// torture lets producers run and strikes come until the time is up.
func (r *run) torture(ctx context.Context, plan *schedule) (err error) {
	producing, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	for _, p := range r.producers() {
		all.Go(func() { p.run(producing) })
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

// alive says that an instance or a server has ended although nobody has ended it.
func (r *run) alive() error {
	for _, list := range r.instances {
		for _, i := range list {
			if !i.process.Running() {
				return fmt.Errorf("torture: %s has ended by itself:\n%s", i.cfg.Name, i.process.Log())
			}
		}
	}
	return r.site.Alive()
}

// settle waits until everything is finished, or has had the time to be.
func (r *run) settle(ctx context.Context) (shop.Audit, error) {
	r.say("striking is over, %d committed so far; waiting for rest", r.tally.committed.Load())
	if err := r.heal(); err != nil {
		return shop.Audit{}, err
	}
	end := time.Now().Add(rest)
	for {
		audit, err := r.audit(ctx)
		if err != nil || audit.Unfinished == 0 || time.Now().After(end) {
			return audit, err
		}
		r.say("%d of %d jobs are unfinished", audit.Unfinished, audit.Jobs)
		hold(ctx, 2*time.Second)
	}
}

// heal has every way open again.
func (r *run) heal() error {
	errs := []error{r.site.ToPostgres.Heal()}
	for _, proxy := range r.site.ToRabbitMQ {
		errs = append(errs, proxy.Heal())
	}
	return errors.Join(errs...)
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

func (r *run) say(format string, args ...any) {
	// A message that cannot be shown is no reason to stop.
	_, _ = fmt.Fprintf(r.cfg.Out, "%6.1fs  "+format+"\n", append([]any{time.Since(r.began).Seconds()}, args...)...)
}
