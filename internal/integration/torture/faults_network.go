//go:build unix

package torture

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/ackbox/ackbox/internal/integration/netfault"
)

func networkFaults() []fault {
	var all []fault
	for _, road := range []struct {
		name string
		of   func(*run, *rand.Rand) *netfault.Proxy
	}{
		{"network to the database", func(r *run, _ *rand.Rand) *netfault.Proxy { return r.site.ToPostgres }},
		// To one node, where it is a cluster: the others are reached.
		{"network to the broker", func(r *run, rnd *rand.Rand) *netfault.Proxy {
			return r.site.ToRabbitMQ[rnd.IntN(len(r.site.ToRabbitMQ))]
		}},
	} {
		lasting := func(name string, low, high time.Duration, begin func(*netfault.Proxy) error) fault {
			return fault{road.name, name, func(ctx context.Context, r *run, rnd *rand.Rand) (string, error) {
				d, proxy := between(rnd, low, high), road.of(r, rnd)
				err := begin(proxy)
				hold(ctx, d)
				return d.String(), errors.Join(err, proxy.Heal())
			}}
		}
		all = append(all,
			fault{road.name, "cut again and again", func(ctx context.Context, r *run, rnd *rand.Rand) (string, error) {
				times, proxy := 1+rnd.IntN(10), road.of(r, rnd)
				for range times {
					proxy.Cut()
					hold(ctx, between(rnd, 5*time.Millisecond, 400*time.Millisecond))
				}
				return fmt.Sprintf("%d times", times), nil
			}},
			fault{road.name, "reset", func(_ context.Context, r *run, rnd *rand.Rand) (string, error) {
				road.of(r, rnd).Reset()
				return "", nil
			}},
			fault{road.name, "cut in the middle of a message", func(ctx context.Context, r *run, rnd *rand.Rand) (string, error) {
				octets, proxy := 1+rnd.IntN(100_000), road.of(r, rnd)
				proxy.CutAfter(octets)
				hold(ctx, 2*time.Second)
				return fmt.Sprintf("after %d octets", octets), proxy.Heal()
			}},
			lasting("refused", 100*time.Millisecond, 5*time.Second, (*netfault.Proxy).Refuse),
			lasting("silent", 200*time.Millisecond, 7*time.Second, func(p *netfault.Proxy) error { p.Freeze(); return nil }),
			lasting("half open", 200*time.Millisecond, 7*time.Second, func(p *netfault.Proxy) error { p.HalfOpen(); return nil }),
			lasting("slow", 2*time.Second, 6*time.Second, func(p *netfault.Proxy) error { return p.Slow(150*time.Millisecond, 100*time.Millisecond) }),
			lasting("narrow", 2*time.Second, 6*time.Second, func(p *netfault.Proxy) error { return p.Throttle(20_000) }),
		)
	}
	return all
}
