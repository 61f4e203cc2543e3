//go:build unix

package deploys

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ackbox/ackbox/internal/integration/shop"
	"github.com/ackbox/ackbox/internal/integration/site"
	"github.com/ackbox/ackbox/internal/testenv/servers"
)

// fleet are the workers: those that serve, and those told to stop that still run.
type fleet struct {
	*run
	rnd              *rand.Rand
	serving          [workers]*instance
	all              []*instance
	leaving          errgroup.Group // of those told to stop
	graceful, killed int
}

// instance is one life of a worker's process.
type instance struct {
	name    string
	process *site.Process
	grace   time.Duration
}

func newFleet(r *run) *fleet {
	return &fleet{run: r, rnd: rand.New(rand.NewPCG(r.cfg.Seed, 1))} //nolint:gosec // it shall repeat
}

func (f *fleet) start(ctx context.Context) error {
	for n := range f.serving {
		if err := f.replace(n); err != nil {
			return err
		}
	}
	return f.up(ctx)
}

// replace starts the next process of one place. Four of five have the time to end
// what they run when they are told to stop.
func (f *fleet) replace(place int) (err error) {
	i := &instance{name: fmt.Sprintf("worker%d-life%d", place+1, len(f.all)+1), grace: f.faster(long) + 15*time.Second}
	if f.rnd.IntN(5) == 0 {
		i.grace = time.Second
	}
	i.process, err = site.Start(f.cfg.Shopd, f.config(i.name, func(c *shop.Config) { c.Worker, c.Grace = true, i.grace }))
	if err != nil {
		return err
	}
	f.serving[place] = i
	f.all = append(f.all, i)
	return nil
}

// up waits until all have told something of themselves: before that a SIGTERM
// would find a program that does not listen for it yet.
func (f *fleet) up(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return servers.Until(ctx, func(context.Context) error {
		for _, i := range f.serving {
			if len(i.process.Reports()) == 0 {
				return fmt.Errorf("deploys: %s does not come up", i.name)
			}
		}
		return nil
	})
}

// roll deploys one after the other until the time is up.
func (f *fleet) roll(ctx context.Context) error {
	tick := time.NewTicker(f.faster(every))
	defer tick.Stop()
	end := time.After(f.cfg.Duration)
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-end:
			return nil
		case <-tick.C:
		}
		if err := errors.Join(f.run.alive(), f.up(ctx)); err != nil {
			return err
		}
		if err := f.deploy(ctx, n%workers); err != nil {
			return err
		}
	}
}

// deploy ends the process of one place, and starts the next at once: of one that
// was told to stop it does not wait for the end.
func (f *fleet) deploy(ctx context.Context, place int) error {
	old := f.serving[place]
	if f.rnd.IntN(2) == 0 {
		f.killed++
		f.say("%s is killed", old.name)
		if err := f.kill(ctx, old); err != nil {
			return err
		}
		return f.replace(place)
	}
	f.graceful++
	f.say("%s is told to stop within %v", old.name, old.grace)
	f.leaving.Go(func() error { return old.terminate() })
	return f.replace(place)
}

// kill writes down when the runs of a process have ended, and ends them. In this
// order: what begins in between was over before it began.
func (f *fleet) kill(ctx context.Context, i *instance) error {
	err := f.app.DB.WithContext(ctx).Exec(`INSERT INTO deploys_kills (instance, at) VALUES (?, clock_timestamp())`, i.name).Error
	i.process.Kill()
	if err != nil {
		return fmt.Errorf("deploys: note a kill: %w", err)
	}
	return nil
}

// terminate ends a process as a deploy does, which must be peaceful.
func (i *instance) terminate() error {
	if err := i.process.Terminate(i.grace + 30*time.Second); err != nil {
		return fmt.Errorf("deploys: %s did not end in peace: %w\n%s", i.name, err, i.process.Log())
	}
	return nil
}

// terminate ends all, and waits for those that were told to stop before.
func (f *fleet) terminate() error {
	for _, i := range f.serving {
		f.leaving.Go(i.terminate)
	}
	return f.leaving.Wait()
}

// killAll leaves nothing behind, however the run ended.
func (f *fleet) killAll() {
	for _, i := range f.all {
		i.process.Kill()
	}
	_ = f.leaving.Wait() // what they say was heard, or does not matter any more
}

func (f *fleet) alive() error {
	for _, i := range f.serving {
		if !i.process.Running() {
			return fmt.Errorf("deploys: %s has ended by itself", i.name)
		}
	}
	return nil
}

func (f *fleet) logs() error {
	var errs []error
	for _, i := range f.serving {
		if i != nil {
			errs = append(errs, fmt.Errorf("log of %s:\n%s", i.name, i.process.Log()))
		}
	}
	return errors.Join(errs...)
}
