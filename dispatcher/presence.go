package dispatcher

import (
	"context"
	"time"

	"github.com/ackbox/ackbox/internal/beat"
	"github.com/ackbox/ackbox/internal/core"
)

// presence tells the ledger, for people and for whoever else runs there, that this
// dispatcher lives. It holds no job: if nobody hears it nothing is taken from it.
type presence struct {
	*Dispatcher
	heart *beat.Heart
	said  time.Time // when a failure was last told
}

// presenceNotice is how often it is told that beats fail.
const presenceNotice = time.Minute

func newPresence(d *Dispatcher) *presence {
	return &presence{Dispatcher: d, heart: beat.New(d.outbox, core.RoleDispatcher, nil, d.detail)}
}

// run beats until ctx ends, and then says so.
func (p *presence) run(ctx context.Context) {
	_, err := p.heart.Beat(ctx)
	p.heard(ctx, err)
	p.heart.Run(ctx, func(ctx context.Context, _ beat.Heard, err error) { p.heard(ctx, err) })
	if err := p.heart.Leave(ctx); err != nil {
		p.cfg.Logger.WarnContext(ctx, "dispatcher: the ledger cannot be told that this dispatcher has ended; it is shown as silent instead", "error", err)
	}
}

func (p *presence) heard(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil || !p.said.IsZero() && time.Since(p.said) < presenceNotice {
		return
	}
	p.said = time.Now()
	p.cfg.Logger.WarnContext(ctx, "dispatcher: the ledger cannot be told that this dispatcher lives; trying again", "error", err)
}

// detail is what people are shown of this dispatcher.
func (d *Dispatcher) detail(ctx context.Context) core.Detail {
	return core.Detail{Trouble: d.ailment(ctx)}
}
