//go:build unix

package torture

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox/internal/integration/shop"
)

// producer is business code: it commits and rolls back orders, whatever the
// state of the servers.
type producer struct {
	*business
	name  string
	rnd   *rand.Rand
	tally *tally
}

// tally counts what producers asked for. What became of it the database says.
type tally struct {
	committed, rolledBack, failed atomic.Int64
}

// pace is the mean pause between two transactions of a producer.
const pace = 20 * time.Millisecond

var errChangedMind = errors.New("torture: the customer changed their mind")

func (p *producer) run(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		p.one(ctx, n)
		hold(ctx, between(p.rnd, 0, 2*pace))
	}
}

func (p *producer) one(ctx context.Context, n int) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	order, rollBack, savepoint := p.order(n), p.rnd.IntN(5) == 0, p.rnd.IntN(10) == 0
	err := p.app.DB.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := p.app.Place(ctx, tx, order); err != nil {
			return err
		}
		if savepoint { // a part of a transaction that is taken back
			inner := p.order(n)
			inner.ID += "-never"
			err := tx.Transaction(func(tx *gorm.DB) error {
				return errors.Join(p.app.Place(ctx, tx, inner), errChangedMind)
			})
			if !errors.Is(err, errChangedMind) {
				return err
			}
		}
		if rollBack {
			return errChangedMind
		}
		return nil
	})
	switch {
	case err == nil:
		p.tally.committed.Add(1)
	case errors.Is(err, errChangedMind):
		p.tally.rolledBack.Add(1)
	default: // it may be committed all the same
		p.tally.failed.Add(1)
	}
}

// order draws what is ordered.
func (p *producer) order(n int) shop.Order {
	o := shop.Order{ID: fmt.Sprintf("%s-%d", p.name, n), Event: p.rnd.IntN(5) == 0}
	if p.rnd.IntN(5) == 0 {
		o.Delay = between(p.rnd, time.Millisecond, 3*time.Second)
	}
	o.Charges = append(o.Charges, p.plan())
	if p.rnd.IntN(3) == 0 {
		o.Mails = append(o.Mails, p.plan())
	}
	return o
}

// plan draws a job: half of them for the first queue, where anything may happen. In
// a slow queue each takes its time, in the others none does.
func (p *producer) plan() shop.Plan {
	queue := p.queues[0]
	if len(p.queues) > 1 && p.rnd.IntN(2) == 0 {
		queue = p.queues[1+p.rnd.IntN(len(p.queues)-1)]
	}
	switch {
	case isSlow(queue):
		return shop.Plan{Queue: queue, Work: between(p.rnd, 20*time.Millisecond, 300*time.Millisecond)}
	case queue != p.queues[0]:
		return shop.Plan{Queue: queue}
	}
	switch p.rnd.IntN(20) {
	case 0:
		return shop.Plan{FailFirst: 1 + p.rnd.IntN(3)}
	case 1:
		return shop.Plan{FailFirst: 1, Panic: true}
	case 2:
		return shop.Plan{Doomed: true}
	case 3:
		return shop.Plan{Snooze: true}
	case 4, 5:
		return shop.Plan{Work: between(p.rnd, time.Millisecond, 300*time.Millisecond)}
	}
	return shop.Plan{}
}
