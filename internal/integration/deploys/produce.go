//go:build unix

package deploys

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox/internal/integration/shop"
)

// produce commits perSecond jobs a second until ctx ends, ten in a transaction.
func (r *run) produce(ctx context.Context) error {
	rnd := rand.New(rand.NewPCG(r.cfg.Seed, 2)) //nolint:gosec // it shall repeat
	const together = 10
	tick := time.NewTicker(time.Second * together / perSecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		o := shop.Order{ID: fmt.Sprint("order", n)}
		for range together {
			if rnd.IntN(5) == 0 {
				o.Mails = append(o.Mails, r.plan(rnd))
			} else {
				o.Charges = append(o.Charges, r.plan(rnd))
			}
		}
		// One that has begun is committed, whatever ends meanwhile.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		err := r.app.DB.WithContext(ctx).Transaction(func(tx *gorm.DB) error { return r.app.Place(ctx, tx, o) })
		cancel()
		if err != nil {
			return fmt.Errorf("deploys: place an order: %w", err)
		}
	}
}

// plan draws a job: of a hundred one is long and one fails its first tries, by an
// error or a panic; of the long ones some fail, too, but not three times: the run's
// last jobs would take that long.
func (r *run) plan(rnd *rand.Rand) (p shop.Plan) {
	p.Work = time.Duration(rnd.IntN(20)) * time.Millisecond
	fails, tries := 100, 3
	if rnd.IntN(100) == 0 {
		p.Work, fails, tries = r.faster(long), 5, 1
	}
	if rnd.IntN(fails) == 0 {
		p.FailFirst, p.Panic = 1+rnd.IntN(tries), rnd.IntN(2) == 0
	}
	return p
}
