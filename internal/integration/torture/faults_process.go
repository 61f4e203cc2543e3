//go:build unix

package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/ackbox/ackbox/internal/failpoint"
)

func processFaults() []fault {
	var all []fault
	for _, part := range []string{"dispatcher", "worker"} {
		part2 := func(name string, strike func(context.Context, *instance, *rand.Rand) (string, error)) fault {
			return fault{part, name, func(ctx context.Context, r *run, rnd *rand.Rand) (string, error) {
				i := r.instances[part][rnd.IntN(len(r.instances[part]))]
				detail, err := strike(ctx, i, rnd)
				return i.cfg.Name + " " + detail, err
			}}
		}
		all = append(all,
			part2("killed", func(ctx context.Context, i *instance, rnd *rand.Rand) (string, error) {
				d := between(rnd, 0, 3*time.Second)
				i.process.Kill()
				hold(ctx, d)
				return d.String(), i.start()
			}),
			part2("frozen", func(ctx context.Context, i *instance, rnd *rand.Rand) (string, error) {
				// Up to longer than its database session may idle.
				d := between(rnd, 500*time.Millisecond, 9*time.Second)
				if err := i.process.Freeze(); err != nil {
					return "", err
				}
				hold(ctx, d)
				return d.String(), i.process.Thaw()
			}),
			part2("deployed anew", func(ctx context.Context, i *instance, _ *rand.Rand) (string, error) {
				if err := i.up(ctx); err != nil {
					return "", err
				}
				if err := i.process.Terminate(30 * time.Second); err != nil {
					return "", fmt.Errorf("it did not end in peace: %w\n%s", err, i.process.Log())
				}
				return "", i.start()
			}),
		)
		for _, point := range pointsOf(part) {
			all = append(all, part2("killed at "+string(point), func(_ context.Context, i *instance, rnd *rand.Rand) (string, error) {
				return i.trap(point, 1+rnd.IntN(20))
			}))
		}
	}
	return all
}

func pointsOf(part string) []failpoint.Point {
	if part == "dispatcher" {
		return []failpoint.Point{failpoint.Claimed, failpoint.Published, failpoint.Settled, failpoint.Committed}
	}
	return []failpoint.Point{failpoint.Taken, failpoint.Handled, failpoint.Recorded}
}

// trap lets an instance run into a failpoint, and starts it anew.
func (i *instance) trap(point failpoint.Point, hit int) (string, error) {
	i.process.Kill()
	if err := i.start(fmt.Sprintf("%s=kill:%d", point, hit)); err != nil {
		return "", err
	}
	// With nothing to do, or no server, it does not get there.
	detail := fmt.Sprintf("hit %d", hit)
	if err := i.process.Wait(10 * time.Second); err != nil {
		detail += ", not reached"
	}
	i.process.Kill()
	return detail, i.start()
}
